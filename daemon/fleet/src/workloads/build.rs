//! Puts a scenario together: subnets, groups of nodes, pods. What is left to chance is drawn here, from one seed.

use std::net::Ipv4Addr;
use std::ops::{Range, RangeInclusive};
use std::time::Duration;

use ipam::{Limits, Timestamp};
use ipnet::Ipv4Net;
use rand::RngExt;

use crate::random::{Purpose, Random, between, stream};
use crate::scenario::{Node, Pod, Scenario, Subnet};

/// How long after a pod is bound its runtime asks for an address: kubelet sees it, makes its directories and a sandbox
/// (assumed; 0.15 to 0.4 s).
const ASKS_AFTER: RangeInclusive<Duration> =
    Duration::from_millis(150)..=Duration::from_millis(400);
/// How long after its node has joined a DaemonSet's pod is bound to it (assumed).
const DAEMONSET_AFTER: RangeInclusive<Duration> =
    Duration::from_millis(200)..=Duration::from_secs(1);
/// In a /16, the largest that a VPC has.
const NODES_A_SUBNET: usize = 400;

/// What a type of instance is to a pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shape {
    /// For example `m5.large`.
    pub instance_type: String,
    /// ENIs and what they take.
    pub limits: Limits,
    /// kubelet's.
    pub max_pods: u32,
}

impl Shape {
    /// A nitro instance with `enis` ENIs of `ipv4_per_eni` addresses, the ENI's own included (DescribeInstanceTypes), and
    /// the number of pods that EKS recommends: one for each secondary address and two that use the host's network, at
    /// most 110, or 250 with more than 30 vCPUs (amazon-eks-ami, max-pods-calculator.sh).
    pub fn new(instance_type: &str, enis: u32, ipv4_per_eni: u32, vcpus: u32) -> Self {
        let slots_per_eni = ipv4_per_eni.saturating_sub(1);
        Self {
            instance_type: instance_type.to_owned(),
            limits: Limits {
                enis,
                slots_per_eni,
                prefixes: true,
            },
            max_pods: (enis * slots_per_eni + 2).min(if vcpus > 30 { 250 } else { 110 }),
        }
    }

    /// 3 ENIs of 10 addresses.
    pub fn m5_large() -> Self {
        Self::new("m5.large", 3, 10, 2)
    }

    /// 4 ENIs of 15 addresses.
    pub fn m5_xlarge() -> Self {
        Self::new("m5.xlarge", 4, 15, 4)
    }

    /// 8 ENIs of 30 addresses.
    pub fn m5_4xlarge() -> Self {
        Self::new("m5.4xlarge", 8, 30, 16)
    }

    /// 15 ENIs of 50 addresses.
    pub fn m5_24xlarge() -> Self {
        Self::new("m5.24xlarge", 15, 50, 96)
    }

    /// 15 ENIs of 50 addresses.
    pub fn m6a_32xlarge() -> Self {
        Self::new("m6a.32xlarge", 15, 50, 128)
    }
}

/// A scenario in the making. Times are counted from its start.
#[derive(Debug)]
pub struct Builder {
    scenario: Scenario,
    random: Random,
}

impl Builder {
    /// An empty scenario; `seed` decides all that is left to chance.
    pub fn new(name: &str, seed: u64) -> Self {
        Self {
            scenario: Scenario {
                name: name.to_owned(),
                subnets: Vec::new(),
                nodes: Vec::new(),
                pods: Vec::new(),
                from: Timestamp::default(),
                until: Timestamp::default(),
                ranges_in_subnets: false,
            },
            random: stream(seed, Purpose::Scenario, 0, 0),
        }
    }

    /// Where this scenario's chance comes from.
    pub fn random(&mut self) -> &mut Random {
        &mut self.random
    }

    /// When node `index` joins, from the start on.
    pub fn joins(&self, index: usize) -> Duration {
        (self.scenario.nodes.get(index)).map_or(Duration::ZERO, |node| since_start(node.joins))
    }

    /// Networks that give each node a range of its own must cut it out of the subnets.
    pub fn ranges_in_subnets(&mut self) {
        self.scenario.ranges_in_subnets = true;
    }

    /// Adds a subnet; its index.
    pub fn subnet(&mut self, cidr: Ipv4Net, others: u32, scattered: bool) -> usize {
        let name = format!("subnet-{}", self.scenario.subnets.len());
        self.named_subnet(&name, cidr, others, scattered)
    }

