//! What each call does, once it is answered, and why EC2 refuses it.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use ipam::action::{CreatedEni, Described};
use ipam::ownership::Claims;
use ipam::{Action, AddressMode, EniId, Failure, FailureKind, Outcome, Timestamp};
use ipnet::Ipv4Net;

use super::interface::{Interface, addresses_of};
use super::{Answer, Ec2, latency};
use crate::random::{Purpose, stream};

type Result<T> = std::result::Result<T, Failure>;

fn refused(kind: FailureKind, message: &str) -> Failure {
    Failure {
        kind,
        message: message.to_owned(),
    }
}

fn not_found(eni: &EniId) -> Failure {
    let message = format!("InvalidNetworkInterfaceID.NotFound: {eni}");
    refused(FailureKind::NotFound, &message)
}

impl Answer {
    fn of(outcome: Outcome, held: u32) -> Self {
        Self {
            outcome,
            held: i64::from(held),
            lost: Vec::new(),
        }
    }

    fn losing(lost: Vec<Ipv4Net>) -> Self {
        let held: u32 = lost.iter().copied().map(addresses_of).sum();
        Self {
            outcome: Outcome::Done,
            held: -i64::from(held),
            lost,
        }
    }
}

impl Ec2 {
    /// Does what a call asks for, and answers it.
    pub fn end(&mut self, node: usize, action: &Action, throttled: bool, now: Timestamp) -> Answer {
        let answer = match throttled {
            true => Err(refused(FailureKind::Throttled, "RequestLimitExceeded")),
            false => self.perform(node, action, now),
        };
        answer.unwrap_or_else(|failure| Answer::of(Outcome::Failed(failure), 0))
    }

    fn perform(&mut self, node: usize, action: &Action, now: Timestamp) -> Result<Answer> {
        match action {
            Action::Create { mode, count, .. } => self.create(node, *mode, *count, now),
            Action::Attach { eni, device_index } => self.attach(node, eni, *device_index, now),
            Action::Protect { eni } => self.protect(node, eni, now),
            Action::Connect { eni } => self.connect(node, eni, now),
            Action::Assign { eni, mode, count } => self.assign(node, eni, *mode, *count, now),
            Action::Unassign {
                eni,
                addresses,
                prefixes,
            } => {
                let singles = addresses.iter().map(|address| Ipv4Net::from(*address));
                let blocks: BTreeSet<Ipv4Net> = singles.chain(prefixes.iter().copied()).collect();
                self.unassign(node, eni, blocks.into_iter().collect(), now)
            }
            Action::Detach { eni } => self.detach(node, eni, now),
            Action::Delete { eni } => self.delete(node, eni, now),
            Action::Describe => Ok(self.describe(node, now)),
        }
    }

    fn create(
        &mut self,
        node: usize,
        mode: AddressMode,
        count: u32,
        now: Timestamp,
    ) -> Result<Answer> {
        let (address, blocks) = self.room_for_eni(node, mode, count, now)?;
        let (seed, subnet) = (self.seed, self.subnet(node).cidr());
        let instance = &mut self.instances[node];
        instance.interfaces.retain(|i| !i.is_forgotten(now));
        let mut random = stream(seed, Purpose::Interface, node, 2 * instance.made);
        let mut interface = Interface::new(node, instance.made, address, subnet);
        instance.made += 1;
        interface.create(now, latency::of_propagation(&mut random));
        interface.hold(&blocks, now);
        let (prefixes, singles) = kinds(&blocks);
        let made = CreatedEni {
            id: interface.id().clone(),
            mac: interface.mac(),
            primary_address: address,
            subnet,
            addresses: singles,
            prefixes,
        };
        instance.interfaces.push(interface);
        let held = 1 + blocks.iter().copied().map(addresses_of).sum::<u32>();
        Ok(Answer::of(Outcome::Created(Box::new(made)), held))
    }

