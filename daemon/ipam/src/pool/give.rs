//! Which address the next pod gets: so that what could go empties.

use std::cmp::Reverse;
use std::net::Ipv4Addr;

use crate::address::{Block, Tally};
use crate::eni::{Eni, EniId};
use crate::pool::{Free, Holding, Pool};

/// A prefix with so many pods is not likely to empty soon: its other addresses are held for nothing until it does.
const PINNED: u32 = 4;

impl Pool {
    /// The address that the next pod gets: on the first ENI that has one, the primary before all others, since it never goes
    /// and the last one attached goes first; there the place that is least likely to empty; of that, the longest free.
    pub fn choose(&self) -> Option<(Ipv4Addr, EniId)> {
        let census = self.census();
        let takes = self.enis.values().filter(|eni| eni.takes_pods());
        let free = |eni: &Eni| !census.of(&eni.id).free.is_empty();
        let eni = takes
            .filter(|eni| free(eni))
            .min_by_key(|eni| eni.device_index)?;
        let holding = census.of(&eni.id);
        let best = holding
            .free
            .values()
            .min_by_key(|free| (place(holding, free), free.since, free.address))?;
        Some((best.address, eni.id.clone()))
    }
}

/// The fullest prefix that is pinned, then a single address, then the fullest of the other prefixes.
fn place(holding: &Holding, free: &Free) -> (u8, Reverse<u32>) {
    let Block::Prefix(prefix) = free.block else {
        return (1, Reverse(0));
    };
    match holding
        .prefixes
        .get(&prefix)
        .map_or(0, |t: &Tally| t.used())
    {
        used @ PINNED.. => (0, Reverse(used)),
        used => (2, Reverse(used)),
    }
}
