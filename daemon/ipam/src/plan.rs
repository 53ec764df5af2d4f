//! What to do next: a pure function of the pool, its limits, the demand and the time.
//!
//! The order of the parts is the order of importance: know what is there, finish what was begun, serve who waits, refill,
//! give back. What cannot be done now says why ([`Plan::reasons`]) and when it can ([`Plan::wake_at`]).

mod growth;
mod knowledge;
mod layout;
mod life;
mod release;
mod situation;
mod standing;

pub use standing::{Standing, standing};

use crate::action::{Action, Intent, IntentId, Verb};
use crate::budget::Urgency;
use crate::eni::EniId;
use crate::history::History;
use crate::policy::{Balance, Pressure, Reserve};
use crate::pool::{Census, Holding, Pool};
use crate::reason::Reason;
use crate::settings::PoolSettings;
use crate::time::Timestamp;

/// What the instance type allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// ENIs, the primary included.
    pub enis: u32,
    /// Secondary addresses (or prefixes) an ENI.
    pub slots_per_eni: u32,
    /// Whether its ENIs take prefixes: on nitro and bare metal.
    pub prefixes: bool,
}

/// Who needs an address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Demand {
    /// ADDs that wait now, and those that gave up lately, whose runtime will come again.
    pub waiting: u32,
    /// Pods that the API server shows bound to this node, without an address and without an ADD yet.
    pub bound: u32,
}

impl Demand {
    /// All that need an address.
    pub fn pods(self) -> u32 {
        self.waiting.saturating_add(self.bound)
    }
}

/// How full a subnet is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subnet {
    /// Addresses that nobody has.
    pub free: u32,
    /// All that it can give: without AWS's own five.
    pub size: u32,
}

/// All that a plan depends on.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// The state.
    pub pool: &'a Pool,
    /// The instance type's limits.
    pub limits: Limits,
    /// The operator's settings.
    pub settings: &'a PoolSettings,
    /// Who waits.
    pub demand: Demand,
    /// The node's subnet as DescribeSubnets showed it last, where that is known.
    pub subnet: Option<Subnet>,
    /// What the last plan remembered.
    pub history: &'a History,
    /// Makes the client tokens of this process unlike those of any other.
    pub token_seed: &'a str,
}

/// What to do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// To be started now, each under its name: new ones under [`Pool::next_intent`] and up, in this order.
    pub actions: Vec<(IntentId, Action)>,
    /// When to plan again, if nothing happens before.
    pub wake_at: Option<Timestamp>,
    /// Why the pool is not as it should be; the first is what a waiting pod waits for.
    pub reasons: Vec<Reason>,
    /// Why calls rest that no pod waits for.
    pub beside: Vec<Reason>,
    /// What the next plan must know of this one's past; lost in a restart, which costs nothing but time.
    pub history: History,
    /// Whether the node needs addresses, or could give some: then it has a stake in how full its subnet is.
    pub concerned: bool,
}

/// What to do now. A satisfied pool has an empty plan.
pub fn plan(view: &View<'_>, now: Timestamp) -> Plan {
    let mut planner = Planner::new(view, now);
    planner.plan.concerned = planner.is_concerned();
    planner.know();
    planner.live();
    let complete = view.pool.knowledge().complete;
    if complete {
        planner.grow();
        planner.release();
    }
    // Why a call must be made again says more than that the daemon is still starting.
    planner.retried();
    if !complete {
        planner.because(Reason::DaemonStarting);
    }
    planner.cooling();
    planner.beside();
    planner.plan
}

/// A plan in the making.
struct Planner<'a> {
    view: &'a View<'a>,
    now: Timestamp,
    census: &'a Census,
    balance: Balance,
    reserve: Reserve,
    pressure: Pressure,
    plan: Plan,
    next: u64,
}

