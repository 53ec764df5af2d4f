//! The daemon's state as `berthd status` shows it: one document, written by the actor, read by people and tools.

use std::collections::BTreeMap;
use std::fmt;
use std::net::Ipv4Addr;

use ipam::{Reason, Timestamp};
use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};

/// The whole document.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Version of the daemon.
    pub version: String,
    /// Instance id, once known.
    pub instance_id: Option<String>,
    /// Instance type, once known.
    pub instance_type: Option<String>,
    /// Id of the primary ENI's subnet, in which new ENIs are made, once known.
    pub subnet_id: Option<String>,
    /// When the daemon was started, Unix seconds.
    pub started_at: u64,
    /// When this was written, Unix seconds.
    pub written_at: u64,
    /// Whether an ADD would be served if there is an address.
    pub serving: bool,
    /// Why not, in words.
    pub not_serving: Option<String>,
    /// Highest number of ENIs, the primary included; 0 while unknown.
    pub max_enis: u32,
    /// Addresses for pods an ENI can have, sixteen a slot where prefixes are asked for; 0 while unknown.
    pub addresses_per_eni: u32,
    /// The ENIs.
    pub enis: Vec<EniReport>,
    /// Secondary addresses by state, over all ENIs.
    pub addresses: AddressCounts,
    /// How many free addresses are kept; `None` before the first plan.
    #[serde(default)]
    pub reserve: Option<ReserveReport>,
    /// The attachments.
    pub attachments: Vec<AttachmentReport>,
    /// ADDs that wait for an address.
    pub waiting: Vec<WaitingReport>,
    /// Pods that the API server shows bound to this node and that have not asked for their address yet; `None` while it does
    /// not say.
    #[serde(default)]
    pub expected: Option<u32>,
    /// Calls to EC2 in flight, and those whose outcome is unknown.
    pub intents: Vec<String>,
    /// Why the pool is not as the planner wants it; the first is what a waiting pod waits for.
    pub reasons: Vec<ReasonReport>,
    /// Features that do not work at present. Pods are served all the same.
    pub degraded: Vec<DegradedReport>,
    /// When EC2 last described the node's ENIs, Unix seconds.
    pub described_at: Option<u64>,
    /// Why the newest state is not on disk, if its write failed.
    pub checkpoint_failure: Option<String>,
    /// DELs that met no daemon, were replayed, failed, and will be tried again.
    pub tombstones_waiting: u64,
    /// How many addresses the node's subnet has left, as far as EC2 says so.
    pub subnet_free_addresses: BTreeMap<String, u64>,
    /// Calls to EC2 that have ended since the daemon started, by action.
    pub ec2_calls: BTreeMap<String, u64>,
    /// How many objects of the kernel were mended since the daemon started, by kind.
    pub repairs: BTreeMap<String, u64>,
    /// What something else changes again and again, in words.
    pub disputes: Vec<String>,
    /// How the runtime's network configuration list stands.
    #[serde(default)]
    pub conflist: String,
    /// Every setting with its value and where it came from.
    pub settings: Vec<SettingReport>,
}

/// How many addresses are in which state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddressCounts {
    /// All that EC2 has given this node for pods.
    pub held: u32,
    /// A pod has it.
    pub used: u32,
    /// Freed less than the cooldown ago; counts as used for the pool.
    pub cooling: u32,
    /// May be given to the next pod.
    pub free: u32,
    /// Known to EC2 only; rests until that is certain.
    pub quarantined: u32,
    /// On its way back to EC2.
    pub unassigning: u32,
}

/// How many free addresses are kept. Why, `berthd explain` says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReserveReport {
    /// Below this, more are asked for.
    pub low: u32,
    /// Up to this many are asked for.
    pub high: u32,
    /// More than this many are given back.
    pub keep: u32,
    /// How many are too many now.
    pub surplus: u32,
}

/// One ENI.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EniReport {
    /// `eni-...`.
    pub id: String,
    /// Its MAC.
    pub mac: String,
    /// Its place on the instance.
    pub device_index: u32,
    /// `primary`, `ours` or `foreign`.
    pub ownership: String,
    /// `created`, `attaching`, `ready`, `draining` or `detached`.
    pub state: String,
    /// Its primary address; others' ENIs may have none.
    pub primary_address: Option<Ipv4Addr>,
    /// Its secondary addresses by state.
    pub addresses: AddressCounts,
    /// The addresses themselves with their states.
    pub held: BTreeMap<Ipv4Addr, String>,
    /// The /28s that it holds; their addresses are among the above.
    #[serde(default)]
    pub prefixes: Vec<Ipv4Net>,
}

/// One attachment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttachmentReport {
    /// Network name.
    pub network: String,
    /// Container id.
    pub container_id: String,
    /// Interface name in the pod.
    pub ifname: String,
    /// `namespace/name`, where known.
    pub pod: Option<String>,
    /// Its address.
    pub address: Ipv4Addr,
    /// Its ENI.
    pub eni: String,
    /// Since when it has the address, Unix nanoseconds.
    pub since: u64,
}

/// One typed reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReasonReport {
    /// Its name, as in the CNI error and the metrics: `SubnetFull`, `Throttled`, ...
    pub name: String,
    /// What happened, one line.
    pub message: String,
    /// What to do, one line.
    pub remedy: String,
}

impl ReasonReport {
    /// A reason as told at `now`.
    pub fn told(reason: &Reason, now: Timestamp) -> Self {
        Self {
            name: reason.name().to_owned(),
            message: reason.at(now).to_string(),
            remedy: reason.remedy().to_owned(),
        }
    }
}

impl fmt::Display for ReasonReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.message)
    }
}

/// One feature that does not work at present.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DegradedReport {
    /// Its name, as in the metrics: `metrics`, `introspection`, `subnet-free-addresses`, `vpc-changes`,
    /// `security-groups`, `bound-pods`.
    pub feature: String,
    /// Why, one line.
    pub message: String,
    /// What to do, one line.
    pub remedy: String,
}

/// One ADD that waits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaitingReport {
    /// The attachment, `network/container id/ifname`.
    pub attachment: String,
    /// For how long it has waited, milliseconds.
    pub waited_ms: u64,
    /// What it waits for.
    pub reason: String,
}

/// One setting.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SettingReport {
    /// The variable's name.
    pub name: String,
    /// Its effective value.
    pub value: String,
    /// `environment` or `default`.
    pub source: String,
}
