//! What an error answer of EC2 means: (action, code, HTTP status) to [`Kind`]. The one place where error codes are read.
//!
//! Codes are those of "Error codes for the Amazon EC2 API". Failures without an answer (no connection, time-out) are
//! not decided here but by the adapter, which knows how far the request got.

use crate::error::{Action, Kind};
use crate::text::{MESSAGE_CHARS, one_line};

/// Classifies an error answer. Unknown codes fall back to the status: 5xx may have been done, 4xx was not.
pub fn classify(action: Action, code: &str, status: u16) -> Kind {
    // CloudTrail and some proxies of the API write the fault's side before the code.
    let code = code
        .strip_prefix("Client.")
        .or_else(|| code.strip_prefix("Server."))
        .unwrap_or(code);
    by_code(code)
        .or_else(|| by_action(action, code))
        .unwrap_or_else(|| by_status(status))
}

/// Codes that mean the same for each action, whatever the status (RequestLimitExceeded comes as 503).
fn by_code(code: &str) -> Option<Kind> {
    let kind = match code {
        "RequestLimitExceeded"
        | "Throttling"
        | "ThrottlingException"
        | "ThrottledException"
        | "RequestThrottled"
        | "RequestThrottledException"
        | "TooManyRequestsException"
        | "EC2ThrottledException"
        | "BandwidthLimitExceeded"
        | "PriorRequestNotComplete"
        | "SlowDown" => Kind::Throttled,
        "UnauthorizedOperation"
        | "AccessDenied"
        | "AccessDeniedException"
        | "OptInRequired"
        | "Blocked"
        | "PendingVerification" => Kind::AccessDenied,
        "AuthFailure"
        | "ExpiredToken"
        | "ExpiredTokenException"
        | "RequestExpired"
        | "InvalidClientTokenId"
        | "InvalidAccessKeyId"
        | "InvalidSecurityToken"
        | "UnrecognizedClientException"
        | "SignatureDoesNotMatch"
        | "IncompleteSignature"
        | "MissingAuthenticationToken" => Kind::CredentialsRefused,
        "InsufficientFreeAddressesInSubnet" => Kind::SubnetFull,
        "InsufficientCidrBlocks" => Kind::NoContiguousBlock,
        "PrivateIpAddressLimitExceeded" => Kind::AddressLimit,
        "AttachmentLimitExceeded" | "NetworkInterfaceLimitExceeded" => Kind::EniLimit,
        "InvalidInstanceType" => Kind::NotFound,
        code if code.ends_with(".NotFound") => Kind::NotFound,
        "IncorrectState"
        | "IncorrectInstanceState"
        | "InvalidNetworkInterface.InUse"
        | "InvalidIPAddress.InUse"
        | "DependencyViolation" => Kind::WrongState,
        "Unavailable" | "ServiceUnavailable" | "InternalError" | "InternalFailure" => {
            Kind::Doubtful
        }
        _ => return None,
    };
    Some(kind)
}

/// EC2 often says `InvalidParameterValue` where it means a state: "is currently in use" (delete), "already has an
/// interface attached at device index" (attach), "some of [...] are not assigned to interface" (unassign). These calls
/// pass nothing but ids, an index and addresses that we were told, so it is the state that does not allow them.
fn by_action(action: Action, code: &str) -> Option<Kind> {
    let about_state = matches!(
        action,
        Action::DeleteNetworkInterface
            | Action::AttachNetworkInterface
            | Action::UnassignPrivateIpAddresses
    );
    (about_state && code == "InvalidParameterValue").then_some(Kind::WrongState)
}

/// Everything else. 408 says that the server gave up waiting, which proves nothing about a request that we sent whole.
fn by_status(status: u16) -> Kind {
    match status {
        408 => Kind::Doubtful,
        429 => Kind::Throttled,
        400..=499 => Kind::Refused,
        _ => Kind::Doubtful,
    }
}

