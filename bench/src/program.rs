//! The program around the sections: what is asked of it, a place where it leaves nothing, what it says on the way and
//! what it leaves when all is measured. A section that fails does not lose what the others measured.

pub mod cli;
mod confine;
mod output;
mod progress;
mod requirements;

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use bench::record::Record;
use bench::section::{Bench, SECTIONS, Section};

use cli::Cli;
use progress::Progress;

/// Runs what was asked for; the exit status says whether every section did.
///
/// # Errors
/// Nothing can be measured here, or the results cannot be written.
pub fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    if cli.list {
        return output::list().map(|()| ExitCode::SUCCESS);
    }
    let sections = cli.sections()?;
    let Some(place) = &cli.confined else {
        requirements::check(&cli)?;
        return confine::run();
    };
    confine::settle(place)?;
    let mut bench = bench(&cli, place)?;
    let failed = measure(&mut bench, &sections);
    output::write(&cli, &bench.record, &failed)?;
    Ok(if failed.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn bench(cli: &Cli, place: &Path) -> anyhow::Result<Bench> {
    let peers = cli.peer.iter().map(|peer| peer.parse());
    Ok(Bench {
        record: Record {
            machine: bench::machine::describe(),
            ..Record::default()
        },
        quick: cli.quick,
        peers: peers.collect::<Result<_, _>>().context("--peer")?,
        disk: confine::disk(place),
        progress: Progress::bar(),
    })
}

/// Runs the sections one after another and returns what went wrong.
fn measure(bench: &mut Bench, sections: &[Section]) -> Vec<String> {
    let progress = Progress::start(bench.progress.clone());
    let mut failed = Vec::new();
    for section in sections {
        progress.section(section.name);
        if let Err(error) = (section.run)(bench) {
            progress.say(&format!("{} failed: {error:#}", section.name));
            failed.push(format!("{}: {error:#}", section.name));
        }
    }
    failed
}

impl Cli {
    /// The sections that were asked for; all, if none was.
    fn sections(&self) -> anyhow::Result<Vec<Section>> {
        let known = |name: &String| {
            let section = SECTIONS.iter().find(|section| section.name == name);
            let names: Vec<&str> = SECTIONS.iter().map(|section| section.name).collect();
            let section = section.copied();
            section.with_context(|| format!("no section {name}: there are {}", names.join(", ")))
        };
        if self.only.is_empty() {
            return Ok(SECTIONS.to_vec());
        }
        self.only.iter().map(known).collect()
    }
}
