//! `berth-order PROGRAM OUT`: writes the names of the functions that an ordinary life of `berthd` runs, for the linker.

use std::fs;
use std::path::PathBuf;

use anyhow::Context;
use clap::Parser;

/// Learns which functions of berthd run.
#[derive(Debug, Parser)]
struct Cli {
    /// A berthd with its symbols, such as target/release/berthd.
    program: PathBuf,
    /// Where the list goes: daemon/berthd.order.
    out: PathBuf,
}

fn main() -> anyhow::Result<()> {
    let cli = Cli::parse();
    let names = bench::order::learn(&cli.program)?;
    let text = names.join("\n") + "\n";
    fs::write(&cli.out, text).with_context(|| cli.out.display().to_string())?;
    eprintln!("{} functions in {}", names.len(), cli.out.display());
    Ok(())
}
