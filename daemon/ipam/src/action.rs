//! What the core asks the shell to do, and what may come of it. Every action ends in exactly one outcome.

use std::collections::BTreeMap;
use std::fmt;
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};

use crate::address::AddressMode;
use crate::eni::EniId;
use crate::mac::Mac;
use crate::ownership::Claims;
use crate::time::Timestamp;

/// Names an action from its start to its outcome, across restarts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct IntentId(pub u64);

/// Something to do outside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// CreateNetworkInterface.
    Create {
        /// Client token: the same call with the same token makes one ENI.
        token: String,
        /// Where it will be attached.
        device_index: u32,
        /// Whether it comes with single addresses or prefixes.
        #[serde(default)]
        mode: AddressMode,
        /// How many of them.
        #[serde(alias = "addresses")]
        count: u32,
    },
    /// AttachNetworkInterface.
    Attach {
        /// What.
        eni: EniId,
        /// Where.
        device_index: u32,
    },
    /// ModifyNetworkInterfaceAttribute: delete on termination.
    Protect {
        /// Which.
        eni: EniId,
    },
    /// Wait for the ENI's link and set it up: the one action that is not a call to EC2.
    Connect {
        /// Which.
        eni: EniId,
    },
    /// AssignPrivateIpAddresses.
    Assign {
        /// Where.
        eni: EniId,
        /// Single addresses or prefixes.
        #[serde(default)]
        mode: AddressMode,
        /// How many of them.
        count: u32,
    },
    /// UnassignPrivateIpAddresses.
    Unassign {
        /// Where.
        eni: EniId,
        /// Which single ones.
        addresses: Vec<Ipv4Addr>,
        /// Which prefixes, whole.
        #[serde(default)]
        prefixes: Vec<Ipv4Net>,
    },
    /// Take the ENI's rules and tables away, then DetachNetworkInterface.
    Detach {
        /// Which.
        eni: EniId,
    },
    /// DeleteNetworkInterface.
    Delete {
        /// Which.
        eni: EniId,
    },
    /// DescribeNetworkInterfaces: all on this instance, and available ones with our tag.
    Describe,
}

/// The kind of an action: troubles are remembered by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verb {
    /// [`Action::Create`].
    Create,
    /// [`Action::Attach`].
    Attach,
    /// [`Action::Protect`].
    Protect,
    /// [`Action::Connect`].
    Connect,
    /// [`Action::Assign`].
    Assign,
    /// [`Action::Unassign`].
    Unassign,
    /// [`Action::Detach`].
    Detach,
    /// [`Action::Delete`].
    Delete,
    /// [`Action::Describe`].
    Describe,
}

impl Verb {
    /// Whether a pod may wait for what the call brings; the others give back, or prepare for the node's end.
    pub(crate) fn serves_pods(self) -> bool {
        !matches!(
            self,
            Self::Protect | Self::Unassign | Self::Detach | Self::Delete
        )
    }

    /// EC2's name of the call, as IAM policies spell it.
    pub fn ec2_action(self) -> &'static str {
        match self {
            Self::Create => "CreateNetworkInterface",
            Self::Attach => "AttachNetworkInterface",
            Self::Protect => "ModifyNetworkInterfaceAttribute",
            Self::Connect => "(local)",
            Self::Assign => "AssignPrivateIpAddresses",
            Self::Unassign => "UnassignPrivateIpAddresses",
            Self::Detach => "DetachNetworkInterface",
            Self::Delete => "DeleteNetworkInterface",
            Self::Describe => "DescribeNetworkInterfaces",
        }
    }
}

impl Action {
    /// Its kind.
    pub fn verb(&self) -> Verb {
        match self {
            Self::Create { .. } => Verb::Create,
            Self::Attach { .. } => Verb::Attach,
            Self::Protect { .. } => Verb::Protect,
            Self::Connect { .. } => Verb::Connect,
            Self::Assign { .. } => Verb::Assign,
            Self::Unassign { .. } => Verb::Unassign,
            Self::Detach { .. } => Verb::Detach,
            Self::Delete { .. } => Verb::Delete,
            Self::Describe => Verb::Describe,
        }
    }

