//! What the daemon costs a node while it does nothing, and how soon it serves after a start: memory, processor time, the
//! calls that a start makes, the time from its exec to the end of an ADD that waited for it, and the programs' sizes.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context;
use e2e::cluster::{Cluster, DAEMON_PATIENCE, Member};
use e2e::mock::{Call, CloudConfig, SubnetSpec};
use e2e::netns::require_netns;
use e2e::node::programs::{BERTH_CNI, BERTHD, find};

use crate::process::{cpu, memory};
use crate::section::{Bench, Section};
use crate::timed::{Alone, Pod};

/// What it is.
pub const SECTION: Section = Section {
    name: "daemon",
    about: "memory, processor time and start of berthd, sizes of the programs",
    run,
};

/// 15 ENIs of 49 secondary addresses: the fullest node that EKS allows has 250 pods.
const INSTANCE_TYPE: &str = "m5.24xlarge";
/// EKS allows no more on one node (aws-node's `eni-max-pods.txt` and kubelet's max-pods calculator).
const PODS: u32 = 250;
/// How many pods are added at once.
const AT_ONCE: usize = 5;
/// What a start has done once this has passed, and over how long idleness is measured.
const SETTLED: Duration = Duration::from_secs(10);
/// Starts that are timed.
const STARTS: usize = 7;

fn run(bench: &mut Bench) -> anyhow::Result<()> {
    sizes(bench)?;
    if !require_netns()? {
        return Ok(());
    }
    let (pods, starts) = if bench.quick { (30, 2) } else { (PODS, STARTS) };
    let settled = settled(bench);
    let cluster = Cluster::launch(cloud()?, INSTANCE_TYPE, 1)?;
    let member = cluster.members.first().context("no node")?;
    let alone = Alone::on(&member.node)?;
    bench.progress.set_message("daemon: idle");
    member.node.start_daemon(DAEMON_PATIENCE)?;
    thread::sleep(settled);
    idle(bench, member, "berthd", 0)?;
    bench.progress.set_message(format!("daemon: {pods} pods"));
    let mut added = Vec::new();
    while added.len() < pods as usize {
        added.extend(add(&alone, member)?);
    }
    member.settled(cluster.cloud(), DAEMON_PATIENCE)?;
    thread::sleep(settled);
    let grown = idle(bench, member, "berthd, which added them", pods)?;
    let mut times = Vec::new();
    for number in 0..starts {
        let progress = format!("daemon: start {} of {starts}", number + 1);
        bench.progress.set_message(progress);
        let before = cluster.cloud().journal().len();
        times.push(restart(&alone, member)?);
        member.settled(cluster.cloud(), DAEMON_PATIENCE)?;
        if number == 0 {
            thread::sleep(settled);
            calls(bench, pods, &cluster.cloud().journal()[before..]);
        }
    }
    thread::sleep(settled);
    let restarted = idle(bench, member, "berthd, which found them", pods)?;
    bench
        .record
        .times("start", "exec to first ADD", pods, &times);
    if let Some(start_us) = bench.record.p50_us("start", "exec to first ADD", pods) {
        bench.record.goal("start_s", start_us / 1e6);
    }
    bench.record.goal("rss_mib", grown.max(restarted));
    added
        .into_iter()
        .try_for_each(|pod| alone.del(pod).map(drop))
}

/// How long this run waits where a start or an idle daemon is looked at.
fn settled(bench: &Bench) -> Duration {
    if bench.quick {
        Duration::from_secs(1)
    } else {
        SETTLED
    }
}

/// Calls as slow as EC2's: a start that waits for one shows it.
fn cloud() -> anyhow::Result<CloudConfig> {
    let zone = "us-west-2a".to_owned();
    Ok(CloudConfig {
        name: "daemon".to_owned(),
        subnets: vec![SubnetSpec {
            cidr: "10.0.16.0/20".parse()?,
            zone,
        }],
        ..CloudConfig::default()
    })
}

/// Some more pods.
fn add(alone: &Alone<'_>, member: &Member) -> anyhow::Result<Vec<Pod>> {
    let label = format!("{}-pod", member.node.netns().name());
    thread::scope(|scope| {
        let one = || -> anyhow::Result<Pod> {
            let pod = Pod::prepare(&label)?;
            alone.add(&pod)?;
            Ok(pod)
        };
        let threads: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(one)).collect();
        let ended = threads.into_iter().map(|thread| thread.join());
        ended
            .map(|pod| pod.unwrap_or_else(|_| anyhow::bail!("an ADD panicked")))
            .collect()
    })
}

/// What the daemon takes that has nothing to do; answers its memory, in MiB.
fn idle(bench: &mut Bench, member: &Member, variant: &str, pods: u32) -> anyhow::Result<f64> {
    let pid = member.node.daemon_pid()?;
    let (before, begun) = (cpu(pid)?, Instant::now());
    thread::sleep(settled(bench));
    let (after, passed) = (cpu(pid)?, begun.elapsed());
    let share = after.saturating_sub(before).as_secs_f64() / passed.as_secs_f64();
    let memory = memory(pid)?;
    let record = &mut bench.record;
    record.figure("rss", variant, pods, memory.resident, "MiB");
    record.figure("rss anonymous", variant, pods, memory.anonymous, "MiB");
    record.figure("rss file", variant, pods, memory.file, "MiB");
    record.figure("cpu", variant, pods, share * 100.0, "%");
    Ok(memory.resident)
}

/// kill -9, a new daemon, and an ADD that is there at the same moment and asks until it is served; how long from the
/// exec to its end. Its pod goes again.
fn restart(alone: &Alone<'_>, member: &Member) -> anyhow::Result<Duration> {
    let pod = Pod::prepare(&format!("{}-first", member.node.netns().name()))?;
    member.node.kill_daemon()?;
    let begun = Instant::now();
    let took = thread::scope(|scope| {
        let daemon = scope.spawn(|| member.node.start_daemon(DAEMON_PATIENCE));
        let added = alone.add(&pod);
        let took = begun.elapsed();
        let started = daemon.join();
        started.unwrap_or_else(|_| anyhow::bail!("the start panicked"))?;
        added.map(|_| took)
    })?;
    alone.del(pod)?;
    Ok(took)
}

/// The calls of a start, by action.
fn calls(bench: &mut Bench, pods: u32, calls: &[Call]) {
    let mut actions: Vec<&str> = calls.iter().map(|call| call.action.as_str()).collect();
    actions.sort_unstable();
    for same in actions.chunk_by(|one, other| one == other) {
        let count = u32::try_from(same.len()).unwrap_or(u32::MAX);
        let action = same.first().copied().unwrap_or_default();
        let record = &mut bench.record;
        record.figure("calls at start", action, pods, count.into(), "calls");
    }
}

/// The programs as `make build` installs them.
fn sizes(bench: &mut Bench) -> anyhow::Result<()> {
    for program in [BERTHD, BERTH_CNI] {
        let mebibytes = size(&find(program)?)?;
        bench.record.figure("size", program, 0, mebibytes, "MiB");
    }
    Ok(())
}

fn size(path: &Path) -> anyhow::Result<f64> {
    let bytes = fs::metadata(path)
        .with_context(|| path.display().to_string())?
        .len();
    Ok(bytes as f64 / f64::from(1 << 20))
}
