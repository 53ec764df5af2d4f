//! Runs scenarios on all cores, those that will take longest first.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use fleet::engine::{Broken, Options, simulate};
use fleet::policy::Policy;
use fleet::run::Run;
use fleet::scenario::Scenario;

use super::progress::Progress;

/// A workload of each seed.
#[derive(Clone, Debug)]
pub struct Made {
    /// What happens in it.
    pub about: String,
    /// Which trace it replays.
    pub trace: Option<String>,
    /// The seeds, and what happens with them.
    pub seeds: Vec<(u64, Arc<Scenario>)>,
}

/// A run to be done.
#[derive(Clone, Debug)]
pub struct Job {
    /// Index of the workload.
    scenario: usize,
    policy: Policy,
    seed: u64,
    others_calls: f64,
    what: Arc<Scenario>,
}

/// What came of it.
#[derive(Debug)]
pub struct Outcome {
    /// Index of the workload.
    pub scenario: usize,
    /// Under which policy.
    pub policy: Policy,
    /// The run.
    pub run: Result<Run, Broken>,
}

impl Job {
    /// All runs, by workload, then policy, then seed.
    pub fn all(made: &[Made], policies: &[Policy], others_calls: f64) -> Vec<Self> {
        let mut jobs = Vec::new();
        for (scenario, made) in made.iter().enumerate() {
            for policy in policies {
                jobs.extend(made.seeds.iter().map(|(seed, what)| Self {
                    scenario,
                    policy: *policy,
                    seed: *seed,
                    others_calls,
                    what: Arc::clone(what),
                }));
            }
        }
        jobs
    }

    /// As people know it.
    pub fn name(&self) -> String {
        format!("{} {}", self.what.name, self.policy)
    }

    /// About how long it takes, in no unit: pods that come and go, and pools that look around every few seconds.
    fn effort(&self) -> f64 {
        let length = self.what.until.since(self.what.from).as_secs_f64();
        self.what.pods.len() as f64 * 20.0 + self.what.nodes.len() as f64 * length / 5.0
    }

    fn run(&self, progress: &dyn Fn(f64)) -> Outcome {
        let options = Options {
            seed: self.seed,
            others_calls: self.others_calls,
            progress: Some(progress),
        };
        Outcome {
            scenario: self.scenario,
            policy: self.policy,
            run: simulate(&self.what, self.policy, options),
        }
    }
}

/// Runs `jobs`, so many at a time; the outcomes in the order of the jobs, and how long it took.
///
/// # Errors
///
/// A run that ended without an outcome, which is a defect.
pub fn run(jobs: &[Job], threads: NonZeroUsize) -> anyhow::Result<(Vec<Outcome>, Duration)> {
    let mut order: Vec<usize> = (0..jobs.len()).collect();
    order.sort_by(|one, other| jobs[*other].effort().total_cmp(&jobs[*one].effort()));
    let progress = Progress::of(jobs.len());
    let next = AtomicUsize::new(0);
    let (done, results) = mpsc::channel();
    std::thread::scope(|scope| {
        for _ in 0..threads.get().min(jobs.len()) {
            let done = done.clone();
            let (progress, next, order) = (&progress, &next, &order);
            scope.spawn(move || {
                while let Some(index) = order.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let running = progress.begin(jobs[*index].name());
                    let outcome = jobs[*index].run(&|share| running.reached(share));
                    progress.end(running);
                    // Nobody receives any more only when everything is being given up.
                    let _ = done.send((*index, outcome));
                }
            });
        }
        drop(done);
    });
    let took = progress.finish();
    let mut outcomes: Vec<_> = results.into_iter().collect();
    outcomes.sort_by_key(|(index, _)| *index);
    anyhow::ensure!(
        outcomes.len() == jobs.len(),
        "{} of {} runs ended",
        outcomes.len(),
        jobs.len()
    );
    Ok((
        outcomes.into_iter().map(|(_, outcome)| outcome).collect(),
        took,
    ))
}
