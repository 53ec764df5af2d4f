//! What comes next for a pod that has no address.

use std::net::Ipv4Addr;

use super::Scene;
use crate::action::{Action, Verb};
use crate::address::{Address, AddressState};
use crate::eni::Eni;
use crate::time::Timestamp;

/// What a pod without an address gets next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// The answer to a call that is under way.
    Answer {
        /// It.
        action: Action,
        /// Since when.
        since: Timestamp,
    },
    /// A call.
    Call {
        /// It.
        action: Action,
        /// When it begins.
        at: Timestamp,
    },
    /// An address that has rested after its last pod.
    Rested {
        /// Which.
        ip: Ipv4Addr,
        /// When.
        at: Timestamp,
    },
}

impl Next {
    /// When it happens; what is under way has begun.
    fn at(&self) -> Timestamp {
        match self {
            Self::Answer { since: at, .. } | Self::Call { at, .. } | Self::Rested { at, .. } => *at,
        }
    }
}

impl Scene<'_> {
    /// The first thing that helps a pod; none when no pod needs help.
    pub(super) fn next(&self) -> Option<Next> {
        if self.standing.balance.wanted <= self.standing.balance.free {
            return None;
        }
        let under_way = self.view.pool.intents().map(|(_, intent)| Next::Answer {
            action: intent.action.clone(),
            since: intent.started,
        });
        let calls = self.steps.iter().map(|step| Next::Call {
            action: step.action.clone(),
            at: step.at,
        });
        let serves = |next: &Next| match next {
            Next::Answer { action, .. } | Next::Call { action, .. } => match action.verb() {
                Verb::Describe => self.is_in_doubt(),
                verb => verb.serves_pods(),
            },
            Next::Rested { .. } => true,
        };
        let all = under_way.chain(calls).filter(serves).chain(self.rested());
        all.min_by_key(Next::at)
    }

    /// Whether a Describe may bring an address: one that is held, or a call that rests until it has told.
    fn is_in_doubt(&self) -> bool {
        let pool = self.view.pool;
        let quarantined = |a: &Address| matches!(a.state, AddressState::Quarantined { .. });
        !pool.knowledge().complete
            || pool.intents().any(|(_, intent)| intent.doubtful.is_some())
            || pool.addresses().any(|(_, address)| quarantined(address))
    }

    /// Addresses that rest, on ENIs that take pods.
    fn rested(&self) -> impl Iterator<Item = Next> {
        let addresses = self.view.pool.addresses().filter(|(_, address)| {
            let eni = self.view.pool.eni(&address.eni);
            address.missed.is_none() && eni.is_some_and(Eni::takes_pods)
        });
        addresses.filter_map(|(ip, address)| match address.state {
            AddressState::Cooling { until: at } => Some(Next::Rested { ip, at }),
            _ => None,
        })
    }
}
