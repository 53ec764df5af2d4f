//! The levels of free addresses, and what a node lacks or has too much by them.

use std::time::Duration;

use crate::policy::Pressure;

/// How long a node counts as active after a pod came.
pub const RECENT: Duration = Duration::from_secs(600);

/// One more is kept for so many used ones.
const USED_PER_SPARE: u32 = 10;

/// What a reserve depends on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Need {
    /// Addresses that pods have, had lately or wait for.
    pub taken: u32,
    /// Slots an ENI.
    pub slots: u32,
    /// Whether no pod has come since the node's start.
    pub fresh: bool,
    /// Whether a pod came, or the node started, within [`RECENT`].
    pub recent: bool,
    /// Whether EC2 throttles this node's calls: then none is made for a reserve.
    pub congested: bool,
    /// How full the subnet is.
    pub pressure: Pressure,
}

/// How many free addresses a node keeps beyond what pods wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reserve {
    /// Below this, more are asked for.
    pub low: u32,
    /// Up to this many are asked for.
    pub high: u32,
    /// More than this many are given back.
    pub keep: u32,
}

impl Reserve {
    /// An operator's level.
    pub const fn fixed(level: u32) -> Self {
        Self {
            low: level,
            high: level,
            keep: level,
        }
    }

    /// berth's own: see the table at the top of [`crate::policy`].
    pub fn own(need: Need) -> Self {
        if need.fresh {
            // The first address shows that the node can serve at all: it is not ready without.
            let keep = 1 + u32::from(need.recent && !need.pressure.is_strong());
            let high = if need.congested { 1 } else { keep };
            return Self { low: 1, high, keep };
        }
        if need.pressure.is_hard() {
            return Self::fixed(0);
        }
        if !need.recent {
            // What is there already may serve the next pod; it is worth no call.
            return Self {
                low: 0,
                high: 0,
                keep: 1,
            };
        }
        let spread = match need.pressure.is_strong() {
            true => 1,
            false => need.taken.div_ceil(USED_PER_SPARE).max(1),
        };
        let keep = 1 + spread;
        let (low, high) = if need.congested { (0, 0) } else { (1, keep) };
        Self { low, high, keep }
    }

    /// How many to ask for now: none while the lower level holds, else up to the upper one.
    pub fn deficit(self, balance: Balance) -> u32 {
        if self.urgent(balance) == 0 {
            return 0;
        }
        (balance.wanted + self.high).saturating_sub(balance.free + balance.coming)
    }

    /// How many must come so that the lower level holds: for these an ENI is worth its price, for the rest it is not.
    pub fn urgent(self, balance: Balance) -> u32 {
        (balance.wanted + self.low).saturating_sub(balance.free + balance.coming)
    }

    /// How many free ones are too many. Those on their way do not count: a call may yet be refused, and then these would
    /// be asked for again.
    pub fn surplus(self, balance: Balance) -> u32 {
        balance.free.saturating_sub(balance.wanted + self.keep)
    }
}

/// What a node has and needs, in addresses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Balance {
    /// Pods that need an address.
    pub wanted: u32,
    /// Free ones.
    pub free: u32,
    /// On their way.
    pub coming: u32,
}

impl Balance {
    /// Without so many of the free ones.
    #[must_use]
    pub fn without(self, free: u32) -> Self {
        Self {
            free: self.free.saturating_sub(free),
            ..self
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Subnet;

    fn balance(wanted: u32, free: u32, coming: u32) -> Balance {
        Balance {
            wanted,
            free,
            coming,
        }
    }

    fn active(taken: u32) -> Need {
        Need {
            taken,
            recent: true,
            ..Need::default()
        }
    }

    fn levels(need: Need) -> [u32; 3] {
        let reserve = Reserve::own(need);
        [reserve.low, reserve.high, reserve.keep]
    }

    #[test]
    fn the_reserve_follows_the_pods_and_the_subnet() {
        let in_subnet = |free| Need {
            pressure: Pressure::of(Some(Subnet { free, size: 100 }), false),
            ..active(50)
        };
        assert_eq!(levels(Need::default()), [0, 0, 1]);
        let fresh = |recent| Need {
            fresh: true,
            recent,
            ..Need::default()
        };
        assert_eq!(levels(fresh(true)), [1, 2, 2]);
        assert_eq!(levels(fresh(false)), [1, 1, 1]);
        assert_eq!(levels(active(0)), [1, 2, 2]);
        assert_eq!(levels(active(10)), [1, 2, 2]);
        assert_eq!(levels(active(11)), [1, 3, 3]);
        assert_eq!(levels(active(50)), [1, 6, 6]);
        assert_eq!(levels(in_subnet(10)), [1, 6, 6]);
        assert_eq!(levels(in_subnet(9)), [1, 2, 2]);
        assert_eq!(levels(in_subnet(4)), [0, 0, 0]);
        let congested = Need {
            congested: true,
            ..active(50)
        };
        assert_eq!(levels(congested), [0, 0, 6]);
    }

    #[test]
    fn what_pods_need_is_asked_for_once() {
        let reserve = Reserve::own(active(0));
        assert_eq!(reserve.deficit(balance(0, 1, 0)), 0);
        assert_eq!(reserve.deficit(balance(0, 0, 0)), 2);
        assert_eq!(reserve.deficit(balance(7, 0, 0)), 9);
        assert_eq!(reserve.deficit(balance(7, 0, 9)), 0);
        assert_eq!(reserve.deficit(balance(9, 0, 9)), 2);
        assert_eq!(reserve.urgent(balance(9, 0, 9)), 1);
        let idle = Reserve::own(Need::default());
        assert_eq!(idle.deficit(balance(0, 0, 0)), 0);
        assert_eq!(idle.deficit(balance(3, 1, 0)), 2);
    }

    #[test]
    fn what_is_on_its_way_makes_nothing_dispensable() {
        let reserve = Reserve::own(active(0));
        assert_eq!(reserve.surplus(balance(0, 5, 0)), 3);
        assert_eq!(reserve.surplus(balance(0, 1, 9)), 0);
        assert_eq!(reserve.surplus(balance(0, 4, 9)), 2);
        assert_eq!(reserve.surplus(balance(4, 1, 4)), 0);
    }
}
