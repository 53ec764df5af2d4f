//! The pool policy: how much a node should hold. Everything else in `plan` is about how to get there.
//!
//! berth holds what the pods need (running, cooling down, waiting) and a reserve of one or two addresses. The two levels
//! are what keeps it calm: below the lower one it asks, up to the upper one; above the upper one it gives back, but only
//! addresses that nobody wanted for a while. Recency is the best predictor of the next pod (measured on real traces: without
//! the age, eight times the calls; without the band, twice). A /28 brings sixteen at once, so with prefixes one is asked for
//! when the lower level needs it.
//!
//! aws-node's warm targets, where an operator sets them, replace the reserve by fixed levels ([`WarmTargets`]).

use std::time::Duration;

use crate::address::{AddressMode, PREFIX_ADDRESSES};

/// How long an address must have been free before it is given back.
pub const AGE: Duration = Duration::from_secs(60);

/// How many free addresses a node keeps beyond what pods wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reserve {
    /// Below this, more are asked for.
    pub low: u32,
    /// Up to this many are asked for, and more than this many are given back.
    pub high: u32,
}

/// One or two.
pub const RESERVE: Reserve = Reserve { low: 1, high: 2 };

/// aws-node's variables, as far as they are set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WarmTargets {
    /// WARM_IP_TARGET.
    pub addresses: Option<u32>,
    /// MINIMUM_IP_TARGET.
    pub minimum: Option<u32>,
    /// WARM_ENI_TARGET.
    pub enis: Option<u32>,
    /// WARM_PREFIX_TARGET.
    pub prefixes: Option<u32>,
}

/// What decides how much is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// berth's own reserve.
    Own,
    /// So many free addresses, and so many in all at least.
    WarmAddresses {
        /// Free ones.
        free: u32,
        /// In all, those of pods included.
        minimum: u32,
    },
    /// So many free /28s; addresses of others do not count as one, but their sum makes up for one.
    WarmPrefixes(u32),
    /// So many ENIs' worth of free addresses, in whole ENIs.
    WarmEnis(u32),
}

impl Policy {
    /// aws-node's order of precedence: targets of addresses (0 is none) before all others, then the one that belongs to
    /// the mode.
    pub fn of(targets: WarmTargets, mode: AddressMode) -> Self {
        let free = targets.addresses.unwrap_or(0);
        let minimum = targets.minimum.unwrap_or(0);
        if free > 0 || minimum > 0 {
            return Self::WarmAddresses { free, minimum };
        }
        match mode {
            AddressMode::Prefix => targets.prefixes.map_or(Self::Own, Self::WarmPrefixes),
            AddressMode::Secondary => targets.enis.map_or(Self::Own, Self::WarmEnis),
        }
    }

    /// The free addresses to keep on a node where `taken` addresses are pods' (running, cooling down, waiting), and an ENI
    /// has `slots`. At least one, whatever the target: aws-node asks when it has none, so that the next pod finds one.
    pub fn reserve(self, taken: u32, slots: u32) -> Reserve {
        let level = match self {
            Self::Own => return RESERVE,
            Self::WarmAddresses { free, minimum } => free.max(minimum.saturating_sub(taken)),
            Self::WarmPrefixes(prefixes) => prefixes.saturating_mul(PREFIX_ADDRESSES).max(1),
            Self::WarmEnis(enis) => enis.saturating_mul(slots).max(1),
        };
        Reserve {
            low: level,
            high: level,
        }
    }

    /// Whether an ENI is filled, and goes, as a whole only.
    pub fn is_of_whole_enis(self) -> bool {
        matches!(self, Self::WarmEnis(_))
    }

    /// How many prefixes without pods are kept although their addresses are not needed.
    pub fn idle_prefixes(self) -> u32 {
        match self {
            Self::WarmPrefixes(prefixes) => prefixes,
            _ => 0,
        }
    }
}

/// What a node has and needs, in addresses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Balance {
    /// Pods that wait for an address.
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

impl Reserve {
    /// How many to ask for now: none while the lower level holds, else up to the upper one.
    pub fn deficit(self, balance: Balance) -> u32 {
        let have = balance.free + balance.coming;
        if have >= balance.wanted + self.low {
            return 0;
        }
        balance.wanted + self.high - have
    }

