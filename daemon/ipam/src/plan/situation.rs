//! What a plan starts from: what there is, what it lacks or has too much, and how full the subnet is.

use super::{Plan, Planner, View};
use crate::action::{Action, Verb};
use crate::budget::Urgency;
use crate::eni::{Eni, EniState};
use crate::policy::reserve::RECENT;
use crate::policy::{Balance, Need, Patience, Policy, Pressure, Reserve};
use crate::reason::Reason;
use crate::time::Timestamp;
use crate::trouble::FRESH;

impl<'a> Planner<'a> {
    pub(super) fn new(view: &'a View<'a>, now: Timestamp) -> Self {
        let mut planner = Self {
            view,
            now,
            census: view.pool.census(),
            balance: Balance::default(),
            reserve: Reserve::fixed(0),
            pressure: Pressure::default(),
            plan: Plan {
                history: view.history.clone(),
                ..Plan::default()
            },
            next: view.pool.next_intent().0,
        };
        planner.remember_pods();
        planner.pressure = planner.pressure();
        planner.balance = planner.count();
        planner.reserve = planner.levels();
        planner
    }

    /// A pod may have been served from what there was, and gone again, between two plans: its attachment tells, or the one
    /// of a pod that came with it.
    fn remember_pods(&mut self) {
        self.plan.history.planned(self.now);
        let served = self.pool().attachments().map(|pod| pod.since).max();
        let waits = (self.view.demand.pods() > 0).then_some(self.now);
        for when in served.into_iter().chain(waits) {
            self.plan.history.pod_came(when.min(self.now));
        }
    }

    /// Free addresses, those on their way, and who waits for them.
    fn count(&self) -> Balance {
        let pool = self.pool();
        let on = |pick: &dyn Fn(&Eni) -> bool| -> u32 {
            let enis = pool.enis().filter(|eni| pick(eni));
            enis.map(|eni| self.holding(&eni.id).tally.free).sum()
        };
        let asked: u32 = pool.intents().map(|(_, i)| i.action.asks_for()).sum();
        Balance {
            wanted: self.view.demand.pods(),
            free: on(&Eni::takes_pods),
            coming: on(&|eni| self.is_coming(eni)) + asked,
        }
    }

    /// The free addresses to keep. A target of prefixes cannot be met with single addresses: while there are no
    /// prefixes, berth's own reserve serves.
    fn levels(&mut self) -> Reserve {
        let policy = match self.policy() {
            Policy::WarmPrefixes(_) if self.layout() != self.wished() => Policy::Own,
            policy => policy,
        };
        let need = self.need();
        if let Some(until) = (self.pool().budget()).congested_until(Verb::Assign, self.now) {
            self.wake(until);
        }
        if policy == Policy::Own
            && let Some(last) = self.plan.history.last_pod()
        {
            self.wake(last.after(RECENT));
        }
        policy.reserve(need)
    }

    pub(super) fn need(&self) -> Need {
        let last = self.plan.history.last_pod();
        Need {
            taken: self.taken(),
            slots: self.view.limits.slots_per_eni,
            fresh: self.plan.history.is_fresh(),
            recent: last.is_some_and(|last| self.now.since(last) < RECENT),
            congested: self.is_congested(),
            pressure: self.pressure,
        }
    }

    /// Whether the node needs addresses, or could give some.
    pub(super) fn is_concerned(&self) -> bool {
        let (reserve, balance) = (self.reserve, self.balance);
        reserve.surplus(balance) > 0 || reserve.deficit(balance) > 0 || balance.wanted > 0
    }

    /// How full the subnet is: as it was seen last, and as EC2 has said since.
    fn pressure(&mut self) -> Pressure {
        let told = [Verb::Assign, Verb::Create].map(|verb| self.pool().troubles().last(verb));
        let full = told.into_iter().flatten();
        let full = full.filter(|trouble| trouble.reason == Reason::SubnetFull);
        let until = full.map(|trouble| trouble.until.after(FRESH)).max();
        if let Some(until) = until {
            self.wake(until);
        }
        let refused = until.is_some_and(|until| self.now < until);
        Pressure::of(self.view.subnet, refused)
    }

    /// Whether calls for addresses are dear: each should do much then.
    pub(super) fn is_congested(&self) -> bool {
        let budget = self.pool().budget();
        budget.congested_until(Verb::Assign, self.now).is_some()
    }

    /// What a call would be for.
    pub(super) fn urgency(&self, verb: Verb) -> Urgency {
        let there = self.balance.free + self.balance.coming;
        match verb {
            Verb::Unassign | Verb::Detach | Verb::Delete => Urgency::Release,
            Verb::Assign | Verb::Create if self.view.demand.waiting > there => Urgency::Waiting,
            Verb::Assign | Verb::Create if self.balance.wanted > there => Urgency::Bound,
            Verb::Assign | Verb::Create => Urgency::Refill,
            // Part of what was begun.
            Verb::Attach | Verb::Protect | Verb::Connect | Verb::Describe => Urgency::Waiting,
        }
    }

    pub(super) fn patience(&self) -> Patience {
        self.policy().patience(self.pressure)
    }

    /// The addresses that pods have, had lately or wait for, and those that nobody can have yet.
    fn taken(&self) -> u32 {
        let enis = self.pool().enis();
        let enis = enis.filter(|eni| eni.is_ready() || self.is_coming(eni));
        let tallies = enis.map(|eni| self.holding(&eni.id).tally);
        let held: u32 = tallies.map(|t| t.used() + t.quarantined).sum();
        held + self.view.demand.pods()
    }

    /// Whether addresses on an ENI will soon be of use.
    pub(super) fn is_coming(&self, eni: &Eni) -> bool {
        eni.is_coming() && self.link_missing(eni).is_none()
    }

    /// Why an attached ENI is not counted on: its link was awaited in vain.
    pub(super) fn link_missing(&self, eni: &Eni) -> Option<Reason> {
        let trouble = self.pool().troubles().about(Verb::Connect, &eni.id)?;
        matches!(trouble.reason, Reason::NoLink { .. }).then(|| trouble.reason.clone())
    }

    /// Whether this plan asks for addresses.
    pub(super) fn asks(&self) -> bool {
        let asks = |action: &Action| matches!(action.verb(), Verb::Assign | Verb::Create);
        self.plan.actions.iter().any(|(_, action)| asks(action))
    }

    /// Since when the ENI that is longest on its way is being attached.
    pub(super) fn attaching_since(&self) -> Option<Timestamp> {
        self.pool()
            .enis()
            .filter(|eni| self.is_coming(eni))
            .map(|eni| match eni.state {
                EniState::Attaching { since } => since,
                _ => eni.learned,
            })
            .chain(self.intents(Verb::Create).map(|intent| intent.started))
            .min()
    }
}
