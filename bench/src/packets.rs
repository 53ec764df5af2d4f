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
mod stand;

use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::{Context, ensure};
use e2e::cluster::Cluster;
use e2e::mock::{CloudConfig, SubnetSpec};
use e2e::netns::{Netns, output, require_netns};
use e2e::probe::counters::packets;

use self::batch::{batch, count_rules};
use self::path::End;
use self::plain::Plain;
use self::stand::{INSTANCE_TYPE, Layout, SETTINGS, Stand};
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
const VARIANTS: [&str; 3] = ["plain", "berth", "aws-node"];

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
    flood: Duration::from_millis(700),
    answers: 400,
};
const QUICK: Extent = Extent {
    pods: &[8],
    rounds: 1,
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

type Results = BTreeMap<(usize, u32), Seen>;

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
    let mut site = Site::set_up(bench, &cluster, &router)?;
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
            for turn in site.turns(pods) {
                let seen = results.entry((turn.variant, turn.pods)).or_default();
                site.measure(turn, outside, &extent, seen)
                    .with_context(|| {
                        format!("{} beside {} pods", VARIANTS[turn.variant], turn.pods)
                    })?;
            }
        }
    }
    report(bench, &results, extent.pods);
    Ok(())
}

/// All that packets go through: each with no other pod, and with some.
struct Site<'a> {
    plain: [Plain; 2],
    stands: [Stand<'a>; 2],
}

/// One thing to be measured: a variant, on the empty node (0) or the full one (1).
#[derive(Clone, Copy)]
struct Turn {
    variant: usize,
    node: usize,
    pods: u32,
}

impl<'a> Site<'a> {
    fn set_up(bench: &Bench, cluster: &'a Cluster, router: &Netns) -> anyhow::Result<Self> {
        let [empty, full] = cluster.members.as_slice() else {
            anyhow::bail!("two nodes are needed");
        };
        bench.progress.set_message("packets: two nodes come up");
        let mut site = Self {
            plain: [Plain::create(router, 0)?, Plain::create(router, 1)?],
            stands: [Stand::set_up(empty)?, Stand::set_up(full)?],
        };
        site.stands[0].settle(cluster.cloud())?;
        Ok(site)
    }

    fn grow(&mut self, cluster: &Cluster, pods: u32) -> anyhow::Result<()> {
        self.plain[1].grow(pods)?;
        self.stands[1].grow(pods)?;
        self.stands[1].settle(cluster.cloud())
    }

    /// Everything once, in an order that is drawn.
    fn turns(&self, pods: u32) -> Vec<Turn> {
        let all = (0..VARIANTS.len()).flat_map(|variant| {
            [0, pods]
                .into_iter()
                .enumerate()
                .map(move |(node, pods)| Turn {
                    variant,
                    node,
                    pods,
                })
        });
        let mut turns: Vec<Turn> = all.collect();
        turns.sort_by_cached_key(|turn| RandomState::new().hash_one(turn.node));
        turns
    }

    fn measure(
        &mut self,
        turn: Turn,
        outside: End<'_>,
        extent: &Extent,
        seen: &mut Seen,
    ) -> anyhow::Result<()> {
        let (stand, plain) = (&mut self.stands[turn.node], &self.plain[turn.node]);
        let (node, pod, link) = if turn.variant == 0 {
            (plain.node(), plain.pod(), "eth1".to_owned())
        } else {
            stand.lay(if turn.variant == 1 {
                Layout::Berth
            } else {
                Layout::AwsNode
            })?;
            (stand.netns(), stand.pod()?, stand.eni_link()?)
        };
        seen.rules = count_rules(node)?;
        let before = packets(node, &link)?;
        let inwards = flood::flood(outside, pod, extent.flood)?;
        let outwards = flood::flood(pod, outside, extent.flood)?;
        let after = packets(node, &link)?;
        ensure!(
            after.rx - before.rx >= inwards.received && after.tx - before.tx >= outwards.received,
            "the packets took another way than {link}: {before:?} {after:?}"
        );
        seen.inwards.push(inwards.each());
        seen.outwards.push(outwards.each());
        seen.tcp.extend(answer::tcp(outside, pod, extent.answers)?);
        seen.ping
            .extend(answer::ping(outside, pod, extent.answers)?);
        Ok(())
    }
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
        let variant = VARIANTS[variant];
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
    if let (Some(plain), Some(empty), Some(full)) = (of(0, 0), of(1, 0), of(1, most)) {
        record.goal("pps_500_over_0", full / empty);
        record.goal("pps_0_over_plain", empty / plain);
    }
}
