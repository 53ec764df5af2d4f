//! What a Describe changes: it settles calls in doubt, shows what we do not know (quarantined, never handed out at
//! once) and misses what we do (held back, dropped only after three misses over two minutes, never under a pod).

use std::net::Ipv4Addr;

use crate::action::{Action, Described, DescribedAttachment, DescribedEni, Intent, IntentId, Verb};
use crate::address::{Address, AddressState, Block, Misses, QUARANTINE, named};
use crate::eni::{Eni, EniId, EniState, Ownership};
use crate::ownership::{Claims, is_leftover, ownership};
use crate::pool::{Pool, Violation};
use crate::time::Timestamp;

impl Pool {
    /// Takes in what a Describe that began at `started` showed. Anything learned after its beginning is newer than it.
    pub(super) fn described(
        &mut self,
        described: &Described,
        started: Timestamp,
        now: Timestamp,
    ) -> Result<(), Violation> {
        for shown in &described.enis {
            self.see_eni(shown, described.claims, now);
        }
        self.settle(described, started, now);
        for shown in &described.enis {
            self.see_addresses(shown, &described.in_use, started, now);
        }
        self.miss_enis(described, started, now);
        if self.enis.values().any(|eni| self.has_lost_its_place(eni)) {
            // It goes to another one, where nothing has failed yet.
            self.troubles.clear_verb(Verb::Attach);
        }
        self.knowledge.described = Some(started);
        self.knowledge.complete = true;
        Ok(())
    }

    /// Whether somebody else's ENI stands where this one was to be attached.
    fn has_lost_its_place(&self, eni: &Eni) -> bool {
        let there = |other: &Eni| {
            other.id != eni.id
                && other.device_index == eni.device_index
                && other.state != EniState::Detached
        };
        eni.state == EniState::Created && self.enis.values().any(there)
    }

    /// Takes in an ENI: a known one's protection and attachment, an unknown one as a whole.
    fn see_eni(&mut self, shown: &DescribedEni, claims: Claims, now: Timestamp) {
        let whose = ownership(shown, claims);
        match (&shown.attachment, self.enis.contains_key(&shown.id)) {
            (Some(attachment), true) => self.see_attached(shown, attachment, whose, now),
            (Some(attachment), false) => self.meet_attached(shown, attachment, whose, now),
            (None, true) => self.see_available(shown),
            (None, false) if claims.leaked => self.meet_available(shown, now),
            (None, false) => {}
        }
    }

    fn see_attached(
        &mut self,
        shown: &DescribedEni,
        at: &DescribedAttachment,
        whose: Ownership,
        now: Timestamp,
    ) {
        let deleting =
            |i: &Intent| i.action.verb() == Verb::Delete && i.action.eni() == Some(&shown.id);
        let deleting = self.intents.values().any(deleting);
        let Some(eni) = self.enis.get_mut(&shown.id) else {
            return;
        };
        match eni.state {
            // An Attach whose answer was lost, or that was refused since it had been done, did it.
            EniState::Created => eni.state = EniState::Attaching { since: now },
            // A Detach that seemed done was not: it would be deleted in vain for ever.
            EniState::Detached if !deleting => eni.state = EniState::Draining,
            EniState::Detached => return,
            EniState::Attaching { .. } | EniState::Ready { .. } | EniState::Draining => {}
        }
        eni.device_index = at.device_index;
        eni.delete_on_termination |= at.delete_on_termination;
        eni.attachment_id = Some(at.id.clone());
        if whose == Ownership::Foreign {
            // Tagged `no_manage` by somebody meanwhile: its pods stay, nothing else is done with it.
            eni.ownership = Ownership::Foreign;
        }
    }

    /// One that somebody else lays a hand on before it is deleted is theirs. One whose link was awaited in vain is really
    /// not attached, and goes; if that was an old answer EC2 refuses to delete it.
    fn see_available(&mut self, shown: &DescribedEni) {
        let has_pods = self.tally(&shown.id).assigned > 0;
        let unlinked = self.troubles.about(Verb::Connect, &shown.id).is_some();
        let Some(eni) = self.enis.get_mut(&shown.id) else {
            return;
        };
        if !is_leftover(shown) {
            eni.ownership = Ownership::Foreign;
        } else if unlinked
            && !has_pods
            && eni.ownership == Ownership::Ours
            && matches!(eni.state, EniState::Attaching { .. })
        {
            eni.state = EniState::Detached;
            eni.attachment_id = None;
        }
    }

