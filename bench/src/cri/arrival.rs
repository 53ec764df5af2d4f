//! Many pods at once, to *running*: 15 on an empty node, then 20 more, which is more than the node's own ENI has
//! addresses for. Once with all addresses in stock, once with the ENI to be attached in between.
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

use crate::quantiles::median;
use crate::section::Bench;

const M3_2XLARGE: &str = "m3.2xlarge";
/// The pods that come first.
const FIRST: u32 = 15;
/// Those that come then: with the first more than 29.
const THEN: u32 = 20;
/// How often each of both is measured, on a node of its own.
const ROUNDS: usize = 4;
const QUICK_ROUNDS: usize = 1;
/// Until a node has its stock: a few calls one after the other.
const STOCKED: Duration = Duration::from_secs(60);

/// Where the addresses are when the 20 pods come.
struct Stock {
    /// For the table.
    name: &'static str,
    settings: &'static [(&'static str, &'static str)],
    /// So many addresses are waited for before the first pod.
    addresses: u32,
    /// ENIs made while the 20 pods start.
    attaches: u64,
}

const STOCKS: [Stock; 2] = [
    Stock {
        name: "addresses in stock",
        settings: &[("MINIMUM_IP_TARGET", "40"), ("WARM_IP_TARGET", "2")],
        addresses: 40,
        attaches: 0,
    },
    Stock {
        name: "an ENI attached in between",
        settings: &[],
        addresses: 0,
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
    let mut seen: [Vec<Arrival>; 2] = [Vec::new(), Vec::new()];
    for round in 1..=rounds {
        for (stock, seen) in STOCKS.iter().zip(&mut seen) {
            let what = stock.name;
            let message = format!("cri: 15, then 20 pods, {what}, round {round} of {rounds}");
            bench.progress.set_message(message);
            seen.push(arrival(stock).context(what)?);
        }
    }
    for (stock, seen) in STOCKS.iter().zip(&seen) {
        record(bench, stock, seen);
    }
    let [without, with] = seen.map(|seen| last_ms(&seen, |arrival| &arrival.then));
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

/// What the mock takes for one ENI: Create, then Attach, then until its link is in the machine. No node can be quicker.
fn one_attach(config: &CloudConfig) -> Duration {
    let calls = ["CreateNetworkInterface", "AttachNetworkInterface"];
    let calls: Duration = calls.map(|call| config.latency.of(call)).iter().sum();
    calls + config.attach_delay
}

/// 15 pods, then 20, on a new node.
fn arrival(stock: &Stock) -> anyhow::Result<Arrival> {
    let bed = Bed::of(Spec {
        config: cloud(),
        instance_type: M3_2XLARGE,
        count: 1,
        settings: stock.settings,
        networks: &[],
    })?;
    let bed = bed.context("no containerd to be measured with")?;
    let (worker, cloud) = (bed.worker(0), bed.cluster().cloud());
    eventually("the stock", STOCKED, || {
        let free = worker.member.node.status()?.addresses.free;
        ensure!(free >= stock.addresses, "{free} addresses are free");
        Ok(())
    })?;
    let first = to_running(worker, FIRST, "first")?;
    worker.member.settled(cloud, DAEMON_PATIENCE)?;
    let before = attaches(cloud);
    let then = to_running(worker, THEN, "then")?;
    let made = attaches(cloud) - before;
    ensure!(
        made == stock.attaches,
        "{made} ENIs were attached while {THEN} pods came, not {}",
        stock.attaches
    );
    Ok(Arrival { first, then })
}

fn attaches(cloud: &Cloud) -> u64 {
    let counts = cloud.counts();
    counts
        .get("AttachNetworkInterface")
        .copied()
        .unwrap_or_default()
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

fn record(bench: &mut Bench, stock: &Stock, seen: &[Arrival]) {
    let first: fn(&Arrival) -> &Vec<Duration> = |arrival| &arrival.first;
    let then: fn(&Arrival) -> &Vec<Duration> = |arrival| &arrival.then;
    for (name, last, there, pods) in [
        ("15_to_running", "15_last_running", 0, first),
        ("20_to_running", "20_last_running", FIRST, then),
    ] {
        let each: Vec<Duration> = seen.iter().flat_map(pods).copied().collect();
        bench.record.times(name, stock.name, there, &each);
        let value = last_ms(seen, pods);
        bench.record.figure(last, stock.name, there, value, "ms");
    }
}