    /// An address for a new ENI and what it brings: all of it or nothing.
    fn room_for_eni(
        &mut self,
        node: usize,
        mode: AddressMode,
        count: u32,
        now: Timestamp,
    ) -> Result<(Ipv4Addr, Vec<Ipv4Net>)> {
        if count > self.instances[node].limits.slots_per_eni {
            return Err(address_limit());
        }
        let mut blocks = match mode {
            AddressMode::Secondary => self.give(node, mode, count + 1, now)?,
            AddressMode::Prefix => {
                let prefixes = self.give(node, mode, count, now)?;
                match self.give(node, AddressMode::Secondary, 1, now) {
                    Ok(own) => prefixes.into_iter().chain(own).collect(),
                    Err(full) => {
                        prefixes
                            .into_iter()
                            .for_each(|p| self.subnet(node).put_back(p));
                        return Err(full);
                    }
                }
            }
        };
        let own = blocks.pop().ok_or_else(subnet_full)?;
        Ok((own.addr(), blocks))
    }

    fn give(
        &mut self,
        node: usize,
        mode: AddressMode,
        count: u32,
        now: Timestamp,
    ) -> Result<Vec<Ipv4Net>> {
        let subnet = self.subnet(node);
        match mode {
            AddressMode::Secondary => {
                let given = subnet.give(count, now).ok_or_else(subnet_full)?;
                Ok(given.into_iter().map(Ipv4Net::from).collect())
            }
            AddressMode::Prefix => subnet
                .give_blocks(count, now)
                .ok_or_else(|| refused(FailureKind::NoContiguousBlock, "InsufficientCidrBlocks")),
        }
    }

    fn attach(
        &mut self,
        node: usize,
        eni: &EniId,
        device_index: u32,
        now: Timestamp,
    ) -> Result<Answer> {
        let (seed, limit) = (self.seed, self.instances[node].limits.enis);
        let taken: Vec<u32> = self.instances[node]
            .interfaces
            .iter()
            .filter_map(|interface| interface.device_index(now))
            .collect();
        let interface = self.known(node, eni, now)?;
        if interface.is_attached(now) || taken.contains(&device_index) {
            return Err(refused(
                FailureKind::WrongState,
                "InvalidParameterValue: in use",
            ));
        }
        if taken.len() >= limit as usize {
            return Err(refused(FailureKind::EniLimit, "AttachmentLimitExceeded"));
        }
        let attachment_id = interface.attachment_id();
        let link = self.link_delay(seed, node, eni);
        let interface = self.known(node, eni, now)?;
        interface.attach(device_index, now, now.after(link));
        Ok(Answer::of(Outcome::Attached { attachment_id }, 0))
    }

    /// The delay is the ENI's own: the nth ENI of a node comes as fast or as slow whatever its pool does otherwise.
    fn link_delay(&self, seed: u64, node: usize, eni: &EniId) -> std::time::Duration {
        let nth = self.interface(node, eni).map_or(0, Interface::nth);
        latency::of_link(&mut stream(seed, Purpose::Interface, node, 2 * nth + 1))
    }

    fn protect(&mut self, node: usize, eni: &EniId, now: Timestamp) -> Result<Answer> {
        let interface = self.known(node, eni, now)?;
        if !interface.is_attached(now) {
            return Err(refused(
                FailureKind::NotFound,
                "InvalidAttachmentID.NotFound",
            ));
        }
        interface.protect(now);
        Ok(Answer::of(Outcome::Done, 0))
    }

    fn connect(&mut self, node: usize, eni: &EniId, now: Timestamp) -> Result<Answer> {
        let interface = self.interface(node, eni);
        let link_at = interface.and_then(|interface| interface.link_at(now));
        match link_at {
            Some(at) if at <= now => Ok(Answer::of(Outcome::Done, 0)),
            _ => Err(refused(FailureKind::NoLink, "no link appeared in time")),
        }
    }

