//! `berth-bench`: runs the sections, and writes table, JSON and pictures.

use anyhow::Context;
use bench::record::Record;
use bench::section::{Bench, SECTIONS};
use indicatif::ProgressBar;

fn main() -> anyhow::Result<()> {
    let mut bench = Bench {
        record: Record {
            machine: bench::machine::describe(),
            ..Record::default()
        },
        quick: std::env::args().any(|a| a == "--quick"),
        peers: Vec::new(),
        progress: ProgressBar::new_spinner(),
    };
    for section in SECTIONS {
        (section.run)(&mut bench).with_context(|| section.name)?;
    }
    Ok(())
}
