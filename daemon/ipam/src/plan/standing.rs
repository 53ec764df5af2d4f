//! How a node stands against its policy, for those who tell of it: the very figures that plans are made of.

use super::{Planner, View};
use crate::address::Layout;
use crate::policy::{Balance, Need, Patience, Policy, Reserve};
use crate::time::Timestamp;

/// What a node has, what it should have, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// What decides how much is held.
    pub policy: Policy,
    /// What is asked for now: prefixes, single addresses, or both.
    pub layout: Layout,
    /// What there is, and who wants it.
    pub balance: Balance,
    /// How many free addresses there should be.
    pub reserve: Reserve,
    /// What the reserve depends on.
    pub need: Need,
    /// How long what is too much is kept.
    pub patience: Patience,
    /// When a pod came last; before the first one, when all began.
    pub last_pod: Option<Timestamp>,
    /// Since when at least one free address has been too many, at least two, and so on.
    pub levels: Vec<Timestamp>,
}

impl Standing {
    /// How many free addresses are too many.
    pub fn surplus(&self) -> u32 {
        self.reserve.surplus(self.balance)
    }

    /// How many are asked for, or would be if they could be had.
    pub fn deficit(&self) -> u32 {
        self.reserve.deficit(self.balance)
    }
}

/// How the node of `view` stands.
pub fn standing(view: &View<'_>, now: Timestamp) -> Standing {
    let planner = Planner::new(view, now);
    Standing {
        policy: planner.policy(),
        layout: planner.layout(),
        balance: planner.balance,
        reserve: planner.reserve,
        need: planner.need(),
        patience: planner.patience(),
        last_pod: planner.plan.history.last_pod(),
        levels: planner.plan.history.levels().to_vec(),
    }
}
