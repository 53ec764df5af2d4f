//! What this node may spend of EC2's calls. EC2 has one bucket an action for the whole account ("Request throttling for the
//! Amazon EC2 API"), and no node knows how many others take from it: each begins with all of it for granted, and learns its
//! share from throttling, by halves down and by steps up. A pod that waits does not ask here: its call is made, and made
//! again, as [`crate::trouble`] says. What is less urgent must leave something over for those.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::action::Verb;
use crate::time::Timestamp;

/// Thousandths of a call: all of this file counts in them.
const CALL: u64 = 1_000;
/// What EC2 gives an account each second for an action that changes something.
const FULL_RATE: u64 = 5 * CALL;
/// What a node thinks is its share at least: one call in five seconds.
const LEAST_RATE: u64 = CALL / 5;
/// How much more it thinks so after a call that went through.
const STEP: u64 = CALL / 4;
/// Fewer calls than this left make each one dear.
const DEAR: u64 = 5;

/// What a call is for, the most urgent first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Urgency {
    /// A pod waits.
    Waiting,
    /// A pod is bound and will ask.
    Bound,
    /// The reserve.
    Refill,
    /// Giving back.
    Release,
}

impl Urgency {
    /// How many calls must be left for it.
    const fn spare(self) -> u64 {
        match self {
            Self::Waiting => 0,
            Self::Bound => 1,
            Self::Refill => 10,
            Self::Release => 20,
        }
    }
}

/// What is left, by action. Not durable: a new process begins with full buckets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Budget {
    buckets: BTreeMap<Verb, Bucket>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Bucket {
    left: u64,
    rate: u64,
    at: Timestamp,
}

impl Bucket {
    /// When so many calls are left, if there are fewer.
    fn until(self, calls: u64) -> Option<Timestamp> {
        let lacks = (calls * CALL).saturating_sub(self.left);
        let wait = Duration::from_millis((lacks * 1_000).div_ceil(self.rate));
        (lacks > 0).then(|| self.at.after(wait))
    }
}

/// The burst that EC2 allows: 50 calls for attaching and detaching, 100 for others.
const fn burst(verb: Verb) -> u64 {
    match verb {
        Verb::Attach | Verb::Detach => 50 * CALL,
        _ => 100 * CALL,
    }
}

impl Budget {
    fn bucket(&self, verb: Verb, now: Timestamp) -> Bucket {
        let full = Bucket {
            left: burst(verb),
            rate: FULL_RATE,
            at: now,
        };
        let bucket = self.buckets.get(&verb).copied().unwrap_or(full);
        let millis = u64::try_from(now.since(bucket.at).as_millis()).unwrap_or(u64::MAX);
        let more = millis.saturating_mul(bucket.rate) / 1_000;
        if more == 0 {
            return bucket;
        }
        Bucket {
            left: bucket.left.saturating_add(more).min(burst(verb)),
            at: now,
            ..bucket
        }
    }

    /// A call begins.
    pub(crate) fn spend(&mut self, verb: Verb, now: Timestamp) {
        let mut bucket = self.bucket(verb, now);
        bucket.left = bucket.left.saturating_sub(CALL);
        self.buckets.insert(verb, bucket);
    }

    /// EC2 throttled one: others have taken what we thought was there.
    pub(crate) fn throttled(&mut self, verb: Verb, now: Timestamp) {
        let rate = self.bucket(verb, now).rate;
        let bucket = Bucket {
            left: 0,
            rate: (rate / 2).max(LEAST_RATE),
            at: now,
        };
        self.buckets.insert(verb, bucket);
    }

    /// One went through.
    pub(crate) fn passed(&mut self, verb: Verb, now: Timestamp) {
        let mut bucket = self.bucket(verb, now);
        bucket.rate = (bucket.rate + STEP).min(FULL_RATE);
        self.buckets.insert(verb, bucket);
    }

    /// When there is enough left for a call of this urgency, if there is not now.
    pub fn rests_until(&self, verb: Verb, urgency: Urgency, now: Timestamp) -> Option<Timestamp> {
        self.bucket(verb, now).until(urgency.spare())
    }

    /// Until when so few calls are left that each should do much, if so now.
    pub fn congested_until(&self, verb: Verb, now: Timestamp) -> Option<Timestamp> {
        self.bucket(verb, now).until(DEAR)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_nanos(millis * 1_000_000)
    }

    #[test]
    fn a_throttled_call_leaves_nothing_for_the_less_urgent() {
        let mut budget = Budget::default();
        let rests = |budget: &Budget, urgency| budget.rests_until(Verb::Assign, urgency, at(1_000));
        assert_eq!(rests(&budget, Urgency::Release), None);
        budget.spend(Verb::Assign, at(1_000));
        budget.throttled(Verb::Assign, at(1_000));
        // Half of five a second.
        assert_eq!(rests(&budget, Urgency::Waiting), None);
        assert_eq!(rests(&budget, Urgency::Bound), Some(at(1_400)));
        assert_eq!(rests(&budget, Urgency::Refill), Some(at(5_000)));
        assert_eq!(rests(&budget, Urgency::Release), Some(at(9_000)));
        let congested = |verb, now| budget.congested_until(verb, at(now));
        assert_eq!(congested(Verb::Assign, 2_900), Some(at(3_000)));
        assert_eq!(congested(Verb::Assign, 3_000), None);
        assert_eq!(congested(Verb::Create, 1_000), None);
        let refill = budget.rests_until(Verb::Assign, Urgency::Refill, at(5_000));
        assert_eq!(refill, None);
    }

    #[test]
    fn the_share_goes_down_by_halves_and_up_by_steps() {
        let mut budget = Budget::default();
        let bound = |budget: &Budget| budget.rests_until(Verb::Create, Urgency::Bound, at(0));
        for _ in 0..10 {
            budget.throttled(Verb::Create, at(0));
        }
        assert_eq!(bound(&budget), Some(at(5_000)), "not less than that");
        budget.passed(Verb::Create, at(0));
        assert!(bound(&budget) < Some(at(2_500)));
    }

    #[test]
    fn own_calls_count_too() {
        let mut budget = Budget::default();
        for _ in 0..45 {
            budget.spend(Verb::Detach, at(0));
        }
        assert_eq!(
            budget.rests_until(Verb::Detach, Urgency::Bound, at(0)),
            None
        );
        let release = budget.rests_until(Verb::Detach, Urgency::Release, at(0));
        assert_eq!(release, Some(at(3_000)));
    }
}
