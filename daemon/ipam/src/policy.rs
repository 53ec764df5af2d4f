//! The pool policy: how much a node should hold. Everything else in `plan` is about how to get there.
//!
//! berth holds what the pods need (running, cooling down, waiting) and a reserve of one or two addresses. The two levels
//! are what keeps it calm: below the lower one it asks, up to the upper one; above the upper one it gives back, but only
//! addresses that nobody wanted for a while. Recency is the best predictor of the next pod (measured on real traces: without
//! the age, eight times the calls; without the band, twice).

use std::time::Duration;

/// How many free addresses a node keeps beyond what pods wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reserve {
    /// Below this, more are asked for.
    pub low: u32,
    /// Up to this many are asked for, and more than this many are given back.
    pub high: u32,
    /// How long an address must have been free before it is given back.
    pub age: Duration,
}

/// One or two.
pub const RESERVE: Reserve = Reserve {
    low: 1,
    high: 2,
    age: Duration::from_secs(60),
};

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

    /// How many free ones are too many.
    pub fn surplus(self, balance: Balance) -> u32 {
        (balance.free + balance.coming)
            .saturating_sub(balance.wanted + self.high)
            .min(balance.free)
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
    fn what_is_on_its_way_is_not_given_back() {
        assert_eq!(RESERVE.surplus(balance(0, 1, 9)), 1);
        assert_eq!(RESERVE.surplus(balance(4, 1, 4)), 0);
    }
}
