//! What went wrong lately, by kind of call and, where the ENI is to blame, by ENI; and when it is tried again.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::action::{Action, Failure, FailureKind, Verb};
use crate::eni::EniId;
use crate::jitter::spread;
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

/// How long after the next try was due an answer about the subnet still counts.
pub const FRESH: Duration = Duration::from_secs(60);

/// The troubles of all kinds of calls. Not durable: after a restart everything is tried at once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Troubles {
    calls: BTreeMap<(Verb, Option<EniId>), Trouble>,
    /// That the subnet has no free /28: no call's trouble, since the same calls go through for single addresses.
    fragmented: Option<Trouble>,
}

/// First and longest rest after a failure of this kind; it doubles with each one in a row.
fn rest(verb: Verb, kind: FailureKind) -> (Duration, Duration) {
    let (first, longest) = match kind {
        // EC2 refills a bucket of 100 calls by 5 to 20 a second ("Request throttling for the Amazon EC2 API"): a thousand nodes
        // need minutes for one call each, and few of them may not sleep while it fills.
        FailureKind::Throttled if verb.serves_pods() => (1_000, 4_000),
        FailureKind::Throttled => (1_000, 30_000),
        // No pod waits for what is given back; a role that lacks the permission may well lack it on purpose.
        FailureKind::AccessDenied if !verb.serves_pods() => (60_000, 3_600_000),
        // Policies reach EC2 within a minute or so; asking more often only fills CloudTrail.
        FailureKind::AccessDenied => (10_000, 60_000),
        // They are renewed without our doing; nothing suggests that somebody wants it so, whatever the call.
        FailureKind::CredentialsRefused => (2_000, 60_000),
        // Somebody else must give addresses back first.
        FailureKind::SubnetFull if verb.serves_pods() => (1_000, 8_000),
        FailureKind::SubnetFull => (2_000, 60_000),
        // Single addresses serve meanwhile, and a whole block opens far more rarely than an address.
        FailureKind::NoContiguousBlock => (60_000, 600_000),
        FailureKind::AddressLimit | FailureKind::EniLimit => (5_000, 60_000),
        FailureKind::Unreachable
        | FailureKind::Doubtful
        | FailureKind::NoLink
        | FailureKind::Local => (200, 10_000),
        // A new ENI may be unknown to the next call for a moment (eventual consistency).
        FailureKind::NotFound | FailureKind::WrongState => (500, 30_000),
        FailureKind::Refused => (2_000, 60_000),
    };
    (Duration::from_millis(first), Duration::from_millis(longest))
}

fn reason(action: &Action, failure: &Failure, until: Timestamp) -> Reason {
    let message = || failure.message.clone();
    match failure.kind {
        FailureKind::Throttled => Reason::Throttled { until },
        FailureKind::AccessDenied => Reason::AccessDenied {
            action: action.verb().ec2_action().to_owned(),
        },
        FailureKind::CredentialsRefused => Reason::CredentialsRefused { message: message() },
        FailureKind::SubnetFull => Reason::SubnetFull,
        FailureKind::NoContiguousBlock => Reason::NoContiguousBlock,
        FailureKind::AddressLimit => Reason::AddressLimit,
        FailureKind::EniLimit => Reason::Refused { message: message() },
        FailureKind::Unreachable | FailureKind::Doubtful => {
            Reason::ApiUnreachable { message: message() }
        }
        FailureKind::NoLink => Reason::NoLink {
            eni: action.eni().map(ToString::to_string).unwrap_or_default(),
        },
        FailureKind::Local => Reason::Local { message: message() },
        FailureKind::NotFound | FailureKind::WrongState | FailureKind::Refused => {
            Reason::Refused { message: message() }
        }
    }
}

