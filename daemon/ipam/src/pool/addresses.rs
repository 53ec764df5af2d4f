//! The addresses of a pool, each shared with who was told of it, and their census, which is kept with them: this is
//! the only place that changes an address, so that nothing that is asked for often has to go through all of them.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::Arc;

use crate::address::{Address, AddressState, GONE_MEMORY};
use crate::pool::Census;
use crate::time::Timestamp;

/// Addresses and their census.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Addresses {
    all: BTreeMap<Ipv4Addr, Arc<Address>>,
    census: Census,
}

impl From<BTreeMap<Ipv4Addr, Arc<Address>>> for Addresses {
    fn from(all: BTreeMap<Ipv4Addr, Arc<Address>>) -> Self {
        let mut census = Census::default();
        for (ip, address) in &all {
            census.count(*ip, address);
        }
        Self { all, census }
    }
}

impl Addresses {
    pub(super) fn census(&self) -> &Census {
        &self.census
    }

    /// All of them; one that does not change stays the same object.
    pub(super) fn shared(&self) -> impl Iterator<Item = (&Ipv4Addr, &Arc<Address>)> {
        self.all.iter()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (Ipv4Addr, &Address)> {
        self.all.iter().map(|(ip, address)| (*ip, &**address))
    }

    pub(super) fn get(&self, ip: Ipv4Addr) -> Option<&Address> {
        self.all.get(&ip).map(|address| &**address)
    }

    /// Adds an address, or puts it in the place of what was known of it.
    pub(super) fn put(&mut self, ip: Ipv4Addr, address: Address) {
        if let Some(before) = self.all.get(&ip) {
            self.census.discount(ip, before);
        }
        self.census.count(ip, &address);
        self.all.insert(ip, Arc::new(address));
    }

    /// Changes one.
    pub(super) fn change(&mut self, ip: Ipv4Addr, change: impl FnOnce(&mut Address)) {
        if let Some(shared) = self.all.get_mut(&ip) {
            self.census.discount(ip, shared);
            let address = Arc::make_mut(shared);
            change(address);
            self.census.count(ip, address);
        }
    }

    /// Changes those that `wanted` says; the others stay the same objects.
    pub(super) fn change_those(
        &mut self,
        wanted: impl Fn(Ipv4Addr, &Address) -> bool,
        change: impl Fn(&mut Address),
    ) {
        let those: Vec<Ipv4Addr> = self
            .iter()
            .filter(|(ip, address)| wanted(*ip, address))
            .map(|(ip, _)| ip)
            .collect();
        for ip in those {
            self.change(ip, &change);
        }
    }

    /// Time passes: what has rested is free, and what was given back is forgotten.
    pub(super) fn pass(&mut self, now: Timestamp) {
        for ip in self.census.rested(now) {
            self.change(ip, |address| {
                if let AddressState::Cooling { until } = address.state {
                    address.state = AddressState::Free { since: until };
                }
            });
        }
        for ip in self.census.gone_for(GONE_MEMORY, now) {
            if let Some(gone) = self.all.remove(&ip) {
                self.census.discount(ip, &gone);
            }
        }
    }
}
