//! `fleet`: runs workloads under policies, prints tables, draws pictures and writes `fleet.json`.

mod program;

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    match program::run(&program::cli::Cli::parse()) {
        Ok(program::Done::Well) => ExitCode::SUCCESS,
        Ok(program::Done::SomeBroken) => ExitCode::FAILURE,
        Err(error) => {
            // A closed stderr leaves nobody to tell.
            let _ = writeln!(std::io::stderr(), "fleet: {error:#}");
            ExitCode::FAILURE
        }
    }
}