    fn assign(
        &mut self,
        node: usize,
        eni: &EniId,
        mode: AddressMode,
        count: u32,
        now: Timestamp,
    ) -> Result<Answer> {
        let slots = self.instances[node].limits.slots_per_eni;
        if self.known(node, eni, now)?.slots(now) + count > slots {
            return Err(address_limit());
        }
        let blocks = self.give(node, mode, count, now)?;
        self.known(node, eni, now)?.hold(&blocks, now);
        let held = blocks.iter().copied().map(addresses_of).sum();
        let (prefixes, addresses) = kinds(&blocks);
        let outcome = Outcome::Assigned {
            addresses,
            prefixes,
        };
        Ok(Answer::of(outcome, held))
    }

    fn unassign(
        &mut self,
        node: usize,
        eni: &EniId,
        blocks: Vec<Ipv4Net>,
        now: Timestamp,
    ) -> Result<Answer> {
        let interface = self.known(node, eni, now)?;
        if blocks.iter().any(|block| !interface.has(*block, now)) {
            let message = "InvalidParameterValue: some are not assigned to the interface";
            return Err(refused(FailureKind::Refused, message));
        }
        for block in &blocks {
            interface.lose(*block, now);
        }
        for block in &blocks {
            self.subnet(node).put_back(*block);
        }
        Ok(Answer::losing(blocks))
    }

    fn detach(&mut self, node: usize, eni: &EniId, now: Timestamp) -> Result<Answer> {
        let off = latency::of_detach(&mut self.instances[node].calls);
        let interface = self.known(node, eni, now)?;
        if !interface.is_attached(now) {
            return Err(refused(
                FailureKind::NotFound,
                "InvalidAttachmentID.NotFound",
            ));
        }
        if interface.is_leaving(now) || interface.device_index(now) == Some(0) {
            return Err(refused(FailureKind::WrongState, "IncorrectState"));
        }
        interface.detach(now.after(off));
        let mut answer = Answer::of(Outcome::Done, 0);
        answer.lost = interface.blocks(now).collect();
        Ok(answer)
    }

    fn delete(&mut self, node: usize, eni: &EniId, now: Timestamp) -> Result<Answer> {
        let interface = self.known(node, eni, now)?;
        if interface.is_attached(now) {
            return Err(refused(
                FailureKind::WrongState,
                "InvalidParameterValue: in use",
            ));
        }
        let all = interface.everything(now);
        interface.delete(now);
        for block in &all {
            self.subnet(node).put_back(*block);
        }
        Ok(Answer::losing(all))
    }

    fn describe(&mut self, node: usize, now: Timestamp) -> Answer {
        let instance = &mut self.instances[node];
        let behind = latency::of_sight(&mut instance.calls);
        let behind = u64::try_from(behind.as_nanos()).unwrap_or(u64::MAX);
        let seen = Timestamp::from_nanos(now.as_nanos().saturating_sub(behind));
        let shown = instance.interfaces.iter().enumerate().filter_map(|(n, i)| {
            // Who asks runs on it, so the first is always there.
            i.described(if n == 0 { now } else { seen })
        });
        let described = Described {
            enis: shown.collect(),
            in_use: Vec::new(),
            claims: Claims::default(),
        };
        Answer::of(Outcome::Described(described), 0)
    }

    /// The ENI, if EC2 knows it everywhere by now.
    fn known(&mut self, node: usize, eni: &EniId, now: Timestamp) -> Result<&mut Interface> {
        let mut interfaces = self.instances[node].interfaces.iter_mut();
        interfaces
            .find(|interface| interface.id() == eni && interface.is_known(now))
            .ok_or_else(|| not_found(eni))
    }
}

fn subnet_full() -> Failure {
    refused(FailureKind::SubnetFull, "InsufficientFreeAddressesInSubnet")
}

fn address_limit() -> Failure {
    refused(FailureKind::AddressLimit, "PrivateIpAddressLimitExceeded")
}

/// Prefixes and single addresses.
fn kinds(blocks: &[Ipv4Net]) -> (Vec<Ipv4Net>, Vec<Ipv4Addr>) {
    let (prefixes, singles): (Vec<Ipv4Net>, Vec<Ipv4Net>) =
        blocks.iter().partition(|block| block.prefix_len() < 32);
    (prefixes, singles.iter().map(Ipv4Net::addr).collect())
}
