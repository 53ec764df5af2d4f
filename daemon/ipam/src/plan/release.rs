//! What is given back, and when: addresses and whole prefixes that nobody wanted for a while, and ENIs that have emptied.

mod blocks;

use super::Planner;
use crate::action::{Action, Verb};
use crate::address::AddressMode;
use crate::eni::{Eni, EniId, EniState, Ownership};
use crate::policy::{AGE, Balance};
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
        if !self.asks() {
            self.unassign(balance);
        }
    }

    /// Whether this plan asks for addresses.
    fn asks(&self) -> bool {
        let asks = |verb| matches!(verb, Verb::Assign | Verb::Create);
        let mut actions = self.plan.actions.iter();
        actions.any(|(_, action)| asks(action.verb()))
    }

    /// A secondary ENI without pods whose addresses the others' reserve makes up for; the last one attached goes first.
    /// None where it could not be deleted: it would lie around, and the next pods would have another one made.
    fn empty_eni(&mut self, balance: Balance) -> Option<EniId> {
        if self.may_not_delete() {
            return None;
        }
        let mut enis: Vec<&Eni> = self
            .pool()
            .enis()
            .filter(|eni| eni.ownership == Ownership::Ours && eni.takes_pods())
            .collect();
        enis.sort_by_key(|eni| std::cmp::Reverse(eni.device_index));
        for eni in enis {
            let tally = self.pool().tally(&eni.id);
            let only_free = tally.held() == tally.free;
            if !only_free || !self.is_idle(&eni.id) {
                continue;
            }
            let (others, reserve) = (balance.without(tally.free), self.reserve());
            // What is only asked for may be refused, and then this ENI would be missed.
            let there = Balance {
                coming: 0,
                ..others
            };
            let idle = self.idle_since(eni).after(AGE);
            if idle > self.now {
                self.wake(idle);
            } else if reserve.urgent(there) == 0 {
                return Some(eni.id.clone());
            } else if reserve.urgent(others) > 0 && self.move_reserve(eni, reserve.urgent(others)) {
                return None;
            }
        }
        None
    }

    /// Asks for the reserve where pods are, if there is room: an ENI that stands for nothing else costs an address more.
    /// Answers whether it did.
    fn move_reserve(&mut self, from: &Eni, addresses: u32) -> bool {
        let mode = self.mode();
        // Where there are no prefixes just now, the one that stands is worth the ENI.
        mode == self.wished() && self.ask_beside(Some(from), mode, mode.slots_for(addresses))
    }

    /// Asks for so many addresses or prefixes on the fullest ENI that has room and is not `from`. Answers whether it did.
    fn ask_beside(&mut self, from: Option<&Eni>, mode: AddressMode, count: u32) -> bool {
        let fits = |eni: &&Eni| {
            from.is_none_or(|from| eni.id != from.id)
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
        self.act(Action::Assign { eni, mode, count })
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
}
