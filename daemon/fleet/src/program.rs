//! The program around the simulator: files, the terminal, threads. The figures are made in the library.

pub mod cli;
mod jobs;
mod output;
mod progress;

use std::fs;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, bail};
use fleet::report::{Cell, figures, goals, json};
use fleet::stated;
use fleet::trace::{File, Trace, synthetic};
use fleet::workloads::Workload;

use cli::{Cli, list};
use jobs::{Job, Made, Outcome};

/// How it went, if it went at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Done {
    /// All runs have figures.
    Well,
    /// Some do not, and why was said.
    SomeBroken,
}

/// Does what the command line asks for.
///
/// # Errors
///
/// Files that cannot be read or written, and what is wrong in them.
pub fn run(cli: &Cli) -> anyhow::Result<Done> {
    let mut stdout = std::io::stdout().lock();
    if cli.list {
        stdout.write_all(list().as_bytes())?;
        return Ok(Done::Well);
    }
    let made = make(cli)?;
    let jobs = Job::all(&made, &cli.policies(), cli.others_calls);
    let (outcomes, took) = jobs::run(&jobs, cli.threads())?;
    let (cells, broken) = cells(&made, outcomes);
    write!(stdout, "{}", figures::all(&cells))?;
    if cells.iter().any(|cell| cell.row().policy == "berth") {
        write!(stdout, "\n{}", goals::table(&goals::goals(&cells)))?;
    }
    let pictures = output::pictures(&cells, &made, &cli.out)?;
    output::write(&cli.json, &json::text(&json::records(&cells))?)?;
    writeln!(
        stdout,
        "\n{} runs in {:.0} s. {pictures} pictures in {}, figures in {}.",
        jobs.len(),
        took.as_secs_f64(),
        cli.out.display(),
        cli.json.display()
    )?;
    for error in &broken {
        writeln!(std::io::stderr(), "fleet: {error}")?;
    }
    Ok(if broken.is_empty() {
        Done::Well
    } else {
        Done::SomeBroken
    })
}

/// The scenarios, of every seed.
fn make(cli: &Cli) -> anyhow::Result<Vec<Made>> {
    let workloads = cli.workloads();
    let trace = if workloads.iter().any(|workload| workload.replays()) {
        trace(cli)?
    } else {
        synthetic::trace(cli.seed)
    };
    let seeds = || cli.seed..cli.seed.saturating_add(cli.seeds());
    let mut made: Vec<Made> = workloads
        .iter()
        .map(|workload: &Workload| Made {
            about: workload.about().to_owned(),
            trace: workload.replays().then(|| trace.source.name().to_owned()),
            seeds: seeds()
                .map(|seed| (seed, Arc::new(workload.scenario(&trace, seed))))
                .collect(),
        })
        .collect();
    for path in &cli.scenario {
        let stated = stated::read(&path.display().to_string(), &read(path)?)?;
        made.push(Made {
            about: stated.about(),
            trace: None,
            seeds: seeds()
                .map(|seed| (seed, Arc::new(stated.scenario(seed))))
                .collect(),
        });
    }
    Ok(made)
}

/// The trace that is given, or the one that is made up.
fn trace(cli: &Cli) -> anyhow::Result<Trace> {
    let (pods, nodes) = match (&cli.trace, &cli.nodes) {
        (Some(pods), Some(nodes)) => (pods, nodes),
        (None, None) => {
            let mut stderr = std::io::stderr();
            writeln!(
                stderr,
                "fleet: no --trace and --nodes: raw, x60, fold and dense replay a SYNTHETIC trace"
            )?;
            return Ok(synthetic::trace(cli.seed));
        }
        _ => bail!("a trace is two files: --trace FILE and --nodes FILE"),
    };
    let name = |path: &Path| {
        path.file_name()
            .map_or_else(String::new, |name| name.to_string_lossy().into_owned())
    };
    let (pods_name, nodes_name) = (name(pods), name(nodes));
    let (pods_text, nodes_text) = (read(pods)?, read(nodes)?);
    let pods = File {
        name: &pods_name,
        text: &pods_text,
    };
    let nodes = File {
        name: &nodes_name,
        text: &nodes_text,
    };
    Ok(Trace::read(pods, nodes)?)
}

fn read(path: &Path) -> anyhow::Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

/// The runs of one scenario and policy together, the first seed's first; and what went wrong.
fn cells(made: &[Made], outcomes: Vec<Outcome>) -> (Vec<Cell>, Vec<String>) {
    let mut cells: Vec<Cell> = Vec::new();
    let mut broken = Vec::new();
    let mut last = None;
    for outcome in outcomes {
        let place = (outcome.scenario, outcome.policy);
        match outcome.run {
            Ok(run) => match cells.last_mut() {
                Some(cell) if last == Some(place) => cell.seeds.push(run.row),
                _ => cells.push(Cell {
                    seeds: vec![run.row.clone()],
                    run,
                    trace: made
                        .get(outcome.scenario)
                        .and_then(|made| made.trace.clone()),
                }),
            },
            Err(error) => {
                broken.push(error.to_string());
                continue;
            }
        }
        last = Some(place);
    }
    (cells, broken)
}
