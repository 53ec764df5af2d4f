//! The CNI plugin: one verb per process, by environment and stdin. Everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    berth_cni::answer_panics();
    berth_cni::run()
}
