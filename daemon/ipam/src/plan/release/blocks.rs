//! Which addresses and prefixes an ENI that stays gives back: what was free for long enough, the longest free first, from
//! the ENI with the fewest pods first, so that it empties. A prefix goes whole or not at all. Of what the operator does not
//! wish any more (single addresses where prefixes are asked for, prefixes where they are not) first.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use crate::action::{Action, Verb};
use crate::address::{AddressMode, Block, PREFIX_ADDRESSES};
use crate::eni::Eni;
use crate::plan::Planner;
use crate::policy::{AGE, Balance};
use crate::time::Timestamp;

/// How much may go.
struct Spare {
    /// Addresses, of all ENIs.
    all: u32,
    /// Of these, on ENIs that stay.
    staying: u32,
    /// Prefixes.
    prefixes: u32,
}

impl Planner<'_> {
    /// Gives back what is too much, one call an ENI.
    pub(super) fn unassign(&mut self, balance: Balance) {
        let mut balance = balance;
        if self.wished() == AddressMode::Secondary {
            let idle = PREFIX_ADDRESSES * self.idle_prefixes();
            if idle > 0 && self.exchange(balance) {
                return;
            }
            // They go as soon as they are old enough: no reserve.
            balance = balance.without(idle);
        }
        let all = self.reserve().surplus(balance);
        if all == 0 {
            return;
        }
        let mut enis: Vec<&Eni> = self.pool().enis().filter(|eni| eni.takes_pods()).collect();
        enis.sort_by_key(|eni| {
            (
                self.pool().tally(&eni.id).used(),
                std::cmp::Reverse(eni.device_index),
            )
        });
        let kept = self.policy().idle_prefixes();
        let mut spare = Spare {
            all,
            staying: self.spare_beside_emptied(&enis),
            prefixes: self.idle_prefixes().saturating_sub(kept),
        };
        for eni in enis {
            if !self.busy(&eni.id, Verb::Assign) && !self.busy(&eni.id, Verb::Unassign) {
                self.unassign_from(eni, &mut spare);
            }
        }
    }

    fn unassign_from(&mut self, eni: &Eni, spare: &mut Spare) {
        let emptied = self.is_emptied(eni);
        let most = if emptied {
            spare.all
        } else {
            spare.all.min(spare.staying)
        };
        let addresses = self.old_addresses(eni, most);
        let mut prefixes = Vec::new();
        if addresses.is_empty() && self.wished() == AddressMode::Prefix {
            prefixes = self.old_prefixes(eni, spare.prefixes.min(most / PREFIX_ADDRESSES));
        }
        let gone = count(&prefixes) * PREFIX_ADDRESSES + count(&addresses);
        if gone == 0 {
            return;
        }
        spare.all -= gone;
        spare.prefixes -= count(&prefixes);
        if !emptied {
            spare.staying -= gone;
        }
        self.act(Action::Unassign {
            eni: eni.id.clone(),
            addresses,
            prefixes,
        });
    }

    /// A prefix without pods, where single addresses are wished, makes way for as many of them as the reserve needs.
    /// Answers whether one goes, or they are asked for.
    fn exchange(&mut self, balance: Balance) -> bool {
        let enis: Vec<&Eni> = self.pool().enis().filter(|eni| eni.takes_pods()).collect();
        for eni in enis {
            let Some(prefix) = self.old_prefixes(eni, 1).pop() else {
                continue;
            };
            let (others, reserve) = (balance.without(PREFIX_ADDRESSES), self.reserve());
            if reserve.urgent(others) == 0 {
                return self.is_idle(&eni.id)
                    && self.act(Action::Unassign {
                        eni: eni.id.clone(),
                        addresses: Vec::new(),
                        prefixes: vec![prefix],
                    });
            }
            // What was refused once is not worth asking for again.
            let refused = self.pool().troubles().last(Verb::Assign).is_some();
            return !refused
                && self.ask_beside(None, AddressMode::Secondary, reserve.deficit(others));
        }
        false
    }

    /// How many the ENIs that stay may give: where one is about to go, the reserve is left to them.
    fn spare_beside_emptied(&self, enis: &[&Eni]) -> u32 {
        let stay = enis.iter().filter(|eni| !self.is_emptied(eni));
        let free: u32 = stay.map(|eni| self.pool().tally(&eni.id).free).sum();
        let kept = match enis.iter().any(|eni| self.is_emptied(eni)) {
            true => self.reserve().high,
            false => 0,
        };
        free.saturating_sub(kept)
    }

    /// How many prefixes have nothing but free addresses, over all ENIs.
    fn idle_prefixes(&self) -> u32 {
        let enis = self.pool().enis().filter(|eni| eni.takes_pods());
        let idle = enis.flat_map(|eni| self.pool().prefixes_of(&eni.id).into_values());
        count(
            &idle
                .filter(|tally| tally.free == tally.held())
                .collect::<Vec<_>>(),
        )
    }

    /// Up to `most` single addresses of `eni` that were free for long enough. None where whole ENIs are kept.
    fn old_addresses(&mut self, eni: &Eni, most: u32) -> Vec<Ipv4Addr> {
        if self.policy().is_of_whole_enis() {
            return Vec::new();
        }
        let free = self
            .pool()
            .addresses_of(&eni.id)
            .filter(|(_, address)| address.block == Block::Single)
            .filter_map(|(ip, address)| address.free_since().map(|since| (since, ip)));
        self.old(free.collect(), most)
    }

    /// Up to `most` prefixes of `eni` without pods, all of whose addresses were free for long enough.
    fn old_prefixes(&mut self, eni: &Eni, most: u32) -> Vec<Ipv4Net> {
        let prefixes = self.pool().prefixes_of(&eni.id).into_iter();
        let idle = prefixes.filter(|(_, tally)| tally.free == tally.held());
        let since = |prefix: Ipv4Net| {
            let members = self.pool().addresses_of(&eni.id);
            let members = members.filter(|(_, a)| a.block == Block::Prefix(prefix));
            members.filter_map(|(_, a)| a.free_since()).max()
        };
        let free = idle.filter_map(|(prefix, _)| Some((since(prefix)?, prefix)));
        self.old(free.collect(), most)
    }

    /// Up to `most` of those that are old enough, the oldest first; wakes the planner for the next one.
    fn old<T: Copy + Ord>(&mut self, mut free: Vec<(Timestamp, T)>, most: u32) -> Vec<T> {
        free.sort_unstable();
        free.truncate(most as usize);
        let old = free.partition_point(|(since, _)| self.now.since(*since) >= AGE);
        if let Some((since, _)) = free.get(old) {
            self.wake(since.after(AGE));
        }
        free.iter().take(old).map(|(_, block)| *block).collect()
    }
}

fn count<T>(items: &[T]) -> u32 {
    u32::try_from(items.len()).unwrap_or(u32::MAX)
}
