//! A sketch of GKE's Pod CIDRs: each node has a range of its own for good, taken when it joins, with room for twice its pods
//! ("Configure maximum Pods per node", cloud.google.com/kubernetes-engine/docs/how-to/flexible-pod-cidr: 8 pods /28, 9 to 16 /27, 17
//! to 32 /26, 33 to 64 /25, 65 to 110 /24, 110 at most). No call is made for a pod.
//!
//! Addresses are given in turn, as the `host-local` plugin does, so that one rests for as long as possible. Where the subnet has
//! no such range left the node never serves a pod: it does not ask again, since nobody gives a range back.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use ipam::Timestamp;
use ipnet::Ipv4Net;

use crate::node::{Input, Node, Output, PodId};

/// Pods that GKE allows on a node by default.
const MOST_PODS: u32 = 110;

/// Pods of its smallest range.
const FEWEST_PODS: u32 = 8;

/// A node with a range of its own.
#[derive(Clone, Debug)]
pub struct GkeNode {
    max_pods: u32,
    /// Its range, once it has it.
    range: Option<Ipv4Net>,
    /// Offset of the address to try first.
    next: u32,
    pods: BTreeMap<PodId, Ipv4Addr>,
    taken: Vec<bool>,
}

/// The length of the range for so many pods.
pub fn range_length(max_pods: u32) -> u8 {
    let addresses = 2 * max_pods.clamp(FEWEST_PODS, MOST_PODS);
    32 - addresses.next_power_of_two().trailing_zeros() as u8
}

impl GkeNode {
    /// A node that takes so many pods.
    pub fn new(max_pods: u32) -> Self {
        Self {
            max_pods,
            range: None,
            next: 0,
            pods: BTreeMap::new(),
            taken: Vec::new(),
        }
    }

    fn serve(&mut self, pod: PodId) -> Option<Ipv4Addr> {
        if let Some(address) = self.pods.get(&pod) {
            return Some(*address);
        }
        let range = self.range?;
        let count = self.taken.len() as u32;
        let mut order = (self.next..count).chain(0..self.next);
        let offset = order.find(|offset| !self.taken[*offset as usize])?;
        self.taken[offset as usize] = true;
        self.next = (offset + 1) % count;
        let address = Ipv4Addr::from_bits(range.network().to_bits() + offset);
        self.pods.insert(pod, address);
        Some(address)
    }

    fn release(&mut self, pod: PodId) {
        if let (Some(range), Some(address)) = (self.range, self.pods.remove(&pod)) {
            let offset = address.to_bits() - range.network().to_bits();
            self.taken[offset as usize] = false;
        }
    }
}

impl Node for GkeNode {
    fn take(&mut self, input: Input, _: Timestamp) -> Vec<Output> {
        match input {
            Input::Booted { .. } => {
                let length = range_length(self.max_pods);
                return vec![Output::TakeRange { length }];
            }
            Input::Range { range } => {
                self.range = range;
                let size = range.map_or(0, |range| 1 << (32 - range.prefix_len()));
                self.taken = vec![false; size];
            }
            Input::Add { pod } => {
                return vec![match self.serve(pod) {
                    Some(address) => Output::Serve { pod, address },
                    None => Output::Refuse { pod },
                }];
            }
            Input::Del { pod } => self.release(pod),
            Input::Bound { .. } | Input::Ended { .. } | Input::Subnet { .. } | Input::Woken => {}
        }
        Vec::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The page's table.
    #[test]
    fn ranges_have_room_for_twice_the_pods() {
        let rows = [
            (8, 28),
            (9, 27),
            (16, 27),
            (17, 26),
            (32, 26),
            (33, 25),
            (64, 25),
            (65, 24),
            (110, 24),
        ];
        for (pods, length) in rows {
            assert_eq!(range_length(pods), length, "{pods} pods");
        }
        assert_eq!(range_length(737), 24, "no more than 110 pods");
        assert_eq!(range_length(4), 28);
    }

    #[test]
    fn addresses_are_given_in_turn() {
        let mut node = GkeNode::new(8);
        let now = Timestamp::from_secs(1);
        let mut served = |input| match node.take(input, now).pop() {
            Some(Output::Serve { address, .. }) => Some(address.octets()[3]),
            _ => None,
        };
        assert_eq!(served(Input::Add { pod: 0 }), None, "no range yet");
        let range = Some(Ipv4Net::new_assert(Ipv4Addr::new(10, 0, 0, 16), 28));
        served(Input::Range { range });
        assert_eq!(served(Input::Add { pod: 0 }), Some(16));
        assert_eq!(served(Input::Add { pod: 0 }), Some(16), "it has one");
        served(Input::Del { pod: 0 });
        let rest: Vec<_> = (1..=16).map(|pod| served(Input::Add { pod })).collect();
        assert_eq!(rest[0], Some(17), "the freed one comes last");
        assert_eq!(rest[15], Some(16));
        assert_eq!(served(Input::Add { pod: 17 }), None);
    }
}
