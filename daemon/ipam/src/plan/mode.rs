//! Whether prefixes or single addresses are asked for now, and how much is held.

use super::Planner;
use crate::address::AddressMode;
use crate::policy::{Balance, Policy, RESERVE, Reserve};
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

    /// The free addresses to keep. A target of prefixes cannot be met with single addresses: while there are no
    /// prefixes, berth's own reserve serves.
    pub(super) fn reserve(&self) -> Reserve {
        match self.policy() {
            Policy::WarmPrefixes(_) if self.mode() == AddressMode::Secondary => RESERVE,
            policy => policy.reserve(self.taken(), self.view.limits.slots_per_eni),
        }
    }

    /// The addresses that pods have, had lately or wait for, and those that nobody can have yet.
    fn taken(&self) -> u32 {
        let enis = self
            .pool()
            .enis()
            .filter(|e| e.is_ready() || self.is_coming(e));
        let tallies = enis.map(|eni| self.pool().tally(&eni.id));
        let held: u32 = tallies.map(|t| t.used() + t.quarantined).sum();
        held + self.view.demand.pods()
    }

    /// Says why there are single addresses where prefixes are wanted; and comes back to a target of prefixes, which they
    /// do not meet, as soon as it may.
    pub(super) fn without_prefixes(&mut self, balance: Balance) {
        let Some(trouble) = self.pool().troubles().fragmented(self.now) else {
            return;
        };
        if self.wished() != AddressMode::Prefix {
            return;
        }
        let wanted = (self.policy()).reserve(self.taken(), self.view.limits.slots_per_eni);
        if wanted.urgent(balance) > 0 {
            self.wake(trouble.until);
        }
        self.because(Reason::NoContiguousBlock);
    }
}
