//! What each ENI holds, counted in one pass over all addresses.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use crate::address::{Address, AddressState, Block, Tally};
use crate::eni::EniId;
use crate::pool::Pool;
use crate::time::Timestamp;

/// What all ENIs hold. Borrowed from the pool, for as long as nothing changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Census<'a> {
    enis: BTreeMap<&'a EniId, Holding>,
    /// When the next address has rested after its pod.
    pub cooled: Option<Timestamp>,
}

/// What one ENI holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Holding {
    /// Its addresses by state.
    pub tally: Tally,
    /// Slots that are taken once what is on its way back has left: one a single address, one a prefix.
    pub slots: u32,
    /// The free ones, in order of address.
    pub free: Vec<Free>,
    /// Its prefixes, each with its addresses by state.
    pub prefixes: BTreeMap<Ipv4Net, Tally>,
}

/// A free address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Free {
    /// It.
    pub address: Ipv4Addr,
    /// How it came.
    pub block: Block,
    /// Since when.
    pub since: Timestamp,
}

impl Pool {
    /// Counts.
    pub fn census(&self) -> Census<'_> {
        let mut census = Census::default();
        for (ip, address) in self.addresses() {
            if address.is_held() {
                let holding = census.enis.entry(&address.eni).or_default();
                holding.count(ip, address);
            }
            if let AddressState::Cooling { until } = address.state {
                census.cooled = Some(census.cooled.map_or(until, |other| other.min(until)));
            }
        }
        for holding in census.enis.values_mut() {
            holding.close();
        }
        census
    }
}

impl Census<'_> {
    /// What an ENI holds; nothing, where nothing is known of it.
    pub fn of(&self, eni: &EniId) -> &Holding {
        const NOTHING: &Holding = &Holding::NONE;
        self.enis.get(eni).unwrap_or(NOTHING)
    }
}

impl Holding {
    const NONE: Self = Self {
        tally: Tally::NONE,
        slots: 0,
        free: Vec::new(),
        prefixes: BTreeMap::new(),
    };

    fn count(&mut self, ip: Ipv4Addr, address: &Address) {
        self.tally.count(address);
        if let Some(since) = address.free_since() {
            self.free.push(Free {
                address: ip,
                block: address.block,
                since,
            });
        }
        match address.block {
            Block::Prefix(prefix) => self.prefixes.entry(prefix).or_default().count(address),
            Block::Single | Block::Unknown => {
                self.slots += u32::from(address.state != AddressState::Unassigning);
            }
        }
    }

    fn close(&mut self) {
        let stays = |tally: &&Tally| tally.held() > tally.unassigning;
        let prefixes = self.prefixes.values().filter(stays).count();
        self.slots += u32::try_from(prefixes).unwrap_or(u32::MAX);
    }

    /// The prefixes that have nothing but free addresses.
    pub fn idle_prefixes(&self) -> impl Iterator<Item = Ipv4Net> {
        let idle = self.prefixes.iter().filter(|(_, t)| t.free == t.held());
        idle.map(|(prefix, _)| *prefix)
    }
}
