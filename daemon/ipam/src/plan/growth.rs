//! Where more addresses come from, single ones or by the /28: the ENIs that are there, in the order in which pods get
//! them; then one more ENI that brings them along.

use std::time::Duration;

use super::Planner;
use super::layout::{Lack, Portion};
use crate::action::{Action, Verb};
use crate::eni::{Eni, EniState};
use crate::policy::Policy;
use crate::reason::Reason;
use crate::time::Timestamp;
use crate::trouble::Trouble;

/// So many pods must be without an address for an ENI to be made only because that is quicker.
const WORTH_AN_ENI: u32 = 5;

/// So often in a row Assign must have been throttled for an ENI to be made instead.
const DETOUR: u32 = 2;

/// How long the reserve may be short before it is filled.
const REFILL_AFTER: Duration = Duration::from_secs(1);

impl Planner<'_> {
    pub(super) fn grow(&mut self) {
        let (balance, reserve) = (self.balance, self.reserve);
        let lack = Lack {
            must: reserve.urgent(balance),
            may: reserve.deficit(balance),
        };
        if lack.must > 0 && !self.may_wait() {
            let asked = self.modest(Verb::Assign, lack);
            let left = self.fill(asked);
            if left.must > 0 {
                let brought = asked.may - left.may;
                self.another_eni(self.modest(Verb::Create, lack.less(brought)));
            }
        }
        if balance.wanted > balance.free
            && let Some(since) = self.attaching_since()
        {
            self.because(Reason::Attaching { since });
        }
        self.without_prefixes();
    }

    /// Whether the reserve alone is missing, and only for a moment: the pods that come meanwhile are served by the same call.
    fn may_wait(&mut self) -> bool {
        let balance = self.balance;
        let reserve_only = balance.wanted <= balance.free + balance.coming;
        let patient = self.policy() == Policy::Own && !self.plan.history.is_fresh();
        let short = reserve_only && patient;
        let Some(since) = self.plan.history.is_short(short, self.now) else {
            return false;
        };
        let until = since.after(REFILL_AFTER);
        self.wake(until);
        self.now < until
    }

    /// How many to ask for, after what the subnet said last. EC2 gives all or nothing, so the reserve must not keep the last
    /// addresses of a subnet from the pods that wait for them: after one refusal only those are asked for, after more one
    /// address at a time, until a call goes through.
    fn modest(&self, verb: Verb, lack: Lack) -> Lack {
        let balance = self.balance;
        let wanted = balance.wanted.saturating_sub(balance.free + balance.coming);
        let full = |trouble: &&Trouble| trouble.reason == Reason::SubnetFull;
        let most = match self.pool().troubles().last(verb).filter(full) {
            Some(trouble) if wanted > 0 && trouble.failures == 1 => wanted,
            Some(_) if wanted > 0 => 1,
            // The reserve is worth no subnet's last address.
            _ => return lack,
        };
        Lack {
            must: lack.must.min(most),
            may: lack.may.min(most),
        }
    }

    /// Whether an ENI is asked for all it takes, once it is asked at all; not where the subnet could not give that.
    fn takes_all(&self, verb: Verb) -> bool {
        let last = self.pool().troubles().last(verb);
        let full = last.is_some_and(|trouble| trouble.reason == Reason::SubnetFull);
        self.policy().is_of_whole_enis() && !full
    }

    /// Asks the ENIs that are there or on their way; answers what they have no room for. What they cannot be asked for just
    /// now counts too: a call that ends, or may be made again, in a moment is cheaper than an ENI.
    fn fill(&mut self, lack: Lack) -> Lack {
        let usable = |eni: &&Eni| (eni.is_ready() || self.is_coming(eni)) && eni.missed.is_none();
        let mut enis: Vec<&Eni> = self.pool().enis().filter(usable).collect();
        enis.sort_by_key(|eni| (!eni.is_ready(), eni.device_index));
        let mut left = lack;
        let all = self.takes_all(Verb::Assign);
        for eni in enis {
            let room = self.room(eni);
            if room == 0 || left.must == 0 {
                continue;
            }
            let Portion { mode, count } = self.portion(room, left);
            let count = if all { room } else { count };
            let busy = self.busy(&eni.id, Verb::Assign) || self.busy(&eni.id, Verb::Unassign);
            let action = Action::Assign {
                eni: eni.id.clone(),
                mode,
                count,
            };
            if busy || self.act(action.clone()) || self.will_do(&action) && !self.may_detour() {
                left = left.less(Portion { mode, count }.brings(room));
            }
        }
        left
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
        slots.saturating_sub(self.holding(&eni.id).slots() + asked)
    }

    /// Whether Assign rests for a reason that passes, or that would meet a new ENI's addresses just the same. EC2's word
    /// that an ENI is full or in a wrong state is neither.
    fn will_do(&self, assign: &Action) -> bool {
        let (verb, urgency) = (assign.verb(), self.urgency(assign.verb()));
        let budget = self.pool().budget();
        if budget.rests_until(verb, urgency, self.now).is_some() {
            return true;
        }
        let troubles = self.pool().troubles();
        troubles.blocking(assign, self.now).is_some_and(|trouble| {
            !matches!(
                trouble.reason,
                Reason::AddressLimit | Reason::Refused { .. }
            )
        })
    }

    /// Whether an ENI that brings the addresses is quicker than waiting for Assign: EC2 throttles each kind of call by itself.
    fn may_detour(&self) -> bool {
        let last = self.pool().troubles().last(Verb::Assign);
        let throttled = |trouble: &Trouble| {
            matches!(trouble.reason, Reason::Throttled { .. }) && trouble.failures >= DETOUR
        };
        last.is_some_and(throttled)
            && self.balance.wanted >= self.balance.free + self.balance.coming + WORTH_AN_ENI
            && self.pressure.has_room_for_enis()
            && self.has_place()
    }

    /// Makes one ENI that brings so many addresses or prefixes, as many as it can have; one at a time, since what it brings
    /// is counted as coming and the next plan sees what is still missing.
    fn another_eni(&mut self, lack: Lack) {
        if self.intents(Verb::Create).next().is_some() {
            return;
        }
        let limit = self.most_enis();
        if !self.has_place() {
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
        let Portion { mode, count } = self.portion(slots, lack);
        let action = Action::Create {
            token: format!("{}-{}", self.view.token_seed, self.next),
            device_index,
            mode,
            count: if all { slots } else { count },
        };
        self.act(action);
    }

    /// How many ENIs the instance may have.
    fn most_enis(&self) -> u32 {
        let limit = self.view.limits.enis;
        self.view
            .settings
            .max_eni
            .map_or(limit, |max| max.min(limit))
    }

    /// Whether it has fewer. Those that lie around do not count, but not without an end: each costs the subnet an address.
    fn has_place(&self) -> bool {
        let limit = self.most_enis() as usize;
        let lying = self
            .pool()
            .enis()
            .filter(|eni| self.lies_around(eni))
            .count();
        self.pool().enis().count() - lying.min(limit) < limit
    }

    /// Whether an ENI is off the instance and stays so, since it may not be deleted: it takes no place.
    fn lies_around(&self, eni: &Eni) -> bool {
        eni.state == EniState::Detached && self.may_not_delete()
    }

    /// Whether the role does not permit to delete ENIs, as far as known: [`Self::delete_denied`], or one lies around, whose
    /// deletion is tried again and would tell.
    pub(super) fn may_not_delete(&self) -> bool {
        let lie_around = || {
            let mut enis = self.pool().enis();
            enis.any(|eni| eni.state == EniState::Detached)
        };
        self.delete_denied()
            .is_some_and(|until| until > self.now || lie_around())
    }

    /// Until when nothing is deleted because the last try was denied.
    pub(super) fn delete_denied(&self) -> Option<Timestamp> {
        let last = self.pool().troubles().last(Verb::Delete);
        let denied = last.filter(|last| matches!(last.reason, Reason::AccessDenied { .. }));
        denied.map(|trouble| trouble.until)
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
