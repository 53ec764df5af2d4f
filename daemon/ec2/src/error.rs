//! What can go wrong with a call to EC2, classified once, where the answer is read.

use std::fmt;

/// An EC2 action, spelled as the API and IAM spell it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Action {
    /// Makes an ENI, with its addresses and tags.
    CreateNetworkInterface,
    /// Puts an ENI on an instance.
    AttachNetworkInterface,
    /// Sets delete-on-termination.
    ModifyNetworkInterfaceAttribute,
    /// Adds secondary addresses.
    AssignPrivateIpAddresses,
    /// Takes secondary addresses away.
    UnassignPrivateIpAddresses,
    /// Takes an ENI off its instance.
    DetachNetworkInterface,
    /// Deletes an available ENI.
    DeleteNetworkInterface,
    /// Lists ENIs.
    DescribeNetworkInterfaces,
    /// Reads the limits of an instance type.
    DescribeInstanceTypes,
    /// Reads how many addresses a subnet has left.
    DescribeSubnets,
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The variants are spelled as the API spells them.
        fmt::Debug::fmt(self, f)
    }
}

/// What kind of trouble a call met; the planner acts on this and on nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// `RequestLimitExceeded` and its kin: ask later. Nothing was done.
    Throttled,
    /// `UnauthorizedOperation` and its kin: the role lacks the action. Nothing was done.
    AccessDenied,
    /// `ExpiredToken`, `AuthFailure` and their kin: the credentials, not what they permit, are at fault. Nothing was done.
    CredentialsRefused,
    /// `InsufficientFreeAddressesInSubnet`. Nothing was done.
    SubnetFull,
    /// `InsufficientCidrBlocks`: no free /28 in the subnet. Nothing was done.
    NoContiguousBlock,
    /// `PrivateIpAddressLimitExceeded`: the ENI takes no more. Nothing was done.
    AddressLimit,
    /// `AttachmentLimitExceeded`, `NetworkInterfaceLimitExceeded`. Nothing was done.
    EniLimit,
    /// `InvalidNetworkInterfaceID.NotFound` and its kin: the thing is not there (any more, or yet).
    NotFound,
    /// The thing is there but in a state that does not allow the call (`IncorrectState`, `InvalidNetworkInterface.InUse`).
    WrongState,
    /// Any other refusal by EC2 (HTTP 4xx). Nothing was done.
    Refused,
    /// The request was never sent: no connection, no credentials. Nothing was done.
    Unreachable,
    /// Sent, but no usable answer came (time-out, 5xx, broken XML): it may have been done.
    Doubtful,
}

impl Kind {
    /// Its name, for metrics; where the daemon has a reason of this kind, the reason's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Throttled => "Throttled",
            Self::AccessDenied => "AccessDenied",
            Self::CredentialsRefused => "CredentialsRefused",
            Self::SubnetFull => "SubnetFull",
            Self::NoContiguousBlock => "NoContiguousBlock",
            Self::AddressLimit => "AddressLimit",
            Self::EniLimit => "EniLimit",
            Self::NotFound => "NotFound",
            Self::WrongState => "WrongState",
            Self::Refused => "Refused",
            Self::Unreachable => "Unreachable",
            Self::Doubtful => "Doubtful",
        }
    }
}

/// A call that did not succeed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{action}: {code}: {message}")]
pub struct Ec2Error {
    /// The call.
    pub action: Action,
    /// What it means for us.
    pub kind: Kind,
    /// EC2's error code, or a short word of ours where EC2 gave none.
    pub code: String,
    /// EC2's message, or the transport's, one line.
    pub message: String,
}

impl Ec2Error {
    /// Whether the call may have had its effect although it failed.
    pub fn is_doubtful(&self) -> bool {
        self.kind == Kind::Doubtful
    }
}
