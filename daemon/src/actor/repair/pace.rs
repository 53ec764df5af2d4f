//! How soon after a doubt something is compared, and when it is a dispute: something else that changes the same thing
//! again and again must neither keep the daemon busy nor go unnoticed.

use std::time::Duration;

use ipam::Timestamp;

/// What happens together is told of in many notifications (`ip rule flush`): they are gathered for so long.
pub(super) const GATHER: Duration = Duration::from_millis(50);
/// So many comparisons may follow each other at once ...
const BURST: u32 = 16;
/// ... and one in so long for ever. Looking at the nftables table takes some 30 ms of a CPU, and mending it as much again.
const SPACING: Duration = Duration::from_secs(2);
/// A dispute is over when nothing had to be mended for so long.
const CALM: Duration = Duration::from_secs(60);

/// The pace of one part. Its limit is a bucket of [`BURST`] tokens, one of which comes back each [`SPACING`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Pace {
    /// When the bucket would be full again.
    full_at: Timestamp,
    /// The dispute, if things were mended lately.
    dispute: Option<Dispute>,
}

/// Things that were mended one after another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Dispute {
    /// When the first one was.
    pub(super) since: Timestamp,
    /// When the last one was.
    pub(super) last: Timestamp,
    /// How many times something was mended.
    pub(super) times: u32,
    /// Whether it has been so often that the pace was slowed down.
    pub(super) slowed: bool,
}

impl Pace {
    /// When a doubt of this time may be looked into.
    pub(super) fn ready_at(&self, doubted: Timestamp) -> Timestamp {
        doubted.after(GATHER).max(self.token_at())
    }

    /// A comparison begins.
    pub(super) fn begin(&mut self, now: Timestamp) {
        self.full_at = self.full_at.max(now).after(SPACING);
    }

    /// It had to mend something. Answers whether the pace is slowed down from now on, which is worth a warning.
    pub(super) fn mended(&mut self, now: Timestamp) -> bool {
        let lately = self
            .dispute
            .filter(|dispute| now.since(dispute.last) < CALM);
        let dispute = lately.unwrap_or(Dispute {
            since: now,
            last: now,
            times: 0,
            slowed: false,
        });
        let slowed = dispute.slowed || self.token_at() > now;
        self.dispute = Some(Dispute {
            last: now,
            times: dispute.times + 1,
            slowed,
            ..dispute
        });
        slowed && !dispute.slowed
    }

    /// The dispute that slows the pace down, if there is one now.
    pub(super) fn dispute(&self, now: Timestamp) -> Option<Dispute> {
        self.dispute
            .filter(|dispute| dispute.slowed && now.since(dispute.last) < CALM)
    }

    /// When there is a token.
    fn token_at(&self) -> Timestamp {
        let bucket = SPACING * (BURST - 1);
        let nanos = u64::try_from(bucket.as_nanos()).unwrap_or(u64::MAX);
        Timestamp::from_nanos(self.full_at.as_nanos().saturating_sub(nanos))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: u64 = 1_000;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_secs(START + seconds)
    }

    #[test]
    fn a_doubt_is_looked_into_after_its_notifications_were_gathered() {
        let pace = Pace::default();
        assert_eq!(pace.ready_at(at(0)), at(0).after(GATHER));
    }

    #[test]
    fn who_fights_is_answered_quickly_at_first_and_then_in_good_time() {
        let mut pace = Pace::default();
        let mut now = at(0);
        let mut runs = 0;
        let mut warnings = 0;
        while now < at(60) {
            now = pace.ready_at(now);
            pace.begin(now);
            warnings += u32::from(pace.mended(now));
            runs += 1;
        }
        assert!((BURST..=BURST + 30).contains(&runs), "{runs} runs");
        assert_eq!(warnings, 1);
        let dispute = pace.dispute(now);
        assert!(
            dispute.is_some_and(|dispute| dispute.times == runs),
            "{dispute:?}"
        );
        assert_eq!(pace.dispute(now.after(CALM)), None);
    }

    #[test]
    fn mending_now_and_then_is_no_dispute() {
        let mut pace = Pace::default();
        for minute in 0..100 {
            let now = at(minute * 20);
            assert_eq!(pace.ready_at(now), now.after(GATHER));
            pace.begin(now);
            assert!(!pace.mended(now));
            assert_eq!(pace.dispute(now), None);
        }
    }

    #[test]
    fn doubts_without_damage_are_slowed_down_and_are_no_dispute() {
        let mut pace = Pace::default();
        for _ in 0..BURST {
            pace.begin(at(0));
        }
        assert_eq!(pace.ready_at(at(0)), at(2));
        assert_eq!(pace.dispute(at(0)), None);
    }
}
