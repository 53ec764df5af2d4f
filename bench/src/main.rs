//! `berth-bench`: runs the sections, and writes table, JSON and pictures.

mod program;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    match program::run(program::cli::Cli::parse()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("berth-bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}