    /// Adds a subnet of this name; its index.
    pub fn named_subnet(
        &mut self,
        name: &str,
        cidr: Ipv4Net,
        others: u32,
        scattered: bool,
    ) -> usize {
        self.scenario.subnets.push(Subnet {
            name: name.to_owned(),
            cidr,
            others,
            scattered,
        });
        self.scenario.subnets.len() - 1
    }

    /// Adds a node that joins at `joins`; its index.
    pub fn node(&mut self, shape: &Shape, subnet: usize, joins: Duration) -> usize {
        self.scenario.nodes.push(Node {
            instance_type: shape.instance_type.clone(),
            limits: shape.limits,
            max_pods: shape.max_pods,
            subnet,
            joins: at(joins),
        });
        self.scenario.nodes.len() - 1
    }

    /// Adds `count` nodes that join evenly over `within`; their indexes.
    pub fn nodes(
        &mut self,
        shape: &Shape,
        subnet: usize,
        count: usize,
        within: Range<Duration>,
    ) -> Range<usize> {
        let first = self.scenario.nodes.len();
        let span = within.end.saturating_sub(within.start);
        for index in 0..count {
            let joins = within.start + span.mul_f64(index as f64 / count as f64);
            self.node(shape, subnet, joins);
        }
        first..self.scenario.nodes.len()
    }

    /// Adds `count` nodes that join evenly over `within`, in as many subnets of their own as give each of them
    /// 160 addresses: addresses are not what such a scenario is about. Their indexes.
    pub fn roomy(&mut self, shape: &Shape, count: usize, within: Range<Duration>) -> Range<usize> {
        let first = self.scenario.subnets.len();
        let subnets = count.div_ceil(NODES_A_SUBNET).max(1);
        for index in first..first + subnets {
            let network = Ipv4Addr::new(10, u8::try_from(index).unwrap_or(u8::MAX), 0, 0);
            self.subnet(Ipv4Net::new_assert(network, 16), 0, false);
        }
        let nodes = self.nodes(shape, first, count, within);
        for (index, node) in self.scenario.nodes[nodes.clone()].iter_mut().enumerate() {
            node.subnet = first + index % subnets;
        }
        nodes
    }

    /// Adds a pod that is bound to `node` at `bound` and lives for `lives` once it has its address.
    pub fn pod(&mut self, node: usize, bound: Duration, lives: Duration) {
        let asks_after = between(&mut self.random, *ASKS_AFTER.start(), *ASKS_AFTER.end());
        self.scenario.pods.push(Pod {
            node,
            bound: at(bound),
            asks_after,
            lives,
        });
    }

    /// Adds `count` pods that are bound to `node` at random times of `within` and live for `lives`.
    pub fn pods(&mut self, node: usize, count: u32, within: Range<Duration>, lives: Duration) {
        for _ in 0..count {
            let bound = self.within(&within);
            self.pod(node, bound, lives);
        }
    }

    /// Gives each node that is there by now `each` pods that are bound right after it has joined and never go.
    pub fn daemonsets(&mut self, each: u32) {
        for node in 0..self.scenario.nodes.len() {
            for _ in 0..each {
                let after = between(
                    &mut self.random,
                    *DAEMONSET_AFTER.start(),
                    *DAEMONSET_AFTER.end(),
                );
                let bound = self.joins(node) + after;
                self.pod(node, bound, FOREVER);
            }
        }
    }

    /// A time of `range`, all equally likely.
    pub fn within(&mut self, range: &Range<Duration>) -> Duration {
        between(&mut self.random, range.start, range.end)
    }

    /// An index below `count`, all equally likely; 0 if there is none.
    pub fn pick(&mut self, count: usize) -> usize {
        self.random.random_range(0..count.max(1))
    }

    /// The scenario, measured over `measured`.
    pub fn build(mut self, measured: Range<Duration>) -> Scenario {
        self.scenario.pods.sort_by_key(|pod| pod.bound);
        self.scenario.from = at(measured.start);
        self.scenario.until = at(measured.end);
        self.scenario
    }
}

/// The life of a pod that outlives every scenario.
pub const FOREVER: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// `time` after the scenario's start.
pub fn at(time: Duration) -> Timestamp {
    Timestamp::default().after(time)
}

/// How long after the scenario's start `time` is.
pub fn since_start(time: Timestamp) -> Duration {
    time.since(Timestamp::default())
}

/// So many seconds.
pub const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// So many minutes.
pub const fn minutes(minutes: u64) -> Duration {
    Duration::from_secs(60 * minutes)
}
