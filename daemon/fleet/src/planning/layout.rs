//! A cluster as the simulator plays it: nodes join one after another and are filled, then stand.

use std::time::Duration;

use crate::random::between;
use crate::scenario::Scenario;
use crate::workloads::build::{Builder, FOREVER, Shape};
use crate::workloads::placement::spread;

use super::cluster::{Cluster, Group};

/// When the first node joins.
const START: Duration = Duration::from_secs(1);
/// A node's DaemonSet pods are bound within this time of its joining.
const DAEMONSETS_WITHIN: Duration = Duration::from_secs(1);
/// And the others within this one, as fast as a scheduler fills an empty node of a cluster that waits for it.
const PODS_WITHIN: Duration = Duration::from_secs(5);
/// How long it takes a controller and the scheduler to put a pod into the place of one that ended (assumed).
const REPLACED_AFTER: Duration = Duration::from_secs(1);

/// When all nodes have joined, and their own pods are bound.
fn joined(cluster: &Cluster) -> Duration {
    let nodes: u32 = cluster.groups.iter().map(|group| group.count).sum();
    START + cluster.join_every * nodes.saturating_sub(1) + PODS_WITHIN
}

/// When a plan begins to stand: all nodes are filled, or what leads up to the trace's window is over.
pub(super) fn filled(cluster: &Cluster) -> Duration {
    let lead = cluster.replay.as_ref().map(|replay| replay.window.start);
    joined(cluster) + lead.unwrap_or_default()
}

/// The scenario of a cluster.
pub(super) fn scenario(cluster: &Cluster) -> Scenario {
    let mut builder = Builder::new("plan", cluster.seed);
    // A plan is about these subnets: networks with ranges of their own must find them there too.
    builder.ranges_in_subnets();
    for subnet in &cluster.subnets {
        builder.named_subnet(&subnet.name, subnet.cidr, subnet.used, subnet.scattered);
    }
    let until = filled(cluster) + cluster.settle;
    let mut joins = START;
    for group in &cluster.groups {
        let shape = Shape {
            instance_type: group.instance_type.clone(),
            limits: group.kind.limits,
            max_pods: group.max_pods,
        };
        for subnet in group.places() {
            let node = builder.node(&shape, subnet, joins);
            fill(&mut builder, group, node, joins, until);
            joins += cluster.join_every;
        }
    }
    if let Some(replay) = &cluster.replay {
        let lives = replay.after(joined(cluster), |range| builder.within(range));
        let nodes = cluster.groups.iter().map(|group| group.count as usize);
        let placed = spread(&lives, &(0..nodes.sum()), builder.random());
        for (life, node) in lives.iter().zip(placed) {
            builder.pod(node, life.from, life.until - life.from);
        }
    }
    builder.build(Duration::ZERO..until)
}

/// Gives a node its pods, and these their successors.
fn fill(builder: &mut Builder, group: &Group, node: usize, joins: Duration, until: Duration) {
    let daemonsets = joins..joins + DAEMONSETS_WITHIN;
    builder.pods(node, group.daemonset, daemonsets, FOREVER);
    let first = joins..joins + PODS_WITHIN;
    let Some(life) = group.life else {
        builder.pods(node, group.pods, first, FOREVER);
        return;
    };
    for _ in 0..group.pods {
        let mut bound = builder.within(&first);
        while bound < until {
            // Half to one and a half: the mean is what was asked for, and the nodes do not breathe in step.
            let lives = between(builder.random(), life / 2, life + life / 2);
            builder.pod(node, bound, lives);
            bound += lives + REPLACED_AFTER;
        }
    }
}
