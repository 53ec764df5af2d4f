//! The pool: ENIs, addresses and attachments of this node, and the one function that changes them.
//!
//! [`Pool::apply`] is the only mutator. It believes EC2's answers to our own calls, keeps what pods have whatever anyone
//! says, and refuses events that contradict the state instead of guessing.

mod addresses;
mod census;
mod contents;
mod finish;
mod give;
mod invariants;
mod reconcile;
mod snapshot;

use addresses::Addresses;
pub use census::{Census, Free, Holding};
pub use invariants::Violation;
pub use snapshot::Snapshot;

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::Arc;

use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};

use crate::action::{Action, Intent, IntentId, Outcome};
use crate::address::{Address, AddressState, Block};
use crate::attachment::{Attachment, AttachmentKey};
use crate::budget::Budget;
use crate::eni::{Eni, EniId, EniState};
use crate::time::Timestamp;
use crate::trouble::Troubles;

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Instance metadata named the primary ENI.
    Identified {
        /// It.
        primary: Box<Eni>,
    },
    /// A live attachment was found in the kernel that the checkpoint does not know.
    Recovered {
        /// It.
        attachment: Box<Attachment>,
        /// When.
        now: Timestamp,
    },
    /// An address was chosen for an attachment.
    Allocated {
        /// It, with the address that [`Pool::choose`] named.
        attachment: Box<Attachment>,
    },
    /// An attachment whose ADD was not answered, or whose answer was lost, is asked for again.
    Reasked {
        /// Which.
        key: AttachmentKey,
        /// The plugin process that asks now.
        invocation: String,
    },
    /// The kernel has the attachment's links.
    Wired {
        /// Which.
        key: AttachmentKey,
        /// Index of the host's end.
        host_ifindex: u32,
    },
    /// The runtime has the answer to its ADD.
    Answered {
        /// Which.
        key: AttachmentKey,
    },
    /// The attachment is gone, or never came to be.
    Released {
        /// Which.
        key: AttachmentKey,
        /// End of the cooldown of its address.
        until: Timestamp,
    },
    /// Time passed.
    Tick {
        /// The time now.
        now: Timestamp,
    },
    /// An action begins.
    Started {
        /// Its name, [`Pool::next_intent`].
        id: IntentId,
        /// It.
        action: Action,
        /// When.
        now: Timestamp,
    },
    /// An action ended.
    Finished {
        /// Its name.
        id: IntentId,
        /// What came of it.
        outcome: Outcome,
        /// When.
        now: Timestamp,
    },
    /// The daemon starts with this state from the disk.
    Restarted {
        /// When.
        now: Timestamp,
        /// Whether the machine has not booted in between: then no pod of the state lives, and its times mean nothing.
        same_boot: bool,
    },
}

/// What Describe has told so far, and whether it must be asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Knowledge {
    /// Whether the ENIs are known completely: from a checkpoint of ours, or from a Describe.
    pub complete: bool,
    /// When the last answered Describe began.
    pub described: Option<Timestamp>,
    /// Whether something happened that only a Describe can settle.
    pub wanted: bool,
}

/// The state of a node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pool {
    enis: BTreeMap<EniId, Eni>,
    addresses: Addresses,
    attachments: BTreeMap<AttachmentKey, Arc<Attachment>>,
    intents: BTreeMap<IntentId, Intent>,
    next_intent: u64,
    knowledge: Knowledge,
    troubles: Troubles,
    budget: Budget,
}

