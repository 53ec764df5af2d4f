//! How long what is too much is kept, and how much goes at a time.

use std::time::Duration;

use crate::history::History;
use crate::policy::Pressure;
use crate::time::Timestamp;

/// How long a level of surplus is kept where the subnet has room.
pub const AGE: Duration = Duration::from_secs(300);

/// How long a secondary ENI without pods is kept: it costs one address, and four calls and seconds to have again.
const IDLE_ENI: Duration = Duration::from_secs(900);
/// The same where its address is needed elsewhere.
const IDLE_ENI_PRESSED: Duration = Duration::from_secs(30);

/// When levels of surplus, and ENIs without pods, go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// How old a level must be to count.
    pub age: Duration,
    /// How many such levels are worth a call.
    pub batch: usize,
    /// How old one must be to be worth a call alone.
    pub alone: Duration,
    /// How old levels must be to go along.
    pub along: Duration,
    /// How long an ENI must have been without pods.
    pub idle_eni: Duration,
    /// How many more pods the other ENIs must have room for when an ENI goes.
    pub room: u32,
}

impl Patience {
    /// With aws-node's targets: it gives back what is above them as soon as a pass of its loop sees it, at most once in
    /// 30 s; and an ENI that is a minute old (`ipamd.go`, `datastore.go`).
    pub const FIXED: Self = Self {
        age: Duration::from_secs(60),
        batch: 1,
        alone: Duration::from_secs(60),
        along: Duration::from_secs(60),
        idle_eni: Duration::from_secs(60),
        room: 0,
    };

    /// berth's own.
    pub fn own(pressure: Pressure) -> Self {
        let age = pressure.shortened(AGE);
        if pressure.is_felt() {
            return Self {
                age,
                batch: 1,
                alone: age,
                along: age / 2,
                idle_eni: IDLE_ENI_PRESSED,
                room: 0,
            };
        }
        Self {
            age,
            batch: 4,
            alone: 3 * age,
            along: age / 2,
            idle_eni: IDLE_ENI,
            room: 3,
        }
    }

    /// How many of the levels of surplus may go now.
    pub fn ripe(&self, history: &History, now: Timestamp) -> u32 {
        let older = |age| history.older_than(age, now);
        if older(self.age) >= self.batch || older(self.alone) >= 1 {
            return u32::try_from(older(self.along)).unwrap_or(u32::MAX);
        }
        0
    }

    /// When more of them may.
    pub fn ripens(&self, history: &History, now: Timestamp) -> Option<Timestamp> {
        let levels = history.levels();
        let ripe = self.ripe(history, now) as usize;
        if ripe > 0 {
            return levels.get(ripe).map(|at| at.after(self.along));
        }
        let together = levels.get(self.batch - 1).map(|at| at.after(self.age));
        let alone = levels.first().map(|at| at.after(self.alone));
        together.into_iter().chain(alone).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Subnet;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_secs(seconds)
    }

    fn levels(since: &[u64]) -> History {
        let mut history = History::default();
        for (below, since) in since.iter().enumerate() {
            history.surplus(u32::try_from(below).unwrap_or(0) + 1, at(*since));
        }
        history
    }

    #[test]
    fn four_levels_go_together_and_one_alone_much_later() {
        let patience = Patience::own(Pressure::default());
        let four = levels(&[0, 0, 10, 20, 200]);
        assert_eq!(patience.ripens(&four, at(319)), Some(at(320)));
        assert_eq!(patience.ripe(&four, at(319)), 0);
        assert_eq!(patience.ripe(&four, at(320)), 4);
        assert_eq!(patience.ripens(&four, at(320)), Some(at(350)));
        assert_eq!(patience.ripe(&four, at(350)), 5, "half as old goes along");
        let one = levels(&[7]);
        assert_eq!(patience.ripens(&one, at(7)), Some(at(907)));
        assert_eq!(patience.ripe(&one, at(906)), 0);
        assert_eq!(patience.ripe(&one, at(907)), 1);
        assert_eq!(patience.ripens(&History::default(), at(7)), None);
    }

    #[test]
    fn in_a_full_subnet_each_level_goes_at_once() {
        let full = Pressure::of(Some(Subnet { free: 1, size: 100 }), false);
        let patience = Patience::own(full);
        assert_eq!(patience.ripe(&levels(&[100, 100]), at(100)), 2);
        let nearly = Pressure::of(Some(Subnet { free: 9, size: 100 }), false);
        let patience = Patience::own(nearly);
        let history = levels(&[100, 180]);
        assert_eq!(patience.ripens(&history, at(200)), Some(at(250)));
        assert_eq!(patience.ripe(&history, at(249)), 0);
        assert_eq!(patience.ripe(&history, at(250)), 1);
        assert_eq!(patience.ripe(&history, at(255)), 2);
    }
}
