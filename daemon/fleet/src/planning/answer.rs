//! What a plan answers, as `--json` prints it. Fields may be added; what is there keeps its name and meaning for as long as
//! [`FORMAT`] stays.

mod given;
mod outcome;

use serde::Serialize;

use super::cluster::Cluster;
use super::max_pods::MaxPods;
use super::verdict;
use crate::policy::Policy;
use crate::run::{Run, Sample, Waits};
use crate::scenario::Scenario;

/// Number of this form of the document.
pub const FORMAT: u32 = 1;

/// A plan.
#[derive(Clone, Debug, Serialize)]
pub struct Answer {
    /// [`FORMAT`].
    pub format: u32,
    /// What was planned.
    pub cluster: ClusterAnswer,
    /// Where its addresses come from.
    pub subnets: Vec<SubnetAnswer>,
    /// How many pods its instance types take.
    pub types: Vec<TypeAnswer>,
    /// What EC2 lets an account do.
    pub buckets: Vec<BucketAnswer>,
    /// What comes of it.
    pub policies: Vec<PolicyAnswer>,
}

/// What was planned.
#[derive(Clone, Debug, Serialize)]
pub struct ClusterAnswer {
    /// Nodes.
    pub nodes: u32,
    /// Pods with an address of their own that run at the same time.
    pub pods: u64,
    /// Pods on the host network.
    pub host_network_pods: u64,
    /// A node joins every so many seconds.
    pub join_every_seconds: f64,
    /// So long it is watched after the last node was filled.
    pub settle_seconds: f64,
    /// Share of EC2's buckets that other clients of the account use up.
    pub others_calls: f64,
    /// What decided all that is left to chance.
    pub seed: u64,
    /// Where its pods come from, if not from its groups.
    pub trace: Option<TraceAnswer>,
    /// Its groups, in the order in which they join.
    pub groups: Vec<GroupAnswer>,
}

/// A trace that was replayed.
#[derive(Clone, Debug, Serialize)]
pub struct TraceAnswer {
    /// The file.
    pub file: String,
    /// Its pods in the course of the plan.
    pub pods: u64,
    /// How long it is, what leads up to it left out.
    pub days: f64,
}

/// A group of nodes.
#[derive(Clone, Debug, Serialize)]
pub struct GroupAnswer {
    /// As given, or type and position.
    pub name: String,
    /// Instance type.
    #[serde(rename = "type")]
    pub instance_type: String,
    /// Nodes.
    pub count: u32,
    /// Pods with an address a node, those of DaemonSets among them.
    pub pods_per_node: u32,
    /// kubelet's, as given or as EKS recommends.
    pub max_pods: u32,
}

/// A subnet.
#[derive(Clone, Debug, Serialize)]
pub struct SubnetAnswer {
    /// As given, or the CIDR.
    pub name: String,
    /// The CIDR.
    pub cidr: String,
    /// Availability zone, if told.
    pub zone: Option<String>,
    /// Addresses for nodes and pods: all but AWS's five and others'.
    pub size: u32,
    /// Others'.
    pub used_by_others: u32,
    /// Nodes that lie in it.
    pub nodes: u32,
}

/// An instance type.
#[derive(Clone, Debug, Serialize)]
pub struct TypeAnswer {
    /// For example `m5.large`.
    #[serde(rename = "type")]
    pub instance_type: String,
    /// ENIs, the primary included.
    pub enis: u32,
    /// Addresses an ENI, its primary one included.
    pub addresses_per_eni: u32,
    /// Default vCPUs.
    pub vcpus: Option<u32>,
    /// Pods, those on the host network included.
    pub max_pods: MaxPods,
}

/// What comes of it under one policy.
#[derive(Clone, Debug, Serialize)]
pub struct PolicyAnswer {
    /// Its name.
    pub policy: String,
    /// The result in a sentence.
    pub says: String,
    /// Whether all nodes booted and all pods had an address in the end.
    pub fits: bool,
    /// Addresses.
    pub held: Held,
    /// Of each group, in their order: addresses held a node at the end.
    pub held_per_node_of_group: Vec<f64>,
    /// Of each subnet, in their order.
    pub subnets: Vec<SubnetOutcome>,
    /// Nodes that found no address to boot with.
    pub nodes_not_booted: u32,
    /// Pods that had no address by the end.
    pub pods_starved: u64,
    /// ADDs answered with an error; kubelet comes again.
    pub failed_adds: u64,
    /// From a pod's first ADD to its address, milliseconds.
    pub wait_ms: Waits,
    /// Share of pods that waited over 50 ms, 0 to 1.
    pub waited_share: f64,
    /// Calls to EC2, by action, over the whole plan.
    pub calls: Vec<CallsAnswer>,
    /// Accepted calls an hour at the end, when the pools have settled.
    pub settled_calls_per_hour: f64,
    /// What is held over time.
    #[serde(skip)]
    pub samples: Vec<Sample>,
}

/// Addresses that the pools hold: secondaries, 16 a prefix, and primaries of ENIs beyond a node's first.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Held {
    /// At the end, when the pools have settled.
    pub steady: f64,
    /// Most at one time.
    pub peak: u32,
    /// At the end, a node that booted.
    pub steady_per_node: f64,
    /// Addresses of running pods at the end.
    pub used: f64,
}

/// What became of a subnet.
#[derive(Clone, Debug, Serialize)]
pub struct SubnetOutcome {
    /// Its name.
    pub name: String,
    /// Fewest free addresses at one time.
    pub fewest_free: u32,
    /// When it had fewer addresses than were asked for, for the first time.
    pub runs_dry: Option<Moment>,
    /// When it had no whole /28 (`gke-cidr`: no range for a node) for the first time, though one was asked for.
    pub no_block: Option<Moment>,
}

/// A moment of the plan.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Moment {
    /// Since the first node joined.
    pub after_seconds: f64,
    /// Nodes of this subnet that had joined by then, the one that failed among them.
    pub nodes: u32,
    /// Pods that had been bound to them.
    pub pods: u32,
}

/// Calls of one action.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct CallsAnswer {
    /// EC2's name.
    pub action: &'static str,
    /// With success.
    pub accepted: u64,
    /// With RequestLimitExceeded.
    pub throttled: u64,
    /// With another error.
    pub refused: u64,
}

/// The account's bucket of one action, in one Region ("Request throttling for the Amazon EC2 API"), less what others use.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct BucketAnswer {
    /// EC2's name.
    pub action: &'static str,
    /// Calls that go through at once.
    pub burst: f64,
    /// Calls a second from then on.
    pub per_second: f64,
}

impl Answer {
    /// What is known of `cluster` before anything is simulated.
    pub(super) fn new(cluster: &Cluster) -> Self {
        Self {
            format: FORMAT,
            cluster: given::cluster(cluster),
            subnets: given::subnets(cluster),
            types: given::types(cluster),
            buckets: given::buckets(cluster),
            policies: Vec::new(),
        }
    }

    /// Adds what came of `scenario`, which is `cluster`'s, under `policy`.
    pub(super) fn add(&mut self, cluster: &Cluster, scenario: &Scenario, policy: Policy, run: Run) {
        let mut answer = PolicyAnswer::new(cluster, scenario, policy, run);
        answer.says = verdict::says(&answer, self, scenario.pods.len());
        self.policies.push(answer);
    }
}