impl Troubles {
    /// Remembers a failure. What many meet at once (an account that is throttled, a subnet that is full), each `node` tries
    /// again at a time of its own.
    pub fn note(&mut self, action: &Action, failure: &Failure, node: &str, now: Timestamp) {
        let key = (action.verb(), action.blamed(failure.kind).cloned());
        let fragmented =
            failure.kind == FailureKind::NoContiguousBlock && action.asks_for_prefixes();
        let last = match fragmented {
            true => self.fragmented.as_ref(),
            false => self.calls.get(&key),
        };
        let failures = last.map_or(0, |t| t.failures);
        let (first, longest) = rest(action.verb(), failure.kind);
        let wait = first.saturating_mul(1 << failures.min(16)).min(longest);
        let wait = match failure.kind {
            FailureKind::Throttled | FailureKind::SubnetFull => {
                let verb = action.verb().ec2_action().as_bytes();
                spread(
                    wait,
                    &[node.as_bytes(), verb, &now.as_nanos().to_be_bytes()],
                )
            }
            _ => wait,
        };
        let until = now.after(wait);
        let trouble = Trouble {
            reason: reason(action, failure, until),
            until,
            failures: failures + 1,
        };
        if fragmented {
            self.fragmented = Some(trouble);
        } else {
            self.calls.insert(key, trouble);
        }
    }

    /// Lets a kind of call rest for what another one met.
    pub(crate) fn hold(&mut self, verb: Verb, reason: Reason, until: Timestamp) {
        let trouble = Trouble {
            reason,
            until,
            failures: 1,
        };
        self.calls.insert((verb, None), trouble);
    }

    /// Forgets what an action has disproved by going through.
    pub fn clear(&mut self, action: &Action) {
        self.calls.remove(&(action.verb(), None));
        if let Some(eni) = action.eni() {
            self.calls.remove(&(action.verb(), Some(eni.clone())));
        }
        if action.asks_for_prefixes() {
            self.fragmented = None;
        }
    }

    /// Forgets a kind of call, whatever it was about.
    pub(crate) fn clear_verb(&mut self, verb: Verb) {
        self.calls.retain(|(other, _), _| *other != verb);
    }

    /// Forgets an ENI that is no more.
    pub(crate) fn forget(&mut self, gone: &EniId) {
        self.calls.retain(|(_, eni), _| eni.as_ref() != Some(gone));
    }

    /// Why, and until when, no prefixes are asked for.
    pub fn fragmented(&self, now: Timestamp) -> Option<&Trouble> {
        self.fragmented
            .as_ref()
            .filter(|trouble| trouble.until > now)
    }

    /// What keeps `action` from being begun now; the longer one where both its kind and its ENI rest.
    pub fn blocking(&self, action: &Action, now: Timestamp) -> Option<&Trouble> {
        self.of(action)
            .filter(|trouble| trouble.until > now)
            .max_by_key(|trouble| trouble.until)
    }

    /// What went wrong last with calls like `action`, whether or not they may be made again by now.
    pub fn of(&self, action: &Action) -> impl Iterator<Item = &Trouble> {
        let on = |eni: Option<&EniId>| self.calls.get(&(action.verb(), eni.cloned()));
        let own = action.eni().and_then(|eni| on(Some(eni)));
        on(None).into_iter().chain(own)
    }

    /// What went wrong last with all calls of a kind.
    pub fn last(&self, verb: Verb) -> Option<&Trouble> {
        self.calls.get(&(verb, None))
    }

    /// What went wrong last with one ENI.
    pub fn about(&self, verb: Verb, eni: &EniId) -> Option<&Trouble> {
        self.calls.get(&(verb, Some(eni.clone())))
    }

    /// What went wrong last with one ENI, whatever was to be done with it.
    pub fn of_eni<'a>(&'a self, id: &'a EniId) -> impl Iterator<Item = &'a Trouble> {
        let about = move |(_, eni): &(Verb, Option<EniId>)| eni.as_ref() == Some(id);
        let all = self.calls.iter().filter(move |(key, _)| about(key));
        all.map(|(_, trouble)| trouble)
    }

