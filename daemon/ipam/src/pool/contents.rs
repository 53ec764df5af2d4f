//! What a pool holds, for all who read it. Nothing here changes anything.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use super::{Census, Knowledge, Pool};
use crate::action::{Intent, IntentId};
use crate::address::{Address, AddressState, Block, Tally};
use crate::attachment::{Attachment, AttachmentKey};
use crate::budget::Budget;
use crate::eni::{Eni, EniId};
use crate::trouble::Troubles;

impl Pool {
    /// The ENIs.
    pub fn enis(&self) -> impl Iterator<Item = &Eni> {
        self.enis.values()
    }

    /// One ENI.
    pub fn eni(&self, id: &EniId) -> Option<&Eni> {
        self.enis.get(id)
    }

    /// All addresses, those given back lately included.
    pub fn addresses(&self) -> impl Iterator<Item = (Ipv4Addr, &Address)> {
        self.addresses.iter()
    }

    /// One address.
    pub fn address(&self, ip: Ipv4Addr) -> Option<&Address> {
        self.addresses.get(ip)
    }

    /// The addresses that an ENI holds.
    pub fn addresses_of<'a>(
        &'a self,
        eni: &'a EniId,
    ) -> impl Iterator<Item = (Ipv4Addr, &'a Address)> {
        self.addresses()
            .filter(move |(_, address)| &address.eni == eni && address.is_held())
    }

    /// An ENI's addresses by state.
    pub fn tally(&self, eni: &EniId) -> Tally {
        Tally::of(self.addresses_of(eni).map(|(_, address)| address))
    }

    /// The prefixes that an ENI holds, each with its addresses by state.
    pub fn prefixes_of(&self, eni: &EniId) -> BTreeMap<Ipv4Net, Tally> {
        let mut members: BTreeMap<Ipv4Net, Vec<&Address>> = BTreeMap::new();
        for (_, address) in self.addresses_of(eni) {
            if let Block::Prefix(prefix) = address.block {
                members.entry(prefix).or_default().push(address);
            }
        }
        let tally = |(prefix, addresses)| (prefix, Tally::of(addresses));
        members.into_iter().map(tally).collect()
    }

    /// The prefixes whose addresses are this node's and nobody else's for certain: not one on its way back to EC2, alone or
    /// with its ENI, not one that only Describe knows, and not one that it does not show.
    pub fn prefixes(&self) -> BTreeSet<Ipv4Net> {
        let stays = |eni: &EniId| {
            self.enis
                .get(eni)
                .is_some_and(|e| e.is_ready() || e.is_coming())
        };
        let certain = |state: &AddressState| {
            matches!(
                state,
                AddressState::Free { .. }
                    | AddressState::Assigned { .. }
                    | AddressState::Cooling { .. }
            )
        };
        let standing = self
            .addresses()
            .map(|(_, address)| address)
            .filter(|a| certain(&a.state) && a.missed.is_none() && stays(&a.eni));
        standing
            .filter_map(|a| match a.block {
                Block::Prefix(prefix) => Some(prefix),
                Block::Single | Block::Unknown => None,
            })
            .collect()
    }

    /// How many of an ENI's slots are taken, once what is on its way back has left: one a single address, one a prefix.
    pub fn slots(&self, eni: &EniId) -> u32 {
        let mut prefixes = BTreeSet::new();
        let mut slots = 0;
        let stays = |a: &&Address| a.state != AddressState::Unassigning;
        for address in self.addresses_of(eni).map(|(_, a)| a).filter(stays) {
            match address.block {
                Block::Single | Block::Unknown => slots += 1,
                Block::Prefix(prefix) => slots += u32::from(prefixes.insert(prefix)),
            }
        }
        slots
    }

    /// What each ENI holds, by state.
    pub fn census(&self) -> &Census {
        self.addresses.census()
    }

    /// The attachments to one interface, in whatever network.
    pub fn on_interface(&self, key: &AttachmentKey) -> impl Iterator<Item = &Attachment> + use<'_> {
        let first = AttachmentKey {
            network: String::new(),
            ..key.clone()
        };
        let interface = first.clone();
        let from = self.attachments.range(first..).map(|(_, a)| &**a);
        from.take_while(move |attachment| attachment.key.is_same_interface(&interface))
    }

    /// The live attachments.
    pub fn attachments(&self) -> impl Iterator<Item = &Attachment> {
        self.attachments.values().map(|attachment| &**attachment)
    }

    /// One attachment.
    pub fn attachment(&self, key: &AttachmentKey) -> Option<&Attachment> {
        self.attachments.get(key).map(|attachment| &**attachment)
    }

    /// The actions under way.
    pub fn intents(&self) -> impl Iterator<Item = (IntentId, &Intent)> {
        self.intents.iter().map(|(id, intent)| (*id, intent))
    }

    /// The name of the next action.
    pub fn next_intent(&self) -> IntentId {
        IntentId(self.next_intent)
    }

    /// What Describe has told.
    pub fn knowledge(&self) -> Knowledge {
        self.knowledge
    }

    /// What is left of EC2's calls.
    pub fn budget(&self) -> &Budget {
        &self.budget
    }

    /// What went wrong lately.
    pub fn troubles(&self) -> &Troubles {
        &self.troubles
    }
}
