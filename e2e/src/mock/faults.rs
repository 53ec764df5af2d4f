//! Faults that are asked for: which of the coming calls go wrong, and how.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::error::{Code, Refusal};
use super::garbage::Garbage;
use super::lag::Lag;

/// A fault and the calls it is for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// EC2 action, `IMDS` for a request of instance metadata, or `*` for any EC2 action.
    pub action: String,
    /// What goes wrong.
    #[serde(flatten)]
    pub kind: FaultKind,
    /// How many calls it hits; none means until it is cleared.
    #[serde(default)]
    pub times: Option<u32>,
    /// Only calls of this instance.
    #[serde(default)]
    pub instance: Option<String>,
}

/// What goes wrong. In JSON: `{"kind":"throttle"}`, `{"kind":"error","code":"InternalError","status":500}`,
/// `{"kind":"slow","ms":3000}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum FaultKind {
    /// `RequestLimitExceeded`; nothing is done.
    Throttle,
    /// `UnauthorizedOperation`; nothing is done.
    AccessDenied,
    /// This error; nothing is done.
    Error {
        /// EC2's error code. IMDS sends the status only.
        code: String,
        /// HTTP status, 400 if not given.
        #[serde(default = "bad_request")]
        status: u16,
    },
    /// The call has its effect, then this error is answered.
    ErrorAfter {
        /// EC2's error code. IMDS sends the status only.
        code: String,
        /// HTTP status, 500 if not given.
        #[serde(default = "internal_error")]
        status: u16,
    },
    /// Status 200 and an answer that is none.
    Garbage {
        /// Which, and whether the call is done.
        shape: Garbage,
    },
    /// Nothing is done and no answer comes: the connection hangs until the client gives up, at most a minute.
    Timeout,
    /// The call has its effect, then the connection is closed instead of an answer.
    LostReply,
    /// The call takes so much longer.
    Slow {
        /// Milliseconds.
        ms: u64,
    },
    /// The answer is as it would have been so long ago (Describe calls and IMDS).
    Stale {
        /// Milliseconds.
        ms: u64,
    },
    /// The answer does not show yet what appeared within so long (Describe calls and IMDS).
    Hides {
        /// Milliseconds.
        ms: u64,
    },
    /// The answer still shows what went within so long (Describe calls and IMDS).
    Ghosts {
        /// Milliseconds.
        ms: u64,
    },
    /// The link (of an AttachNetworkInterface) appears only after so long.
    SlowAttach {
        /// Milliseconds.
        ms: u64,
    },
    /// The link (of an AttachNetworkInterface) never appears, though EC2 says `attached`.
    NoLink,
    /// An AttachNetworkInterface is answered with success; after so long its ENI is `available` again, without a link.
    FailAttach {
        /// Milliseconds.
        ms: u64,
    },
}

fn bad_request() -> u16 {
    400
}

fn internal_error() -> u16 {
    500
}

impl Fault {
    /// A fault for the next call of an action.
    pub fn once(action: impl Into<String>, kind: FaultKind) -> Self {
        Self::times(action, kind, 1)
    }

    /// A fault for the next calls of an action.
    pub fn times(action: impl Into<String>, kind: FaultKind, times: u32) -> Self {
        Self {
            action: action.into(),
            kind,
            times: Some(times),
            instance: None,
        }
    }

    /// A fault for all calls of an action until it is cleared.
    pub fn always(action: impl Into<String>, kind: FaultKind) -> Self {
        Self {
            times: None,
            ..Self::times(action, kind, 0)
        }
    }

    /// Narrows it to the calls of one instance.
    pub fn on(mut self, instance: impl Into<String>) -> Self {
        self.instance = Some(instance.into());
        self
    }

    fn is_for(&self, action: &str, instance: Option<&str>) -> bool {
        let action_fits = self.action == action || (self.action == "*" && action != super::IMDS);
        action_fits
            && self.times != Some(0)
            && self
                .instance
                .as_deref()
                .is_none_or(|wanted| instance == Some(wanted))
    }
}

