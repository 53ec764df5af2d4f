//! A subnet as an address map: who asks for one address gets any that is free, who asks for a /28 needs sixteen aligned
//! ones that are free all.

use std::net::Ipv4Addr;

use ipam::Timestamp;
use ipam::address::PREFIX_ADDRESSES;
use ipnet::Ipv4Net;
use rand::RngExt;

use crate::random::Random;
use crate::scenario;

/// How many of a subnet's first addresses AWS keeps (network, router, DNS, future use); and the last one (broadcast). VPC
/// user guide, "Subnet sizing for IPv4".
const KEPT_FIRST: u32 = 4;

/// A subnet.
#[derive(Debug)]
pub struct Subnet {
    cidr: Ipv4Net,
    random: Random,
    /// Offsets of free addresses.
    free: Bag,
    /// Numbers of /28s that are free as a whole.
    whole: Bag,
    /// Of each /28, how many of its addresses are free.
    free_in: Vec<u32>,
    size: u32,
    fewest_free: u32,
    dry_at: Option<Timestamp>,
    no_block_at: Option<Timestamp>,
}

impl Subnet {
    /// The subnet with what AWS and others have in it. `random` chooses from then on what is given; `others` where theirs
    /// lie.
    pub fn new(subnet: &scenario::Subnet, random: Random, mut others: Random) -> Self {
        let total = 1_u32 << (32 - u32::from(subnet.cidr.prefix_len()));
        let mut map = Self {
            cidr: subnet.cidr,
            random,
            free: Bag::full(total),
            whole: Bag::full(total / PREFIX_ADDRESSES),
            free_in: vec![PREFIX_ADDRESSES; (total / PREFIX_ADDRESSES) as usize],
            size: 0,
            fewest_free: 0,
            dry_at: None,
            no_block_at: None,
        };
        (0..KEPT_FIRST).for_each(|offset| map.take(offset));
        map.take(total - 1);
        for offset in (KEPT_FIRST..total - 1).take(subnet.others as usize) {
            match subnet.scattered {
                true => {
                    if let Some(offset) = map.free.draw(&mut others) {
                        map.take(offset);
                    }
                }
                false => map.take(offset),
            }
        }
        map.size = map.free.len();
        map.fewest_free = map.size;
        map
    }

    /// Its CIDR.
    pub fn cidr(&self) -> Ipv4Net {
        self.cidr
    }

    /// Addresses that nobody has, those of broken /28s included.
    pub fn free(&self) -> u32 {
        self.free.len()
    }

    /// Addresses that it could give when it was new.
    pub fn size(&self) -> u32 {
        self.size
    }

    /// Fewest free at one time.
    pub fn fewest_free(&self) -> u32 {
        self.fewest_free
    }

    /// When an address could not be had for the first time.
    pub fn dry_at(&self) -> Option<Timestamp> {
        self.dry_at
    }

    /// When a /28, or a node's own range, could not be had for the first time.
    pub fn no_block_at(&self) -> Option<Timestamp> {
        self.no_block_at
    }

    /// Gives `count` addresses, or none. EC2 does not say how it chooses: any free one is assumed.
    pub fn give(&mut self, count: u32, now: Timestamp) -> Option<Vec<Ipv4Addr>> {
        if self.free.len() < count {
            self.dry_at = self.dry_at.or(Some(now));
            return None;
        }
        let mut given = Vec::new();
        for _ in 0..count {
            if let Some(offset) = self.free.draw(&mut self.random) {
                self.take(offset);
                given.push(self.address(offset));
            }
        }
        self.note();
        Some(given)
    }

    /// Gives `count` /28s, or none.
    pub fn give_blocks(&mut self, count: u32, now: Timestamp) -> Option<Vec<Ipv4Net>> {
        if self.whole.len() < count {
            self.no_block_at = self.no_block_at.or(Some(now));
            return None;
        }
        let mut given = Vec::new();
        for _ in 0..count {
            if let Some(block) = self.whole.draw(&mut self.random) {
                (block * PREFIX_ADDRESSES..(block + 1) * PREFIX_ADDRESSES)
                    .for_each(|offset| self.take(offset));
                given.extend(Ipv4Net::new(self.address(block * PREFIX_ADDRESSES), 28));
            }
        }
        self.note();
        Some(given)
    }

