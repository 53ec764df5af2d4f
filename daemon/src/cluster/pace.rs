//! How long to wait before the API server is asked again. Every wait is drawn at random, so that the nodes that lost the
//! same API server do not come back to it as one.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

use super::Kind;

/// The first wait, at most. After a lost connection that is how late the nodes' foresight is.
const FIRST: Duration = Duration::from_secs(1);
/// The longest wait for what passes by itself: client-go's reflectors wait as long.
const LONGEST: Duration = Duration::from_secs(30);
/// The longest wait for what somebody has to mend.
const PERMANENT: Duration = Duration::from_secs(300);
/// The longest that an API server is believed which says how long it wants to be left alone.
const BELIEVED: Duration = Duration::from_secs(120);
/// A watch that lasted so long was a success, however it ended.
const LASTING: Duration = Duration::from_secs(5);

/// Counts what failed in a row.
#[derive(Debug, Default)]
pub(super) struct Pace {
    failures: u32,
}

impl Pace {
    /// A try ended after `lasted`. Answers how many have failed in a row.
    pub(super) fn ended(&mut self, lasted: Duration) -> u32 {
        self.failures = if lasted >= LASTING {
            1
        } else {
            self.failures.saturating_add(1)
        };
        self.failures
    }

    /// How long to wait now; `random` is between 0 and 1.
    pub(super) fn wait(&self, kind: Option<Kind>, random: f64) -> Duration {
        let longest = match kind {
            Some(Kind::Unconfigured | Kind::Unauthorized | Kind::Denied) => PERMANENT,
            _ => LONGEST,
        };
        let doubled = FIRST.saturating_mul(1 << self.failures.saturating_sub(1).min(10));
        let most = doubled.min(longest);
        // The first is anything up to a second, later ones are at least half of what they could be.
        let least = if self.failures <= 1 {
            Duration::ZERO
        } else {
            most / 2
        };
        let drawn = least + (most - least).mul_f64(random);
        match kind {
            Some(Kind::Busy(Some(asked))) => asked.min(BELIEVED) + drawn,
            _ => drawn,
        }
    }
}

/// A number between 0 and 1, from the randomness that seeds the standard library's hash maps: enough to spread nodes.
pub(super) fn random() -> f64 {
    let bits = RandomState::new().build_hasher().finish();
    // The upper 32 bits are exact in an f64.
    f64::from((bits >> 32) as u32) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn after(failures: u32, kind: Option<Kind>, random: f64) -> Duration {
        let mut pace = Pace::default();
        for _ in 0..failures {
            pace.ended(Duration::ZERO);
        }
        pace.wait(kind, random)
    }

    #[test]
    fn waits_double_up_to_their_bound_and_are_spread() {
        let away = Some(Kind::Unreachable);
        let bounds = |failures| (after(failures, away, 0.0), after(failures, away, 1.0));
        assert_eq!(bounds(1), (Duration::ZERO, SECOND));
        assert_eq!(bounds(2), (SECOND, 2 * SECOND));
        assert_eq!(bounds(4), (4 * SECOND, 8 * SECOND));
        assert_eq!(bounds(90), (15 * SECOND, 30 * SECOND));
        let denied = Some(Kind::Denied);
        assert_eq!(after(90, denied, 1.0), 300 * SECOND);
        let numbers: Vec<f64> = (0..100).map(|_| random()).collect();
        assert!(numbers.iter().all(|number| (0.0..=1.0).contains(number)));
        assert!(
            numbers
                .iter()
                .any(|number| (number - numbers[0]).abs() > 1e-9)
        );
    }

    #[test]
    fn what_the_api_server_asks_for_is_added_within_reason() {
        let busy = |seconds| Some(Kind::Busy(Some(seconds * SECOND)));
        assert_eq!(after(1, busy(7), 0.5), 7 * SECOND + SECOND / 2);
        assert_eq!(after(1, busy(86_400), 0.0), BELIEVED);
    }

    #[test]
    fn a_watch_that_lasted_begins_anew() {
        let mut pace = Pace::default();
        assert_eq!(pace.ended(Duration::ZERO), 1);
        assert_eq!(pace.ended(Duration::ZERO), 2);
        assert_eq!(pace.ended(LASTING), 1);
    }
}
