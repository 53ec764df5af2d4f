//! What is given back, and when: levels of surplus that are old enough, as whole prefixes and single addresses; and ENIs
//! that have emptied.

mod blocks;

use super::Planner;
use super::layout::{Lack, Portion};
use crate::action::Action;
use crate::eni::{Eni, EniId, Ownership};
use crate::policy::Balance;

impl Planner<'_> {
    /// Nothing is given back in a plan that asks for something.
    pub(super) fn release(&mut self) {
        let surplus = self.reserve.surplus(self.balance);
        self.plan.history.surplus(surplus, self.now);
        let emptied = self.pool().enis().filter(|eni| self.is_emptied(eni));
        let emptied = emptied.map(|eni| &eni.id).collect();
        self.plan.history.without_pods(emptied, self.now);
        if self.asks() {
            return;
        }
        if let Some(eni) = self.empty_eni() {
            let free = self.holding(&eni).tally.free;
            if self.act(Action::Detach { eni }) {
                self.plan.history.released(free);
                return;
            }
        }
        if !self.asks() {
            self.unassign();
        }
    }

    /// A secondary ENI without pods whose addresses the others' reserve makes up for; the last one attached goes first.
    /// None where it could not be deleted: it would lie around, and the next pods would have another one made.
    fn empty_eni(&mut self) -> Option<EniId> {
        if self.may_not_delete() {
            // None may be left by then whose deletion is tried again.
            if let Some(until) = self.delete_denied() {
                self.wake(until);
            }
            return None;
        }
        let mut enis: Vec<&Eni> = self
            .pool()
            .enis()
            .filter(|eni| eni.ownership == Ownership::Ours && eni.takes_pods())
            .collect();
        enis.sort_by_key(|eni| std::cmp::Reverse(eni.device_index));
        let (patience, reserve) = (self.patience(), self.reserve);
        for eni in enis {
            let tally = self.holding(&eni.id).tally;
            let only_free = tally.held() == tally.free;
            if !only_free || !self.is_idle(&eni.id) || !self.others_have_room(eni, patience.room) {
                continue;
            }
            let others = self.balance.without(tally.free);
            // What is only asked for may be refused, and then this ENI would be missed.
            let there = Balance {
                coming: 0,
                ..others
            };
            let since = self.plan.history.idle_since(&eni.id);
            let idle = since.unwrap_or(self.now).after(patience.idle_eni);
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

    /// Whether so many more pods could live on the other ENIs: else the next ones would need this one again.
    fn others_have_room(&self, eni: &Eni, pods: u32) -> bool {
        let others = self.pool().enis().filter(|other| other.id != eni.id);
        let others = others.filter(|other| other.takes_pods());
        let room = others.map(|other| self.room(other) + self.holding(&other.id).tally.free);
        room.sum::<u32>() >= self.balance.wanted + pods
    }

    /// Asks for the reserve where pods are, if there is room: an ENI that stands for nothing else costs an address more.
    /// Answers whether it did.
    fn move_reserve(&mut self, from: &Eni, addresses: u32) -> bool {
        if self.layout() != self.wished() {
            // Where there are no prefixes just now, the one that stands is worth the ENI.
            return false;
        }
        let lack = Lack {
            must: addresses,
            may: addresses,
        };
        let fits = |eni: &&Eni| {
            eni.id != from.id
                && eni.takes_pods()
                && self.is_idle(&eni.id)
                && self.room(eni) > 0
                && self.portion(self.room(eni), lack).brings(0) >= addresses
        };
        let lowest = self.pool().enis().filter(fits);
        let Some(eni) = lowest.min_by_key(|eni| eni.device_index) else {
            return false;
        };
        let Portion { mode, count } = self.portion(self.room(eni), lack);
        let eni = eni.id.clone();
        self.act(Action::Assign { eni, mode, count })
    }

    /// Whether an ENI will go as a whole once it was idle for long enough.
    fn is_emptied(&self, eni: &Eni) -> bool {
        eni.ownership == Ownership::Ours && self.holding(&eni.id).tally.used() == 0
    }
}
