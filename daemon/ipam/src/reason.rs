//! Why something is not as it should be: the same words in the CNI error, the log and the status.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// A typed reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reason {
    /// `InsufficientFreeAddressesInSubnet`.
    SubnetFull,
    /// `InsufficientCidrBlocks`: addresses are free, but no /28 in one piece.
    NoContiguousBlock,
    /// All ENIs that the instance type (or MAX_ENI) allows are there, and full.
    EniLimit {
        /// How many.
        enis: u32,
    },
    /// EC2 says that an ENI takes no more addresses.
    AddressLimit,
    /// EC2 asked us to slow down.
    Throttled {
        /// When the call is repeated.
        until: Timestamp,
    },
    /// The role lacks a permission.
    AccessDenied {
        /// EC2's name of the action.
        action: String,
    },
    /// An ENI with addresses is on its way.
    Attaching {
        /// Since when.
        since: Timestamp,
    },
    /// Addresses are there, but all rest after their last pod, and nothing else can be had.
    CoolingOnly {
        /// When the first one has rested.
        until: Timestamp,
    },
    /// EC2 (or instance metadata) does not answer.
    ApiUnreachable {
        /// What the last try met.
        message: String,
    },
    /// EC2 refused for a reason we know no remedy for.
    Refused {
        /// EC2's code and message.
        message: String,
    },
    /// The daemon does not know its node yet.
    DaemonStarting,
    /// The address was on its way, but did not come in time.
    Timeout,
}

impl Reason {
    /// The reason's name, for tools.
    pub fn name(&self) -> &'static str {
        match self {
            Self::SubnetFull => "SubnetFull",
            Self::NoContiguousBlock => "NoContiguousBlock",
            Self::EniLimit { .. } => "EniLimit",
            Self::AddressLimit => "AddressLimit",
            Self::Throttled { .. } => "Throttled",
            Self::AccessDenied { .. } => "AccessDenied",
            Self::Attaching { .. } => "Attaching",
            Self::CoolingOnly { .. } => "CoolingOnly",
            Self::ApiUnreachable { .. } => "ApiUnreachable",
            Self::Refused { .. } => "Refused",
            Self::DaemonStarting => "DaemonStarting",
            Self::Timeout => "Timeout",
        }
    }

    /// What a person can do about it.
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::SubnetFull => "free addresses in the node's subnet, or add nodes in another one",
            Self::NoContiguousBlock => "reserve a CIDR block of the subnet for prefixes",
            Self::EniLimit { .. } => {
                "lower the pods on this node, raise MAX_ENI, or use a larger instance type"
            }
            Self::AddressLimit => "nothing to do: another ENI is tried",
            Self::Throttled { .. } => {
                "nothing to do: the call is repeated; look for what else uses the account's EC2 quota"
            }
            Self::AccessDenied { .. } => {
                "add the action to the node's role (managed policy AmazonEKS_CNI_Policy)"
            }
            Self::Attaching { .. } | Self::CoolingOnly { .. } | Self::Timeout => {
                "nothing to do: the runtime tries again"
            }
            Self::ApiUnreachable { .. } => {
                "check the route to the EC2 endpoint and to instance metadata (hop limit, security groups)"
            }
            Self::Refused { .. } => "see the message of EC2",
            Self::DaemonStarting => "nothing to do: the runtime tries again",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SubnetFull => f.write_str("the subnet has no free address"),
            Self::NoContiguousBlock => f.write_str("the subnet has no free /28"),
            Self::EniLimit { enis } => {
                write!(f, "all {enis} ENIs of this instance are attached and full")
            }
            Self::AddressLimit => f.write_str("the ENI takes no more addresses"),
            Self::Throttled { until } => write!(
                f,
                "EC2 throttles this account, next try at {until} after boot"
            ),
            Self::AccessDenied { action } => write!(f, "access denied for ec2:{action}"),
            Self::Attaching { since } => {
                write!(f, "an ENI is being attached since {since} after boot")
            }
            Self::CoolingOnly { until } => {
                write!(
                    f,
                    "all addresses rest after their last pod, the first until {until} after boot"
                )
            }
            Self::ApiUnreachable { message } => write!(f, "EC2 does not answer: {message}"),
            Self::Refused { message } => write!(f, "EC2 refused: {message}"),
            Self::DaemonStarting => f.write_str("berthd is still finding out about its node"),
            Self::Timeout => f.write_str("the address did not come in time"),
        }
    }
}
