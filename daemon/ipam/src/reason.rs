//! Why something is not as it should be: the same words in the CNI error, the log and the status.

use std::fmt;
use std::time::Duration;

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
    /// EC2 does not accept the credentials, whatever they permit.
    CredentialsRefused {
        /// The call, EC2's code and message.
        message: String,
    },
    /// An ENI with addresses is on its way.
    Attaching {
        /// Since when.
        since: Timestamp,
    },
    /// EC2 says that an ENI is attached, but its link has not appeared.
    NoLink {
        /// Which.
        eni: String,
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
    /// This machine stands in the way: the kernel or the disk refused.
    Local {
        /// What and why.
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
            Self::CredentialsRefused { .. } => "CredentialsRefused",
            Self::Attaching { .. } => "Attaching",
            Self::NoLink { .. } => "NoLink",
            Self::CoolingOnly { .. } => "CoolingOnly",
            Self::ApiUnreachable { .. } => "ApiUnreachable",
            Self::Refused { .. } => "Refused",
            Self::Local { .. } => "Local",
            Self::DaemonStarting => "DaemonStarting",
            Self::Timeout => "Timeout",
        }
    }

    /// The names of all reasons.
    pub const NAMES: [&str; 15] = [
        "SubnetFull",
        "NoContiguousBlock",
        "EniLimit",
        "AddressLimit",
        "Throttled",
        "AccessDenied",
        "CredentialsRefused",
        "Attaching",
        "NoLink",
        "CoolingOnly",
        "ApiUnreachable",
        "Refused",
        "Local",
        "DaemonStarting",
        "Timeout",
    ];

    /// What happened, as told at `now`: times are told as how long ago or ahead they are.
    pub fn at(&self, now: Timestamp) -> Told<'_> {
        Told { reason: self, now }
    }

    /// What a person can do about it.
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::SubnetFull => "free addresses in the node's subnet, or add nodes in another one",
            Self::NoContiguousBlock => {
                "single addresses serve meanwhile; reserve a CIDR block of the subnet for prefixes"
            }
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
            Self::CredentialsRefused { .. } => {
                "check the node's clock, and the credentials that berthd was given: its environment, or the role of its service account or node"
            }
            Self::Attaching { .. } | Self::CoolingOnly { .. } | Self::Timeout => {
                "nothing to do: the runtime tries again"
            }
            Self::NoLink { .. } => {
                "nothing to do: the ENI is given up after three minutes and another one is made; replace the node if that meets the same"
            }
            Self::ApiUnreachable { .. } => {
                "check the route to the EC2 endpoint and to instance metadata (hop limit, security groups)"
            }
            Self::Refused { .. } => "see the message of EC2",
            Self::Local { .. } => "see the message, and the log of berthd",
            Self::DaemonStarting => "nothing to do: the runtime tries again",
        }
    }
}

/// A reason in words: [`Reason::at`].
#[derive(Clone, Copy, Debug)]
pub struct Told<'a> {
    reason: &'a Reason,
    now: Timestamp,
}

impl fmt::Display for Told<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = |wait: Duration| format!("{:.1} s", wait.as_secs_f64());
        match self.reason {
            Reason::SubnetFull => f.write_str("the subnet has no free address"),
            Reason::NoContiguousBlock => f.write_str("the subnet has no free /28 in one piece"),
            Reason::EniLimit { enis } => {
                write!(f, "all {enis} ENIs of this instance are attached and full")
            }
            Reason::AddressLimit => f.write_str("the ENI takes no more addresses"),
            Reason::Throttled { until } => write!(
                f,
                "EC2 throttles this account, next try in {}",
                seconds(until.since(self.now))
            ),
            Reason::AccessDenied { action } => write!(f, "access denied for ec2:{action}"),
            Reason::CredentialsRefused { message } => write!(
                f,
                "EC2 does not accept the credentials (expired, wrong, or the clock is off): {message}"
            ),
            Reason::Attaching { since } => {
                let ago = seconds(self.now.since(*since));
                write!(f, "an ENI is being attached, begun {ago} ago")
            }
            Reason::NoLink { eni } => write!(
                f,
                "the link of {eni} does not appear although EC2 has attached it"
            ),
            Reason::CoolingOnly { until } => {
                let left = seconds(until.since(self.now));
                write!(
                    f,
                    "all addresses rest after their last pod, the first for {left} more"
                )
            }
            Reason::ApiUnreachable { message } => write!(f, "EC2 does not answer: {message}"),
            Reason::Refused { message } => write!(f, "EC2 refused: {message}"),
            Reason::Local { message } => write!(f, "this node refused: {message}"),
            Reason::DaemonStarting => f.write_str("berthd is still finding out about its node"),
            Reason::Timeout => f.write_str("the address did not come in time"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One of each; a new variant does not compile until it is here.
    fn all() -> Vec<Reason> {
        let (until, since) = (Timestamp::from_secs(12), Timestamp::from_secs(4));
        let message = || "EC2's words".to_owned();
        let next = |reason: &Reason| match reason {
            Reason::SubnetFull => Some(Reason::NoContiguousBlock),
            Reason::NoContiguousBlock => Some(Reason::EniLimit { enis: 3 }),
            Reason::EniLimit { .. } => Some(Reason::AddressLimit),
            Reason::AddressLimit => Some(Reason::Throttled { until }),
            Reason::Throttled { .. } => Some(Reason::AccessDenied { action: message() }),
            Reason::AccessDenied { .. } => Some(Reason::CredentialsRefused { message: message() }),
            Reason::CredentialsRefused { .. } => Some(Reason::Attaching { since }),
            Reason::Attaching { .. } => Some(Reason::NoLink { eni: message() }),
            Reason::NoLink { .. } => Some(Reason::CoolingOnly { until }),
            Reason::CoolingOnly { .. } => Some(Reason::ApiUnreachable { message: message() }),
            Reason::ApiUnreachable { .. } => Some(Reason::Refused { message: message() }),
            Reason::Refused { .. } => Some(Reason::Local { message: message() }),
            Reason::Local { .. } => Some(Reason::DaemonStarting),
            Reason::DaemonStarting => Some(Reason::Timeout),
            Reason::Timeout => None,
        };
        std::iter::successors(Some(Reason::SubnetFull), next).collect()
    }

    #[test]
    fn the_list_of_names_is_whole() {
        let names: Vec<_> = all().iter().map(Reason::name).collect();
        assert_eq!(names, Reason::NAMES);
    }

    #[test]
    fn a_reason_is_one_line_that_says_how_long() {
        let now = Timestamp::from_secs(9);
        for reason in all() {
            let told = reason.at(now).to_string();
            assert!(!told.is_empty() && !told.contains('\n') && !reason.remedy().is_empty());
        }
        let told = |reason: &Reason| reason.at(now).to_string();
        assert!(told(&all()[4]).ends_with("next try in 3.0 s"));
        assert!(told(&all()[7]).ends_with("begun 5.0 s ago"));
        assert!(told(&all()[9]).ends_with("for 3.0 s more"));
    }
}
