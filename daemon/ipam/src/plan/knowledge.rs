//! When to ask EC2 what is there: at start, each hour, after a doubtful outcome, and for a second look.

use std::time::Duration;

use super::Planner;
use crate::action::{Action, Verb};
use crate::address::{AddressState, MISSES, QUARANTINE};
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
        let knowledge = self.pool().knowledge();
        let (Some(last), false) = (knowledge.described, knowledge.wanted) else {
            return self.now;
        };
        let mut due = last.after(EACH);
        for (_, address) in self.pool().addresses() {
            if let AddressState::Quarantined { since } = address.state {
                due = due.min(since.after(QUARANTINE).max(last.after(SECOND_LOOK)));
            }
            if address.missed.is_some() {
                due = due.min(last.after(SECOND_LOOK));
            }
        }
        if self.pool().enis().any(|eni| eni.missed.is_some()) {
            due = due.min(last.after(SECOND_LOOK));
        }
        due
    }
}

/// Between the looks at something odd: spread over the time that convinces.
const SECOND_LOOK: Duration = Duration::from_secs(MISSES.1.as_secs() / MISSES.0 as u64);