    fn meet_attached(
        &mut self,
        shown: &DescribedEni,
        at: &DescribedAttachment,
        whose: Ownership,
        now: Timestamp,
    ) {
        // Without its subnet (instance metadata lags) it cannot be set up; the next Describe finds it again.
        if shown.subnet.is_none() && whose != Ownership::Foreign {
            self.knowledge.wanted = true;
            return;
        }
        let state = match whose {
            Ownership::Primary | Ownership::Foreign => EniState::Ready { since: now },
            Ownership::Ours => EniState::Attaching { since: now },
        };
        let eni = Eni {
            id: shown.id.clone(),
            mac: shown.mac,
            device_index: at.device_index,
            primary_address: shown.primary_address,
            subnet: shown.subnet,
            ownership: whose,
            state,
            attachment_id: Some(at.id.clone()),
            delete_on_termination: at.delete_on_termination,
            learned: now,
            missed: None,
        };
        self.enis.insert(shown.id.clone(), eni);
    }

    /// An available ENI with our tag that we do not know is a leftover, unless a Create is still open: then it may be
    /// that one, and its answer will tell.
    fn meet_available(&mut self, shown: &DescribedEni, now: Timestamp) {
        let creating = self
            .intents
            .values()
            .any(|i| i.action.verb() == Verb::Create);
        if creating || !is_leftover(shown) {
            return;
        }
        let eni = Eni {
            id: shown.id.clone(),
            mac: shown.mac,
            device_index: 0,
            primary_address: shown.primary_address,
            // It is only there to be deleted.
            subnet: None,
            ownership: Ownership::Ours,
            state: EniState::Detached,
            attachment_id: None,
            delete_on_termination: false,
            learned: now,
            missed: None,
        };
        self.enis.insert(shown.id.clone(), eni);
    }

    /// Closes the actions in doubt that this Describe began after, by what it shows of them.
    fn settle(&mut self, described: &Described, started: Timestamp, now: Timestamp) {
        let open: Vec<(IntentId, Action)> = self
            .intents
            .iter()
            .filter(|(_, i)| {
                i.doubtful.is_some_and(|d| d <= started) && i.action.verb() != Verb::Create
            })
            .map(|(id, i)| (*id, i.action.clone()))
            .collect();
        for (id, action) in open {
            let shown = described.enis.iter().find(|e| Some(&e.id) == action.eni());
            self.settle_one(&action, shown, started, now);
            self.intents.remove(&id);
        }
    }

    fn settle_one(
        &mut self,
        action: &Action,
        shown: Option<&DescribedEni>,
        started: Timestamp,
        now: Timestamp,
    ) {
        let attachment = shown.and_then(|s| s.attachment.as_ref());
        match action {
            Action::Assign { eni, .. } => {
                for (ip, block) in shown.iter().flat_map(|s| named(&s.addresses, &s.prefixes)) {
                    // Nobody but us assigns to our ENI: what is new there is what that call did.
                    if self.addresses.get(ip).is_none() {
                        let state = AddressState::Free { since: now };
                        self.insert_address(ip, block, eni, state, now);
                    }
                }
            }
            Action::Unassign {
                eni,
                addresses,
                prefixes,
            } => {
                // Shown, it may still be on its way out: it rests until a second Describe agrees.
                let state = |still| match still {
                    true => AddressState::Quarantined { since: started },
                    false => AddressState::Gone { since: now },
                };
                for ip in addresses {
                    let still = shown.is_some_and(|s| s.addresses.contains(ip));
                    self.unassigned(eni, &[*ip], &[], &state(still));
                }
                for prefix in prefixes {
                    let still = shown.is_some_and(|s| s.prefixes.contains(prefix));
                    self.unassigned(eni, &[], &[*prefix], &state(still));
                }
            }
            Action::Detach { eni } if attachment.is_none() => {
                // A stale answer would only make the Delete that follows wait.
                let _ = self.detached(eni);
            }
            // An attachment and its protection were taken over with the ENI; what had no effect is planned again.
            _ => {}
        }
    }

