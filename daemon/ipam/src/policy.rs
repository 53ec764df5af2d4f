//! The pool policy: how much a node should hold. Everything else in `plan` is about how to get there.
//!
//! berth holds what the pods need (running, cooling down, waiting, bound) and a reserve that depends on what happened lately:
//!
//! | the node | asked for | given back |
//! |---|---|---|
//! | a pod waits or is bound | what the pods need and the reserve, now | nothing |
//! | had a pod within 10 minutes | below one free address: up to the reserve, one and a tenth of the used | above the reserve, by age |
//! | had none | nothing | above one, by age |
//! | has just started | two, one of them to show that it can serve | above two, by age |
//! | in a subnet with less than 15 % free | the same | sooner and sooner |
//! | less than 10 % | a reserve of two at most | above that |
//! | less than 5 % | for pods only | all that is free, at once below 3 % |
//! | whose calls EC2 throttles | for pods only, in few large calls | as ever, when calls are to be had |
//!
//! *By age*: not an address but a level of surplus has an age, since the longest free address is handed out first and under
//! churn none would ever grow old. The second level is as old as there have been two addresses too many. Recency is the best
//! predictor of the next pod, and calls are dear: so a level waits for 5 minutes and for three others, or alone for 15, and
//! then takes along all that are half as old (measured on real traces: without the age eight times the calls, without the
//! band between one and the reserve twice, predicting arrivals gains nothing).
//!
//! [`reserve`] has the levels, [`patience`] the ages, [`pressure`] the subnet. aws-node's warm targets, where an operator
//! sets them, replace the reserve by fixed levels ([`WarmTargets`]).

pub mod patience;
pub mod pressure;
pub mod reserve;

pub use patience::Patience;
pub use pressure::Pressure;
pub use reserve::{Balance, Need, Reserve};

use crate::address::{Layout, PREFIX_ADDRESSES};

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
    /// what the slots are filled with.
    pub fn of(targets: WarmTargets, layout: Layout) -> Self {
        let free = targets.addresses.unwrap_or(0);
        let minimum = targets.minimum.unwrap_or(0);
        if free > 0 || minimum > 0 {
            return Self::WarmAddresses { free, minimum };
        }
        match layout {
            Layout::Prefixes => targets.prefixes.map_or(Self::Own, Self::WarmPrefixes),
            Layout::Singles => targets.enis.map_or(Self::Own, Self::WarmEnis),
            Layout::Hybrid => Self::Own,
        }
    }

    /// The free addresses to keep. A target keeps one at least, whatever it is: aws-node asks when it has none, so that
    /// the next pod finds one.
    pub fn reserve(self, need: Need) -> Reserve {
        match self {
            Self::Own => Reserve::own(need),
            Self::WarmAddresses { free, minimum } => {
                Reserve::fixed(free.max(minimum.saturating_sub(need.taken)))
            }
            Self::WarmPrefixes(prefixes) => {
                Reserve::fixed(prefixes.saturating_mul(PREFIX_ADDRESSES).max(1))
            }
            Self::WarmEnis(enis) => Reserve::fixed(enis.saturating_mul(need.slots).max(1)),
        }
    }

    /// How long what is too much is kept.
    pub fn patience(self, pressure: Pressure) -> Patience {
        match self {
            Self::Own => Patience::own(pressure),
            _ => Patience::FIXED,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_count_only_where_aws_node_counts_them() {
        use Layout::{Hybrid, Prefixes as Prefix, Singles as Secondary};
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
            (targets(None, None, Some(1), Some(1)), Hybrid, Policy::Own),
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
        for (targets, layout, policy) in cases {
            assert_eq!(
                Policy::of(targets, layout),
                policy,
                "{targets:?} {layout:?}"
            );
        }
    }

    #[test]
    fn levels_of_targets() {
        let level = |policy: Policy, taken| {
            let need = Need {
                taken,
                slots: 29,
                ..Need::default()
            };
            let reserve = policy.reserve(need);
            assert_eq!((reserve.low, reserve.high), (reserve.high, reserve.keep));
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