    /// All that rests now.
    pub fn resting(&self, now: Timestamp) -> impl Iterator<Item = &Trouble> {
        self.calls
            .values()
            .filter(move |trouble| trouble.until > now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::AddressMode;

    fn assign(eni: &str) -> Action {
        assign_in(AddressMode::Secondary, eni)
    }

    fn assign_in(mode: AddressMode, eni: &str) -> Action {
        Action::Assign {
            eni: EniId(eni.to_owned()),
            mode,
            count: 1,
        }
    }

    fn failure(kind: FailureKind) -> Failure {
        Failure {
            kind,
            message: String::new(),
        }
    }

    #[test]
    fn rests_double_up_to_a_bound_and_success_forgets() {
        let mut troubles = Troubles::default();
        let (action, failure) = (assign("eni-1"), failure(FailureKind::Throttled));
        let now = Timestamp::from_secs(100);
        let rests: Vec<u64> = (0..5)
            .map(|_| {
                troubles.note(&action, &failure, "", now);
                troubles
                    .blocking(&action, now)
                    .map_or(0, |t| t.until.since(now).as_millis() as u64)
            })
            .collect();
        for (rest, most) in rests.into_iter().zip([1_000, 2_000, 4_000, 4_000, 4_000]) {
            assert!((most / 2..=most).contains(&rest), "{rest} of {most} ms");
        }
        assert!(troubles.blocking(&Action::Describe, now).is_none());
        let later = Timestamp::from_secs(130);
        assert!(troubles.blocking(&action, later).is_none());
        troubles.clear(&action);
        assert!(troubles.last(Verb::Assign).is_none());
    }

    #[test]
    fn what_one_eni_is_to_blame_for_stops_no_other() {
        let now = Timestamp::from_secs(100);
        for (kind, others_rest) in [
            (FailureKind::Throttled, true),
            (FailureKind::SubnetFull, true),
            (FailureKind::AddressLimit, false),
            (FailureKind::WrongState, false),
            (FailureKind::NotFound, false),
            (FailureKind::Local, false),
        ] {
            let mut troubles = Troubles::default();
            troubles.note(&assign("eni-1"), &failure(kind), "", now);
            assert!(troubles.blocking(&assign("eni-1"), now).is_some());
            let other = troubles.blocking(&assign("eni-2"), now).is_some();
            assert_eq!(other, others_rest, "{kind:?}");
            troubles.forget(&EniId("eni-1".to_owned()));
            let still = troubles.blocking(&assign("eni-1"), now).is_some();
            assert_eq!(still, others_rest, "{kind:?} of an ENI that has gone");
        }
    }

    #[test]
    fn a_permission_to_give_back_is_asked_for_less_and_less_often() {
        let mut troubles = Troubles::default();
        let detach = Action::Detach {
            eni: EniId("eni-1".to_owned()),
        };
        let now = Timestamp::from_secs(100);
        for minutes in [1, 2, 4, 8, 16, 32, 60, 60] {
            troubles.note(&detach, &failure(FailureKind::AccessDenied), "", now);
            let rest = troubles.blocking(&detach, now).map(|t| t.until.since(now));
            assert_eq!(rest, Some(Duration::from_secs(60 * minutes)));
        }
    }

    #[test]
    fn credentials_keep_giving_back_from_no_more_than_a_minute() {
        let mut troubles = Troubles::default();
        let detach = Action::Detach {
            eni: EniId("eni-1".to_owned()),
        };
        let now = Timestamp::from_secs(100);
        for seconds in [2, 4, 8, 16, 32, 60, 60] {
            troubles.note(&detach, &failure(FailureKind::CredentialsRefused), "", now);
            let rest = troubles.blocking(&detach, now).map(|t| t.until.since(now));
            assert_eq!(rest, Some(Duration::from_secs(seconds)));
        }
    }

    #[test]
    fn no_free_block_keeps_no_call_for_single_addresses() {
        let mut troubles = Troubles::default();
        let failure = failure(FailureKind::NoContiguousBlock);
        let now = Timestamp::from_secs(100);
        let (prefix, single) = (assign_in(AddressMode::Prefix, "eni-1"), assign("eni-1"));
        troubles.note(&prefix, &failure, "", now);
        assert!(troubles.blocking(&single, now).is_none());
        let until = troubles.fragmented(now).map(|t| t.until);
        assert_eq!(until, Some(Timestamp::from_secs(160)));
        troubles.clear(&single);
        assert!(troubles.fragmented(now).is_some());
        assert!(troubles.fragmented(Timestamp::from_secs(160)).is_none());
        troubles.note(&prefix, &failure, "", now);
        let until = troubles.fragmented(now).map(|t| t.until);
        assert_eq!(until, Some(Timestamp::from_secs(220)));
        troubles.clear(&prefix);
        assert!(troubles.fragmented(now).is_none());
    }
}
