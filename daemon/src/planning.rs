//! `berthd plan`: reads what is to be planned, has the simulator play it, and prints what comes of it. It needs neither a
//! node nor AWS.

#[cfg(test)]
mod tests;

use std::cell::{Cell, RefCell};
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use ec2::limits::{self, KnownType};
use fleet::engine::Broken;
use fleet::planning::{
    Answer, Catalogue, InstanceType, Problems, Sources, drawing, page, plan, understand,
};
use fleet::policy::Policy;
use fleet::report::picture;
use fleet::trace::File;
use ipam::Limits;

use crate::cli::PlanArgs;

/// Nobody wonders earlier whether anything happens.
const SILENCE: Duration = Duration::from_secs(2);

/// Why there is no plan.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// The file cannot be read.
    #[error("cannot read {}: {why}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        why: io::Error,
    },
    /// What is asked for cannot be.
    #[error("{0}\n`berthd plan --help` has the fields and examples")]
    Input(Problems),
    /// The simulator, or a pool in it, contradicted itself.
    #[error("{0}: this is a defect of berth, please report it with the command")]
    Broken(Broken),
    /// There is no picture.
    #[error("{0}")]
    Picture(picture::Error),
    /// The picture cannot be written.
    #[error("cannot write {}: {why}", path.display())]
    Svg {
        /// Where.
        path: PathBuf,
        /// Why.
        why: io::Error,
    },
    /// The answer is no JSON.
    #[error("cannot write the answer as JSON: {0}")]
    Json(serde_json::Error),
    /// The output cannot be written.
    #[error("cannot write the output: {0}")]
    Output(io::Error),
}

/// Runs `berthd plan`: the answer goes to `out`; how far it is to `err`, if it takes longer than a moment.
///
/// # Errors
/// [`PlanError`]. A reader of the output that has had enough is no error.
pub fn run(args: &PlanArgs, out: &mut dyn Write, err: &mut dyn Write) -> Result<(), PlanError> {
    let answer = answer(args, err)?;
    if let Some(path) = &args.svg {
        let svg = drawing(&answer).map_err(PlanError::Picture)?;
        fs::write(path, svg).map_err(|why| PlanError::Svg {
            path: path.clone(),
            why,
        })?;
    }
    let text = if args.json {
        format!(
            "{}\n",
            serde_json::to_string_pretty(&answer).map_err(PlanError::Json)?
        )
    } else {
        page(&answer)
    };
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(PlanError::Output(error)),
        _ => Ok(()),
    }
}

fn answer(args: &PlanArgs, err: &mut dyn Write) -> Result<Answer, PlanError> {
    let file = args.file.as_deref().map(read).transpose()?;
    let file = file
        .as_ref()
        .map(|(name, text)| (name.as_str(), text.as_str()));
    let (trace, nodes) = (args.trace.as_deref(), args.nodes.as_deref());
    let trace = trace
        .zip(nodes)
        .map(|(trace, nodes)| Ok((read(trace)?, read(nodes)?)));
    let trace: Option<(Text, Text)> = trace.transpose()?;
    let sources = Sources {
        trace: trace.as_ref().map(|(trace, nodes)| (of(trace), of(nodes))),
        file,
        groups: &args.groups,
        subnets: &args.subnets,
        policies: &args.policies,
        join_every: args.join_every,
        settle: args.settle,
        others_calls: args.others_calls,
        seed: args.seed,
    };
    let cluster = understand(sources, &catalogue()).map_err(PlanError::Input)?;
    let (err, told) = (RefCell::new(err), Cell::new(Instant::now()));
    let progress = |policy: Policy, done: f64| {
        if told.get().elapsed() >= SILENCE {
            told.set(Instant::now());
            let percent = done * 100.0;
            // Who closed stderr does not want to know.
            let _ = writeln!(
                err.borrow_mut(),
                "berthd: {policy}; {percent:.0} % of the plan"
            );
        }
    };
    plan(&cluster, &progress).map_err(PlanError::Broken)
}

/// A file's name and what is in it.
type Text = (String, String);

fn of((name, text): &Text) -> File<'_> {
    File { name, text }
}

fn read(path: &Path) -> Result<Text, PlanError> {
    let text = fs::read_to_string(path).map_err(|why| PlanError::File {
        path: path.to_owned(),
        why,
    })?;
    Ok((path.display().to_string(), text))
}

/// The instance types that were known when this was built.
fn catalogue() -> Catalogue {
    let of = |known: KnownType| {
        let limits = Limits {
            enis: known.limits.enis,
            slots_per_eni: known.limits.ipv4_per_eni - 1,
            prefixes: known.limits.prefixes,
        };
        let vcpus = Some(known.vcpus);
        (known.name.to_owned(), InstanceType { limits, vcpus })
    };
    limits::all().map(of).collect()
}
