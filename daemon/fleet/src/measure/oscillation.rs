//! Addresses of a node that were given back and taken again soon, or taken and given back soon: calls for nothing.

use std::collections::VecDeque;
use std::time::Duration;

use ipam::Timestamp;

/// What is soon.
const SOON: Duration = Duration::from_secs(300);

/// The recent past of a node.
#[derive(Clone, Debug, Default)]
pub struct Oscillation {
    taken: Recent,
    given: Recent,
}

impl Oscillation {
    /// Takes in that the node holds `by` addresses more, or fewer; answers how many of these turn back what was done lately.
    /// Every address counts once for each turn: taken, given back and taken again are two.
    pub fn changed(&mut self, by: i64, now: Timestamp) -> u64 {
        let (own, other) = match by >= 0 {
            true => (&mut self.taken, &mut self.given),
            false => (&mut self.given, &mut self.taken),
        };
        own.add(by.unsigned_abs(), now);
        other.match_up(by.unsigned_abs(), now)
    }
}

/// How many addresses were taken, or given back, when; those that were turned back already are gone.
#[derive(Clone, Debug, Default)]
struct Recent(VecDeque<(Timestamp, u64)>);

impl Recent {
    fn add(&mut self, count: u64, now: Timestamp) {
        self.forget(now);
        self.0.push_back((now, count));
    }

    fn forget(&mut self, now: Timestamp) {
        while self.0.front().is_some_and(|(at, _)| now.since(*at) > SOON) {
            self.0.pop_front();
        }
    }

    fn match_up(&mut self, count: u64, now: Timestamp) -> u64 {
        self.forget(now);
        let mut left = count;
        while left > 0
            && let Some((_, there)) = self.0.front_mut()
        {
            let matched = left.min(*there);
            left -= matched;
            *there -= matched;
            if *there == 0 {
                self.0.pop_front();
            }
        }
        count - left
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turned(history: &[(u64, i64)]) -> u64 {
        let mut oscillation = Oscillation::default();
        let turns = history.iter();
        turns
            .map(|(seconds, by)| oscillation.changed(*by, Timestamp::from_secs(*seconds)))
            .sum()
    }

    #[test]
    fn histories_by_hand() {
        for (history, turns) in [
            (&[(0, 5), (10, 5)][..], 0),
            // Given back within 5 min, and a moment later.
            (&[(0, 5), (300, -3)], 3),
            (&[(0, 5), (301, -3)], 0),
            // Taken again.
            (&[(0, 5), (1000, -3), (1100, 4)], 3),
            (&[(0, 5), (1000, -3), (1301, 4)], 0),
            // Each turn counts, each address once a turn.
            (&[(0, 2), (10, -2), (20, 2)], 4),
            (&[(0, 2), (10, -2), (20, 1), (30, 1)], 4),
            (&[(0, 2), (10, -1), (20, -1)], 2),
            // Growing twice as much as was given back turns back what was given back.
            (&[(0, 16), (1000, -16), (1010, 2), (1020, 40)], 16),
        ] {
            assert_eq!(turned(history), turns, "{history:?}");
        }
    }
}
