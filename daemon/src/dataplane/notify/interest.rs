//! What the node's layout rests on, as far as notifications tell of it: the ENIs' links as they should be, and their
//! tables.

use std::collections::BTreeMap;

use ipam::Mac;
use ipam::desired::EniDesired;

use crate::dataplane::netlink::Link;

/// The ENIs whose link is there, by its index.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::dataplane) struct Interest {
    enis: BTreeMap<u32, Expected>,
    awaited: Vec<Mac>,
}

/// An ENI's link as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Expected {
    name: String,
    mac: Mac,
    mtu: u32,
    /// Its routing table; `None` for the primary, whose table, addresses and state are the operating system's.
    table: Option<u32>,
}

impl Interest {
    /// Of the wanted ENIs, with the links that were found for them.
    pub(in crate::dataplane) fn of(enis: &[(&EniDesired, Option<Link>)]) -> Self {
        let mut interest = Self::default();
        for (eni, link) in enis {
            let Some(link) = link else {
                interest.awaited.push(eni.mac);
                continue;
            };
            let expected = Expected {
                name: link.name.clone(),
                mac: eni.mac,
                mtu: eni.mtu,
                table: (eni.device_index != 0).then_some(eni.table),
            };
            interest.enis.insert(link.index, expected);
        }
        interest
    }

    /// The link that an ENI had, whatever MAC it bears now.
    pub(in crate::dataplane) fn index_of(&self, mac: Mac) -> Option<u32> {
        let of_it = |(_, eni): &(&u32, &Expected)| eni.mac == mac;
        self.enis.iter().find(of_it).map(|(index, _)| *index)
    }

    /// Whether this is an ENI's link, or has just become one's, and is not as it should be.
    pub(super) fn is_off(&self, link: &Link) -> bool {
        let Some(eni) = self.enis.get(&link.index) else {
            let bears = |mac: &Mac| link.mac == Some(*mac);
            return self.awaited.iter().any(bears) || self.enis.values().any(|eni| bears(&eni.mac));
        };
        let down = eni.table.is_some() && !link.up;
        down || link.name != eni.name || link.mac != Some(eni.mac) || link.mtu != eni.mtu
    }

    /// Whether an ENI has the link with this index.
    pub(super) fn has_link(&self, index: u32) -> bool {
        self.enis.contains_key(&index)
    }

    /// Whether a secondary ENI, whose addresses are ours to set, has the link with this index.
    pub(super) fn has_secondary(&self, index: u32) -> bool {
        self.enis.get(&index).is_some_and(|eni| eni.table.is_some())
    }

    /// Whether a secondary ENI has this table.
    pub(super) fn has_table(&self, table: u32) -> bool {
        self.enis.values().any(|eni| eni.table == Some(table))
    }
}
