//! What runs on a simulated node: a state machine without clock, randomness of its own or I/O.

use std::net::Ipv4Addr;

use ipam::{Action, Eni, IntentId, Outcome, Timestamp};
use ipnet::Ipv4Net;

/// Index of a pod in its scenario.
pub type PodId = usize;

/// The pool of one node, berth's or another network's. It is told what happens, in order of time, and answers with what it
/// does about it.
pub trait Node {
    /// Takes `input` in at `now`.
    fn take(&mut self, input: Input, now: Timestamp) -> Vec<Output>;
}

/// What happens to a node.
#[derive(Clone, Debug)]
pub enum Input {
    /// It has booted: the primary ENI is attached and ready, without secondary addresses.
    Booted {
        /// It.
        primary: Box<Eni>,
    },
    /// The API server shows a pod bound to the node; its ADD follows. Pools that do not watch pods ignore it.
    Bound {
        /// Which.
        pod: PodId,
    },
    /// The runtime asks for an address: for the first time, or again after a refusal.
    Add {
        /// For which.
        pod: PodId,
    },
    /// The runtime gives a pod's address back.
    Del {
        /// Whose.
        pod: PodId,
    },
    /// What came of a call.
    Ended {
        /// Its name.
        id: IntentId,
        /// What, as `ipam` has it.
        outcome: Outcome,
    },
    /// The answer to [`Output::LookAtSubnet`].
    Subnet {
        /// Free addresses, as DescribeSubnets tells them (those of broken /28s included).
        free: u32,
    },
    /// The answer to [`Output::TakeRange`].
    Range {
        /// The range; `None` where the subnet has no such block any more.
        range: Option<Ipv4Net>,
    },
    /// The time that it asked for has come.
    Woken,
}

/// What a node does.
#[derive(Clone, Debug)]
pub enum Output {
    /// Begins an action: a call to EC2, or the wait for an ENI's link ([`Action::Connect`]).
    Begin {
        /// Its name, unique on this node for as long as it is under way.
        id: IntentId,
        /// It.
        action: Action,
    },
    /// Answers an ADD.
    Serve {
        /// Whose.
        pod: PodId,
        /// With this address, which the ENI has.
        address: Ipv4Addr,
    },
    /// Fails an ADD; kubelet asks again 10 to 12 s later.
    Refuse {
        /// Whose.
        pod: PodId,
    },
    /// Asks DescribeSubnets. Neither counted nor throttled.
    LookAtSubnet,
    /// Takes a range of the node's own for good (GKE-like networks).
    TakeRange {
        /// `/24`, say.
        length: u8,
    },
    /// What happened contradicts its state: a defect, which ends the run.
    Contradiction {
        /// What.
        what: String,
    },
    /// Wants [`Input::Woken`] at this time, instead of at any earlier wish of this kind.
    WakeAt(Timestamp),
}
