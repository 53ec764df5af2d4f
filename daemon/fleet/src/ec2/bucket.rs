//! EC2's token buckets: one an action, shared by all of the account ("Request throttling for the Amazon EC2 API").

use ipam::{Timestamp, Verb};

/// Nanoseconds.
const SECOND: u64 = 1_000_000_000;

/// Calls of one action that EC2 lets through now. Counted in the nanoseconds that it takes to fill it so far, so that nothing
/// is lost to rounding.
#[derive(Clone, Debug)]
pub struct Bucket {
    /// What a full one is worth.
    full: u64,
    /// What a call costs.
    cost: u64,
    filled: u64,
    counted: Timestamp,
}

impl Bucket {
    /// The bucket of an action, full; `None` for those that the model does not throttle. Of each, `others` is the share (0 to
    /// 1) that other clients of the account use up.
    pub fn of(verb: Verb, others: f64) -> Option<Self> {
        let (size, per_second) = match verb {
            // The page lists neither of them: "mutating actions".
            Verb::Attach | Verb::Detach => (50, 5),
            Verb::Create | Verb::Protect | Verb::Assign | Verb::Unassign | Verb::Delete => (100, 5),
            // Reads have more room (100 and 20 a second), and nobody's policy is decided by them.
            Verb::Describe | Verb::Connect => return None,
        };
        let full = SECOND * size / per_second;
        let ours = 1.0 - others.clamp(0.0, 1.0);
        Some(Self {
            full,
            // Without a share it costs more than there ever is.
            cost: (SECOND as f64 / (per_second as f64 * ours)) as u64,
            filled: full,
            counted: Timestamp::default(),
        })
    }

    /// Calls that go through at once.
    pub fn burst(&self) -> f64 {
        self.full as f64 / self.cost as f64
    }

    /// Calls a second that go through from then on.
    pub fn per_second(&self) -> f64 {
        SECOND as f64 / self.cost as f64
    }

    /// Takes a token, if there is one.
    pub fn take(&mut self, now: Timestamp) -> bool {
        let passed = u64::try_from(now.since(self.counted).as_nanos()).unwrap_or(u64::MAX);
        self.filled = self.filled.saturating_add(passed).min(self.full);
        self.counted = now;
        let there = self.filled >= self.cost;
        if there {
            self.filled -= self.cost;
        }
        there
    }
}

#[cfg(test)]
#[allow(clippy::expect_used)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn calls_within(verb: Verb, others: f64, seconds: u64) -> usize {
        let mut bucket = Bucket::of(verb, others).expect("a bucket");
        let start = Timestamp::from_secs(1000);
        let steps = (0..=seconds * 100).map(|step| start.after(Duration::from_millis(10 * step)));
        steps.filter(|now| bucket.take(*now)).count()
    }

    /// The table of the page: bucket, refill per second.
    #[test]
    fn a_burst_then_the_refill() {
        for (verb, burst) in [
            (Verb::Assign, 100),
            (Verb::Unassign, 100),
            (Verb::Create, 100),
            (Verb::Delete, 100),
            (Verb::Protect, 100),
            (Verb::Attach, 50),
            (Verb::Detach, 50),
        ] {
            assert_eq!(calls_within(verb, 0.0, 0), 1);
            // More than the burst is asked for within these 10 s, so that the refill counts in full.
            assert_eq!(calls_within(verb, 0.0, 10), burst + 50, "{verb:?}");
        }
        assert!(Bucket::of(Verb::Describe, 0.0).is_none());
    }

    #[test]
    fn others_take_their_share() {
        assert_eq!(calls_within(Verb::Assign, 0.5, 10), 75);
        assert_eq!(calls_within(Verb::Assign, 1.0, 10), 0);
    }

    #[test]
    fn a_full_bucket_does_not_grow() {
        let mut bucket = Bucket::of(Verb::Attach, 0.0).expect("a bucket");
        let late = Timestamp::from_secs(1_000_000);
        assert_eq!((0..1000).filter(|_| bucket.take(late)).count(), 50);
    }
}
