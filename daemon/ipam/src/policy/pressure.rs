//! How full the node's subnet is, and what follows from it. Where nobody can say, nothing does.

use std::time::Duration;

use crate::plan::Subnet;

/// The share of a subnet that is free, in thousandths. Only what [`Pressure::of`] was told: `None` is no pressure.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pressure {
    free: Option<u32>,
}

/// Below this a prefix is a trap: one long-lived pod pins sixteen addresses that others need (simulated: at 10 % instead, pods
/// starve in a tight subnet).
const NO_PREFIXES: u32 = 350;
/// Below this an ENI's own address is too dear to save time.
const NO_ENI_FOR_TIME: u32 = 200;
/// Below this share of free addresses release becomes quicker.
const FELT: u32 = 150;
/// Below this the reserve is one more than its lower level at most.
const STRONG: u32 = 100;
/// Below this there is no reserve.
const HARD: u32 = 50;
/// Below this what is too much goes at once.
const UTMOST: u32 = 30;

impl Pressure {
    /// As DescribeSubnets showed it last, unless EC2 has said since that it is full (`refused`).
    pub fn of(subnet: Option<Subnet>, refused: bool) -> Self {
        let share = |subnet: Subnet| {
            let thousandths = u64::from(subnet.free) * 1000 / u64::from(subnet.size.max(1));
            u32::try_from(thousandths).unwrap_or(u32::MAX)
        };
        Self {
            free: if refused { Some(0) } else { subnet.map(share) },
        }
    }

    fn is_below(self, thousandths: u32) -> bool {
        self.free.is_some_and(|free| free < thousandths)
    }

    /// Whether prefixes may be mixed with single addresses.
    pub fn has_room_for_prefixes(self) -> bool {
        !self.is_below(NO_PREFIXES + 1)
    }

    /// Whether an ENI may be made only because that is quicker.
    pub fn has_room_for_enis(self) -> bool {
        !self.is_below(NO_ENI_FOR_TIME + 1)
    }

    /// Whether what is too much goes quicker than usual.
    pub fn is_felt(self) -> bool {
        self.is_below(FELT)
    }

    /// Whether the reserve is small.
    pub fn is_strong(self) -> bool {
        self.is_below(STRONG)
    }

    /// Whether there is no reserve.
    pub fn is_hard(self) -> bool {
        self.is_below(HARD)
    }

    /// An age under pressure: all of it at 15 % free, none at 3 %.
    pub fn shortened(self, age: Duration) -> Duration {
        let free = self.free.unwrap_or(FELT).clamp(UTMOST, FELT);
        age * (free - UTMOST) / (FELT - UTMOST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pressure_rises_as_a_subnet_fills() {
        let of = |free| Pressure::of(Some(Subnet { free, size: 1000 }), false);
        let cases = [
            (1000, [false; 3], 300),
            (150, [false; 3], 300),
            (149, [true, false, false], 297),
            (90, [true, true, false], 150),
            (49, [true; 3], 47),
            (30, [true; 3], 0),
            (0, [true; 3], 0),
        ];
        for (free, is, age) in cases {
            let p = of(free);
            assert_eq!([p.is_felt(), p.is_strong(), p.is_hard()], is, "{free}");
            assert_eq!(p.shortened(Duration::from_secs(300)).as_secs(), age);
        }
    }

    #[test]
    fn an_unknown_subnet_presses_nobody_and_one_that_refused_does() {
        assert!(!Pressure::of(None, false).is_felt());
        assert!(Pressure::of(None, true).is_hard());
        let large = Subnet {
            free: 900,
            size: 1000,
        };
        assert!(Pressure::of(Some(large), true).is_hard());
        assert!(Pressure::of(Some(Subnet { free: 0, size: 0 }), false).is_hard());
    }
}
