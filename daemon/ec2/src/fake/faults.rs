//! Faults that a test asks the fake for, and the log of what was called.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use tokio::time::Instant;

use crate::error::{Action, Ec2Error, Kind};

/// One call to the fake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// When it was made.
    pub at: Instant,
    /// Which.
    pub action: Action,
    /// On what, for reading: ids and counts.
    pub target: String,
    /// Nothing while it is in flight, or if its future was dropped.
    pub outcome: Option<Result<(), Kind>>,
}

/// What goes wrong with one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// Fails before the effect.
    Fail(Kind),
    /// The effect happens, the caller learns nothing.
    LoseReply,
}

/// The faults to come.
#[derive(Default)]
pub(super) struct Faults {
    next: BTreeMap<Action, VecDeque<Fault>>,
    always: BTreeMap<Action, Kind>,
    pub(super) unreachable: bool,
    pub(super) latency: BTreeMap<Action, Duration>,
    pub(super) default_latency: Duration,
}

impl Faults {
    pub(super) fn queue(&mut self, action: Action, fault: Fault, times: usize) {
        let queue = self.next.entry(action).or_default();
        queue.extend(std::iter::repeat_n(fault, times));
    }

    pub(super) fn always(&mut self, action: Action, kind: Option<Kind>) {
        match kind {
            Some(kind) => self.always.insert(action, kind),
            None => self.always.remove(&action),
        };
    }

    /// The fault of the call that is made now.
    pub(super) fn take(&mut self, action: Action) -> Option<Fault> {
        if self.unreachable {
            return Some(Fault::Fail(Kind::Unreachable));
        }
        let queued = self.next.get_mut(&action).and_then(VecDeque::pop_front);
        queued.or_else(|| self.always.get(&action).copied().map(Fault::Fail))
    }

    pub(super) fn latency(&self, action: Action) -> Duration {
        self.latency
            .get(&action)
            .copied()
            .unwrap_or(self.default_latency)
    }
}

/// The error of a fault, with the code that EC2 (or the adapter) would give it.
pub(super) fn failure(action: Action, kind: Kind) -> Ec2Error {
    let code = match kind {
        Kind::Throttled => "RequestLimitExceeded",
        Kind::AccessDenied => "UnauthorizedOperation",
        Kind::CredentialsRefused => "ExpiredToken",
        Kind::SubnetFull => "InsufficientFreeAddressesInSubnet",
        Kind::NoContiguousBlock => "InsufficientCidrBlocks",
        Kind::AddressLimit => "PrivateIpAddressLimitExceeded",
        Kind::EniLimit => "AttachmentLimitExceeded",
        Kind::NotFound => "InvalidNetworkInterfaceID.NotFound",
        Kind::WrongState => "IncorrectState",
        Kind::Refused => "InvalidParameterValue",
        Kind::Unreachable => "NotConnected",
        Kind::Doubtful => "NoAnswer",
    };
    Ec2Error {
        action,
        kind,
        code: code.to_owned(),
        message: "asked for by the test".to_owned(),
    }
}