    /// The ENI it is about, if it is about one that exists.
    pub fn eni(&self) -> Option<&EniId> {
        match self {
            Self::Create { .. } | Self::Describe => None,
            Self::Attach { eni, .. }
            | Self::Protect { eni }
            | Self::Connect { eni }
            | Self::Assign { eni, .. }
            | Self::Unassign { eni, .. }
            | Self::Detach { eni }
            | Self::Delete { eni } => Some(eni),
        }
    }

    /// How many addresses it asks for.
    pub fn asks_for(&self) -> u32 {
        match self {
            Self::Create { mode, count, .. } | Self::Assign { mode, count, .. } => {
                count * mode.addresses_per_slot()
            }
            _ => 0,
        }
    }

    /// Whether it asks for prefixes.
    pub fn asks_for_prefixes(&self) -> bool {
        matches!(
            self,
            Self::Create {
                mode: AddressMode::Prefix,
                count: 1..,
                ..
            } | Self::Assign {
                mode: AddressMode::Prefix,
                ..
            }
        )
    }

    /// The place on the instance that an ENI will have by it.
    pub fn device_index(&self) -> Option<u32> {
        match self {
            Self::Create { device_index, .. } | Self::Attach { device_index, .. } => {
                Some(*device_index)
            }
            _ => None,
        }
    }

    /// Whether it changes something in the cloud: then it must be on disk before it is done.
    pub fn is_durable(&self) -> bool {
        !matches!(self.verb(), Verb::Connect | Verb::Describe)
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verb = self.verb();
        match self {
            Self::Create {
                device_index,
                mode,
                count,
                ..
            } => write!(f, "{verb:?} device {device_index} with {count} {mode}"),
            Self::Assign { eni, mode, count } => write!(f, "{verb:?} {count} {mode} on {eni}"),
            Self::Unassign {
                eni,
                addresses,
                prefixes,
            } if prefixes.is_empty() => write!(f, "{verb:?} {addresses:?} on {eni}"),
            Self::Unassign { eni, prefixes, .. } => write!(f, "{verb:?} {prefixes:?} on {eni}"),
            _ => match self.eni() {
                Some(eni) => write!(f, "{verb:?} {eni}"),
                None => write!(f, "{verb:?}"),
            },
        }
    }
}

/// An action under way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Intent {
    /// What.
    pub action: Action,
    /// Since when.
    pub started: Timestamp,
    /// Set when it ended without a usable answer, or a restart cut it off: it may or may not have had its effect.
    pub doubtful: Option<Timestamp>,
    /// Set when it was in doubt once, also while it is repeated.
    #[serde(default)]
    pub doubted: bool,
}

impl Intent {
    /// Leaves it in doubt.
    pub(crate) fn doubt(&mut self, now: Timestamp) {
        self.doubtful = Some(now);
        self.doubted = true;
    }
}

/// What came of an action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Of Create.
    Created(Box<CreatedEni>),
    /// Of Attach.
    Attached {
        /// `eni-attach-...`.
        attachment_id: String,
    },
    /// Of Assign: what was newly assigned.
    Assigned {
        /// Which single addresses.
        addresses: Vec<Ipv4Addr>,
        /// Which prefixes.
        prefixes: Vec<Ipv4Net>,
    },
    /// Of Describe.
    Described(Described),
    /// Of any other action: it is done.
    Done,
    /// Of any action.
    Failed(Failure),
}

/// The ENI that Create made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreatedEni {
    /// Its id.
    pub id: EniId,
    /// Its MAC.
    pub mac: Mac,
    /// Its primary address.
    pub primary_address: Ipv4Addr,
    /// Its subnet's CIDR.
    pub subnet: Ipv4Net,
    /// Its single secondary addresses.
    pub addresses: Vec<Ipv4Addr>,
    /// Its prefixes.
    pub prefixes: Vec<Ipv4Net>,
}

