//! Why the node holds what it holds, and what comes next, as `berthd explain` tells it: one document for people and tools.
//! What is told is `ipam`'s ([`ipam::explain()`]); here it gets names, words and wall times.

mod scene;
mod words;

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};

use crate::report::ReasonReport;

pub use scene::{Asking, Scene};

/// The whole document. Points in time are Unix milliseconds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explanation {
    /// Version of the daemon.
    pub version: String,
    /// Instance id.
    pub instance_id: String,
    /// Instance type.
    pub instance_type: String,
    /// When this was written.
    pub written_ms: u64,
    /// How many free addresses are kept, and why.
    pub reserve: ReserveNote,
    /// The subnet in which addresses are asked for, as far as EC2 tells of it.
    pub subnet: Option<SubnetNote>,
    /// Why the pool is not as it should be; the first is what waiting pods wait for.
    pub reasons: Vec<ReasonReport>,
    /// What will be done if nothing happens, in this order.
    pub next: Vec<StepNote>,
    /// Pods without an address.
    pub pods: Vec<PodNote>,
    /// The ENIs.
    pub enis: Vec<EniNote>,
    /// The prefixes.
    pub prefixes: Vec<PrefixNote>,
    /// The held addresses.
    pub addresses: Vec<AddressNote>,
}

/// How many free addresses are kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReserveNote {
    /// Below this, more are asked for.
    pub low: u32,
    /// Up to this many are asked for.
    pub high: u32,
    /// More than this many are given back.
    pub keep: u32,
    /// Free ones.
    pub free: u32,
    /// On their way.
    pub coming: u32,
    /// Pods that need one.
    pub wanted: u32,
    /// How many of the free ones are too many.
    pub surplus: u32,
    /// How many are missing.
    pub deficit: u32,
    /// When a pod came last.
    pub last_pod_ms: Option<u64>,
    /// When the reserve becomes smaller if no pod comes before.
    pub shrinks_ms: Option<u64>,
    /// What sets the levels, and when what is too much goes.
    pub why: Vec<Why>,
}

/// How full the subnet is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubnetNote {
    /// `subnet-...`.
    pub id: String,
    /// Addresses that nobody has.
    pub free: u32,
    /// All that it can give.
    pub size: u32,
}

/// Something that will be done.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepNote {
    /// When.
    pub at_ms: u64,
    /// What, in words.
    pub action: String,
}

/// What is said of something: a name for tools, a sentence for people.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Why {
    /// One word, which stays.
    pub name: String,
    /// In words, without times.
    pub message: String,
}

/// A pod without an address.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PodNote {
    /// `namespace/name`, or the container's id where no pod is known.
    pub pod: String,
    /// `waiting` (its ADD waits), `gave-up` (its ADD timed out, and its runtime will come again) or `bound` (its ADD is
    /// still to come).
    pub state: String,
    /// Since when its ADD waits.
    pub since_ms: Option<u64>,
    /// When its ADD is answered in any case, or, of one that gave up, when it is forgotten.
    pub until_ms: Option<u64>,
    /// The address that is kept for it.
    pub address: Option<Ipv4Addr>,
    /// What it waits for; none where an address is kept for it.
    pub reason: Option<ReasonReport>,
    /// What happens next for it; none where an address is kept for it, or where nothing can be done.
    pub next: Option<NextNote>,
}

/// What happens next for a pod without an address.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NextNote {
    /// `answer` (EC2's, to a call under way), `call` (one to be made) or `rested` (of an address, after its last pod).
    pub what: String,
    /// When; of a call under way, when it began.
    pub at_ms: u64,
    /// What, in words.
    pub message: String,
}

/// One ENI.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EniNote {
    /// `eni-...`.
    pub id: String,
    /// Its place on the instance.
    pub device_index: u32,
    /// Addresses that it holds for pods.
    pub held: u32,
    /// Why it is there.
    pub why: Why,
    /// When it is detached, if nothing happens; none: not within an hour.
    pub goes_ms: Option<u64>,
}

/// One prefix.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrefixNote {
    /// Its CIDR.
    pub prefix: Ipv4Net,
    /// Its ENI.
    pub eni: String,
    /// Why it is there.
    pub why: Why,
    /// When it is given back, if nothing happens; none: not within an hour.
    pub goes_ms: Option<u64>,
}

/// One held address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddressNote {
    /// It.
    pub address: Ipv4Addr,
    /// Its ENI.
    pub eni: String,
    /// The prefix that it is of, if it is of one.
    pub prefix: Option<Ipv4Net>,
    /// `free`, `used`, `cooling`, `quarantined` or `unassigning`.
    pub state: String,
    /// Since when.
    pub since_ms: Option<u64>,
    /// Since when so many have been too many, of one that is.
    pub too_many_since_ms: Option<u64>,
    /// Until when nobody may have it.
    pub rests_until_ms: Option<u64>,
    /// The pod that has it, had it last or gets it, where that is known.
    pub pod: Option<String>,
    /// Why it is held.
    pub why: Why,
    /// When it is given back, if nothing happens; none: not within an hour.
    pub goes_ms: Option<u64>,
}
