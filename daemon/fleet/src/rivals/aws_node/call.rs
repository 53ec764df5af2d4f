//! A call to EC2 as aws-node's SDK makes it: three attempts, with back-off in between when EC2 throttles.

use std::time::Duration;

use ipam::{Action, FailureKind, IntentId, Outcome, Timestamp};
use rand::RngExt;

use crate::node::Output;
use crate::random::Random;

/// aws-sdk-go-v2, aws/retry/standard.go: DefaultMaxAttempts.
const ATTEMPTS: u32 = 3;

/// A call that is made, or will be.
#[derive(Clone, Debug)]
pub(super) struct Call {
    id: IntentId,
    action: Action,
    attempt: u32,
    /// When it is made (again); `None` while it is under way.
    at: Option<Timestamp>,
}

impl Call {
    /// To be made at `at`.
    pub fn new(id: IntentId, action: Action, at: Timestamp) -> Self {
        Self {
            id,
            action,
            attempt: 1,
            at: Some(at),
        }
    }

    /// When there is something to do.
    pub fn due(&self) -> Option<Timestamp> {
        self.at
    }

    /// Whether `id` is its name.
    pub fn is(&self, id: IntentId) -> bool {
        self.id == id && self.at.is_none()
    }

    /// Makes it, if it is time.
    pub fn make(&mut self, now: Timestamp) -> Option<Output> {
        self.at.take_if(|at| *at <= now)?;
        Some(Output::Begin {
            id: self.id,
            action: self.action.clone(),
        })
    }

    /// Whether it is made again although it ended, and then when: a random part of 2 s, of 4 s after the second time
    /// (aws/retry/jitter_backoff.go).
    pub fn is_repeated(&mut self, outcome: &Outcome, now: Timestamp, random: &mut Random) -> bool {
        let throttled = matches!(outcome, Outcome::Failed(f) if f.kind == FailureKind::Throttled);
        if !throttled || self.attempt == ATTEMPTS {
            return false;
        }
        let most = Duration::from_secs(1 << self.attempt);
        self.at = Some(now.after(most.mul_f64(random.random::<f64>())));
        self.attempt += 1;
        true
    }
}
