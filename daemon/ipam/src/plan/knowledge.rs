//! When to ask EC2 what is there: at start, each hour, after a doubtful outcome, and for a second look.

use std::time::Duration;

use super::Planner;
use crate::action::{Action, Intent, Verb};
use crate::address::{Address, AddressState, MISSES, QUARANTINE};
use crate::eni::{Eni, EniId, EniState};
use crate::time::Timestamp;

/// Between two Describes when nothing is amiss.
const EACH: Duration = Duration::from_secs(3600);

impl Planner<'_> {
    pub(super) fn know(&mut self) {
        if self.intents(Verb::Describe).next().is_some() {
            return;
        }
        let due = self.describe_due();
        if due <= self.now {
            self.act(Action::Describe);
        } else {
            self.wake(due);
        }
    }

    fn describe_due(&self) -> Timestamp {
        let pool = self.pool();
        let Some(last) = pool.knowledge().described else {
            return self.now;
        };
        let in_doubt = |i: &Intent| i.doubtful.is_some() && i.action.verb() != Verb::Create;
        if pool.intents().any(|(_, intent)| in_doubt(intent)) {
            return self.now;
        }
        let mut due = last.after(EACH);
        if pool.knowledge().wanted {
            due = due.min(last.after(APART));
        }
        let odd = |(_, a): (_, &Address)| a.missed.is_some() && a.is_held() && self.is_seen(&a.eni);
        if pool.addresses().any(odd) || pool.enis().any(|eni| self.is_odd(eni)) {
            due = due.min(last.after(SECOND_LOOK));
        }
        for (_, address) in pool.addresses() {
            if let AddressState::Quarantined { since } = address.state
                && self.is_seen(&address.eni)
            {
                due = due.min(since.after(QUARANTINE).max(last.after(SECOND_LOOK)));
            }
        }
        due
    }

    /// Whether Describe tells of an ENI's addresses.
    fn is_seen(&self, eni: &EniId) -> bool {
        let eni = self.pool().eni(eni);
        eni.is_some_and(|e| e.is_managed() && e.state != EniState::Detached)
    }

    /// Whether an ENI was missed, or has no link although it should be attached: then it may not be there at all.
    fn is_odd(&self, eni: &Eni) -> bool {
        let connecting = matches!(eni.state, EniState::Attaching { .. });
        let in_vain = self.pool().troubles().about(Verb::Connect, &eni.id);
        eni.missed.is_some() || connecting && in_vain.is_some()
    }
}

/// Between two Describes that are wanted, other than for a call in doubt: a state that contradicts us in each answer
/// must not make us ask without end.
const APART: Duration = Duration::from_secs(5);

/// Between the looks at something odd: spread over the time that convinces.
const SECOND_LOOK: Duration = Duration::from_secs(MISSES.1.as_secs() / MISSES.0 as u64);
