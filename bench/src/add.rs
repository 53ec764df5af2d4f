//! Section `add`: ADD and DEL from before a program is started until it is gone, of berth, of the floor and of peers, on
//! nodes with few and many pods.

pub mod chain;
pub mod contest;
pub mod contestant;
pub mod floor;
pub mod program;
pub mod sandbox;

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use anyhow::{bail, ensure};
use e2e::cluster::{Cluster, DAEMON_PATIENCE};
use e2e::mock::{CloudConfig, SubnetSpec};
use e2e::node::Node;

use self::chain::Chain;
use self::contest::{Times, fill, hold};
use self::contestant::{Contestant, whole};
use self::floor::Floor;
use crate::section::{Bench, Section};

/// How many pods there are already.
const PODS: [u32; 6] = [0, 30, 110, 250, 500, 1000];
/// Free addresses beside those of the pods that stay: more than a batch needs.
const STOCK: u32 = 48;

/// `add`: what an ADD and a DEL cost.
pub const SECTION: Section = Section {
    name: "add",
    about: "ADD and DEL: berth, the floor, peers; few and many pods; thirty at once",
    run,
};

fn run(bench: &mut Bench) -> anyhow::Result<()> {
    sweep(bench)
}

fn cloud() -> anyhow::Result<CloudConfig> {
    Ok(CloudConfig {
        name: "add".to_owned(),
        subnets: vec![SubnetSpec {
            cidr: "10.0.0.0/17".parse()?,
            zone: "us-west-2a".to_owned(),
        }],
        ..CloudConfig::fast()
    })
}

fn sweep(bench: &mut Bench) -> anyhow::Result<()> {
    let settings = [
        ("ENABLE_PREFIX_DELEGATION", "true"),
        ("IP_COOLDOWN_PERIOD", "0"),
    ];
    let mut cluster = Cluster::launch_with(cloud()?, "m5.24xlarge", 2, &settings)?;
    let (sizes, rounds): (&[u32], usize) = if bench.quick {
        (&[0, 5], 6)
    } else {
        (&PODS, 120)
    };
    let [ours, its] = &mut cluster.members[..] else {
        bail!("two nodes were asked for");
    };
    let floor = Floor::start(its.node.netns(), its.node.dir(), Ipv4Addr::new(10, 1, 0, 0))?;
    let (mut berth_pods, mut floor_pods) = (Vec::new(), Vec::new());
    for (step, &pods) in sizes.iter().enumerate() {
        bench.progress.set_message(format!("{pods} pods"));
        stock(&mut ours.node, pods + STOCK)?;
        let berth = Chain::of_berth(&ours.node)?;
        floor_pods.extend(fill(&floor, pods as usize - floor_pods.len())?);
        berth_pods.extend(fill(&berth, pods as usize - berth_pods.len())?);
        let times = hold(&[&floor, &berth], rounds, step as u64)?;
        for (who, times) in [&floor as &dyn Contestant, &berth].iter().zip(&times) {
            record(bench, who.name(), pods, times);
        }
    }
    Ok(())
}

/// Starts the daemon anew with so many addresses, and waits until it has them.
fn stock(node: &mut Node, addresses: u32) -> anyhow::Result<()> {
    // the first time there is none to stop
    let _ = node.stop_daemon(DAEMON_PATIENCE);
    node.set("MINIMUM_IP_TARGET", &addresses.to_string());
    node.start_daemon(DAEMON_PATIENCE)?;
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let held = node.status()?.addresses.held;
        if held >= addresses {
            return Ok(());
        }
        ensure!(
            Instant::now() < deadline,
            "{held} of {addresses} addresses after 30 s"
        );
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn record(bench: &mut Bench, who: &str, pods: u32, times: &Times) {
    let adds: Vec<Duration> = times.adds.iter().map(whole).collect();
    let dels: Vec<Duration> = times.dels.iter().map(whole).collect();
    bench.record.times("add", who, pods, &adds);
    bench.record.times("del", who, pods, &dels);
}
