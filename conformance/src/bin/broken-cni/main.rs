//! `broken-cni`: a small CNI plugin that is right, and wrong in one way with `--break RULE`. The suite is tested with it;
//! nobody installs it. `--rules` lists the ways.
//!
//! In creating mode it makes a veth with `ip` and keeps what it made in files, one an attachment; behind another plugin
//! it puts an address on the interface that is there. With an `ipam` it lets that give the address. A file stands for
//! the daemon that bigger plugins have.

mod add;
mod answer;
mod args;
mod call;
mod check;
mod conf;
mod daemon;
mod del;
mod environment;
mod failure;
mod fussy;
mod gc;
mod ip;
mod ipam;
mod netns;
mod prev;
mod result;
mod rules;
mod state;
mod status;
mod stdin;

use std::process::ExitCode;

fn main() -> ExitCode {
    match rules::choose(std::env::args().skip(1)) {
        rules::Choice::Call => answer::run(),
        rules::Choice::List => rules::list(),
        rules::Choice::Unknown(why) => {
            failure::note(&why);
            ExitCode::from(2)
        }
    }
}