impl FaultKind {
    /// The refusal that it stands for, if it is one.
    pub(crate) fn refusal(&self, action: &str) -> Option<Refusal> {
        match self {
            Self::Throttle => Some(Code::RequestLimitExceeded.because("Request limit exceeded.")),
            Self::AccessDenied => Some(Code::UnauthorizedOperation.because(format!(
                "You are not authorized to perform this operation. No policy allows the ec2:{action} action"
            ))),
            Self::Error { code, status } => Some(asked_for(code, *status)),
            _ => None,
        }
    }

    pub(crate) fn extra_latency(&self) -> Duration {
        match self {
            Self::Slow { ms } => Duration::from_millis(*ms),
            _ => Duration::ZERO,
        }
    }

    /// The error that is answered although the call was done.
    pub(crate) fn error_after(&self) -> Option<Refusal> {
        match self {
            Self::ErrorAfter { code, status } => Some(asked_for(code, *status)),
            _ => None,
        }
    }

    pub(crate) fn garbage(&self) -> Option<Garbage> {
        match self {
            Self::Garbage { shape } => Some(*shape),
            _ => None,
        }
    }

    /// How far a reader lies behind, beside the cloud's own lag.
    pub(crate) fn lag(&self) -> Lag {
        let mut lag = Lag::default();
        match self {
            Self::Stale { ms } => lag = Duration::from_millis(*ms).into(),
            Self::Hides { ms } => lag.appear = Duration::from_millis(*ms),
            Self::Ghosts { ms } => lag.vanish = Duration::from_millis(*ms),
            _ => {}
        }
        lag
    }
}

fn asked_for(code: &str, status: u16) -> Refusal {
    Refusal {
        code: code.to_owned(),
        message: "This error was asked for by a fault".to_owned(),
        status,
    }
}

/// The faults that are set, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Faults(Vec<Fault>);

impl Faults {
    pub(crate) fn set(&mut self, fault: Fault) {
        self.0.push(fault);
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    pub(crate) fn pending(&self) -> Vec<Fault> {
        self.0.clone()
    }

    /// The fault that hits this call, used up by it.
    pub(crate) fn strike(&mut self, action: &str, instance: Option<&str>) -> Option<FaultKind> {
        let index = self.0.iter().position(|f| f.is_for(action, instance))?;
        let fault = self.0.get_mut(index)?;
        let kind = fault.kind.clone();
        if let Some(times) = &mut fault.times {
            *times = times.saturating_sub(1);
            if *times == 0 {
                self.0.remove(index);
            }
        }
        Some(kind)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_hits_its_action_its_instance_and_so_many_times() {
        let mut faults = Faults::default();
        faults.set(Fault::times("CreateTags", FaultKind::Throttle, 2).on("i-1"));
        assert_eq!(faults.strike("CreateTags", Some("i-2")), None);
        assert_eq!(faults.strike("DeleteNetworkInterface", Some("i-1")), None);
        assert_eq!(
            faults.strike("CreateTags", Some("i-1")),
            Some(FaultKind::Throttle)
        );
        assert_eq!(
            faults.strike("CreateTags", Some("i-1")),
            Some(FaultKind::Throttle)
        );
        assert_eq!(faults.strike("CreateTags", Some("i-1")), None);
    }

    #[test]
    fn a_star_hits_every_action_but_not_imds() {
        let mut faults = Faults::default();
        faults.set(Fault::always("*", FaultKind::Timeout));
        assert_eq!(faults.strike(super::super::IMDS, None), None);
        assert_eq!(faults.strike("CreateTags", None), Some(FaultKind::Timeout));
        assert_eq!(faults.strike("CreateTags", None), Some(FaultKind::Timeout));
    }

    #[test]
    fn faults_are_written_in_json_as_documented() {
        let fault: Fault = serde_json::from_str(
            r#"{"action":"CreateTags","kind":"error","code":"InternalError","status":500,"times":3}"#,
        )
        .unwrap();
        let kind = FaultKind::Error {
            code: "InternalError".to_owned(),
            status: 500,
        };
        assert_eq!(fault, Fault::times("CreateTags", kind, 3));
    }
}
