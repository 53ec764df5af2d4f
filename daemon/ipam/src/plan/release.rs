//! What is given back, and when: addresses that nobody wanted for a while, and ENIs that have emptied.

use std::net::Ipv4Addr;

use super::Planner;
use crate::action::{Action, Verb};
use crate::eni::{Eni, EniState, Ownership};
use crate::policy::{Balance, RESERVE};
use crate::time::Timestamp;

impl Planner<'_> {
    /// Nothing is given back in a plan that asks for something.
    pub(super) fn release(&mut self) {
        if self.asks() {
            return;
        }
        let balance = self.balance();
        if let Some(eni) = self.empty_eni(balance)
            && self.act(Action::Detach { eni })
        {
            return;
        }
        if self.asks() {
            return;
        }
        let surplus = RESERVE.surplus(balance);
        if surplus > 0 {
            self.unassign(surplus);
        }
    }

    /// Whether this plan asks for addresses.
    fn asks(&self) -> bool {
        let asks = |verb| matches!(verb, Verb::Assign | Verb::Create);
        let mut actions = self.plan.actions.iter();
        actions.any(|(_, action)| asks(action.verb()))
    }

    /// A secondary ENI without pods whose addresses the others' reserve makes up for; the last one attached goes first.
    fn empty_eni(&mut self, balance: Balance) -> Option<crate::eni::EniId> {
        let mut enis: Vec<&Eni> = self
            .pool()
            .enis()
            .filter(|eni| eni.ownership == Ownership::Ours && eni.takes_pods())
            .collect();
        enis.sort_by_key(|eni| std::cmp::Reverse(eni.device_index));
        for eni in enis {
            let tally = self.pool().tally(&eni.id);
            let only_free = tally.held() == tally.free;
            let others = Balance {
                free: balance.free - tally.free,
                ..balance
            };
            if !only_free || !self.is_idle(&eni.id) {
                continue;
            }
            let idle = self.idle_since(eni).after(RESERVE.age);
            if idle > self.now {
                self.wake(idle);
            } else if RESERVE.urgent(others) == 0 {
                return Some(eni.id.clone());
            } else if self.move_reserve(eni, RESERVE.urgent(others)) {
                return None;
            }
        }
        None
    }

    /// Asks for the reserve where pods are, if there is room: an ENI that stands for nothing else costs an address more.
    /// Answers whether it did.
    fn move_reserve(&mut self, from: &Eni, count: u32) -> bool {
        let fits = |eni: &&Eni| {
            eni.id != from.id
                && eni.takes_pods()
                && self.is_idle(&eni.id)
                && self.room(eni) >= count
        };
        let fullest = self
            .pool()
            .enis()
            .filter(fits)
            .max_by_key(|eni| self.pool().tally(&eni.id).used());
        let Some(eni) = fullest.map(|eni| eni.id.clone()) else {
            return false;
        };
        self.act(Action::Assign { eni, count })
    }

    /// Whether an ENI will go as a whole once it was idle for long enough.
    fn is_emptied(&self, eni: &Eni) -> bool {
        eni.ownership == Ownership::Ours && self.pool().tally(&eni.id).used() == 0
    }

    /// Since when an ENI has had no pod.
    fn idle_since(&self, eni: &Eni) -> Timestamp {
        let ready = match eni.state {
            EniState::Ready { since } => since,
            _ => eni.learned,
        };
        self.pool()
            .addresses_of(&eni.id)
            .filter_map(|(_, address)| address.free_since())
            .fold(ready, Timestamp::max)
    }

    /// Gives back up to `surplus` addresses that are old enough, from the ENI with the fewest pods first, so that it
    /// empties; one call an ENI.
    fn unassign(&mut self, surplus: u32) {
        let mut enis: Vec<&Eni> = self.pool().enis().filter(|eni| eni.takes_pods()).collect();
        enis.sort_by_key(|eni| {
            (
                self.pool().tally(&eni.id).used(),
                std::cmp::Reverse(eni.device_index),
            )
        });
        let mut left = surplus as usize;
        let mut spare = self.spare_beside_emptied(&enis);
        for eni in enis {
            let most = if self.is_emptied(eni) {
                left
            } else {
                left.min(spare)
            };
            if most == 0 || self.busy(&eni.id, Verb::Assign) || self.busy(&eni.id, Verb::Unassign) {
                continue;
            }
            let old = self.old_addresses(eni, most);
            if old.is_empty() {
                continue;
            }
            left -= old.len();
            if !self.is_emptied(eni) {
                spare -= old.len();
            }
            self.act(Action::Unassign {
                eni: eni.id.clone(),
                addresses: old,
            });
        }
    }

    /// How many the ENIs that stay may give: where one is about to go, the reserve is left to them.
    fn spare_beside_emptied(&self, enis: &[&Eni]) -> usize {
        let stay = enis.iter().filter(|eni| !self.is_emptied(eni));
        let free: u32 = stay.map(|eni| self.pool().tally(&eni.id).free).sum();
        let kept = if enis.iter().any(|eni| self.is_emptied(eni)) {
            RESERVE.high
        } else {
            0
        };
        free.saturating_sub(kept) as usize
    }

    /// Up to `most` addresses of `eni` that were free for long enough, the longest free first. Single ones only: a
    /// prefix goes as a whole or not at all.
    fn old_addresses(&mut self, eni: &Eni, most: usize) -> Vec<Ipv4Addr> {
        let mut free: Vec<(Timestamp, Ipv4Addr)> = self
            .pool()
            .addresses_of(&eni.id)
            .filter(|(_, address)| address.block == crate::address::Block::Single)
            .filter_map(|(ip, address)| address.free_since().map(|since| (since, ip)))
            .collect();
        free.sort_unstable();
        let (now, age) = (self.now, RESERVE.age);
        let old: Vec<Ipv4Addr> = free
            .iter()
            .filter(|(since, _)| now.since(*since) >= age)
            .map(|(_, ip)| *ip)
            .take(most)
            .collect();
        if old.len() < most
            && let Some((since, _)) = free.get(old.len())
        {
            self.wake(since.after(age));
        }
        old
    }
}
