//! A subnet and its addresses: which can be given out, which are, and which comes next, one by one or by the /28.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use crate::mock::error::{Code, Refusal};
use crate::mock::seed::Seed;

/// Addresses of each subnet that AWS keeps: the first four and the last (VPC User Guide, "Subnet CIDR blocks").
pub const RESERVED_PER_SUBNET: u32 = 5;

/// Length of a delegated IPv4 prefix, and how many addresses it has (EC2 User Guide, "Prefix delegation").
pub const DELEGATED_LENGTH: u8 = 28;
const DELEGATED_SIZE: u32 = 16;

/// A subnet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subnet {
    /// `subnet-...`.
    pub id: String,
    /// Its block, /16 to /28.
    pub cidr: Ipv4Net,
    /// Availability zone.
    pub zone: String,
    used: BTreeSet<Ipv4Addr>,
}

impl Subnet {
    pub(super) fn new(id: String, cidr: Ipv4Net, zone: String) -> Self {
        Self {
            id,
            cidr: cidr.trunc(),
            zone,
            used: BTreeSet::new(),
        }
    }

    pub(super) fn overlaps(&self, other: &Ipv4Net) -> bool {
        self.cidr.contains(&other.network()) || other.contains(&self.cidr.network())
    }

    /// The VPC router's address: the second of the block.
    pub fn gateway(&self) -> Ipv4Addr {
        Ipv4Addr::from(u32::from(self.cidr.network()).saturating_add(1))
    }

    /// How many addresses it can give out in all.
    pub fn capacity(&self) -> u32 {
        let size = 1_u32
            .checked_shl(u32::from(32 - self.cidr.prefix_len()))
            .unwrap_or(0);
        size.saturating_sub(RESERVED_PER_SUBNET)
    }

    /// How many addresses are free (`AvailableIpAddressCount`).
    pub fn free(&self) -> u32 {
        let used = u32::try_from(self.used.len()).unwrap_or(u32::MAX);
        self.capacity().saturating_sub(used)
    }

    /// The addresses that are given out.
    pub fn used(&self) -> &BTreeSet<Ipv4Addr> {
        &self.used
    }

    /// Whether EC2 could give this address to somebody at all.
    pub fn is_assignable(&self, address: Ipv4Addr) -> bool {
        let first = u32::from(self.nth(0));
        (first..first.saturating_add(self.capacity())).contains(&u32::from(address))
    }

    /// Takes `count` free addresses, or none. They are scattered over the block as EC2's are: code that counts on
    /// the lowest or the last freed one shall fail here.
    pub(super) fn take(&mut self, count: u32, seed: &mut Seed) -> Result<Vec<Ipv4Addr>, Refusal> {
        if count > self.free() {
            return Err(Code::InsufficientFreeAddressesInSubnet.because(
                "The specified subnet does not have enough free addresses to satisfy the request.",
            ));
        }
        let mut taken = Vec::new();
        for _ in 0..count {
            taken.extend(self.take_one(seed));
        }
        Ok(taken)
    }

    fn take_one(&mut self, seed: &mut Seed) -> Option<Ipv4Addr> {
        let capacity = self.capacity();
        let start = u32::try_from(seed.below(u64::from(capacity))).ok()?;
        let free = (start..capacity)
            .chain(0..start)
            .map(|n| self.nth(n))
            .find(|a| !self.used.contains(a))?;
        self.used.insert(free);
        Some(free)
    }

    /// Takes `count` free /28s, or none: aligned to 16, with no address in them that somebody has or AWS keeps. So a
    /// subnet can have any number of free addresses and not one prefix.
    pub(super) fn take_prefixes(
        &mut self,
        count: u32,
        seed: &mut Seed,
    ) -> Result<Vec<Ipv4Net>, Refusal> {
        let mut free: Vec<Ipv4Net> = self.free_prefixes().collect();
        if free.len() < usize::try_from(count).unwrap_or(usize::MAX) {
            return Err(Code::InsufficientCidrBlocks.because(
                "The specified subnet does not have enough free cidr blocks to satisfy the request.",
            ));
        }
        let mut taken = Vec::new();
        for _ in 0..count {
            let at = usize::try_from(seed.below(free.len() as u64)).unwrap_or_default();
            taken.push(free.swap_remove(at));
        }
        self.used.extend(taken.iter().copied().flat_map(members));
        Ok(taken)
    }

    /// Takes these /28s, or none. The codes are a guess: nobody has published what EC2 answers.
    pub(super) fn take_these_prefixes(&mut self, prefixes: &[Ipv4Net]) -> Result<(), Refusal> {
        let is_block = |prefix: &Ipv4Net| {
            prefix.prefix_len() == DELEGATED_LENGTH && prefix.addr() == prefix.network()
        };
        if let Some(prefix) = prefixes.iter().find(|prefix| !is_block(prefix)) {
            return Err(Code::InvalidParameterValue.because(format!(
                "{prefix} is not a /28 that begins at a multiple of 16"
            )));
        }
        let members: Vec<_> = prefixes.iter().copied().flat_map(members).collect();
        self.take_these(&members)
    }

    /// The /28s that can be delegated now, lowest first.
    pub fn free_prefixes(&self) -> impl Iterator<Item = Ipv4Net> + '_ {
        let blocks = self.cidr.subnets(DELEGATED_LENGTH);
        let free = |block: &Ipv4Net| {
            members(*block).all(|a| self.is_assignable(a) && !self.used.contains(&a))
        };
        blocks.into_iter().flatten().filter(free)
    }

    /// Takes these addresses, or none.
    pub(super) fn take_these(&mut self, addresses: &[Ipv4Addr]) -> Result<(), Refusal> {
        for (index, address) in addresses.iter().enumerate() {
            if !self.is_assignable(*address) || addresses[..index].contains(address) {
                return Err(Code::InvalidParameterValue.because(format!(
                    "Address {address} is reserved, repeated or does not fall within the subnet's address range"
                )));
            }
            if self.used.contains(address) {
                return Err(
                    Code::InvalidIpAddressInUse.because(format!("Address {address} is in use."))
                );
            }
        }
        self.used.extend(addresses);
        Ok(())
    }

    pub(super) fn give_back(&mut self, addresses: impl IntoIterator<Item = Ipv4Addr>) {
        for address in addresses {
            self.used.remove(&address);
        }
    }

    /// The nth assignable address: four are reserved before it.
    fn nth(&self, n: u32) -> Ipv4Addr {
        Ipv4Addr::from(
            u32::from(self.cidr.network())
                .saturating_add(4)
                .saturating_add(n),
        )
    }
}

/// All sixteen addresses of a delegated prefix: the first and the last are as good as any.
pub(super) fn members(prefix: Ipv4Net) -> impl Iterator<Item = Ipv4Addr> {
    let first = u32::from(prefix.network());
    (first..first.saturating_add(DELEGATED_SIZE)).map(Ipv4Addr::from)
}
