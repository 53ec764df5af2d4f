//! Why each held address is held.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use super::{Departures, Scene};
use crate::address::{Address, AddressState, Block};
use crate::attachment::{Attachment, AttachmentKey};
use crate::eni::{Eni, EniId};
use crate::pool::{Event, Pool};
use crate::time::Timestamp;

/// One held address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddressNote {
    /// It.
    pub ip: Ipv4Addr,
    /// Its ENI.
    pub eni: EniId,
    /// How it came there.
    pub block: Block,
    /// Since when it is as it is, where that is known.
    pub since: Option<Timestamp>,
    /// Why it is held.
    pub why: Why,
    /// When it is given back, if nothing happens; none: not within sight.
    pub goes: Option<Timestamp>,
}

/// Why an address is held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// A pod has it.
    Pod {
        /// Which.
        to: AttachmentKey,
    },
    /// A pod had it until lately.
    Cooling {
        /// Until when nobody may have it.
        until: Timestamp,
    },
    /// EC2 shows it, but no answer to a call of ours named it.
    Quarantined,
    /// EC2 does not show it.
    NotShown {
        /// How often in a row.
        times: u32,
    },
    /// It is on its way back to EC2, alone or with its ENI.
    Leaving,
    /// Its ENI is on its way here.
    Arriving,
    /// The next Describe tells whose it is.
    Unknown,
    /// The `nth` pod without an address gets it.
    ForPod {
        /// From 0.
        nth: u32,
    },
    /// Nobody needs it: it goes.
    Surplus {
        /// In which place, from 1.
        rank: u32,
        /// Of how many that go.
        of: u32,
        /// Since when so many have been too many.
        since: Option<Timestamp>,
    },
    /// It is of a prefix that goes as a whole or not at all, and pods have others of it.
    Prefix {
        /// How many pods have, or had lately, an address of it.
        pods: u32,
    },
    /// Addresses are held by whole ENIs here.
    WholeEni,
    /// It is kept for the next pod.
    Reserve,
}

impl Scene<'_> {
    pub(super) fn addresses(&self, departures: &Departures) -> Vec<AddressNote> {
        let promised = self.promised();
        let ranks = self.ranks(departures, &promised);
        let going = u32::try_from(ranks.len()).unwrap_or(u32::MAX);
        // More may go later, when the reserve has become smaller: those are of the reserve yet.
        let of = going.min(self.standing.surplus());
        let held = self.view.pool.addresses().filter(|(_, a)| a.is_held());
        held.map(|(ip, address)| AddressNote {
            ip,
            eni: address.eni.clone(),
            block: address.block,
            since: self.since(address),
            why: match (promised.get(&ip), ranks.get(&ip)) {
                (Some(nth), _) => Why::ForPod { nth: *nth },
                (None, Some(rank)) if *rank <= of => self.surplus(*rank, of),
                _ => self.why(address),
            },
            goes: departures.of(ip, address),
        })
        .collect()
    }

    fn surplus(&self, rank: u32, of: u32) -> Why {
        let level = (rank as usize).checked_sub(1);
        let since = level.and_then(|level| self.standing.levels.get(level));
        Why::Surplus {
            rank,
            of,
            since: since.copied(),
        }
    }

    /// The places of the addresses that go, in the order in which they do.
    fn ranks(
        &self,
        departures: &Departures,
        promised: &BTreeMap<Ipv4Addr, u32>,
    ) -> BTreeMap<Ipv4Addr, u32> {
        let mut going = Vec::new();
        for (ip, address) in self.view.pool.addresses() {
            let Some(eni) = self.eni_of(address).filter(|eni| eni.takes_pods()) else {
                continue;
            };
            if let Some(at) = departures.of(ip, address)
                && let Some(since) = address.free_since()
                && !promised.contains_key(&ip)
            {
                going.push((at, Reverse(eni.device_index), since, ip));
            }
        }
        going.sort_unstable();
        going.into_iter().map(|go| go.3).zip(1..).collect()
    }

    fn eni_of(&self, address: &Address) -> Option<&Eni> {
        self.view.pool.eni(&address.eni)
    }

    fn since(&self, address: &Address) -> Option<Timestamp> {
        match &address.state {
            AddressState::Free { since } | AddressState::Quarantined { since } => Some(*since),
            AddressState::Assigned { to } => self.view.pool.attachment(to).map(|a| a.since),
            AddressState::Cooling { .. }
            | AddressState::Unassigning
            | AddressState::Gone { .. } => None,
        }
    }

    /// Why an address that no plan gives back, and that is promised to nobody, is held.
    fn why(&self, address: &Address) -> Why {
        match &address.state {
            AddressState::Assigned { to } => Why::Pod { to: to.clone() },
            AddressState::Unassigning | AddressState::Gone { .. } => Why::Leaving,
            AddressState::Cooling { until } => Why::Cooling { until: *until },
            AddressState::Quarantined { .. } => Why::Quarantined,
            AddressState::Free { .. } => self.why_free(address),
        }
    }

    fn why_free(&self, address: &Address) -> Why {
        let missed = address
            .missed
            .or(self.eni_of(address).and_then(|e| e.missed));
        if let Some(misses) = missed {
            return Why::NotShown {
                times: misses.count,
            };
        }
        match self.eni_of(address) {
            Some(eni) if eni.is_coming() => return Why::Arriving,
            Some(eni) if !eni.takes_pods() => return Why::Leaving,
            None => return Why::Unknown,
            Some(_) => {}
        }
        if self.standing.policy.is_of_whole_enis() {
            return Why::WholeEni;
        }
        let pods = match address.block {
            Block::Prefix(prefix) => self
                .view
                .pool
                .prefixes_of(&address.eni)
                .get(&prefix)
                .map_or(0, |tally| tally.used()),
            Block::Single | Block::Unknown => 0,
        };
        match pods {
            0 => Why::Reserve,
            pods => Why::Prefix { pods },
        }
    }

    /// The free addresses that pods without one will get, in the order in which they are handed out.
    fn promised(&self) -> BTreeMap<Ipv4Addr, u32> {
        let mut pool = self.view.pool.clone();
        let mut promised = BTreeMap::new();
        for nth in 0..self.view.demand.pods() {
            let Some((ip, eni)) = pool.choose() else {
                break;
            };
            if hand_out(&mut pool, nth, ip, eni, self.now).is_none() {
                break;
            }
            promised.insert(ip, nth);
        }
        promised
    }
}

/// Gives an address to a pod that does not exist yet.
fn hand_out(pool: &mut Pool, nth: u32, ip: Ipv4Addr, eni: EniId, now: Timestamp) -> Option<()> {
    let key = AttachmentKey {
        network: String::new(),
        container_id: format!("{nth}"),
        ifname: String::new(),
    };
    let attachment = Box::new(Attachment::bare(key, ip, eni, now));
    pool.apply(Event::Allocated { attachment }).ok()
}
