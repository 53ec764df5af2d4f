//! Which addresses and prefixes an ENI that stays gives back for the levels of surplus that are ripe: from the last ENI
//! first, so that it empties; of single addresses the longest free. A prefix goes whole or not at all. Of what the operator
//! does not wish any more (single addresses where prefixes are asked for, prefixes where they are not) first.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use crate::action::{Action, Verb};
use crate::address::{Block, Layout, PREFIX_ADDRESSES};
use crate::eni::Eni;
use crate::plan::Planner;

/// So many of its addresses are worth two calls: one that gives a prefix back, one that asks for the others anew.
const MOST_OF_A_PREFIX: u32 = 9;

/// How much may go.
struct Spare {
    /// Addresses, of all ENIs.
    all: u32,
    /// Of these, on ENIs that stay.
    staying: u32,
    /// Prefixes.
    prefixes: u32,
    /// How many addresses must be too many for a prefix to go.
    worth: u32,
}

impl Planner<'_> {
    /// Gives back what has been too much for long enough, one call an ENI.
    pub(super) fn unassign(&mut self) {
        let patience = self.patience();
        if let Some(next) = patience.ripens(&self.plan.history, self.now) {
            self.wake(next);
        }
        let ripe = patience.ripe(&self.plan.history, self.now);
        if ripe == 0 {
            return;
        }
        let mut enis: Vec<&Eni> = self.pool().enis().filter(|eni| eni.takes_pods()).collect();
        enis.sort_by_key(|eni| std::cmp::Reverse(eni.device_index));
        let idle: usize = (enis.iter())
            .map(|eni| self.holding(&eni.id).idle_prefixes().count())
            .sum();
        let kept = self.policy().idle_prefixes();
        let mut spare = Spare {
            all: ripe,
            staying: self.spare_beside_emptied(&enis),
            prefixes: u32::try_from(idle).unwrap_or(u32::MAX).saturating_sub(kept),
            worth: self.worth_a_prefix(),
        };
        for eni in enis {
            if !self.busy(&eni.id, Verb::Assign) && !self.busy(&eni.id, Verb::Unassign) {
                self.unassign_from(eni, &mut spare);
            }
        }
    }

    fn unassign_from(&mut self, eni: &Eni, spare: &mut Spare) {
        let emptied = self.is_emptied(eni);
        let most = if emptied {
            spare.all
        } else {
            spare.all.min(spare.staying)
        };
        let mut addresses = self.old_addresses(eni, most);
        let mut prefixes = self.idle_prefixes(eni, spare, most);
        // One kind a call: what is not wished any more goes first.
        match self.wished() {
            Layout::Prefixes if !addresses.is_empty() => prefixes.clear(),
            _ if !prefixes.is_empty() => addresses.clear(),
            _ => {}
        }
        let gone = count(&prefixes) * PREFIX_ADDRESSES + count(&addresses);
        if gone == 0 {
            return;
        }
        let action = Action::Unassign {
            eni: eni.id.clone(),
            addresses,
            prefixes: prefixes.clone(),
        };
        if !self.act(action) {
            return;
        }
        self.plan.history.released(gone);
        self.balance = self.balance.without(gone);
        spare.all = spare.all.saturating_sub(gone);
        spare.prefixes -= count(&prefixes);
        if !emptied {
            spare.staying = spare.staying.saturating_sub(gone);
        }
    }

    /// Where single addresses may be had instead, a prefix makes way for them although some of its addresses are the
    /// reserve: those are asked for anew.
    fn worth_a_prefix(&self) -> u32 {
        match self.wished() {
            Layout::Singles => 1,
            Layout::Hybrid => MOST_OF_A_PREFIX,
            Layout::Prefixes => PREFIX_ADDRESSES,
        }
    }

    /// How many the ENIs that stay may give: where one is about to go, the reserve is left to them.
    fn spare_beside_emptied(&self, enis: &[&Eni]) -> u32 {
        let stay = enis.iter().filter(|eni| !self.is_emptied(eni));
        let free: u32 = stay.map(|eni| self.holding(&eni.id).tally.free).sum();
        let kept = match enis.iter().any(|eni| self.is_emptied(eni)) {
            true => self.reserve.keep,
            false => 0,
        };
        free.saturating_sub(kept)
    }

    /// Up to `most` single addresses of `eni`, the longest free first. None where whole ENIs are kept.
    fn old_addresses(&self, eni: &Eni, most: u32) -> Vec<Ipv4Addr> {
        if self.policy().is_of_whole_enis() {
            return Vec::new();
        }
        let free = self.holding(&eni.id).free.values();
        let mut singles: Vec<_> = free.filter(|free| free.block == Block::Single).collect();
        singles.sort_by_key(|free| (free.since, free.address));
        let singles = singles.into_iter().take(most as usize);
        singles.map(|free| free.address).collect()
    }

    /// As many of the prefixes of `eni` without pods as are worth it, and as those who wait can do without.
    fn idle_prefixes(&self, eni: &Eni, spare: &Spare, most: u32) -> Vec<Ipv4Net> {
        let beside = self.balance.free.saturating_sub(self.balance.wanted) / PREFIX_ADDRESSES;
        // The last one goes for less than all sixteen.
        let worth = (most + PREFIX_ADDRESSES - spare.worth) / PREFIX_ADDRESSES;
        let count = worth.min(beside).min(spare.prefixes);
        let idle = self.holding(&eni.id).idle_prefixes();
        idle.take(count as usize).collect()
    }
}

fn count<T>(items: &[T]) -> u32 {
    u32::try_from(items.len()).unwrap_or(u32::MAX)
}
