//! A cluster that can be planned: nodes in groups, and the subnets that they lie in.

use std::time::Duration;

use ipnet::Ipv4Net;

use super::catalogue::InstanceType;
use super::replay::Replay;
use crate::policy::Policy;

/// Addresses of each subnet that AWS keeps: the first four and the last (VPC user guide, "Subnet sizing for IPv4").
const KEPT_BY_AWS: u32 = 5;

/// A request that is possible.
#[derive(Clone, Debug)]
pub struct Cluster {
    /// Nodes, in the order in which they join.
    pub groups: Vec<Group>,
    /// Where addresses come from.
    pub subnets: Vec<Subnet>,
    /// A node joins each time this has passed.
    pub join_every: Duration,
    /// How long it is watched after the last node has joined.
    pub settle: Duration,
    /// Decides all that is left to chance.
    pub seed: u64,
    /// Share of EC2's buckets that other clients of the account use up, 0 to 1.
    pub others_calls: f64,
    /// Pods of a trace, instead of the groups' own.
    pub replay: Option<Replay>,
    /// What is compared.
    pub policies: Vec<Policy>,
}

/// Nodes of one kind.
#[derive(Clone, Debug)]
pub struct Group {
    /// As given, or type and position.
    pub name: String,
    /// For example `m6a.32xlarge`.
    pub instance_type: String,
    /// What that is.
    pub kind: InstanceType,
    /// Nodes.
    pub count: u32,
    /// Pods a node, DaemonSets' left out.
    pub pods: u32,
    /// DaemonSet pods a node with an address of their own.
    pub daemonset: u32,
    /// Pods a node on the host network.
    pub host_network: u32,
    /// kubelet's.
    pub max_pods: u32,
    /// How long a pod lives until another takes its place, on average; `None` for ever. DaemonSets' pods never go.
    pub life: Option<Duration>,
    /// Indexes of its subnets; its nodes take turns.
    pub subnets: Vec<usize>,
}

impl Group {
    /// Addresses that the pods of one of its nodes need.
    pub fn addresses(&self) -> u32 {
        self.pods.saturating_add(self.daemonset)
    }

    /// Of each of its nodes the index of its subnet.
    pub fn places(&self) -> impl Iterator<Item = usize> {
        let turns = self.subnets.iter().copied().cycle();
        turns.take(self.count as usize)
    }
}

/// A subnet.
#[derive(Clone, Debug)]
pub struct Subnet {
    /// As given, or its CIDR.
    pub name: String,
    /// For example 10.0.0.0/20.
    pub cidr: Ipv4Net,
    /// Its availability zone, if told.
    pub zone: Option<String>,
    /// Addresses of others.
    pub used: u32,
    /// Whether those lie anywhere, or side by side from the start.
    pub scattered: bool,
}

impl Subnet {
    /// Addresses that can be given, AWS's left out and others' not.
    pub fn size(&self) -> u32 {
        size(self.cidr)
    }
}

/// Addresses of a subnet that can be given.
pub(super) fn size(cidr: Ipv4Net) -> u32 {
    (1_u32 << (32 - u32::from(cidr.prefix_len()).min(31)).min(31)).saturating_sub(KEPT_BY_AWS)
}
