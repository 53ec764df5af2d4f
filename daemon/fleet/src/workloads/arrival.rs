//! Many nodes that join at once, and pods that are there before their node's addresses are. Pods stay; half an hour is
//! measured, from the start on: there is no prelude.

use std::ops::Range;
use std::time::Duration;

use ipnet::Ipv4Net;

use super::build::{Builder, FOREVER, Shape, minutes, secs};
use super::scarce::subnet;
use crate::scenario::Scenario;

const DAEMONSETS: u32 = 3;
/// The pods that waited for a node are bound so long after it has joined (assumed: taints go, the scheduler takes them in
/// one sweep).
const BOUND_AFTER: Range<Duration> = secs(2)..secs(4);

/// What scales out.
#[derive(Clone, Debug)]
pub struct ScaleOut {
    /// Of which type.
    pub shape: Shape,
    /// How many nodes,
    pub nodes: usize,
    /// all of which join in this time.
    pub within: Duration,
    /// Pods of each, three of a DaemonSet among them.
    pub pods: u32,
}

/// `out150` and its like: nodes join evenly over a time; their DaemonSets' pods are bound within 1 s, the others 2 to 4 s
/// later.
pub fn scale_out(name: &str, what: &ScaleOut, seed: u64) -> Scenario {
    let mut builder = Builder::new(name, seed);
    let nodes = builder.roomy(&what.shape, what.nodes, secs(1)..secs(1) + what.within);
    builder.daemonsets(DAEMONSETS);
    for node in nodes {
        let joined = builder.joins(node);
        let bound = joined + BOUND_AFTER.start..joined + BOUND_AFTER.end;
        builder.pods(node, what.pods - DAEMONSETS, bound, FOREVER);
    }
    builder.build(secs(0)..minutes(30))
}

/// `huge60` and `huge500`: so many m6a.32xlarge (15 ENIs of 50 addresses) join a /20, one a second; each gets one pod, and
/// no DaemonSet's. Two hours.
pub fn huge(name: &str, nodes: usize, seed: u64) -> Scenario {
    let mut builder = Builder::new(name, seed);
    let network: Ipv4Net = subnet(20);
    let only = builder.subnet(network, 0, false);
    let joining = secs(1)..secs(1 + nodes as u64);
    for node in builder.nodes(&Shape::m6a_32xlarge(), only, nodes, joining) {
        let joined = builder.joins(node);
        let bound = joined + BOUND_AFTER.start..joined + BOUND_AFTER.end;
        builder.pods(node, 1, bound, FOREVER);
    }
    builder.build(secs(0)..minutes(120))
}
