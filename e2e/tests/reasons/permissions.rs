//! What the role does not permit, and what the account is not granted just now: call by call.

use e2e::mock::{Fault, FaultKind};

use crate::fixture::{PER_ENI, T3_NANO, add_pods};
use crate::told::{ASSIGN, ATTACH, CREATE, Case, error};

const DENIED: &str = "UnauthorizedOperation";

#[test]
fn assign_denied() -> anyhow::Result<()> {
    let case = Case {
        remedy: "AmazonEKS_CNI_Policy",
        code: DENIED,
        ..Case::refused(
            "noassign",
            ASSIGN,
            "AccessDenied",
            "access denied for ec2:AssignPrivateIpAddresses",
        )
    };
    case.under(&[Fault::always(ASSIGN, FaultKind::AccessDenied)])
}

#[test]
fn create_denied() -> anyhow::Result<()> {
    let case = Case {
        remedy: "AmazonEKS_CNI_Policy",
        code: DENIED,
        ..Case::refused(
            "nocreate",
            CREATE,
            "AccessDenied",
            "access denied for ec2:CreateNetworkInterface",
        )
    };
    let Some(cluster) = case.start()? else {
        return Ok(());
    };
    let denied = Fault::always(CREATE, FaultKind::AccessDenied);
    cluster.cloud().fault(denied);
    let _pods = add_pods(&cluster.members[0], "pod", PER_ENI)?;
    case.met(&cluster)
}

#[test]
fn attach_denied() -> anyhow::Result<()> {
    let case = Case {
        instance: T3_NANO,
        remedy: "AmazonEKS_CNI_Policy",
        code: DENIED,
        ..Case::refused(
            "noattach",
            ATTACH,
            "AccessDenied",
            "access denied for ec2:AttachNetworkInterface",
        )
    };
    case.under(&[Fault::always(ATTACH, FaultKind::AccessDenied)])
}

/// Without a checkpoint nothing is handed out before EC2 has shown what is there.
#[test]
fn describe_denied() -> anyhow::Result<()> {
    let case = Case {
        remedy: "AmazonEKS_CNI_Policy",
        code: DENIED,
        ..Case::refused(
            "nolook",
            "DescribeNetworkInterfaces",
            "AccessDenied",
            "access denied for ec2:DescribeNetworkInterfaces",
        )
    };
    let Some(cluster) = case.start()? else {
        return Ok(());
    };
    let member = &cluster.members[0];
    member.node.kill_daemon()?;
    std::fs::remove_file(member.node.checkpoint())?;
    let denied = Fault::always("DescribeNetworkInterfaces", FaultKind::AccessDenied);
    cluster.cloud().fault(denied);
    member.node.start_daemon(e2e::cluster::DAEMON_PATIENCE)?;
    case.met(&cluster)
}

#[test]
fn credentials_that_have_expired() -> anyhow::Result<()> {
    let case = Case {
        remedy: "the node's clock",
        code: "ExpiredToken",
        ..Case::refused(
            "expired",
            ASSIGN,
            "CredentialsRefused",
            "EC2 does not accept the credentials (expired, wrong, or the clock is off)",
        )
    };
    case.under(&[Fault::always(ASSIGN, error("ExpiredToken", 400))])
}

#[test]
fn everything_throttled() -> anyhow::Result<()> {
    let case = Case {
        remedy: "EC2 quota",
        code: "RequestLimitExceeded",
        ..Case::refused(
            "throttled",
            ASSIGN,
            "Throttled",
            "EC2 throttles this account, next try in",
        )
    };
    case.under(&[Fault::always("*", FaultKind::Throttle)])
}

#[test]
fn throttled_for_a_moment() -> anyhow::Result<()> {
    Case::served("moment", ASSIGN, "Throttled", "RequestLimitExceeded").under(&[Fault::times(
        ASSIGN,
        FaultKind::Throttle,
        2,
    )])
}
