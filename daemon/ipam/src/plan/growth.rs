//! Where more addresses come from, single ones or by the /28: the ENIs that are there, in the order in which pods get
//! them; then one more ENI
//! that brings them along.

use super::Planner;
use crate::action::{Action, Verb};
use crate::address::AddressMode;
use crate::eni::{Eni, EniState};
use crate::policy::Balance;
use crate::reason::Reason;
use crate::trouble::Trouble;

impl Planner<'_> {
    pub(super) fn grow(&mut self) {
        let (balance, reserve, mode) = (self.balance, self.reserve, self.mode());
        let must = mode.slots_for(reserve.urgent(balance));
        let may = match mode {
            AddressMode::Secondary => reserve.deficit(balance),
            // More than must be would be sixteen more.
            AddressMode::Prefix => must,
        };
        if may > 0 {
            let asked = self.modest(Verb::Assign, may, balance);
            let filled = self.fill(mode, asked);
            if must > filled && filled < asked {
                let count = self.modest(Verb::Create, may - filled, balance);
                self.another_eni(mode, count);
            }
        }
        if balance.wanted > balance.free
            && let Some(since) = self.attaching_since()
        {
            self.because(Reason::Attaching { since });
        }
        self.without_prefixes();
    }

    /// How many to ask for of `count`, after what the subnet said last. EC2 gives all or nothing, so the reserve must not
    /// keep the last addresses of a subnet from the pods that wait for them: after one refusal only those are asked for,
    /// after more one address at a time, until a call goes through.
    fn modest(&self, verb: Verb, count: u32, balance: Balance) -> u32 {
        let wanted = balance.wanted.saturating_sub(balance.free + balance.coming);
        let full = |trouble: &&Trouble| trouble.reason == Reason::SubnetFull;
        match self.pool().troubles().last(verb).filter(full) {
            Some(trouble) if wanted > 0 && trouble.failures == 1 => wanted.min(count),
            Some(_) if wanted > 0 => 1,
            // The reserve is worth no subnet's last address.
            _ => count,
        }
    }

    /// Whether an ENI is asked for all it takes, once it is asked at all; not where the subnet could not give that.
    fn takes_all(&self, verb: Verb) -> bool {
        let last = self.pool().troubles().last(verb);
        let full = last.is_some_and(|trouble| trouble.reason == Reason::SubnetFull);
        self.policy().is_of_whole_enis() && !full
    }

    /// Asks for up to `missing` addresses or prefixes on the ENIs that are there or on their way; answers for how many
    /// they have room. What they cannot be asked for just now counts too: a call that ends, or may be made again, in a
    /// moment is cheaper than an ENI.
    fn fill(&mut self, mode: AddressMode, missing: u32) -> u32 {
        let usable = |eni: &&Eni| (eni.is_ready() || self.is_coming(eni)) && eni.missed.is_none();
        let mut enis: Vec<&Eni> = self.pool().enis().filter(usable).collect();
        enis.sort_by_key(|eni| (!eni.is_ready(), eni.device_index));
        let mut left = missing;
        let all = self.takes_all(Verb::Assign);
        for eni in enis {
            let room = self.room(eni);
            if room.min(left) == 0 {
                continue;
            }
            let count = if all { room } else { room.min(left) };
            let busy = self.busy(&eni.id, Verb::Assign) || self.busy(&eni.id, Verb::Unassign);
            let action = Action::Assign {
                eni: eni.id.clone(),
                mode,
                count,
            };
            if busy || self.act(action.clone()) || self.will_do(&action) {
                left = left.saturating_sub(count);
            }
        }
        missing - left
    }

    /// How many addresses or prefixes an ENI can take, once the calls about it have ended.
    pub(super) fn room(&self, eni: &Eni) -> u32 {
        let asked: u32 = self
            .intents(Verb::Assign)
            .map(|intent| match &intent.action {
                Action::Assign { eni: id, count, .. } if *id == eni.id => *count,
                _ => 0,
            })
            .sum();
        let slots = self.view.limits.slots_per_eni;
        slots.saturating_sub(self.holding(&eni.id).slots + asked)
    }

    /// Whether Assign rests for a reason that passes, or that would meet a new ENI's addresses just the same. EC2's word
    /// that an ENI is full or in a wrong state is neither.
    fn will_do(&self, assign: &Action) -> bool {
        let troubles = self.pool().troubles();
        troubles.blocking(assign, self.now).is_some_and(|trouble| {
            !matches!(
                trouble.reason,
                Reason::AddressLimit | Reason::Refused { .. }
            )
        })
    }

    /// Makes one ENI that brings so many addresses or prefixes, as many as it can have; one at a time, since what it brings
    /// is counted as coming and the next plan sees what is still missing.
    fn another_eni(&mut self, mode: AddressMode, count: u32) {
        if self.intents(Verb::Create).next().is_some() {
            return;
        }
        let limit = self
            .view
            .settings
            .max_eni
            .map_or(self.view.limits.enis, |max| max.min(self.view.limits.enis));
        let count_of = |there: &mut dyn Iterator<Item = &Eni>| {
            u32::try_from(there.count()).unwrap_or(u32::MAX)
        };
        let all = count_of(&mut self.pool().enis());
        let lying = count_of(&mut self.pool().enis().filter(|eni| self.lies_around(eni)));
        // Not without an end, though: each costs the subnet an address.
        if all - lying.min(limit) >= limit {
            if !self.filling() {
                self.because(Reason::EniLimit { enis: limit });
            }
            return;
        }
        let Some(device_index) = self.free_device_index() else {
            self.because(Reason::EniLimit { enis: limit });
            return;
        };
        let slots = self.view.limits.slots_per_eni;
        let all = self.takes_all(Verb::Create);
        let action = Action::Create {
            token: format!("{}-{}", self.view.token_seed, self.next),
            device_index,
            mode,
            count: if all { slots } else { count.min(slots) },
        };
        self.act(action);
    }

    /// Whether an ENI is off the instance and stays so, since it may not be deleted: it takes no place.
    fn lies_around(&self, eni: &Eni) -> bool {
        eni.state == EniState::Detached && self.may_not_delete()
    }

    /// Whether the role does not permit to delete ENIs, as far as known.
    pub(super) fn may_not_delete(&self) -> bool {
        let last = self.pool().troubles().last(Verb::Delete);
        last.is_some_and(|trouble| matches!(trouble.reason, Reason::AccessDenied { .. }))
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

    /// The lowest place that no ENI has or is on its way to. Foreign ones may sit anywhere, so places beyond the limit are looked at too;
    /// EC2 takes 0 to 99 whatever the type's number of ENIs is.
    pub(super) fn free_device_index(&self) -> Option<u32> {
        let under_way = self.pool().intents().map(|(_, intent)| &intent.action);
        let planned = self.plan.actions.iter().map(|(_, action)| action);
        let promised = under_way.chain(planned).filter_map(Action::device_index);
        let there = self.pool().enis().filter(|eni| !self.lies_around(eni));
        let there = there.map(|eni| eni.device_index);
        let taken: Vec<u32> = there.chain(promised).collect();
        (1..=99).find(|index| !taken.contains(index))
    }
}
