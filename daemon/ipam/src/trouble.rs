//! What went wrong lately, by kind of call, and when it is tried again.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::action::{Failure, FailureKind, Verb};
use crate::reason::Reason;
use crate::time::Timestamp;

/// Why a kind of call rests, and until when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// Why.
    pub reason: Reason,
    /// When it is tried again.
    pub until: Timestamp,
    /// How often in a row it failed.
    pub failures: u32,
}

/// The troubles of all kinds of calls. Not durable: after a restart everything is tried at once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Troubles(BTreeMap<Verb, Trouble>);

/// First and longest rest after a failure of this kind; it doubles with each one in a row.
fn rest(kind: FailureKind) -> (Duration, Duration) {
    let (first, longest) = match kind {
        // EC2 refills a bucket of 100 calls by 5 to 20 a second ("Request throttling for the Amazon EC2 API").
        FailureKind::Throttled => (1_000, 30_000),
        // Policies reach EC2 within a minute or so; asking more often only fills CloudTrail.
        FailureKind::AccessDenied => (10_000, 60_000),
        // Somebody else must give addresses back first.
        FailureKind::SubnetFull | FailureKind::NoContiguousBlock => (2_000, 60_000),
        FailureKind::AddressLimit | FailureKind::EniLimit => (5_000, 60_000),
        FailureKind::Unreachable | FailureKind::Doubtful | FailureKind::Local => (200, 10_000),
        // A new ENI may be unknown to the next call for a moment (eventual consistency).
        FailureKind::NotFound | FailureKind::WrongState => (500, 30_000),
        FailureKind::Refused => (2_000, 60_000),
    };
    (Duration::from_millis(first), Duration::from_millis(longest))
}

fn reason(verb: Verb, failure: &Failure, until: Timestamp) -> Reason {
    let message = || failure.message.clone();
    match failure.kind {
        FailureKind::Throttled => Reason::Throttled { until },
        FailureKind::AccessDenied => Reason::AccessDenied {
            action: verb.ec2_action().to_owned(),
        },
        FailureKind::SubnetFull => Reason::SubnetFull,
        FailureKind::NoContiguousBlock => Reason::NoContiguousBlock,
        FailureKind::AddressLimit => Reason::AddressLimit,
        FailureKind::EniLimit => Reason::Refused { message: message() },
        FailureKind::Unreachable | FailureKind::Doubtful => {
            Reason::ApiUnreachable { message: message() }
        }
        FailureKind::NotFound
        | FailureKind::WrongState
        | FailureKind::Refused
        | FailureKind::Local => Reason::Refused { message: message() },
    }
}

impl Troubles {
    /// Remembers a failure.
    pub fn note(&mut self, verb: Verb, failure: &Failure, now: Timestamp) {
        let failures = self.0.get(&verb).map_or(0, |t| t.failures);
        let (first, longest) = rest(failure.kind);
        let wait = first.saturating_mul(1 << failures.min(16)).min(longest);
        let until = now.after(wait);
        self.0.insert(
            verb,
            Trouble {
                reason: reason(verb, failure, until),
                until,
                failures: failures + 1,
            },
        );
    }

    /// Forgets: the call went through.
    pub fn clear(&mut self, verb: Verb) {
        self.0.remove(&verb);
    }

    /// What keeps `verb` from being called now.
    pub fn blocking(&self, verb: Verb, now: Timestamp) -> Option<&Trouble> {
        self.0.get(&verb).filter(|trouble| trouble.until > now)
    }

    /// What went wrong last with `verb`, whether or not it may be tried again by now.
    pub fn last(&self, verb: Verb) -> Option<&Trouble> {
        self.0.get(&verb)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rests_double_up_to_a_bound_and_success_forgets() {
        let mut troubles = Troubles::default();
        let failure = Failure {
            kind: FailureKind::Throttled,
            message: String::new(),
        };
        let now = Timestamp::from_secs(100);
        let rests: Vec<u64> = (0..7)
            .map(|_| {
                troubles.note(Verb::Assign, &failure, now);
                troubles
                    .blocking(Verb::Assign, now)
                    .map_or(0, |t| t.until.since(now).as_secs())
            })
            .collect();
        assert_eq!(rests, [1, 2, 4, 8, 16, 30, 30]);
        assert!(troubles.blocking(Verb::Create, now).is_none());
        assert!(
            troubles
                .blocking(Verb::Assign, Timestamp::from_secs(130))
                .is_none()
        );
        troubles.clear(Verb::Assign);
        assert!(troubles.last(Verb::Assign).is_none());
    }
}
