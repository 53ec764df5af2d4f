//! An ENI of this node and its life.

use std::fmt;
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};

use crate::address::Misses;
use crate::mac::Mac;
use crate::time::Timestamp;

/// `eni-...`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EniId(pub String);

impl fmt::Display for EniId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whose an ENI is, which says what may be done to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ownership {
    /// The node's first: pods use its secondary addresses, it is never detached.
    Primary,
    /// Made by us (or by aws-node before us) for pods.
    Ours,
    /// Somebody else's (`no_manage`, trunk, branch, efa-only, another card): never touched, its slot counts as taken.
    Foreign,
}

/// Where an ENI is in its life. It moves down this list only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EniState {
    /// Exists, not attached.
    Created,
    /// Attached as far as EC2 says; its link is awaited or being set up.
    Attaching {
        /// Since when.
        since: Timestamp,
    },
    /// Pods may use it.
    Ready {
        /// Since when.
        since: Timestamp,
    },
    /// Empty and unwanted: nothing is handed out any more.
    Draining,
    /// Off the instance, to be deleted.
    Detached,
}

/// An ENI.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Eni {
    /// Its id.
    pub id: EniId,
    /// Its MAC, by which its link is found.
    pub mac: Mac,
    /// Its place on the instance; for one not attached yet, the place it will have.
    pub device_index: u32,
    /// The address that it cannot lose; no pod has it. Only others' ENIs may have none (EFA-only, IPv6-only subnets).
    pub primary_address: Option<Ipv4Addr>,
    /// Its subnet's CIDR; not known of those that are never set up: others', and leftovers that are to be deleted.
    pub subnet: Option<Ipv4Net>,
    /// Whose it is.
    pub ownership: Ownership,
    /// Where it is in its life.
    pub state: EniState,
    /// `eni-attach-...`, once attached.
    pub attachment_id: Option<String>,
    /// Whether it goes with the instance.
    pub delete_on_termination: bool,
    /// When we learned of it; a Describe that began earlier says nothing about it.
    pub learned: Timestamp,
    /// Set while Describe does not show it.
    pub missed: Option<Misses>,
}

impl Eni {
    /// The instance's first ENI, which has been there since its start.
    pub fn primary(
        id: EniId,
        mac: Mac,
        address: Ipv4Addr,
        subnet: Ipv4Net,
        now: Timestamp,
    ) -> Self {
        Self {
            id,
            mac,
            device_index: 0,
            primary_address: Some(address),
            subnet: Some(subnet),
            ownership: Ownership::Primary,
            state: EniState::Ready { since: now },
            attachment_id: None,
            delete_on_termination: true,
            learned: now,
            missed: None,
        }
    }

    /// Whether it is attached and set up, so that pods can live on it.
    pub fn is_ready(&self) -> bool {
        matches!(self.state, EniState::Ready { .. }) && self.is_managed()
    }

    /// Whether new pods may get its addresses now: not while Describe does not show it.
    pub fn takes_pods(&self) -> bool {
        self.is_ready() && self.missed.is_none()
    }

    /// Whether berth may touch it.
    pub fn is_managed(&self) -> bool {
        self.ownership != Ownership::Foreign
    }

    /// Whether addresses on it will be of use: it is ready or on its way to be.
    pub fn is_coming(&self) -> bool {
        matches!(self.state, EniState::Created | EniState::Attaching { .. }) && self.is_managed()
    }
}
