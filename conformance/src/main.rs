//! `conformance`: tests any CNI plugin binary from outside. Everything but the arguments is in the library.

mod cli;

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;

/// The cases could not be run, which is not the plugin's fault.
const CANNOT: u8 = 2;

fn main() -> ExitCode {
    cli::Cli::parse().perform().unwrap_or_else(|error| {
        // there is nowhere else to say it
        let _ = writeln!(std::io::stderr(), "conformance: {error:#}");
        ExitCode::from(CANNOT)
    })
}
