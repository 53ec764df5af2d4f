//! The miss: what an ADD waits that finds no address, beside what EC2 takes for the calls that bring one. The node keeps
//! nothing in reserve (`MINIMUM_IP_TARGET=1`: the first pod has all of it), and before each ADD its pool is seen to be
//! empty with no call in flight, so each ADD waits for the whole of its own call; which one that was, the mock's journal
//! says.

use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use e2e::cluster::{Cluster, DAEMON_PATIENCE, Member};
use e2e::mock::{Call, CloudConfig, Latency};
use e2e::netns::require_netns;

use crate::section::{Bench, Section};
use crate::timed::{Alone, Pod};

/// What it is.
pub const SECTION: Section = Section {
    name: "miss",
    about: "ADD on an empty pool, beside the EC2 calls that it waits for",
    run,
};

/// Three ENIs of three secondary addresses: the fewest pods for two attaches and six assigns.
const INSTANCE_TYPE: &str = "t3.small";
const PODS: usize = 9;
/// The first pod's address is there before the pod is.
const NOTHING_SPARE: [(&str, &str); 1] = [("MINIMUM_IP_TARGET", "1")];
/// What the mock's AssignPrivateIpAddresses takes.
const ASSIGN: Duration = Duration::from_millis(350);

/// Waits of one kind of miss, and what EC2 took each time.
#[derive(Debug, Default)]
struct Misses {
    waits: Vec<Duration>,
    ec2: Vec<Duration>,
}

fn run(bench: &mut Bench) -> anyhow::Result<()> {
    if !require_netns()? {
        return Ok(());
    }
    let nodes = if bench.quick { 1 } else { 4 };
    let cluster = Cluster::launch_with(cloud(), INSTANCE_TYPE, nodes, &NOTHING_SPARE)?;
    let (mut assigned, mut attached) = (Misses::default(), Misses::default());
    for (number, member) in cluster.members.iter().enumerate() {
        let progress = format!("miss: node {} of {nodes}", number + 1);
        bench.progress.set_message(progress);
        member.node.start_daemon(DAEMON_PATIENCE)?;
        fill(&cluster, member, &mut assigned, &mut attached)?;
        member.node.stop_daemon(DAEMON_PATIENCE)?;
    }
    let record = &mut bench.record;
    record.times("miss", "berth, one Assign", 0, &assigned.waits);
    record.times("miss", "EC2, one Assign", 0, &assigned.ec2);
    record.times("miss", "berth, Create + Attach", 0, &attached.waits);
    record.times("miss", "EC2, Create + Attach + link", 0, &attached.ec2);
    if let Some(wait_us) = record.p50_us("miss", "berth, one Assign", 0) {
        record.goal("miss_over_assign", wait_us / (ASSIGN.as_secs_f64() * 1e6));
    }
    Ok(())
}

/// Calls as slow as users of EC2 have measured them, each always the same.
fn cloud() -> CloudConfig {
    let mut latency = Latency {
        jitter_percent: 0,
        ..Latency::default()
    };
    latency
        .mean
        .insert("AssignPrivateIpAddresses".to_owned(), ASSIGN);
    CloudConfig {
        name: "miss".to_owned(),
        latency,
        ..CloudConfig::default()
    }
}

/// Adds pods to a node, one after the other, until it is full. All but the first are misses.
fn fill(
    cluster: &Cluster,
    member: &Member,
    assigned: &mut Misses,
    attached: &mut Misses,
) -> anyhow::Result<()> {
    let alone = Alone::on(&member.node)?;
    let mut pods = Vec::new();
    for number in 0..PODS {
        let pod = Pod::prepare(&format!("{}-pod{number}", member.node.netns().name()))?;
        wait_for_free(cluster, member, u32::from(number == 0))
            .with_context(|| format!("before pod {number}"))?;
        let before = cluster.cloud().journal().len();
        let wait = alone.add(&pod)?;
        pods.push(pod);
        if number > 0 {
            let calls = &cluster.cloud().journal()[before..];
            let (misses, ec2) = match waited_for(calls) {
                (Some(assign), None) => (&mut *assigned, assign),
                (None, Some(attach)) => (&mut *attached, attach),
                other => bail!("pod {number} waited for {other:?}"),
            };
            misses.waits.push(wait);
            misses.ec2.push(ec2);
        }
    }
    pods.into_iter()
        .try_for_each(|pod| alone.del(pod).map(drop))
}

/// Waits until exactly so many addresses are free and no call is in flight: a daemon that has just learned of its node agrees with
/// EC2 before it has asked for anything.
fn wait_for_free(cluster: &Cluster, member: &Member, wanted: u32) -> anyhow::Result<()> {
    let deadline = Instant::now() + DAEMON_PATIENCE;
    loop {
        member.settled(cluster.cloud(), DAEMON_PATIENCE)?;
        let free = member.node.status()?.addresses.free;
        if free == wanted {
            return Ok(());
        }
        ensure!(Instant::now() < deadline, "{free} of {wanted} free");
        sleep(Duration::from_millis(50));
    }
}

/// How long EC2 took for the Assign among `calls`, and how long for the Create and the Attach until its link was there:
/// the mock does what is asked in the middle of a call.
fn waited_for(calls: &[Call]) -> (Option<Duration>, Option<Duration>) {
    let took = |action: &str| {
        let call = calls.iter().find(|call| call.action == action);
        call.map(|call| call.took)
    };
    let create = took("CreateNetworkInterface");
    let attach = took("AttachNetworkInterface");
    let both = create.zip(attach);
    let link = CloudConfig::default().attach_delay;
    (
        took("AssignPrivateIpAddresses"),
        both.map(|(create, attach)| create + attach / 2 + link),
    )
}
