//! The pool as it stands on the disk, and back, with its invariants checked on the way in.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::action::{Intent, IntentId};
use crate::address::Address;
use crate::attachment::Attachment;
use crate::budget::Budget;
use crate::eni::Eni;
use crate::pool::{Knowledge, Pool, Violation};
use crate::trouble::Troubles;

/// All that outlives the process; what did not change between two snapshots is the same object in both. Troubles do not: a new process tries at once.
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

impl Snapshot {
    /// The same with attachments and addresses in another form.
    pub fn shown_as<'a, A, D>(
        &'a self,
        attachment: impl FnMut(&'a Arc<Attachment>) -> A,
        mut address: impl FnMut(&'a Arc<Address>) -> D,
    ) -> Snapshot<A, D> {
        let addresses = self.addresses.iter();
        Snapshot {
            enis: self.enis.clone(),
            addresses: addresses.map(|(ip, of)| (*ip, address(of))).collect(),
            attachments: self.attachments.iter().map(attachment).collect(),
            intents: self.intents.clone(),
            next_intent: self.next_intent,
            knowledge: self.knowledge,
        }
    }
}

impl Pool {
    /// The state to write.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot {
            enis: self.enis.values().cloned().collect(),
            addresses: self.addresses.shared(),
            attachments: self.attachments.values().cloned().collect(),
            intents: self
                .intents
                .iter()
                .filter(|(_, intent)| intent.action.is_durable())
                .map(|(id, intent)| (*id, intent.clone()))
                .collect(),
            next_intent: self.next_intent,
            knowledge: self.knowledge,
        }
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
            addresses: snapshot.addresses.into(),
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
