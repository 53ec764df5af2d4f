//! Entries for fuzzing: each takes foreign bytes to the real code and asserts what must hold of what comes out. A broken
//! property is a panic, as it is for fuzzers. Which bytes come is for others to say: cargo-fuzz's targets beside this
//! crate, or [`mutation`] with fixed seeds in its tests.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a panic is how an entry tells what it found"
)]

mod answered;
mod checkpoint;
mod conflist;
mod ec2_error;
mod environment;
mod imds;
pub mod mutation;
mod prev_result;
mod reply;
mod request;
mod result;
mod sample;
mod stdin;
mod wire;

pub use checkpoint::checkpoint;
pub use conflist::conflist;
pub use ec2_error::ec2_error;
pub use environment::environment;
pub use imds::imds;
pub use prev_result::prev_result;
pub use reply::reply;
pub use request::request;
pub use stdin::stdin;

/// An entry.
pub type Entry = fn(&[u8]);

/// All of them by name; the name is the target's and that of the directory with its seeds.
pub const ENTRIES: [(&str, Entry); 9] = [
    ("stdin", stdin),
    ("environment", environment),
    ("prev_result", prev_result),
    ("request", request),
    ("reply", reply),
    ("checkpoint", checkpoint),
    ("conflist", conflist),
    ("imds", imds),
    ("ec2_error", ec2_error),
];