    /// How many must come so that the lower level holds: for these an ENI is worth its price, for the rest it is not.
    pub fn urgent(self, balance: Balance) -> u32 {
        (balance.wanted + self.low).saturating_sub(balance.free + balance.coming)
    }

    /// How many free ones are too many. Those on their way do not count: a call may yet be refused, and then these would
    /// be asked for again.
    pub fn surplus(self, balance: Balance) -> u32 {
        balance.free.saturating_sub(balance.wanted + self.high)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn balance(wanted: u32, free: u32, coming: u32) -> Balance {
        Balance {
            wanted,
            free,
            coming,
        }
    }

    #[test]
    fn an_idle_node_keeps_one_or_two() {
        assert_eq!(RESERVE.deficit(balance(0, 0, 0)), 2);
        assert_eq!(RESERVE.deficit(balance(0, 1, 0)), 0);
        assert_eq!(RESERVE.surplus(balance(0, 2, 0)), 0);
        assert_eq!(RESERVE.surplus(balance(0, 5, 0)), 3);
    }

    #[test]
    fn what_pods_wait_for_is_asked_for_once() {
        assert_eq!(RESERVE.deficit(balance(7, 0, 0)), 9);
        assert_eq!(RESERVE.deficit(balance(7, 0, 9)), 0);
        assert_eq!(RESERVE.deficit(balance(9, 0, 9)), 2);
        assert_eq!(RESERVE.urgent(balance(9, 0, 9)), 1);
    }

    #[test]
    fn what_is_on_its_way_makes_nothing_dispensable() {
        assert_eq!(RESERVE.surplus(balance(0, 1, 9)), 0);
        assert_eq!(RESERVE.surplus(balance(0, 4, 9)), 2);
        assert_eq!(RESERVE.surplus(balance(4, 1, 4)), 0);
    }

    #[test]
    fn targets_count_only_where_aws_node_counts_them() {
        use AddressMode::{Prefix, Secondary};
        let targets = |addresses, minimum, enis, prefixes| WarmTargets {
            addresses,
            minimum,
            enis,
            prefixes,
        };
        let warm = |free, minimum| Policy::WarmAddresses { free, minimum };
        let cases = [
            (targets(None, None, None, None), Secondary, Policy::Own),
            (targets(None, None, None, None), Prefix, Policy::Own),
            // What aws-node's manifest sets.
            (
                targets(None, None, Some(1), Some(1)),
                Secondary,
                Policy::WarmEnis(1),
            ),
            (
                targets(None, None, Some(1), Some(1)),
                Prefix,
                Policy::WarmPrefixes(1),
            ),
            (targets(None, None, Some(1), None), Prefix, Policy::Own),
            (targets(None, None, None, Some(1)), Secondary, Policy::Own),
            (
                targets(Some(2), None, Some(1), Some(1)),
                Secondary,
                warm(2, 0),
            ),
            (targets(None, Some(5), Some(1), Some(1)), Prefix, warm(0, 5)),
            (
                targets(Some(0), Some(0), Some(3), None),
                Secondary,
                Policy::WarmEnis(3),
            ),
            (targets(Some(0), None, None, None), Secondary, Policy::Own),
        ];
        for (targets, mode, policy) in cases {
            assert_eq!(Policy::of(targets, mode), policy, "{targets:?} {mode:?}");
        }
    }

    #[test]
    fn levels_of_targets() {
        let level = |policy: Policy, taken| {
            let reserve = policy.reserve(taken, 29);
            assert_eq!(reserve.low, reserve.high);
            reserve.low
        };
        let warm = |free, minimum| Policy::WarmAddresses { free, minimum };
        assert_eq!(
            [0, 5, 15].map(|taken| level(warm(5, 10), taken)),
            [10, 5, 5]
        );
        // The floor alone keeps nothing free above it.
        assert_eq!([0, 4, 9].map(|taken| level(warm(0, 5), taken)), [5, 1, 0]);
        assert_eq!(level(Policy::WarmPrefixes(2), 7), 32);
        assert_eq!(level(Policy::WarmEnis(2), 7), 58);
        assert_eq!(level(Policy::WarmEnis(0), 7), 1);
        assert_eq!(level(Policy::WarmPrefixes(0), 7), 1);
    }
}
