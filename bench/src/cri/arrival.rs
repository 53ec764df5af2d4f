//! Many pods at once, to *running*: 15 on an empty node, then 20 more, which is more than the node's own ENI has
//! addresses for. With all addresses in stock; with the ENI to be attached in between, which the last six wait for; and
//! on a node whose own ENI is full, so that all 20 wait for it.
//!
//! The instance is an m3.2xlarge (4 ENIs, 29 pod addresses each), and EC2 as slow as users have measured it
//! ([`e2e::mock::CloudConfig`]'s defaults), without jitter.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use containerd::bed::{Bed, Spec, Worker};
use containerd::sandbox::{at_once, pod, program};
use e2e::aftermath::eventually;
use e2e::cluster::DAEMON_PATIENCE;
use e2e::mock::{Cloud, CloudConfig, Latency};

use super::networks::LABEL;
use crate::quantiles::median;
use crate::section::Bench;
use crate::timed::{Alone, Pod};

const M3_2XLARGE: &str = "m3.2xlarge";
/// The pods that come first.
const FIRST: u32 = 15;
/// Those that come then: with the first more than an ENI has addresses for.
const THEN: u32 = 20;
/// Secondary addresses of an ENI of this type.
const OF_AN_ENI: u32 = 29;
/// How often each is measured, on a node of its own.
const ROUNDS: usize = 4;
const QUICK_ROUNDS: usize = 1;
/// Until a node has its stock: a few calls one after the other.
const STOCKED: Duration = Duration::from_secs(60);

/// What the 20 pods find.
struct Scene {
    /// For the table.
    name: &'static str,
    settings: &'static [(&'static str, &'static str)],
    /// So many addresses are waited for before the first pod.
    stock: u32,
    /// Pods that are there without containerd, instead of the 15.
    crowd: u32,
    /// ENIs made while the 20 pods start.
    attaches: u64,
}

const SCENES: [Scene; 3] = [
    Scene {
        name: "addresses in stock",
        settings: &[("MINIMUM_IP_TARGET", "40"), ("WARM_IP_TARGET", "2")],
        stock: 40,
        crowd: 0,
        attaches: 0,
    },
    Scene {
        name: "an ENI attached in between",
        settings: &[],
        stock: 0,
        crowd: 0,
        attaches: 1,
    },
    Scene {
        name: "all wait for the ENI",
        settings: &[("WARM_IP_TARGET", "0"), ("MINIMUM_IP_TARGET", "29")],
        stock: OF_AN_ENI,
        crowd: OF_AN_ENI,
        attaches: 1,
    },
];

/// What one round on one node came to.
struct Arrival {
    first: Vec<Duration>,
    then: Vec<Duration>,
}

pub(super) fn measure(bench: &mut Bench) -> anyhow::Result<()> {
    let rounds = if bench.quick { QUICK_ROUNDS } else { ROUNDS };
    let mut seen = SCENES.map(|_| Vec::new());
    for round in 1..=rounds {
        for (scene, seen) in SCENES.iter().zip(&mut seen) {
            let what = scene.name;
            let message = format!("cri: 15, then 20 pods, {what}, round {round} of {rounds}");
            bench.progress.set_message(message);
            seen.push(arrival(scene).context(what)?);
        }
    }
    for (scene, seen) in SCENES.iter().zip(&seen) {
        record(bench, scene, seen);
    }
    let [without, with, _] = seen.map(|seen| last_ms(&seen, |arrival| &arrival.then));
    let attach = one_attach(&cloud()).as_secs_f64() * 1e3;
    bench
        .record
        .figure("create_attach_link", "mock", 0, attach, "ms");
    let delay = (with - without) / attach;
    bench.record.goal("attach_delay_over_attach", delay);
    Ok(())
}

/// EC2 as slow as users have measured it, and always alike.
fn cloud() -> CloudConfig {
    CloudConfig {
        name: "arrival".to_owned(),
        latency: Latency {
            jitter_percent: 0,
            ..Latency::default()
        },
        ..CloudConfig::default()
    }
}

