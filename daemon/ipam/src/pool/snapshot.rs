//! The pool as it stands on the disk, and back, with its invariants checked on the way in.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::action::{Intent, IntentId};
use crate::address::{Address, AddressState};
use crate::attachment::{Attachment, AttachmentKey};
use crate::budget::Budget;
use crate::eni::Eni;
use crate::pool::{Knowledge, Pool, Violation};
use crate::trouble::Troubles;

/// All that outlives the process. Troubles do not: a new process tries at once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot<A = Arc<Attachment>, D = Arc<Address>> {
    /// The ENIs.
    pub enis: Vec<Eni>,
    /// The addresses.
    pub addresses: BTreeMap<Ipv4Addr, D>,
    /// The attachments.
    pub attachments: Vec<A>,
    /// The actions under way.
    pub intents: BTreeMap<IntentId, Intent>,
    /// Name of the next action.
    pub next_intent: u64,
    /// What Describe has told.
    pub knowledge: Knowledge,
}

/// The highest name of a next action. No node comes near it, and none that starts with it runs out of names.
const LAST_INTENT: u64 = u64::MAX / 2;

impl<A, D> Snapshot<A, D> {
    /// The same with these attachments.
    pub fn with_attachments<B>(self, attachments: Vec<B>) -> Snapshot<B, D> {
        Snapshot {
            enis: self.enis,
            addresses: self.addresses,
            attachments,
            intents: self.intents,
            next_intent: self.next_intent,
            knowledge: self.knowledge,
        }
    }
}

impl Pool {
    /// The state to write.
    pub fn snapshot(&self) -> Snapshot {
        let addresses = self.shared_addresses();
        self.snapshot_of(
            addresses.map(|(ip, of)| (*ip, Arc::clone(of))).collect(),
            self.attachments.values().cloned().collect(),
        )
    }

    /// The same with these for the attachments and addresses, in whatever form.
    pub fn snapshot_of<A, D>(
        &self,
        addresses: BTreeMap<Ipv4Addr, D>,
        attachments: Vec<A>,
    ) -> Snapshot<A, D> {
        let durable = self.intents.iter().filter(|(_, i)| i.action.is_durable());
        Snapshot {
            enis: self.enis.values().cloned().collect(),
            addresses,
            attachments,
            intents: durable.map(|(id, intent)| (*id, intent.clone())).collect(),
            next_intent: self.next_intent,
            knowledge: self.knowledge,
        }
    }

    /// All attachments in the order of their keys. One that does not change stays the same object.
    pub fn shared_attachments(&self) -> impl Iterator<Item = (&AttachmentKey, &Arc<Attachment>)> {
        self.attachments.iter()
    }

    /// All addresses, in their order. One that does not change stays the same object.
    pub fn shared_addresses(&self) -> impl Iterator<Item = (&Ipv4Addr, &Arc<Address>)> {
        self.addresses.shared()
    }
}

impl TryFrom<Snapshot> for Pool {
    type Error = Violation;

    fn try_from(snapshot: Snapshot) -> Result<Self, Violation> {
        let (enis, count) = (snapshot.enis.len(), snapshot.attachments.len());
        let names = snapshot.intents.keys().map(|id| id.0.saturating_add(1));
        let next_intent = names.fold(snapshot.next_intent, u64::max);
        if next_intent > LAST_INTENT {
            return Err(Violation::IntentName(IntentId(next_intent)));
        }
        let pool = Self {
            enis: snapshot
                .enis
                .into_iter()
                .map(|eni| (eni.id.clone(), eni))
                .collect(),
            addresses: owned(snapshot.addresses, &snapshot.attachments).into(),
            attachments: snapshot
                .attachments
                .into_iter()
                .map(|a| (a.key.clone(), a))
                .collect(),
            next_intent,
            intents: snapshot.intents,
            knowledge: snapshot.knowledge,
            troubles: Troubles::default(),
            budget: Budget::default(),
        };
        if let Some(twice) = pool
            .attachments
            .values()
            .next()
            .filter(|_| pool.attachments.len() != count)
        {
            return Err(Violation::AttachmentExists(twice.key.clone()));
        }
        if pool.enis.len() != enis {
            return Err(Violation::EniTwice);
        }
        pool.check()?;
        Ok(pool)
    }
}

/// Who has an assigned address stands with the attachment only.
fn owned(
    mut addresses: BTreeMap<Ipv4Addr, Arc<Address>>,
    attachments: &[Arc<Attachment>],
) -> BTreeMap<Ipv4Addr, Arc<Address>> {
    for attachment in attachments {
        if let Some(address) = addresses.get_mut(&attachment.address)
            && matches!(&address.state, AddressState::Assigned { to } if *to == AttachmentKey::default())
        {
            let to = attachment.key.clone();
            Arc::make_mut(address).state = AddressState::Assigned { to };
        }
    }
    addresses
}
