//! One sandbox after the other: RunPodSandbox, StopPodSandbox and RemovePodSandbox, and each plugin's part of them.

use std::collections::BTreeMap;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context;
use containerd::bed::Worker;
use e2e::node::programs::BERTH_CNI;

use super::networks::{self, VARIANTS, Variant};
use super::timed::Timed;
use crate::quantiles::quantile_us;
use crate::section::Bench;
use crate::timed::{Alone, Pod};

/// Rounds that are not counted: they find caches cold and chains unmade.
const WARM_UP: usize = 2;
/// Rounds that are.
const ROUNDS: usize = 20;
const QUICK_ROUNDS: usize = 4;
/// Before each sandbox, so that what the one before left to be done in the background is done.
const PAUSE: Duration = Duration::from_millis(100);

/// berth-cni by itself, as often as under containerd.
const OUTSIDE: &str = "berth-cni outside of containerd";

/// Times by (row, variant).
#[derive(Default)]
struct Times(BTreeMap<(&'static str, String), Vec<Duration>>);

impl Times {
    fn add(&mut self, row: &'static str, variant: impl Into<String>, took: Duration) {
        let key = (row, variant.into());
        self.0.entry(key).or_default().push(took);
    }

    fn of(&self, row: &'static str, variant: &str) -> &[Duration] {
        let times = self.0.get(&(row, variant.to_owned()));
        times.map_or(&[], Vec::as_slice)
    }
}

pub(super) fn measure(bench: &mut Bench) -> anyhow::Result<()> {
    bench
        .progress
        .set_message("cri: starting a node with a containerd");
    let (bed, timed) = networks::start()?;
    let worker = bed.worker(0);
    let rounds = if bench.quick { QUICK_ROUNDS } else { ROUNDS };
    let mut times = Times::default();
    for round in 0..WARM_UP + rounds {
        let message = format!(
            "cri: sandboxes, round {} of {}",
            round + 1,
            WARM_UP + rounds
        );
        bench.progress.set_message(message);
        let mut seen = Times::default();
        for variant in VARIANTS {
            sandbox(worker, &timed, variant, &mut seen)?;
        }
        outside(worker, &timed, &mut seen)?;
        if round >= WARM_UP {
            for ((row, variant), took) in seen.0 {
                times.0.entry((row, variant)).or_default().extend(took);
            }
        }
    }
    let inside = under(VARIANTS[VARIANTS.len() - 1], BERTH_CNI);
    let median = |variant: &str| quantile_us(times.of("plugin_add", variant), 50);
    bench
        .record
        .goal("cri_plugin_over_add", median(&inside) / median(OUTSIDE));
    for ((row, variant), took) in &times.0 {
        bench.record.times(row, variant, 0, took);
    }
    Ok(())
}

/// A sandbox of one variant, from its beginning to its end.
fn sandbox(
    worker: Worker<'_>,
    timed: &Timed,
    variant: Variant,
    times: &mut Times,
) -> anyhow::Result<()> {
    thread::sleep(PAUSE);
    let config = variant.sandbox(worker, "bench");
    timed.take()?;
    let started = Instant::now();
    let id = variant.run(worker, config)?;
    times.add("run_pod_sandbox", variant.name, started.elapsed());
    for plugin in timed.take()? {
        times.add("plugin_add", under(variant, &plugin.plugin), plugin.took);
    }
    let started = Instant::now();
    worker.cri().stop(&id)?;
    times.add("stop_pod_sandbox", variant.name, started.elapsed());
    // containerd runs DEL once more for RemovePodSandbox, which then finds nothing
    for plugin in timed.take()? {
        times.add("plugin_del", under(variant, &plugin.plugin), plugin.took);
    }
    let started = Instant::now();
    worker.cri().remove(&id)?;
    times.add("remove_pod_sandbox", variant.name, started.elapsed());
    Ok(())
}

/// What a plugin's times under a variant are called.
fn under(variant: Variant, plugin: &str) -> String {
    format!("{plugin} under {}", variant.name)
}

/// berth-cni on the same node and by the same wrapper, but nobody else is at work.
fn outside(worker: Worker<'_>, timed: &Timed, times: &mut Times) -> anyhow::Result<()> {
    let node = &worker.member.node;
    let alone = Alone::from_dir(node, timed.bin())?;
    let pod = Pod::prepare(&format!("{}-out", node.netns().name()))?;
    thread::sleep(PAUSE);
    timed.take()?;
    alone.add(&pod)?;
    let add = timed.take()?;
    alone.del(pod)?;
    let del = timed.take()?;
    for (row, ran) in [("plugin_add", add), ("plugin_del", del)] {
        let ran = ran.first().context("berth-cni did not run")?;
        times.add(row, OUTSIDE, ran.took);
    }
    Ok(())
}
