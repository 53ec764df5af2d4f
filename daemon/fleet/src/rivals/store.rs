//! What a node of another network has: ENIs, their CIDRs (a single address is a /32, a prefix a /28, as aws-node's data store
//! has it) and which pod has which address. Keeps books; decides nothing but which free address a pod gets.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::Duration;

use ipam::{EniId, Timestamp};
use ipnet::Ipv4Net;
use rand::RngExt;

use crate::node::PodId;
use crate::random::Random;

/// The ENIs and addresses of a node.
#[derive(Clone, Debug)]
pub(super) struct Store {
    /// How long a freed address rests.
    cooldown: Duration,
    enis: Vec<StoredEni>,
    pods: BTreeMap<PodId, Ipv4Addr>,
}

/// An ENI and what it has.
#[derive(Clone, Debug)]
pub(super) struct StoredEni {
    /// Its id.
    pub id: EniId,
    /// Its place on the instance; the primary's is 0.
    pub device_index: u32,
    /// Since when it is there.
    pub since: Timestamp,
    cidrs: Vec<Cidr>,
}

#[derive(Clone, Debug)]
struct Cidr {
    net: Ipv4Net,
    uses: Vec<Use>,
}

/// An address, from its ENI's side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Use {
    Fresh,
    Assigned,
    Freed(Timestamp),
}

/// Sums over a store, or over a part of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Stock {
    /// Addresses.
    pub total: u32,
    /// Addresses that pods have.
    pub assigned: u32,
    /// CIDRs.
    pub cidrs: u32,
    /// CIDRs of which no pod has an address.
    pub idle: u32,
}

impl Stock {
    /// Addresses that no pod has, resting ones included.
    pub fn available(self) -> u32 {
        self.total - self.assigned
    }
}

impl std::iter::Sum for Stock {
    fn sum<I: Iterator<Item = Self>>(parts: I) -> Self {
        parts.fold(Self::default(), |sum, part| Self {
            total: sum.total + part.total,
            assigned: sum.assigned + part.assigned,
            cidrs: sum.cidrs + part.cidrs,
            idle: sum.idle + part.idle,
        })
    }
}

impl Cidr {
    fn new(net: Ipv4Net) -> Self {
        let size = 1_usize << (32 - net.prefix_len());
        Self {
            net,
            uses: vec![Use::Fresh; size],
        }
    }

    fn stock(&self) -> Stock {
        let assigned = self.uses.iter().filter(|u| **u == Use::Assigned).count();
        Stock {
            total: self.uses.len() as u32,
            assigned: assigned as u32,
            cidrs: 1,
            idle: u32::from(assigned == 0),
        }
    }

    fn address(&self, at: usize) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.net.network().to_bits() + at as u32)
    }

    /// One that a pod had before and that has rested, else the lowest that none had.
    fn usable(&self, cooldown: Duration, now: Timestamp) -> Option<usize> {
        let rested = |u: &Use| matches!(u, Use::Freed(at) if now.since(*at) > cooldown);
        let used = self.uses.iter().position(rested);
        used.or_else(|| self.uses.iter().position(|u| *u == Use::Fresh))
    }
}

impl StoredEni {
    /// What it has.
    pub fn stock(&self) -> Stock {
        self.cidrs.iter().map(Cidr::stock).sum()
    }

    /// Whether it is the instance's first.
    pub fn is_primary(&self) -> bool {
        self.device_index == 0
    }

    /// When the last of its addresses has rested.
    pub fn rested(&self, cooldown: Duration) -> Option<Timestamp> {
        let uses = self.cidrs.iter().flat_map(|cidr| &cidr.uses);
        let freed = uses.filter_map(|u| match u {
            Use::Freed(at) => Some(at.after(cooldown)),
            _ => None,
        });
        freed.max()
    }

    /// Its CIDRs of which no pod has an address.
    pub fn idle(&self) -> impl Iterator<Item = Ipv4Net> {
        let idle = |cidr: &&Cidr| cidr.stock().idle == 1;
        self.cidrs.iter().filter(idle).map(|cidr| cidr.net)
    }
}

impl Store {
    /// An empty one.
    pub fn new(cooldown: Duration) -> Self {
        Self {
            cooldown,
            enis: Vec::new(),
            pods: BTreeMap::new(),
        }
    }