impl Pool {
    /// Takes an event in.
    ///
    /// # Errors
    /// A [`Violation`] when the event contradicts the state. The part of it that does not is still taken in: an answer
    /// of EC2 that names one address twice must not lose the others.
    pub fn apply(&mut self, event: Event) -> Result<(), Violation> {
        match event {
            Event::Identified { primary } => {
                self.enis.entry(primary.id.clone()).or_insert(*primary);
                Ok(())
            }
            Event::Recovered { attachment, now } => self.recover(*attachment, now),
            Event::Allocated { attachment } => self.allocate(*attachment),
            Event::Reasked { key, invocation } => {
                self.attachment_mut(&key)?.invocation = invocation;
                Ok(())
            }
            Event::Wired { key, host_ifindex } => {
                self.attachment_mut(&key)?.host_ifindex = Some(host_ifindex);
                Ok(())
            }
            Event::Answered { key } => {
                self.attachment_mut(&key)?.answered = true;
                Ok(())
            }
            Event::Released { key, until } => self.release(&key, until),
            Event::Tick { now } => {
                self.addresses.pass(now);
                Ok(())
            }
            Event::Started { id, action, now } => self.start(id, action, now),
            Event::Finished { id, outcome, now } => self.finish(id, outcome, now),
            Event::Restarted { now, same_boot } => {
                self.restart(now, same_boot);
                Ok(())
            }
        }
    }

    fn attachment_mut(&mut self, key: &AttachmentKey) -> Result<&mut Attachment, Violation> {
        self.attachments
            .get_mut(key)
            .map(Arc::make_mut)
            .ok_or_else(|| Violation::NoAttachment(key.clone()))
    }

    fn allocate(&mut self, attachment: Attachment) -> Result<(), Violation> {
        if self.attachments.contains_key(&attachment.key) {
            return Err(Violation::AttachmentExists(attachment.key));
        }
        let ready = (self.enis.get(&attachment.eni)).is_some_and(Eni::takes_pods);
        let has = |address: &Address| address.is_free() && address.eni == attachment.eni;
        if !ready || !self.addresses.get(attachment.address).is_some_and(has) {
            return Err(Violation::NotFree(attachment.address));
        }
        let to = attachment.key.clone();
        self.addresses.change(attachment.address, |address| {
            address.state = AddressState::Assigned { to };
        });
        self.attach(attachment);
        Ok(())
    }

    /// A pod that lives keeps its address, whoever else we thought had it; the ENI's word comes with Describe.
    fn recover(&mut self, attachment: Attachment, now: Timestamp) -> Result<(), Violation> {
        if self.attachments.contains_key(&attachment.key) {
            return Err(Violation::AttachmentExists(attachment.key));
        }
        let owned = |a: &Address| matches!(&a.state, AddressState::Assigned { .. });
        if self.addresses.get(attachment.address).is_some_and(owned) {
            return Err(Violation::NotFree(attachment.address));
        }
        let address = Address {
            eni: attachment.eni.clone(),
            block: Block::Unknown,
            state: AddressState::Assigned {
                to: attachment.key.clone(),
            },
            learned: now,
            missed: None,
        };
        self.addresses.put(attachment.address, address);
        self.attach(attachment);
        Ok(())
    }

    fn attach(&mut self, attachment: Attachment) {
        let key = attachment.key.clone();
        self.attachments.insert(key, Arc::new(attachment));
    }

    fn release(&mut self, key: &AttachmentKey, until: Timestamp) -> Result<(), Violation> {
        let attachment = self
            .attachments
            .remove(key)
            .ok_or_else(|| Violation::NoAttachment(key.clone()))?;
        if self.addresses.get(attachment.address).is_none() {
            return Err(Violation::NoAddress(attachment.address));
        }
        self.addresses.change(attachment.address, |address| {
            address.state = AddressState::Cooling { until };
        });
        Ok(())
    }