    /// Gives the first range of this length of which nobody has an address.
    pub fn give_range(&mut self, length: u8, now: Timestamp) -> Option<Ipv4Net> {
        let whole = |range: &Ipv4Net| {
            let mut offsets = self.offsets(*range);
            offsets.all(|offset| self.free.contains(offset))
        };
        // One that is longer than the subnet has none.
        let range = self
            .cidr
            .subnets(length)
            .ok()
            .and_then(|mut ranges| ranges.find(whole));
        let Some(range) = range else {
            self.no_block_at = self.no_block_at.or(Some(now));
            return None;
        };
        self.offsets(range).for_each(|offset| self.take(offset));
        self.note();
        Some(range)
    }

    /// Takes addresses back.
    pub fn put_back(&mut self, range: Ipv4Net) {
        for offset in self.offsets(range) {
            if self.free.insert(offset) {
                let block = offset / PREFIX_ADDRESSES;
                self.free_in[block as usize] += 1;
                if self.free_in[block as usize] == PREFIX_ADDRESSES {
                    self.whole.insert(block);
                }
            }
        }
    }

    fn take(&mut self, offset: u32) {
        if self.free.remove(offset) {
            self.free_in[(offset / PREFIX_ADDRESSES) as usize] -= 1;
            self.whole.remove(offset / PREFIX_ADDRESSES);
        }
    }

    fn note(&mut self) {
        self.fewest_free = self.fewest_free.min(self.free.len());
    }

    fn address(&self, offset: u32) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.cidr.network().to_bits() + offset)
    }

    fn offsets(&self, range: Ipv4Net) -> std::ops::RangeInclusive<u32> {
        let first = self.cidr.network().to_bits();
        range.network().to_bits() - first..=range.broadcast().to_bits() - first
    }
}

/// Numbers below a bound, of which any can be drawn in no time.
#[derive(Clone, Debug)]
struct Bag {
    numbers: Vec<u32>,
    /// Where each number stands among them.
    place: Vec<Option<u32>>,
}

impl Bag {
    fn full(bound: u32) -> Self {
        Self {
            numbers: (0..bound).collect(),
            place: (0..bound).map(Some).collect(),
        }
    }

    fn len(&self) -> u32 {
        u32::try_from(self.numbers.len()).unwrap_or(u32::MAX)
    }

    fn contains(&self, number: u32) -> bool {
        self.place[number as usize].is_some()
    }

    fn draw(&self, random: &mut Random) -> Option<u32> {
        let len = self.numbers.len();
        (len > 0).then(|| self.numbers[random.random_range(0..len)])
    }

    /// Answers whether it was not there.
    fn insert(&mut self, number: u32) -> bool {
        if self.contains(number) {
            return false;
        }
        self.place[number as usize] = Some(self.len());
        self.numbers.push(number);
        true
    }

    /// Answers whether it was there.
    fn remove(&mut self, number: u32) -> bool {
        let Some(place) = self.place[number as usize].take() else {
            return false;
        };
        self.numbers.swap_remove(place as usize);
        if let Some(moved) = self.numbers.get(place as usize) {
            self.place[*moved as usize] = Some(place);
        }
        true
    }
}

#[cfg(test)]
#[allow(clippy::expect_used)]
mod tests {
    use super::*;
    use crate::random::{Purpose, stream};

    fn subnet(cidr: &str, others: u32, scattered: bool) -> Subnet {
        let subnet = scenario::Subnet {
            name: "subnet-a".to_owned(),
            cidr: cidr.parse().expect("a CIDR"),
            others,
            scattered,
        };
        let random = |purpose| stream(1, purpose, 0, 0);
        Subnet::new(&subnet, random(Purpose::Addresses), random(Purpose::Others))
    }

