//! Whether prefixes or single addresses are asked for now.

use super::Planner;
use crate::address::AddressMode;
use crate::policy::Policy;
use crate::reason::Reason;

impl Planner<'_> {
    /// What the operator wants, as far as the type can have it.
    pub(super) fn wished(&self) -> AddressMode {
        self.view.settings.mode_on(self.view.limits)
    }

    /// What is asked for now: single addresses, for a while, where the subnet had no free /28.
    pub(super) fn mode(&self) -> AddressMode {
        match self.pool().troubles().fragmented(self.now) {
            Some(_) => AddressMode::Secondary,
            None => self.wished(),
        }
    }

    pub(super) fn policy(&self) -> Policy {
        Policy::of(self.view.settings.targets, self.wished())
    }

    /// Says why there are single addresses where prefixes are wanted; and comes back to a target of prefixes, which they
    /// do not meet, as soon as it may.
    pub(super) fn without_prefixes(&mut self) {
        let Some(trouble) = self.pool().troubles().fragmented(self.now) else {
            return;
        };
        if self.wished() != AddressMode::Prefix {
            return;
        }
        let wanted = self.policy().reserve(self.need());
        if wanted.urgent(self.balance) > 0 {
            self.wake(trouble.until);
        }
        self.because(Reason::NoContiguousBlock);
    }
}
