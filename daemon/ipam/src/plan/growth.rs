//! Where more addresses come from: the ENIs that are there, the fullest first; then one more ENI that brings them along.

use super::Planner;
use crate::action::{Action, Verb};
use crate::eni::Eni;
use crate::policy::RESERVE;
use crate::reason::Reason;

impl Planner<'_> {
    pub(super) fn grow(&mut self) {
        let balance = self.balance();
        let deficit = RESERVE.deficit(balance);
        if deficit > 0 {
            let filled = self.fill(deficit);
            let urgent = RESERVE.urgent(balance).saturating_sub(filled);
            if urgent > 0 {
                self.another_eni(deficit - filled);
            }
        }
        if balance.wanted > balance.free
            && let Some(since) = self.attaching_since()
        {
            self.because(Reason::Attaching { since });
        }
    }

    /// Asks for up to `deficit` addresses on the ENIs that are there; answers how many.
    fn fill(&mut self, deficit: u32) -> u32 {
        let mut enis: Vec<&Eni> = self.pool().enis().filter(|eni| eni.is_ready()).collect();
        enis.sort_by_key(|eni| {
            (
                std::cmp::Reverse(self.pool().tally(&eni.id).used()),
                eni.device_index,
            )
        });
        let mut left = deficit;
        for eni in enis {
            let spare = self
                .view
                .limits
                .slots_per_eni
                .saturating_sub(self.pool().slots(&eni.id));
            let count = spare.min(left);
            let busy = self.busy(&eni.id, Verb::Assign) || self.busy(&eni.id, Verb::Unassign);
            if count == 0 || busy {
                continue;
            }
            if !self.act(Action::Assign {
                eni: eni.id.clone(),
                count,
            }) {
                break;
            }
            left -= count;
        }
        deficit - left
    }

    /// Makes one ENI that brings `addresses`, as many as it can have; one at a time, since its addresses are counted as
    /// coming and the next plan sees what is still missing.
    fn another_eni(&mut self, addresses: u32) {
        if self.intents(Verb::Create).next().is_some() {
            return;
        }
        let limit = self
            .view
            .settings
            .max_eni
            .map_or(self.view.limits.enis, |max| max.min(self.view.limits.enis));
        let there = u32::try_from(self.pool().enis().count()).unwrap_or(u32::MAX);
        if there >= limit {
            if !self.filling() {
                self.because(Reason::EniLimit { enis: limit });
            }
            return;
        }
        let Some(device_index) = self.free_device_index() else {
            self.because(Reason::EniLimit { enis: limit });
            return;
        };
        let action = Action::Create {
            token: format!("{}-{}", self.view.token_seed, self.next),
            device_index,
            addresses: addresses.min(self.view.limits.slots_per_eni),
        };
        self.act(action);
    }

    /// Whether addresses are being asked for, so that a full house is not yet the last word.
    fn filling(&self) -> bool {
        self.intents(Verb::Assign).next().is_some()
            || self
                .plan
                .actions
                .iter()
                .any(|(_, action)| action.verb() == Verb::Assign)
    }

    /// The lowest place that no ENI has. Foreign ones may sit anywhere, so places beyond the limit are looked at too;
    /// EC2 takes 0 to 99 whatever the type's number of ENIs is.
    pub(super) fn free_device_index(&self) -> Option<u32> {
        let taken: Vec<u32> = self.pool().enis().map(|eni| eni.device_index).collect();
        (1..=99).find(|index| !taken.contains(index))
    }
}
