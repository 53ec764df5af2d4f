//! What each ENI holds, counted as addresses come, change and go.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::time::Duration;

use ipnet::Ipv4Net;

use crate::address::{Address, AddressState, Block, Tally};
use crate::eni::EniId;
use crate::time::Timestamp;

/// What all ENIs hold, and what time will change of it. What nothing is held of is not in it, so that two pools with the
/// same addresses have the same census.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Census {
    enis: BTreeMap<EniId, Holding>,
    /// Those that rest after a pod, by the end of that.
    cooling: BTreeSet<(Timestamp, Ipv4Addr)>,
    /// Those that were given back, by when.
    gone: BTreeSet<(Timestamp, Ipv4Addr)>,
}

/// What one ENI holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Holding {
    /// Its addresses by state.
    pub tally: Tally,
    /// The free ones.
    pub free: BTreeMap<Ipv4Addr, Free>,
    /// Its prefixes, each with its addresses by state.
    pub prefixes: BTreeMap<Ipv4Net, Tally>,
    /// Its addresses that are of no prefix and not on their way back.
    singles: u32,
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

impl Census {
    /// What an ENI holds; nothing, where nothing is known of it.
    pub fn of(&self, eni: &EniId) -> &Holding {
        const NOTHING: &Holding = &Holding::NONE;
        self.enis.get(eni).unwrap_or(NOTHING)
    }

    /// When the next address has rested after its pod.
    pub fn cooled(&self) -> Option<Timestamp> {
        self.cooling.first().map(|(until, _)| *until)
    }

    /// The addresses that have rested by `now`.
    pub(super) fn rested(&self, now: Timestamp) -> Vec<Ipv4Addr> {
        let rested = self.cooling.iter().take_while(|(until, _)| *until <= now);
        rested.map(|(_, ip)| *ip).collect()
    }

    /// The addresses that were given back so long ago.
    pub(super) fn gone_for(&self, time: Duration, now: Timestamp) -> Vec<Ipv4Addr> {
        let gone = self.gone.iter();
        let gone = gone.take_while(|(when, _)| now.since(*when) >= time);
        gone.map(|(_, ip)| *ip).collect()
    }

    /// An address is there, or is there again after it was changed.
    pub(super) fn count(&mut self, ip: Ipv4Addr, address: &Address) {
        match address.state {
            AddressState::Cooling { until } => drop(self.cooling.insert((until, ip))),
            AddressState::Gone { since } => drop(self.gone.insert((since, ip))),
            _ => {}
        }
        if !address.is_held() {
            return;
        }
        if let Some(holding) = self.enis.get_mut(&address.eni) {
            return holding.count(ip, address);
        }
        let holding = self.enis.entry(address.eni.clone()).or_default();
        holding.count(ip, address);
    }

    /// An address goes, or is about to be changed; it is as it was counted.
    pub(super) fn discount(&mut self, ip: Ipv4Addr, address: &Address) {
        match address.state {
            AddressState::Cooling { until } => drop(self.cooling.remove(&(until, ip))),
            AddressState::Gone { since } => drop(self.gone.remove(&(since, ip))),
            _ => {}
        }
        let Some(holding) = self.enis.get_mut(&address.eni) else {
            return;
        };
        if address.is_held() {
            holding.discount(ip, address);
        }
        if holding.tally.held() == 0 {
            self.enis.remove(&address.eni);
        }
    }
}

impl Holding {
    const NONE: Self = Self {
        tally: Tally::NONE,
        free: BTreeMap::new(),
        prefixes: BTreeMap::new(),
        singles: 0,
    };

    fn count(&mut self, ip: Ipv4Addr, address: &Address) {
        self.tally.count(address);
        if let Some(since) = address.free_since() {
            let free = Free {
                address: ip,
                block: address.block,
                since,
            };
            self.free.insert(ip, free);
        }
        match address.block {
            Block::Prefix(prefix) => self.prefixes.entry(prefix).or_default().count(address),
            Block::Single | Block::Unknown => self.singles += stays(address),
        }
    }

    fn discount(&mut self, ip: Ipv4Addr, address: &Address) {
        self.tally.discount(address);
        self.free.remove(&ip);
        match address.block {
            Block::Prefix(prefix) => {
                if let Some(tally) = self.prefixes.get_mut(&prefix) {
                    tally.discount(address);
                    if tally.held() == 0 {
                        self.prefixes.remove(&prefix);
                    }
                }
            }
            Block::Single | Block::Unknown => self.singles -= stays(address),
        }
    }

    /// Slots that are taken once what is on its way back has left: one a single address, one a prefix.
    pub fn slots(&self) -> u32 {
        let stays = |tally: &&Tally| tally.held() > tally.unassigning;
        let prefixes = self.prefixes.values().filter(stays).count();
        self.singles
            .saturating_add(u32::try_from(prefixes).unwrap_or(u32::MAX))
    }

    /// The prefixes that have nothing but free addresses.
    pub fn idle_prefixes(&self) -> impl Iterator<Item = Ipv4Net> {
        let idle = self.prefixes.iter().filter(|(_, t)| t.free == t.held());
        idle.map(|(prefix, _)| *prefix)
    }
}

fn stays(address: &Address) -> u32 {
    u32::from(address.state != AddressState::Unassigning)
}
