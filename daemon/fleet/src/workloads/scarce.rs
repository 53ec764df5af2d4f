//! Subnets with little in them for what is asked, or with nothing in one piece.

use std::net::Ipv4Addr;
use std::ops::Range;
use std::time::Duration;

use ipnet::Ipv4Net;

use super::build::{Builder, FOREVER, Shape, minutes, secs};
use crate::scenario::Scenario;

const DAEMONSETS: u32 = 3;
const JOINS: Range<Duration> = secs(1)..secs(11);

/// The one subnet of a scenario, of so many bits.
pub fn subnet(bits: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(10, 0, 0, 0), bits.min(32))
}

/// `tight`: a /22 of which others have 4 % (41 of 1,019 addresses, scattered), and 40 nodes of 8 ENIs of 30 addresses. In the
/// first minutes group A's 20 nodes get 31 pods each. After 15 min these 620 leave within 60 s; 30 s after the first of
/// them, while others still leave, 37 pods come on each of group B's 20 nodes within 60 s: 740. With DaemonSets, primaries
/// and one more ENI on each node of B, 94 % of the subnet are needed then. 40 min more.
pub fn tight(seed: u64) -> Scenario {
    const LEAVING: Duration = minutes(15);
    let mut builder = Builder::new("tight", seed);
    let only = builder.subnet(subnet(22), 41, true);
    let nodes = builder.nodes(&Shape::m5_4xlarge(), only, 40, JOINS);
    builder.daemonsets(DAEMONSETS);
    let (a, b) = (nodes.start..nodes.start + 20, nodes.start + 20..nodes.end);
    for node in a {
        for _ in 0..31 {
            let bound = builder.within(&(secs(30)..secs(90)));
            let leaves = builder.within(&(LEAVING..LEAVING + secs(60)));
            builder.pod(node, bound, leaves - bound);
        }
    }
    for node in b {
        builder.pods(node, 37, LEAVING + secs(30)..LEAVING + secs(90), FOREVER);
    }
    builder.ranges_in_subnets();
    builder.build(secs(0)..LEAVING + minutes(40))
}

/// `frag`: a /20 in which others have 35 % of the addresses, one by one at random (1,432 of 4,091), so that no /28 is free. On
/// 60 nodes of 4 ENIs of 15 addresses 25 pods each come within 5 s when the node has stood for 30 s, besides the
/// DaemonSets': 1,680 in all. Half an hour.
pub fn frag(seed: u64) -> Scenario {
    let mut builder = Builder::new("frag", seed);
    let only = builder.subnet(subnet(20), 1432, true);
    let nodes = builder.nodes(&Shape::m5_xlarge(), only, 60, JOINS);
    builder.daemonsets(DAEMONSETS);
    for node in nodes {
        let joined = builder.joins(node);
        builder.pods(node, 25, joined + secs(30)..joined + secs(35), FOREVER);
    }
    builder.ranges_in_subnets();
    builder.build(secs(0)..minutes(30))
}
