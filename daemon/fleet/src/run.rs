//! What came of a simulated scenario.

use std::collections::BTreeMap;
use std::time::Duration;

use ipam::{Timestamp, Verb};
use serde::Serialize;

/// One scenario under one policy.
#[derive(Clone, Debug)]
pub struct Run {
    /// The figures of the table.
    pub row: Row,
    /// Held and used over time, evenly spaced, for plots.
    pub samples: Vec<Sample>,
    /// Calls to EC2 by action.
    pub calls: BTreeMap<Verb, Calls>,
    /// What became of each subnet, in the scenario's order.
    pub subnets: Vec<SubnetRun>,
    /// Addresses held by each node, in the scenario's order.
    pub nodes: Vec<NodeRun>,
}

/// The figures of one scenario under one policy, as `fleet.json` has them.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// Name of the scenario.
    pub workload: String,
    /// Name of the policy.
    pub policy: String,
    /// Held (secondaries, 16 a prefix, primaries of extra ENIs) over used (addresses of running pods), both averaged
    /// over time.
    pub held_per_used: f64,
    /// Most addresses held at one time.
    pub peak_held: u32,
    /// Accepted mutating EC2 calls for 1,000 pods.
    pub calls_per_1000_pods: f64,
    /// Calls that EC2 throttled.
    pub throttled: u64,
    /// From a pod's first ADD to its address, retries included.
    pub wait_ms: Waits,
    /// Share of pods that waited over 50 ms, 0 to 1.
    pub waited_share: f64,
    /// ADDs answered with an error.
    pub failed_adds: u64,
    /// Pods that had no address by the end.
    pub starved: u64,
    /// Addresses given back and taken again within 5 minutes, or the reverse, for 1,000 pods.
    pub oscillation_per_1000: f64,
    /// From the start of measuring until the last pod had its address, seconds; `None` if one never had.
    pub served_s: Option<f64>,
}

/// A distribution of waits, milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Waits {
    /// Median.
    pub p50: f64,
    /// 99th percentile.
    pub p99: f64,
    /// Longest. A pod that starved counts with what it had waited by the end.
    pub max: f64,
}

/// A moment of a run.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Sample {
    /// When.
    pub at: Timestamp,
    /// Addresses held.
    pub held: u32,
    /// Addresses of running pods.
    pub used: u32,
    /// Mutating calls that EC2 has accepted since measuring began.
    pub calls: u64,
}

/// How EC2 answered calls of one action.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Calls {
    /// With success.
    pub accepted: u64,
    /// With RequestLimitExceeded.
    pub throttled: u64,
    /// With another error.
    pub refused: u64,
}

/// What became of a subnet.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SubnetRun {
    /// Its name.
    pub name: String,
    /// Addresses that can be given, AWS's five and others' excluded.
    pub size: u32,
    /// Fewest free at one time.
    pub fewest_free: u32,
    /// When the first address could not be had.
    pub dry_at: Option<Duration>,
    /// When the first /28, or range of a node's own, could not be had.
    pub no_block_at: Option<Duration>,
}

/// What became of a node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct NodeRun {
    /// Held, averaged over the measured time.
    pub held: f64,
    /// Held at the end.
    pub held_at_end: u32,
    /// Most held at one time.
    pub peak_held: u32,
    /// Addresses of its running pods, averaged.
    pub used: f64,
    /// ENIs at the end, the primary included.
    pub enis_at_end: u32,
    /// Whether it never booted, for want of an address.
    pub never_booted: bool,
}
