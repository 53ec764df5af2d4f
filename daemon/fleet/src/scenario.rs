//! What happens in a simulated cluster, whatever pool its nodes run: subnets, nodes that join, pods that come and go.

use std::time::Duration;

use ipam::{Limits, Timestamp};
use ipnet::Ipv4Net;

/// A cluster's history. Everything that is drawn at random in it was drawn when it was made, so that all policies meet the
/// same.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// Its name, for example `dense`.
    pub name: String,
    /// Where addresses come from.
    pub subnets: Vec<Subnet>,
    /// Who needs them.
    pub nodes: Vec<Node>,
    /// For whom, in the order in which they are bound.
    pub pods: Vec<Pod>,
    /// Measuring begins here: what is before fills the cluster.
    pub from: Timestamp,
    /// And ends here.
    pub until: Timestamp,
    /// Whether networks that give each node a range of its own must cut it out of the subnets, or have addresses of their own.
    pub ranges_in_subnets: bool,
}

/// A subnet of the VPC.
#[derive(Clone, Debug)]
pub struct Subnet {
    /// For example `subnet-a`.
    pub name: String,
    /// AWS keeps the first four addresses and the last one (VPC user guide, "Subnet sizing for IPv4").
    pub cidr: Ipv4Net,
    /// How many addresses others have in it.
    pub others: u32,
    /// Whether those lie scattered at random (so that they break /28s) or side by side from the start on.
    pub scattered: bool,
}

/// A node.
#[derive(Clone, Debug)]
pub struct Node {
    /// For example `m3.2xlarge`.
    pub instance_type: String,
    /// Its type's limits.
    pub limits: Limits,
    /// kubelet's.
    pub max_pods: u32,
    /// Index of its subnet.
    pub subnet: usize,
    /// When it boots. Its primary ENI takes an address of the subnet, which is not counted as held; without one it cannot
    /// boot and tries again.
    pub joins: Timestamp,
}

/// A pod that needs an address of its own.
#[derive(Clone, Debug)]
pub struct Pod {
    /// Index of its node.
    pub node: usize,
    /// When the scheduler binds it to its node (its node has joined by then).
    pub bound: Timestamp,
    /// How long after that its runtime asks for an address for the first time.
    pub asks_after: Duration,
    /// How long it lives from when it has its address on.
    pub lives: Duration,
}
