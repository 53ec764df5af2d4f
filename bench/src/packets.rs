//! Section `packets`: what a packet through a node costs beside 0 to 500 pods, with nothing but routes, as berth lays it,
//! and as aws-node would.
//!
//! The packets come from and go to the VPC's router, to which the measured pod's ENI is linked: the node is the only thing
//! between the two sockets. All layouts take turns in each round, in an order that is drawn, and the node without other
//! pods stands beside the full one, so that a machine that gets slower meanwhile is slower for all.

mod answer;
mod aws_node;
mod batch;
mod flood;
mod path;
mod plain;
mod site;
mod stand;

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::Context;
use e2e::cluster::Cluster;
use e2e::mock::{CloudConfig, SubnetSpec};
use e2e::netns::{output, require_netns};

use self::batch::batch;
use self::path::End;
use self::site::{Site, Variant};
use self::stand::{INSTANCE_TYPE, SETTINGS};
use crate::quantiles::median;
use crate::section::{Bench, Section};

/// This section.
pub const SECTION: Section = Section {
    name: "packets",
    about: "packets through a node: plain forwarding, berth's layout, aws-node's",
    run,
};

/// Where the packets come from and go to: an address of the VPC, in the router.
const OUTSIDE: Ipv4Addr = Ipv4Addr::new(10, 0, 255, 10);

/// How much is done.
struct Extent {
    pods: &'static [u32],
    rounds: usize,
    flood: Duration,
    answers: usize,
}

const FULL: Extent = Extent {
    pods: &[110, 250, 500],
    rounds: 5,
    flood: Duration::from_millis(500),
    answers: 400,
};
const QUICK: Extent = Extent {
    pods: &[8],
    // so that each layout is also laid after the other
    rounds: 2,
    flood: Duration::from_millis(50),
    answers: 20,
};

/// Everything that was seen of one variant beside so many pods.
#[derive(Debug, Default)]
struct Seen {
    inwards: Vec<Duration>,
    outwards: Vec<Duration>,
    tcp: Vec<Duration>,
    ping: Vec<Duration>,
    rules: (usize, usize),
}

type Results = BTreeMap<(Variant, u32), Seen>;

fn run(bench: &mut Bench) -> anyhow::Result<()> {
    if !require_netns()? {
        return Ok(());
    }
    let extent = if bench.quick { QUICK } else { FULL };
    let config = CloudConfig {
        name: "packets".to_owned(),
        subnets: vec![SubnetSpec {
            cidr: "10.0.0.0/18".parse()?,
            zone: "us-west-2a".to_owned(),
        }],
        ..CloudConfig::fast()
    };
    let cluster = Cluster::launch_with(config, INSTANCE_TYPE, 2, &SETTINGS)?;
    let router = cluster.router()?;
    batch(&router, &format!("addr add {OUTSIDE}/32 dev lo\n"))?;
    // The source/dest check is the fabric's, and no packet of a node pays for it.
    output(
        router
            .command("nft")
            .args(["flush", "chain", "ip", "fabric", "check"]),
    )?;
    let outside = End {
        netns: &router,
        address: OUTSIDE,
    };
    bench.progress.set_message("packets: two nodes come up");
    let mut site = Site::set_up(&cluster, &router)?;
    let mut results = Results::new();
    for &pods in extent.pods {
        bench
            .progress
            .set_message(format!("packets: {pods} pods are added"));
        site.grow(&cluster, pods)?;
        for round in 1..=extent.rounds {
            bench.progress.set_message(format!(
                "packets: {pods} pods, round {round} of {}",
                extent.rounds
            ));
            for turn in Site::turns(pods) {
                let seen = results.entry((turn.variant, turn.pods)).or_default();
                site.measure(turn, outside, &extent, seen)
                    .with_context(|| {
                        format!("{} beside {} pods", turn.variant.name(), turn.pods)
                    })?;
            }
        }
    }
    report(bench, &results, extent.pods);
    Ok(())
}

/// Packets a second, one each way taken together.
fn rate(seen: &Seen) -> f64 {
    let middle =
        |times: &[Duration]| median(&times.iter().map(Duration::as_secs_f64).collect::<Vec<_>>());
    2.0 / (middle(&seen.inwards) + middle(&seen.outwards))
}

fn report(bench: &mut Bench, results: &Results, pods: &[u32]) {
    let record = &mut bench.record;
    for (&(variant, pods), seen) in results {
        let variant = variant.name();
        record.times("packet in", variant, pods, &seen.inwards);
        record.times("packet out", variant, pods, &seen.outwards);
        record.times("tcp round trip", variant, pods, &seen.tcp);
        record.times("ping", variant, pods, &seen.ping);
        record.figure("packets", variant, pods, rate(seen), "packets/s");
        record.figure("ip rules", variant, pods, seen.rules.0 as f64, "rules");
        record.figure(
            "netfilter rules",
            variant,
            pods,
            seen.rules.1 as f64,
            "rules",
        );
    }
    let most = pods.last().copied().unwrap_or_default();
    let of = |variant, pods| results.get(&(variant, pods)).map(rate);
    if let (Some(plain), Some(empty), Some(full)) = (
        of(Variant::Plain, 0),
        of(Variant::Berth, 0),
        of(Variant::Berth, most),
    ) {
        record.goal("pps_500_over_0", full / empty);
        record.goal("pps_0_over_plain", empty / plain);
    }
}