    /// Compares the addresses of an ENI of ours with what is shown of it.
    fn see_addresses(
        &mut self,
        shown: &DescribedEni,
        in_use: &[Ipv4Addr],
        started: Timestamp,
        now: Timestamp,
    ) {
        let usable = self
            .enis
            .get(&shown.id)
            .is_some_and(|e| e.ownership != Ownership::Foreign && e.state != EniState::Detached);
        if !usable {
            return;
        }
        let assigning = self
            .intents
            .values()
            .any(|i| i.action.verb() == Verb::Assign && i.action.eni() == Some(&shown.id));
        let held: Vec<_> = named(&shown.addresses, &shown.prefixes).collect();
        for (ip, block) in &held {
            self.see_address(
                *ip,
                *block,
                &shown.id,
                in_use.contains(ip),
                assigning,
                started,
            );
        }
        let missed = |ip, address: &Address| {
            let expected =
                address.eni == shown.id && address.is_held() && address.learned < started;
            expected && !held.iter().any(|(shown, _)| *shown == ip)
        };
        self.addresses.change_those(missed, |address| {
            address.missed = Some(Misses::more(address.missed, now));
        });
        self.drop_missed(now);
    }

    fn see_address(
        &mut self,
        ip: Ipv4Addr,
        block: Block,
        eni: &EniId,
        in_use: bool,
        assigning: bool,
        started: Timestamp,
    ) {
        match self.addresses.get(ip) {
            Some(address) if address.eni == *eni => self.addresses.change(ip, |address| {
                address.missed = None;
                // Not of one that EC2's answer named: a stale look may show the prefix that it was of before.
                if address.block == Block::Unknown {
                    address.block = block;
                }
                if let AddressState::Quarantined { since } = address.state
                    && started.since(since) >= QUARANTINE
                    && !in_use
                {
                    address.state = AddressState::Free { since: started };
                }
            }),
            // It moved here in EC2; ours is the older word, but a pod that has it keeps it.
            Some(address) if address.is_held() => {}
            // Given back a moment ago, or being assigned right now: the answer to the call is the truth.
            Some(_) => {}
            None if assigning => {}
            None => {
                let state = AddressState::Quarantined { since: started };
                let address = Address {
                    eni: eni.clone(),
                    block,
                    state,
                    learned: started,
                    missed: None,
                };
                self.addresses.put(ip, address);
            }
        }
    }

    fn drop_missed(&mut self, now: Timestamp) {
        let convincing = |_, address: &Address| {
            let idle = matches!(
                address.state,
                AddressState::Free { .. }
                    | AddressState::Cooling { .. }
                    | AddressState::Quarantined { .. }
            );
            idle && address.missed.is_some_and(|m| m.convincing(now))
        };
        self.addresses.change_those(convincing, |address| {
            address.state = AddressState::Gone { since: now };
            address.missed = None;
        });
    }

    /// ENIs that should have been shown, or shown attached, and were not.
    fn miss_enis(&mut self, described: &Described, started: Timestamp, now: Timestamp) {
        let mut lost = Vec::new();
        for (id, eni) in &mut self.enis {
            if eni.learned >= started {
                continue;
            }
            let shown = described.enis.iter().find(|shown| &shown.id == id);
            let on_instance = match eni.state {
                EniState::Attaching { since } | EniState::Ready { since } => since < started,
                EniState::Created | EniState::Draining | EniState::Detached => !eni.is_managed(),
            };
            if shown.is_some_and(|s| s.attachment.is_some() || !on_instance) {
                eni.missed = None;
                continue;
            }
            let missed = Misses::more(eni.missed, now);
            eni.missed = Some(missed);
            if missed.convincing(now) {
                lost.push(id.clone());
            }
        }
        for id in lost {
            self.forget_eni(&id, now);
            // One that somebody took off the instance is still there to be deleted.
            self.knowledge.wanted |= !self.enis.contains_key(&id);
        }
    }
}