/// What the mock takes for one ENI, from Create's arrival until the link is in the machine: the whole Create, the half of
/// Attach after which it takes effect, and the link's delay. No node can be quicker.
fn one_attach(config: &CloudConfig) -> Duration {
    let call = |action| config.latency.of(action);
    call("CreateNetworkInterface") + call("AttachNetworkInterface") / 2 + config.attach_delay
}

/// 15 pods, then 20, on a new node.
fn arrival(scene: &Scene) -> anyhow::Result<Arrival> {
    let bed = Bed::of(Spec {
        label: LABEL,
        config: cloud(),
        instance_type: M3_2XLARGE,
        count: 1,
        settings: scene.settings,
        networks: &[],
    })?;
    let bed = bed.context("no containerd to be measured with")?;
    let (worker, cloud) = (bed.worker(0), bed.cluster().cloud());
    eventually("the stock", STOCKED, || {
        let free = worker.member.node.status()?.addresses.free;
        ensure!(free >= scene.stock, "{free} addresses are free");
        Ok(())
    })?;
    let (mut first, mut crowd) = (Vec::new(), Vec::new());
    if scene.crowd == 0 {
        first = to_running(worker, FIRST, "first")?;
    } else {
        crowd = gather(worker, scene.crowd)?;
    }
    worker.member.settled(cloud, DAEMON_PATIENCE)?;
    let before = attaches(cloud);
    let then = to_running(worker, THEN, "then")?;
    let made = attaches(cloud) - before;
    ensure!(
        made == scene.attaches,
        "{made} ENIs were attached while {THEN} pods came, not {}",
        scene.attaches
    );
    drop(crowd);
    Ok(Arrival { first, then })
}

fn attaches(cloud: &Cloud) -> u64 {
    let counts = cloud.counts();
    counts
        .get("AttachNetworkInterface")
        .copied()
        .unwrap_or_default()
}

/// Pods by the plugin alone, which only take addresses.
fn gather(worker: Worker<'_>, count: u32) -> anyhow::Result<Vec<Pod>> {
    let node = &worker.member.node;
    let alone = Alone::on(node)?;
    let pods = (0..count).map(|_| {
        let pod = Pod::prepare(&format!("{}-crowd", node.netns().name()))?;
        alone.add(&pod).map(|_| pod)
    });
    pods.collect()
}

/// So many pods at once: from the moment in which kubelet hears of all of them until each one's container has started.
fn to_running(worker: Worker<'_>, count: u32, name: &str) -> anyhow::Result<Vec<Duration>> {
    let configs = (0..count).map(|number| pod(worker, &format!("{name}-{number}")));
    let configs: Vec<_> = configs.collect();
    let started = Instant::now();
    let came = at_once(configs, |config| {
        let id = worker.cri().run(config.clone())?;
        worker
            .cri()
            .start(&id, program("main", &["sleep", "3600"]), config)?;
        Ok(started.elapsed())
    });
    came.into_iter().collect()
}

/// The median over the rounds of when the last pod ran, in milliseconds.
fn last_ms(seen: &[Arrival], pods: fn(&Arrival) -> &Vec<Duration>) -> f64 {
    let last = |arrival| pods(arrival).iter().max().copied().unwrap_or_default();
    let last: Vec<f64> = seen
        .iter()
        .map(|arrival| last(arrival).as_secs_f64() * 1e3)
        .collect();
    median(&last)
}

fn record(bench: &mut Bench, scene: &Scene, seen: &[Arrival]) {
    let first: fn(&Arrival) -> &Vec<Duration> = |arrival| &arrival.first;
    let then: fn(&Arrival) -> &Vec<Duration> = |arrival| &arrival.then;
    for (name, last, there, pods) in [
        ("15_to_running", "15_last_running", 0, first),
        (
            "20_to_running",
            "20_last_running",
            FIRST.max(scene.crowd),
            then,
        ),
    ] {
        let each: Vec<Duration> = seen.iter().flat_map(pods).copied().collect();
        if each.is_empty() {
            continue;
        }
        bench.record.times(name, scene.name, there, &each);
        let value = last_ms(seen, pods);
        bench.record.figure(last, scene.name, there, value, "ms");
    }
}