    /// The ENIs, in the order in which they came.
    pub fn enis(&self) -> &[StoredEni] {
        &self.enis
    }

    /// All that is there.
    pub fn stock(&self) -> Stock {
        self.enis.iter().map(StoredEni::stock).sum()
    }

    /// The lowest place on the instance that no ENI has.
    pub fn free_index(&self) -> u32 {
        let taken = |index: &u32| self.enis.iter().any(|eni| eni.device_index == *index);
        (0..).find(|index| !taken(index)).unwrap_or(u32::MAX)
    }

    /// Takes an ENI in, without addresses.
    pub fn add_eni(&mut self, id: EniId, device_index: u32, now: Timestamp) {
        self.enis.push(StoredEni {
            id,
            device_index,
            since: now,
            cidrs: Vec::new(),
        });
    }

    /// Takes CIDRs of an ENI in; none of one that is gone.
    pub fn add(&mut self, eni: &EniId, nets: impl IntoIterator<Item = Ipv4Net>) {
        if let Some(eni) = self.enis.iter_mut().find(|e| e.id == *eni) {
            eni.cidrs.extend(nets.into_iter().map(Cidr::new));
        }
    }

    /// Takes CIDRs out; those of which a pod has an address stay. Answers which went.
    pub fn remove(&mut self, eni: &EniId, nets: &[Ipv4Net]) -> Vec<Ipv4Net> {
        let Some(eni) = self.enis.iter_mut().find(|e| e.id == *eni) else {
            return Vec::new();
        };
        let gone: Vec<Ipv4Net> = eni.idle().filter(|net| nets.contains(net)).collect();
        eni.cidrs.retain(|cidr| !gone.contains(&cidr.net));
        gone
    }

    /// Takes an ENI out with all that it has.
    pub fn remove_eni(&mut self, id: &EniId) {
        self.enis.retain(|eni| eni.id != *id);
    }

    /// Gives a pod an address, if there is one: of any ENI and of any CIDR, as iterating over Go's maps has it (a random
    /// place to begin at, then round). A pod that has one keeps it.
    pub fn serve(&mut self, pod: PodId, now: Timestamp, random: &mut Random) -> Option<Ipv4Addr> {
        if let Some(address) = self.pods.get(&pod) {
            return Some(*address);
        }
        for eni in from_anywhere(&self.enis, random) {
            for cidr in from_anywhere(&self.enis[eni].cidrs, random) {
                let cidr = &mut self.enis[eni].cidrs[cidr];
                if let Some(at) = cidr.usable(self.cooldown, now) {
                    cidr.uses[at] = Use::Assigned;
                    let address = cidr.address(at);
                    self.pods.insert(pod, address);
                    return Some(address);
                }
            }
        }
        None
    }

    /// Takes a pod's address back.
    pub fn release(&mut self, pod: PodId, now: Timestamp) {
        let Some(address) = self.pods.remove(&pod) else {
            return;
        };
        let cidrs = self.enis.iter_mut().flat_map(|eni| &mut eni.cidrs);
        for cidr in cidrs.filter(|cidr| cidr.net.contains(&address)) {
            let at = address.to_bits() - cidr.net.network().to_bits();
            cidr.uses[at as usize] = Use::Freed(now);
        }
    }
}

/// All places of a list, from a random one on.
pub(super) fn from_anywhere<T>(
    list: &[T],
    random: &mut Random,
) -> impl Iterator<Item = usize> + use<T> {
    let count = list.len();
    let first = if count > 1 {
        random.random_range(0..count)
    } else {
        0
    };
    (first..count).chain(0..first)
}

/// Single addresses and prefixes as CIDRs.
pub(super) fn nets(addresses: &[Ipv4Addr], prefixes: &[Ipv4Net]) -> Vec<Ipv4Net> {
    let singles = addresses.iter().map(|ip| Ipv4Net::from(*ip));
    singles.chain(prefixes.iter().copied()).collect()
}

/// CIDRs as single addresses and prefixes.
pub(super) fn addresses_and_prefixes(nets: &[Ipv4Net]) -> (Vec<Ipv4Addr>, Vec<Ipv4Net>) {
    let (singles, prefixes): (Vec<Ipv4Net>, Vec<Ipv4Net>) =
        nets.iter().copied().partition(|net| net.prefix_len() == 32);
    (singles.iter().map(Ipv4Net::addr).collect(), prefixes)
}
