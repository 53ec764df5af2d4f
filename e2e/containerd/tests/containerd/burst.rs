//! A node that is filled and emptied at once.

use std::time::Duration;

use containerd::bed::Bed;
use containerd::sandbox::{Sandbox, answer, pod};

/// 4 ENIs with 14 secondary addresses each: the sandboxes need three of them.
const M5_XLARGE: &str = "m5.xlarge";
const SANDBOXES: usize = 30;

#[test]
fn thirty_sandboxes_at_once_come_and_go() -> anyhow::Result<()> {
    let Some(bed) = Bed::start("burst", M5_XLARGE, 1)? else {
        return Ok(());
    };
    let worker = bed.worker(0);
    let configs = (0..SANDBOXES).map(|number| pod(worker, &format!("pod-{number}")));
    let sandboxes = Sandbox::run_all(worker, configs.collect())?;
    report(&sandboxes);
    answer(worker, &sandboxes)?;
    Sandbox::end_all(worker, sandboxes)?;
    worker.nothing_left()?;
    worker.given_back()?;
    worker.nothing_left()
}

/// Prints how long RunPodSandbox took.
fn report(sandboxes: &[Sandbox]) {
    let mut times: Vec<Duration> = sandboxes.iter().map(|sandbox| sandbox.took).collect();
    times.sort();
    let (median, slowest) = (times[times.len() / 2], times[times.len() - 1]);
    eprintln!(
        "{} RunPodSandbox at once: median {median:?}, slowest {slowest:?}",
        times.len()
    );
}
