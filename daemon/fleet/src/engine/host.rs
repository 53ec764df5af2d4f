//! A node of the simulation: its pool, which pods have which of its addresses, and what came for it before it was up.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::time::Duration;

use ipam::{IntentId, Timestamp};
use ipnet::Ipv4Net;

use crate::node::{Input, Node, Output, PodId};

/// A node.
pub struct Host {
    pool: Box<dyn Node>,
    state: State,
    /// Who has which address.
    living: BTreeMap<Ipv4Addr, PodId>,
    /// When addresses were freed that are resting.
    freed: BTreeMap<Ipv4Addr, Timestamp>,
    cooldown: Option<Duration>,
    under_way: BTreeSet<IntentId>,
    ranges: Vec<Ipv4Net>,
    wish: Option<Timestamp>,
    wishes: u64,
}

/// Whether it is up.
enum State {
    /// Not yet: this often it tried, and this came for it.
    Down(usize, Vec<Input>),
    /// Yes.
    Up,
}

impl Host {
    /// A node that is not up. `cooldown` is how long its pool promises to rest an address.
    pub fn new(pool: Box<dyn Node>, cooldown: Option<Duration>) -> Self {
        Self {
            pool,
            state: State::Down(0, Vec::new()),
            living: BTreeMap::new(),
            freed: BTreeMap::new(),
            cooldown,
            under_way: BTreeSet::new(),
            ranges: Vec::new(),
            wish: None,
            wishes: 0,
        }
    }

    /// Whether it has booted.
    pub fn is_up(&self) -> bool {
        matches!(self.state, State::Up)
    }

    /// Counts a boot that failed; answers how many did before.
    pub fn boot_failed(&mut self) -> usize {
        match &mut self.state {
            State::Down(tries, _) => {
                *tries += 1;
                *tries - 1
            }
            State::Up => 0,
        }
    }

    /// Is up; answers what came for it before.
    pub fn boot(&mut self) -> Vec<Input> {
        match std::mem::replace(&mut self.state, State::Up) {
            State::Down(_, backlog) => backlog,
            State::Up => Vec::new(),
        }
    }

    /// Takes something in, now or once it is up.
    pub fn take(&mut self, input: Input, now: Timestamp) -> Vec<Output> {
        match &mut self.state {
            State::Up => self.pool.take(input, now),
            State::Down(_, backlog) => {
                backlog.push(input);
                Vec::new()
            }
        }
    }

    /// An action begins; answers whether none of its name is under way.
    pub fn began(&mut self, id: IntentId) -> bool {
        self.under_way.insert(id)
    }

    /// Whether nothing is under way.
    #[cfg(test)]
    pub fn is_quiet(&self) -> bool {
        self.under_way.is_empty()
    }

    /// It has ended.
    pub fn ended(&mut self, id: IntentId) {
        self.under_way.remove(&id);
    }

    /// Has a range of its own from now on.
    pub fn gets_range(&mut self, range: Option<Ipv4Net>) {
        self.ranges.extend(range);
    }

    /// The ranges of its own.
    #[cfg(test)]
    pub fn ranges(&self) -> impl Iterator<Item = Ipv4Net> {
        self.ranges.iter().copied()
    }

    /// Whether an address is of a range of its own.
    pub fn has_range_with(&self, address: Ipv4Addr) -> bool {
        self.ranges.iter().any(|range| range.contains(&address))
    }

    /// Wants to be woken; answers the number of the wish, unless it is the one that stands already.
    pub fn wishes(&mut self, at: Timestamp) -> Option<u64> {
        if self.wish == Some(at) {
            return None;
        }
        self.wish = Some(at);
        self.wishes += 1;
        Some(self.wishes)
    }

    /// Whether this wish still stands; it is fulfilled then.
    pub fn is_wish(&mut self, wish: u64) -> bool {
        let stands = self.wish.is_some() && self.wishes == wish;
        if stands {
            self.wish = None;
        }
        stands
    }

    /// A pod gets an address.
    ///
    /// # Errors
    /// Why it must not.
    pub fn occupy(&mut self, address: Ipv4Addr, pod: PodId, now: Timestamp) -> Result<(), String> {
        if let Some(other) = self.living.get(&address) {
            return Err(format!(
                "gave {address} to pod {pod}, which pod {other} has"
            ));
        }
        if let (Some(cooldown), Some(freed)) = (self.cooldown, self.freed.remove(&address))
            && now.since(freed) < cooldown
        {
            let rested = now.since(freed).as_secs_f64();
            return Err(format!(
                "gave {address} to pod {pod} after {rested:.3} s of rest"
            ));
        }
        self.living.insert(address, pod);
        Ok(())
    }

    /// A pod gives its address back.
    pub fn vacate(&mut self, address: Ipv4Addr, now: Timestamp) {
        self.living.remove(&address);
        if self.cooldown.is_some() {
            self.freed.insert(address, now);
        }
    }

    /// Has a block no more: what EC2 gives it of it again is a new address.
    pub fn loses(&mut self, block: Ipv4Net) {
        self.freed.retain(|address, _| !block.contains(address));
    }

    /// A pod that has an address of this block.
    pub fn living_in(&self, block: Ipv4Net) -> Option<(Ipv4Addr, PodId)> {
        let mut living = self.living.range(block.network()..=block.broadcast());
        living.next().map(|(address, pod)| (*address, *pod))
    }
}