    fn start(&mut self, id: IntentId, action: Action, now: Timestamp) -> Result<(), Violation> {
        self.budget.spend(action.verb(), now);
        if let Some(intent) = self.intents.get_mut(&id) {
            // A Create in doubt is repeated under its own name, with its own token.
            intent.doubtful = None;
            intent.started = now;
            return Ok(());
        }
        if id.0 != self.next_intent {
            return Err(Violation::NoIntent(id));
        }
        if let Action::Unassign {
            eni,
            addresses,
            prefixes,
        } = &action
        {
            self.begin_unassign(eni, addresses, prefixes)?;
        }
        if let Action::Detach { eni } = &action {
            self.begin_detach(eni)?;
        }
        if action == Action::Describe {
            // What comes to be wanted from here on, its answer may not show.
            self.knowledge.wanted = false;
        }
        self.next_intent += 1;
        self.intents.insert(
            id,
            Intent {
                action,
                started: now,
                doubtful: None,
                doubted: false,
            },
        );
        Ok(())
    }

    fn begin_unassign(
        &mut self,
        eni: &EniId,
        addresses: &[Ipv4Addr],
        prefixes: &[Ipv4Net],
    ) -> Result<(), Violation> {
        let going = self.to_unassign(eni, addresses, prefixes);
        let free = |ip: &&Ipv4Addr| self.addresses.get(**ip).is_some_and(Address::is_free);
        let unknown = addresses.iter().find(|ip| !going.contains(ip));
        if let Some(taken) = going.iter().find(|ip| !free(ip)).or(unknown) {
            return Err(Violation::NotFree(*taken));
        }
        for ip in going {
            self.addresses
                .change(ip, |address| address.state = AddressState::Unassigning);
        }
        Ok(())
    }

    /// What goes with these addresses and prefixes of `eni`: of a prefix, the members that are held.
    fn to_unassign(
        &self,
        eni: &EniId,
        addresses: &[Ipv4Addr],
        prefixes: &[Ipv4Net],
    ) -> Vec<Ipv4Addr> {
        self.addresses_of(eni)
            .filter(|(ip, a)| match a.block {
                Block::Single | Block::Unknown => addresses.contains(ip),
                Block::Prefix(prefix) => prefixes.contains(&prefix),
            })
            .map(|(ip, _)| ip)
            .collect()
    }

    /// An ENI that goes takes its addresses along, so no pod may have one.
    fn begin_detach(&mut self, eni: &EniId) -> Result<(), Violation> {
        let taken = self
            .addresses_of(eni)
            .find(|(_, a)| matches!(a.state, AddressState::Assigned { .. }));
        if let Some((ip, _)) = taken {
            return Err(Violation::NotFree(ip));
        }
        self.eni_mut(eni)?.state = EniState::Draining;
        Ok(())
    }

    fn restart(&mut self, now: Timestamp, same_boot: bool) {
        if !same_boot {
            self.forget_times(now);
        }
        self.intents.retain(|_, intent| intent.action.is_durable());
        for intent in self.intents.values_mut() {
            intent.doubt(now);
        }
        self.knowledge.wanted = true;
        self.troubles = Troubles::default();
        self.budget = Budget::default();
        // Links and tables may have gone with the old process's node; setting them up again changes nothing if not.
        for eni in self.enis.values_mut() {
            if eni.is_ready() && eni.device_index != 0 {
                eni.state = EniState::Attaching { since: now };
            }
        }
    }

    fn forget_times(&mut self, now: Timestamp) {
        self.attachments.clear();
        let all = |_, _: &Address| true;
        self.addresses.change_those(all, |address| {
            address.learned = now;
            address.missed = None;
            address.state = match address.state {
                AddressState::Assigned { .. }
                | AddressState::Cooling { .. }
                | AddressState::Free { .. } => AddressState::Free { since: now },
                AddressState::Gone { .. } => AddressState::Gone { since: now },
                AddressState::Quarantined { .. } => AddressState::Quarantined { since: now },
                AddressState::Unassigning => AddressState::Unassigning,
            };
        });
        for eni in self.enis.values_mut() {
            eni.learned = now;
            eni.missed = None;
            if let EniState::Ready { since } | EniState::Attaching { since } = &mut eni.state {
                *since = now;
            }
        }
        self.knowledge = Knowledge {
            described: None,
            ..self.knowledge
        };
    }
}
