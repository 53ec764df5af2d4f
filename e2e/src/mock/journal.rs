//! What was called: every finished request to EC2 and to instance metadata, with its outcome.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

/// The action name under which requests of instance metadata stand in the journal and in faults.
pub const IMDS: &str = "IMDS";

/// One finished call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Call {
    /// When it came in, since the start of the cloud.
    #[serde(rename = "at_ms", serialize_with = "milliseconds")]
    pub at: Duration,
    /// How long it took.
    #[serde(rename = "took_ms", serialize_with = "milliseconds")]
    pub took: Duration,
    /// Id of the instance whose namespace it came from; none for a client elsewhere on this machine.
    pub instance: Option<String>,
    /// EC2 action, or `IMDS`.
    pub action: String,
    /// As sent, without `Action` and `Version`; for IMDS the `path`.
    pub parameters: BTreeMap<String, String>,
    /// How it ended.
    pub outcome: Outcome,
}

/// How a call ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Done, and said so.
    Ok,
    /// Refused with this error code, or this HTTP status of IMDS.
    Refused(String),
    /// Done, but the answer was withheld.
    ReplyLost,
    /// Neither done nor answered.
    NoAnswer,
    /// Answered with something that is no answer; whether it was done is up to the fault.
    Garbled,
}

fn milliseconds<S: serde::Serializer>(d: &Duration, s: S) -> Result<S::Ok, S::Error> {
    s.serialize_u64(u64::try_from(d.as_millis()).unwrap_or(u64::MAX))
}

/// All calls, oldest first by their end.
#[derive(Debug, Default)]
pub(crate) struct Journal(Vec<Call>);

impl Journal {
    pub(crate) fn record(&mut self, call: Call) {
        self.0.push(call);
    }

    pub(crate) fn calls(&self) -> Vec<Call> {
        self.0.clone()
    }

    /// Calls to EC2 by action, whatever their outcome. IMDS is not counted.
    pub(crate) fn counts(&self) -> BTreeMap<String, u64> {
        let mut counts = BTreeMap::new();
        for call in self.0.iter().filter(|c| c.action != IMDS) {
            *counts.entry(call.action.clone()).or_insert(0) += 1;
        }
        counts
    }
}
