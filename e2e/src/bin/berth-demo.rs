//! Runs the demo and writes its figures to a file; exits with status 0 only if every check held.

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;

/// Shows berth's main job on two nodes of a mock VPC: pods get addresses, reach each other, the nodes and the internet,
/// and keep doing so when the daemon is killed. Needs root for network namespaces; touches nothing outside of its own.
#[derive(Parser)]
#[command(name = "berth-demo", version)]
struct Arguments {
    /// Where the figures go, as JSON.
    #[arg(long, default_value = "target/demo.json")]
    output: PathBuf,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("berth-demo: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Whether every check held.
fn run(arguments: &Arguments) -> anyhow::Result<bool> {
    let document = e2e::demo::run(&mut std::io::stdout())?;
    let text = serde_json::to_string_pretty(&document)?;
    let output = &arguments.output;
    fs::write(output, text + "\n").with_context(|| format!("cannot write {}", output.display()))?;
    Ok(document.checks.iter().all(|check| check.ok))
}
