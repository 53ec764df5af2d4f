//! How failures are told to the runtime: the one mapping to CNI error codes.

use berth_cni::contract::{Failure, Outcome, STOPPING};
use ipam::desired::check::Deviation;
use ipam::{Reason, Timestamp};

use crate::dataplane::DataplaneError;

/// CNI spec: "Try again later".
const TRY_AGAIN: u32 = 11;
/// Ours: the kernel refused.
const KERNEL: u32 = 101;
/// Ours: the request contradicts what stands.
const CONFLICT: u32 = 102;
/// Ours: the state cannot be written.
const DISK: u32 = 103;

fn failed(code: u32, reason: &str, msg: String, details: &str) -> Outcome {
    Outcome::Failed(Failure {
        code,
        reason: reason.to_owned(),
        msg,
        details: details.to_owned(),
    })
}

/// No address came in time.
pub(super) fn no_address(reason: &Reason, now: Timestamp) -> Outcome {
    failed(
        TRY_AGAIN,
        reason.name(),
        format!("no address for the pod: {}", reason.at(now)),
        reason.remedy(),
    )
}

/// The daemon is on its way out.
pub(super) fn stopping() -> Outcome {
    failed(
        TRY_AGAIN,
        STOPPING,
        "berthd is restarting".to_owned(),
        Reason::DaemonStarting.remedy(),
    )
}

/// The daemon does not know its pods yet.
pub(super) fn starting() -> Outcome {
    let reason = Reason::DaemonStarting;
    failed(
        TRY_AGAIN,
        reason.name(),
        // No time is told with it.
        reason.at(Timestamp::default()).to_string(),
        reason.remedy(),
    )
}

/// CHECK of an attachment that no ADD made, or a DEL has undone.
pub(super) fn unknown(what: &str) -> Outcome {
    failed(
        CONFLICT,
        "AttachmentUnknown",
        format!("attachment {what} is not known to berthd"),
        "its address may be another pod's by now: delete the pod to have it made anew",
    )
}

/// What CHECK found, if anything.
pub(super) fn of_deviations(deviations: &[Deviation]) -> Option<Outcome> {
    let texts: Vec<String> = deviations.iter().map(Deviation::to_string).collect();
    (!texts.is_empty()).then(|| {
        failed(
            CONFLICT,
            "AttachmentDamaged",
            format!(
                "the pod's network is not as it was made: {}",
                texts.join(", ")
            ),
            "something else changed it: delete the pod to have it made anew",
        )
    })
}

/// CHECK could not look.
pub(super) fn observation(error: &DataplaneError) -> Outcome {
    failed(
        KERNEL,
        "Kernel",
        format!("the pod's network could not be read: {error}"),
        "",
    )
}

/// What GC could not release, if anything: by the code of the first, and each with its reason.
pub(super) fn of_collection(outcomes: Vec<(String, Outcome)>) -> Option<Outcome> {
    let total = outcomes.len();
    let failures: Vec<(String, Failure)> = outcomes
        .into_iter()
        .filter_map(|(attachment, outcome)| match outcome {
            Outcome::Failed(failure) => Some((attachment, failure)),
            _ => None,
        })
        .collect();
    let (_, first) = failures.first()?;
    let (code, reason, count) = (first.code, first.reason.clone(), failures.len());
    let each: Vec<String> = failures
        .iter()
        .map(|(attachment, failure)| format!("{attachment}: {}", failure.msg))
        .collect();
    Some(failed(
        code,
        &reason,
        format!("{count} of {total} attachments could not be released"),
        &each.join("; "),
    ))
}

/// The attachment exists, and another process made it.
pub(super) fn exists(what: &str) -> Outcome {
    failed(
        CONFLICT,
        "AttachmentExists",
        format!("attachment {what} exists"),
        "the runtime must call DEL before it calls ADD again",
    )
}

/// The address was given, but the kernel refused.
pub(super) fn dataplane(error: &DataplaneError) -> Outcome {
    let (code, reason) = match error {
        DataplaneError::InterfaceExists { .. } | DataplaneError::UnusableInterface { .. } => {
            (CONFLICT, "InterfaceConflict")
        }
        DataplaneError::Stopped => (TRY_AGAIN, STOPPING),
        DataplaneError::Netlink { .. }
        | DataplaneError::Netns { .. }
        | DataplaneError::NoLink { .. }
        | DataplaneError::Sysctl { .. }
        | DataplaneError::Nft { .. } => (KERNEL, "Kernel"),
    };
    failed(
        code,
        reason,
        format!("the pod's network could not be set up: {error}"),
        "nothing of it was left behind",
    )
}

/// The kernel refused to take something away.
pub(super) fn removal(error: &DataplaneError) -> Outcome {
    failed(
        KERNEL,
        "Kernel",
        format!("the pod's network could not be removed: {error}"),
        "the runtime tries again",
    )
}

/// The state could not be written.
pub(super) fn disk(error: &str) -> Outcome {
    failed(
        DISK,
        "Checkpoint",
        format!("the checkpoint cannot be written: {error}"),
        "make room on, or repair, the file system that holds AWS_VPC_K8S_CNI_BACKING_STORE",
    )
}