/// What Describe showed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Described {
    /// The ENIs on this instance, and available ones with its tag.
    pub enis: Vec<DescribedEni>,
    /// Addresses that a link or route of a pod uses in the kernel now.
    pub in_use: Vec<Ipv4Addr>,
    /// What is done with those that are not certainly ours.
    pub claims: Claims,
}

/// An ENI as EC2 shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescribedEni {
    /// Its id.
    pub id: EniId,
    /// Its MAC.
    pub mac: Mac,
    /// Its primary address; EFA-only ENIs and those of IPv6-only subnets have none.
    pub primary_address: Option<Ipv4Addr>,
    /// Its subnet's CIDR, where known (instance metadata tells it for attached ENIs).
    pub subnet: Option<Ipv4Net>,
    /// Its secondary addresses.
    pub addresses: Vec<Ipv4Addr>,
    /// Its /28 prefixes.
    pub prefixes: Vec<Ipv4Net>,
    /// `interface`, `trunk`, `efa-only`, ...
    pub interface_type: String,
    /// Its description.
    pub description: String,
    /// Its security groups.
    pub security_groups: Vec<String>,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
    /// Its attachment to this instance, if attached.
    pub attachment: Option<DescribedAttachment>,
}

/// An attachment to this instance as EC2 shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescribedAttachment {
    /// `eni-attach-...`.
    pub id: String,
    /// Device index.
    pub device_index: u32,
    /// Network card.
    pub network_card: u32,
    /// Whether it goes with the instance.
    pub delete_on_termination: bool,
}

/// An action that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What that means.
    pub kind: FailureKind,
    /// Code and message, one line.
    pub message: String,
}

/// What a failure means. All but [`FailureKind::Doubtful`] say that nothing was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureKind {
    /// Too many calls.
    Throttled,
    /// Not permitted.
    AccessDenied,
    /// The credentials were not accepted, whatever they permit.
    CredentialsRefused,
    /// No free address in the subnet.
    SubnetFull,
    /// No free /28 in the subnet.
    NoContiguousBlock,
    /// The ENI is full.
    AddressLimit,
    /// The instance has all its ENIs.
    EniLimit,
    /// What it was about is not there.
    NotFound,
    /// What it was about is in another state than we thought.
    WrongState,
    /// Refused otherwise.
    Refused,
    /// The call could not be sent.
    Unreachable,
    /// It may have been done.
    Doubtful,
    /// EC2 says that the ENI is attached, but its link did not come.
    NoLink,
    /// Something on this machine: the kernel or the disk refused.
    Local,
}

impl Action {
    /// Where a failure of this kind counts: against one ENI, or against all calls of the verb.
    pub(crate) fn blamed(&self, kind: FailureKind) -> Option<&EniId> {
        self.eni().filter(|_| kind.is_about_the_eni())
    }
}

impl FailureKind {
    /// Whether it says something about the ENI that the call was about. The others (the account, the role, the subnet, the
    /// instance, the endpoint) would meet the next ENI just the same.
    fn is_about_the_eni(self) -> bool {
        match self {
            Self::AddressLimit
            | Self::NotFound
            | Self::WrongState
            | Self::Refused
            | Self::NoLink
            | Self::Local => true,
            Self::Throttled
            | Self::AccessDenied
            | Self::CredentialsRefused
            | Self::SubnetFull
            | Self::NoContiguousBlock
            | Self::EniLimit
            | Self::Unreachable
            | Self::Doubtful => false,
        }
    }

    /// Whether the call got as far as what it asks for. One that did not (throttled, not permitted, not sent) says
    /// nothing about an earlier one with the same client token.
    pub fn looked(self) -> bool {
        !matches!(
            self,
            Self::Throttled
                | Self::AccessDenied
                | Self::CredentialsRefused
                | Self::Unreachable
                | Self::Doubtful
                | Self::NoLink
                | Self::Local
        )
    }
}