/// EC2's message on one line, without the encoded blob that follows a refusal (a kilobyte that only STS can read).
pub fn message(said: &str) -> String {
    let readable = said
        .split_once("Encoded authorization failure message")
        .map_or(said, |(before, _)| before);
    let line = one_line(readable, MESSAGE_CHARS);
    if line.is_empty() {
        return "no message".to_owned();
    }
    line
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    use Action::{
        AssignPrivateIpAddresses as Assign, AttachNetworkInterface as Attach,
        CreateNetworkInterface as Create, DeleteNetworkInterface as Delete,
        DescribeInstanceTypes as Types, DescribeNetworkInterfaces as Describe,
        DetachNetworkInterface as Detach, UnassignPrivateIpAddresses as Unassign,
    };

    /// One row for every code that is named, and for each way to fall through.
    const TABLE: &[(Action, &str, u16, Kind)] = &[
        (Create, "RequestLimitExceeded", 503, Kind::Throttled),
        (Create, "Client.RequestLimitExceeded", 503, Kind::Throttled),
        (Create, "Server.RequestLimitExceeded", 503, Kind::Throttled),
        (Describe, "Throttling", 400, Kind::Throttled),
        (Describe, "ThrottlingException", 400, Kind::Throttled),
        (Describe, "ThrottledException", 400, Kind::Throttled),
        (Describe, "RequestThrottled", 400, Kind::Throttled),
        (Describe, "RequestThrottledException", 400, Kind::Throttled),
        (Describe, "TooManyRequestsException", 400, Kind::Throttled),
        (Describe, "EC2ThrottledException", 503, Kind::Throttled),
        (Describe, "BandwidthLimitExceeded", 503, Kind::Throttled),
        (Describe, "PriorRequestNotComplete", 400, Kind::Throttled),
        (Describe, "SlowDown", 503, Kind::Throttled),
        (Describe, "", 429, Kind::Throttled),
        (Create, "UnauthorizedOperation", 403, Kind::AccessDenied),
        (Create, "AccessDenied", 403, Kind::AccessDenied),
        (Create, "AccessDeniedException", 400, Kind::AccessDenied),
        (Create, "OptInRequired", 403, Kind::AccessDenied),
        (Create, "Blocked", 403, Kind::AccessDenied),
        (Create, "PendingVerification", 403, Kind::AccessDenied),
        (Assign, "AuthFailure", 401, Kind::CredentialsRefused),
        (Assign, "ExpiredToken", 400, Kind::CredentialsRefused),
        (
            Assign,
            "ExpiredTokenException",
            400,
            Kind::CredentialsRefused,
        ),
        (Assign, "RequestExpired", 400, Kind::CredentialsRefused),
        (
            Assign,
            "InvalidClientTokenId",
            403,
            Kind::CredentialsRefused,
        ),
        (Assign, "InvalidAccessKeyId", 403, Kind::CredentialsRefused),
        (
            Assign,
            "InvalidSecurityToken",
            403,
            Kind::CredentialsRefused,
        ),
        (
            Assign,
            "UnrecognizedClientException",
            403,
            Kind::CredentialsRefused,
        ),
        (
            Assign,
            "SignatureDoesNotMatch",
            403,
            Kind::CredentialsRefused,
        ),
        (Assign, "IncompleteSignature", 400, Kind::CredentialsRefused),
        (
            Assign,
            "MissingAuthenticationToken",
            403,
            Kind::CredentialsRefused,
        ),
        (
            Assign,
            "InsufficientFreeAddressesInSubnet",
            400,
            Kind::SubnetFull,
        ),
        (
            Create,
            "InsufficientFreeAddressesInSubnet",
            400,
            Kind::SubnetFull,
        ),
        (
            Assign,
            "InsufficientCidrBlocks",
            400,
            Kind::NoContiguousBlock,
        ),
        (
            Assign,
            "PrivateIpAddressLimitExceeded",
            400,
            Kind::AddressLimit,
        ),
        (Attach, "AttachmentLimitExceeded", 400, Kind::EniLimit),
        (Create, "NetworkInterfaceLimitExceeded", 400, Kind::EniLimit),
        (
            Delete,
            "InvalidNetworkInterfaceID.NotFound",
            400,
            Kind::NotFound,
        ),
        (
            Delete,
            "InvalidNetworkInterfaceId.NotFound",
            400,
            Kind::NotFound,
        ),
        (Detach, "InvalidAttachmentID.NotFound", 400, Kind::NotFound),
        (Create, "InvalidSubnetID.NotFound", 400, Kind::NotFound),
        (Attach, "InvalidInstanceID.NotFound", 400, Kind::NotFound),
        (Types, "InvalidInstanceType", 400, Kind::NotFound),
        (Detach, "IncorrectState", 400, Kind::WrongState),
        (Attach, "IncorrectInstanceState", 400, Kind::WrongState),
        (
            Delete,
            "InvalidNetworkInterface.InUse",
            400,
            Kind::WrongState,
        ),
        (Assign, "InvalidIPAddress.InUse", 400, Kind::WrongState),
        (Delete, "DependencyViolation", 400, Kind::WrongState),
        (Delete, "InvalidParameterValue", 400, Kind::WrongState),
        (Attach, "InvalidParameterValue", 400, Kind::WrongState),
        (Unassign, "InvalidParameterValue", 400, Kind::WrongState),
        (Create, "InvalidParameterValue", 400, Kind::Refused),
        (Assign, "InvalidParameterValue", 400, Kind::Refused),
        (Create, "IdempotentParameterMismatch", 400, Kind::Refused),
        (Detach, "OperationNotPermitted", 400, Kind::Refused),
        (Create, "SomethingNew", 400, Kind::Refused),
        (Create, "", 404, Kind::Refused),
        (Create, "Unavailable", 503, Kind::Doubtful),
        (Create, "ServiceUnavailable", 503, Kind::Doubtful),
        (Create, "InternalError", 500, Kind::Doubtful),
        (Create, "InternalFailure", 500, Kind::Doubtful),
        (Create, "InternalError", 400, Kind::Doubtful),
        (Create, "SomethingNew", 500, Kind::Doubtful),
        (Create, "", 502, Kind::Doubtful),
        (Create, "", 408, Kind::Doubtful),
        (Create, "", 200, Kind::Doubtful),
        (Create, "", 307, Kind::Doubtful),
    ];

    #[test]
    fn every_code_means_what_the_table_says() {
        for &(action, code, status, kind) in TABLE {
            assert_eq!(
                classify(action, code, status),
                kind,
                "{action} {code:?} {status}"
            );
        }
    }

    #[test]
    fn messages_are_one_line_and_without_the_encoded_blob() {
        let said = "You are not authorized to perform this operation.\n User: x is not authorized to perform: \
                    ec2:CreateNetworkInterface. Encoded authorization failure message: AbCd0123";
        let line = message(said);
        assert!(line.ends_with("ec2:CreateNetworkInterface."), "{line}");
        assert!(
            line.starts_with("You are not authorized to perform this operation. User:"),
            "{line}"
        );
    }

    #[test]
    fn an_answer_without_words_is_said_to_be_one() {
        assert_eq!(message(" \n"), "no message");
    }
}
