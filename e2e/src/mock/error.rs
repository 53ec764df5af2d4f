//! EC2's refusals: the error codes that the mock knows, spelled as EC2 spells them, with their HTTP status.

use std::fmt;

/// An error code of the EC2 API (EC2 API Reference, "Error codes for the Amazon EC2 API").
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)] // The variants are the codes themselves, see `as_str`.
pub enum Code {
    AttachmentLimitExceeded,
    DryRunOperation,
    IdempotentParameterMismatch,
    IncorrectState,
    InsufficientCidrBlocks,
    InsufficientFreeAddressesInSubnet,
    InternalError,
    InvalidAction,
    InvalidAttachmentIdNotFound,
    InvalidId,
    InvalidInstanceIdNotFound,
    InvalidInstanceType,
    InvalidIpAddressInUse,
    InvalidNetworkInterfaceIdNotFound,
    InvalidNetworkInterfaceInUse,
    InvalidParameterCombination,
    InvalidParameterValue,
    InvalidSecurityGroupIdNotFound,
    InvalidSubnetIdNotFound,
    MissingAuthenticationToken,
    MissingParameter,
    OperationNotPermitted,
    PrivateIpAddressLimitExceeded,
    RequestLimitExceeded,
    UnauthorizedOperation,
    UnknownParameter,
    UnsupportedOperation,
}

impl Code {
    /// The code as it stands in the XML.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AttachmentLimitExceeded => "AttachmentLimitExceeded",
            Self::DryRunOperation => "DryRunOperation",
            Self::IdempotentParameterMismatch => "IdempotentParameterMismatch",
            Self::IncorrectState => "IncorrectState",
            Self::InsufficientCidrBlocks => "InsufficientCidrBlocks",
            Self::InsufficientFreeAddressesInSubnet => "InsufficientFreeAddressesInSubnet",
            Self::InternalError => "InternalError",
            Self::InvalidAction => "InvalidAction",
            Self::InvalidAttachmentIdNotFound => "InvalidAttachmentID.NotFound",
            Self::InvalidId => "InvalidID",
            Self::InvalidInstanceIdNotFound => "InvalidInstanceID.NotFound",
            Self::InvalidInstanceType => "InvalidInstanceType",
            Self::InvalidIpAddressInUse => "InvalidIPAddress.InUse",
            Self::InvalidNetworkInterfaceIdNotFound => "InvalidNetworkInterfaceID.NotFound",
            Self::InvalidNetworkInterfaceInUse => "InvalidNetworkInterface.InUse",
            Self::InvalidParameterCombination => "InvalidParameterCombination",
            Self::InvalidParameterValue => "InvalidParameterValue",
            Self::InvalidSecurityGroupIdNotFound => "InvalidSecurityGroupID.NotFound",
            Self::InvalidSubnetIdNotFound => "InvalidSubnetID.NotFound",
            Self::MissingAuthenticationToken => "MissingAuthenticationToken",
            Self::MissingParameter => "MissingParameter",
            Self::OperationNotPermitted => "OperationNotPermitted",
            Self::PrivateIpAddressLimitExceeded => "PrivateIpAddressLimitExceeded",
            Self::RequestLimitExceeded => "RequestLimitExceeded",
            Self::UnauthorizedOperation => "UnauthorizedOperation",
            Self::UnknownParameter => "UnknownParameter",
            Self::UnsupportedOperation => "UnsupportedOperation",
        }
    }

    /// The HTTP status that EC2 sends with the code.
    pub fn status(self) -> u16 {
        match self {
            Self::RequestLimitExceeded => 503,
            Self::UnauthorizedOperation | Self::MissingAuthenticationToken => 403,
            Self::DryRunOperation => 412,
            Self::InternalError => 500,
            _ => 400,
        }
    }

    /// Makes the refusal that carries this code.
    pub fn because(self, message: impl Into<String>) -> Refusal {
        Refusal {
            code: self.as_str().to_owned(),
            message: message.into(),
            status: self.status(),
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A call that EC2 answers with an error. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct Refusal {
    /// EC2's error code; free text, since faults may carry any.
    pub code: String,
    /// EC2's message, as near to the real one as is known.
    pub message: String,
    /// HTTP status.
    pub status: u16,
}

impl Refusal {
    /// Whether it carries this code.
    pub fn is(&self, code: Code) -> bool {
        self.code == code.as_str()
    }
}