    fn whole(subnet: &Subnet) -> u32 {
        subnet.whole.len()
    }

    #[test]
    fn aws_keeps_five_and_breaks_the_first_and_the_last_block() {
        for (cidr, free, blocks) in [
            ("10.0.0.0/28", 11, 0),
            ("10.0.0.32/27", 27, 0),
            ("10.0.0.0/26", 59, 2),
            ("10.0.0.0/24", 251, 14),
            ("10.0.0.0/22", 1019, 62),
            ("10.0.16.0/20", 4091, 254),
            ("10.0.0.0/16", 65_531, 4094),
        ] {
            let subnet = subnet(cidr, 0, false);
            assert_eq!((subnet.free(), subnet.size()), (free, free), "{cidr}");
            assert_eq!(whole(&subnet), blocks, "{cidr}");
        }
    }

    #[test]
    fn an_emptied_subnet_gives_each_address_once_and_nothing_of_awss() {
        let mut subnet = subnet("10.0.0.0/27", 0, false);
        let now = Timestamp::from_secs(7);
        let mut given = subnet.give(26, now).expect("26 of 27");
        assert!(subnet.give(2, now).is_none(), "all or nothing");
        assert_eq!((subnet.dry_at(), subnet.free()), (Some(now), 1));
        given.extend(subnet.give(1, now).expect("the last one"));
        given.sort_unstable();
        let expected: Vec<Ipv4Addr> = (4..31).map(|n| Ipv4Addr::new(10, 0, 0, n)).collect();
        assert_eq!(given, expected);
        assert_eq!(subnet.fewest_free(), 0);
        let one = Ipv4Net::from(given[3]);
        subnet.put_back(one);
        subnet.put_back(one);
        assert_eq!(subnet.free(), 1, "given back twice is there once");
        assert_eq!(subnet.give(1, now).expect("it"), [given[3]]);
    }

    #[test]
    fn a_block_breaks_with_its_first_address_and_heals_with_its_last() {
        let mut subnet = subnet("10.0.0.0/26", 0, false);
        let now = Timestamp::default();
        let blocks = subnet.give_blocks(2, now).expect("two");
        assert!(
            blocks
                .iter()
                .all(|b| b.prefix_len() == 28 && b.addr() == b.network())
        );
        assert!(subnet.give_blocks(1, now).is_none());
        assert_eq!(subnet.free(), 27);
        subnet.put_back(blocks[0]);
        assert_eq!(whole(&subnet), 1);
        let all = subnet.give(43, now).expect("all the rest");
        assert_eq!((whole(&subnet), subnet.dry_at()), (0, None));
        let members = all.into_iter().filter(|ip| blocks[0].contains(ip));
        let members: Vec<Ipv4Addr> = members.collect();
        assert_eq!(members.len(), 16);
        for (n, ip) in members.into_iter().enumerate() {
            assert_eq!(whole(&subnet), 0, "after {n}");
            subnet.put_back(Ipv4Net::from(ip));
        }
        assert_eq!(whole(&subnet), 1);
    }

    #[test]
    fn others_break_blocks_where_they_are_scattered() {
        let packed = subnet("10.0.16.0/20", 1432, false);
        assert_eq!((packed.free(), packed.size()), (2659, 2659));
        // 4 + 1432 addresses touch 90 of 256 blocks, the last block is AWS's.
        assert_eq!(whole(&packed), 256 - 90 - 1);
        let scattered = subnet("10.0.16.0/20", 1432, true);
        assert_eq!(scattered.free(), 2659);
        // A block is whole with probability 0.65^16 = 0.001.
        assert!(whole(&scattered) <= 3, "{}", whole(&scattered));
    }

    #[test]
    fn ranges_are_aligned_and_whole() {
        let mut subnet = subnet("10.0.0.0/22", 0, false);
        let ranges: Vec<String> =
            std::iter::from_fn(|| subnet.give_range(24, Timestamp::default()))
                .map(|range| range.to_string())
                .collect();
        assert_eq!(ranges, ["10.0.1.0/24", "10.0.2.0/24"]);
    }
}