impl<'a> Planner<'a> {
    fn pool(&self) -> &'a Pool {
        self.view.pool
    }

    fn holding(&self, eni: &EniId) -> &Holding {
        self.census.of(eni)
    }

    /// Adds an action unless its kind rests after a failure; then the plan says so. Answers whether it was added.
    fn act(&mut self, action: Action) -> bool {
        if self.is_blocked(&action) {
            return false;
        }
        self.plan.actions.push((IntentId(self.next), action));
        self.next += 1;
        true
    }

    /// Whether calls like this rest; notes why and until when.
    fn is_blocked(&mut self, action: &Action) -> bool {
        let (verb, urgency) = (action.verb(), self.urgency(action.verb()));
        let budget = self.pool().budget();
        if let Some(until) = budget.rests_until(verb, urgency, self.now) {
            if urgency == Urgency::Bound {
                self.because(Reason::Throttled { until });
            }
            self.wake(until);
            return true;
        }
        let Some(trouble) = self.pool().troubles().blocking(action, self.now) else {
            return false;
        };
        self.because(trouble.reason.clone());
        self.wake(trouble.until);
        true
    }

    /// While a call that failed is made again, who waits for it still waits for the same reason.
    fn retried(&mut self) {
        if self.view.demand.waiting == 0 {
            return;
        }
        for verb in [
            Verb::Describe,
            Verb::Assign,
            Verb::Create,
            Verb::Attach,
            Verb::Connect,
        ] {
            let under_way = self.pool().intents().map(|(_, intent)| &intent.action);
            let planned = self.plan.actions.iter().map(|(_, action)| action);
            let made = under_way.chain(planned).filter(|a| a.verb() == verb);
            let troubles = made.flat_map(|action| self.pool().troubles().of(action));
            let reasons: Vec<Reason> = troubles.map(|trouble| trouble.reason.clone()).collect();
            reasons.into_iter().for_each(|reason| self.because(reason));
        }
    }

    /// What rests although no pod waits for it.
    fn beside(&mut self) {
        for trouble in self.pool().troubles().resting(self.now) {
            let told = self.plan.reasons.iter().chain(&self.plan.beside);
            if !told.into_iter().any(|reason| *reason == trouble.reason) {
                self.plan.beside.push(trouble.reason.clone());
            }
        }
    }

    fn because(&mut self, reason: Reason) {
        if !self.plan.reasons.contains(&reason) {
            self.plan.reasons.push(reason);
        }
    }

    fn wake(&mut self, at: Timestamp) {
        if at > self.now {
            self.plan.wake_at = Some(self.plan.wake_at.map_or(at, |other| other.min(at)));
        }
    }

    /// The actions under way, and those of this plan, that are about `eni`.
    fn busy(&self, eni: &EniId, verb: Verb) -> bool {
        let about = |action: &Action| action.eni() == Some(eni) && action.verb() == verb;
        self.pool()
            .intents()
            .any(|(_, intent)| about(&intent.action))
            || self.plan.actions.iter().any(|(_, action)| about(action))
    }

    /// Whether nothing is under way, in doubt or planned for `eni`.
    fn is_idle(&self, eni: &EniId) -> bool {
        let about = |action: &Action| action.eni() == Some(eni);
        !self.pool().intents().any(|(_, i)| about(&i.action))
            && !self.plan.actions.iter().any(|(_, action)| about(action))
    }

    fn intents(&self, verb: Verb) -> impl Iterator<Item = &'a Intent> {
        self.pool()
            .intents()
            .map(|(_, intent)| intent)
            .filter(move |i| i.action.verb() == verb)
    }

    /// The next end of a cooldown wakes the planner while somebody waits; an address that rests is no reserve.
    fn cooling(&mut self) {
        let Some(until) = self.census.cooled() else {
            return;
        };
        self.wake(until);
        let coming = self.balance.coming > 0 || !self.plan.actions.is_empty();
        if self.view.demand.waiting > 0 && !coming {
            self.because(Reason::CoolingOnly { until });
        }
    }
}
