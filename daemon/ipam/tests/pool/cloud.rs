//! A small EC2 to test the core against: ENIs, attachments, addresses, limits and client tokens, all in memory and
//! without time. It refuses what EC2 refuses, and hands addresses out as unkindly as EC2 may: one that was given back a
//! moment ago is the first to go to somebody else.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use ipam::action::{CreatedEni, DescribedAttachment, DescribedEni};
use ipam::ownership::{INSTANCE_TAG, NO_MANAGE_TAG};
use ipam::{Action, EniId, FailureKind, Limits, Mac, Outcome};
use ipnet::Ipv4Net;

/// Random enough to pick addresses, and the same for the same seed (xorshift64, Marsaglia 2003).
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(seed | 1)
    }

    pub fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound.max(1) as u64) as usize
    }
}

/// An ENI as it is.
#[derive(Clone, Debug)]
pub struct CloudEni {
    pub primary: Ipv4Addr,
    pub mac: Mac,
    pub secondary: BTreeSet<Ipv4Addr>,
    pub tags: BTreeMap<String, String>,
    pub interface_type: &'static str,
    pub attachment: Option<DescribedAttachment>,
}

impl CloudEni {
    /// Whether berth may touch it: made for this node's pods, or the primary.
    pub fn is_ours(&self) -> bool {
        self.tags.contains_key(INSTANCE_TAG)
            && !self.tags.contains_key(NO_MANAGE_TAG)
            && self.interface_type == "interface"
    }
}

/// A refusal of EC2.
pub type Refused = FailureKind;

#[derive(Clone, Debug)]
pub struct Cloud {
    pub limits: Limits,
    pub enis: BTreeMap<EniId, CloudEni>,
    /// Addresses that other nodes have.
    pub others: Vec<Ipv4Addr>,
    /// What each client token made.
    pub tokens: BTreeMap<String, (EniId, Vec<Ipv4Addr>)>,
    /// Calls that EC2 itself refused.
    pub refusals: Vec<(Action, Refused)>,
    returned: Vec<Ipv4Addr>,
    made: u32,
    dice: Dice,
}

pub fn subnet() -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(10, 0, 0, 0), 26)
}

pub fn primary_id() -> EniId {
    EniId("eni-0".to_owned())
}

impl Cloud {
    /// An instance with its primary ENI, which has `secondary` addresses already.
    pub fn new(limits: Limits, secondary: usize, seed: u64) -> Self {
        let mut cloud = Self {
            limits,
            enis: BTreeMap::new(),
            others: Vec::new(),
            tokens: BTreeMap::new(),
            refusals: Vec::new(),
            returned: Vec::new(),
            made: 0,
            dice: Dice::new(seed),
        };
        cloud.make(0, BTreeMap::new(), "interface");
        cloud.attach(&primary_id(), 0);
        let addresses = cloud.take(secondary).expect("the subnet is empty");
        cloud.eni_mut(&primary_id()).secondary.extend(addresses);
        cloud
    }

    pub fn eni_mut(&mut self, id: &EniId) -> &mut CloudEni {
        self.enis.get_mut(id).expect("an ENI of the test")
    }

    /// Makes an ENI; the subnet must have room.
    fn make(
        &mut self,
        addresses: usize,
        tags: BTreeMap<String, String>,
        interface_type: &'static str,
    ) -> EniId {
        let id = EniId(format!("eni-{}", self.made));
        let mut taken = self.take(1 + addresses).expect("room in the subnet");
        let primary = taken.remove(0);
        let mac = Mac([2, 0, 0, 0, 1, self.made as u8]);
        self.made += 1;
        let eni = CloudEni {
            primary,
            mac,
            secondary: taken.into_iter().collect(),
            tags,
            interface_type,
            attachment: None,
        };
        self.enis.insert(id.clone(), eni);
        id
    }

    fn attach(&mut self, id: &EniId, device_index: u32) -> String {
        let attachment = DescribedAttachment {
            id: format!("eni-attach-{}-{}", id.0, self.dice.below(1000)),
            device_index,
            network_card: 0,
            delete_on_termination: device_index == 0,
        };
        let name = attachment.id.clone();
        self.eni_mut(id).attachment = Some(attachment);
        name
    }

    pub fn attached(&self) -> impl Iterator<Item = (&EniId, &CloudEni)> {
        self.enis.iter().filter(|(_, e)| e.attachment.is_some())
    }

    /// The ENI on this instance that has `ip` as a secondary address.
    pub fn holder(&self, ip: Ipv4Addr) -> Option<&EniId> {
        self.attached()
            .find(|(_, e)| e.secondary.contains(&ip))
            .map(|(id, _)| id)
    }

    fn free(&self) -> Vec<Ipv4Addr> {
        // EC2 keeps the first four and the last address of a subnet.
        let used = |ip: &Ipv4Addr| {
            self.others.contains(ip)
                || self
                    .enis
                    .values()
                    .any(|e| e.primary == *ip || e.secondary.contains(ip))
        };
        subnet().hosts().skip(3).filter(|ip| !used(ip)).collect()
    }

    fn take(&mut self, count: usize) -> Option<Vec<Ipv4Addr>> {
        let mut free = self.free();
        if free.len() < count {
            return None;
        }
        let mut pick = |free: &mut Vec<Ipv4Addr>| {
            let lately = self.returned.iter().rposition(|ip| free.contains(ip));
            if let (Some(at), 0) = (lately, self.dice.below(2)) {
                let ip = self.returned.remove(at);
                free.retain(|f| *f != ip);
                return ip;
            }
            free.swap_remove(self.dice.below(free.len()))
        };
        Some((0..count).map(|_| pick(&mut free)).collect())
    }

    /// Other nodes take up to `count` addresses.
    pub fn others_take(&mut self, count: usize) {
        let count = count.min(self.free().len());
        let taken = self.take(count).unwrap_or_default();
        self.others.extend(taken);
    }

    /// Other nodes give up to `count` addresses back.
    pub fn others_give(&mut self, count: usize) {
        let keep = self.others.len().saturating_sub(count);
        self.returned.extend(self.others.drain(keep..));
    }

    /// Somebody else makes an ENI, attached to this instance where it has room, else available and with our tag.
    pub fn foreign(&mut self, interface_type: &'static str, tagged: bool) {
        if self.free().is_empty() {
            return;
        }
        let mut tags = BTreeMap::new();
        if tagged || interface_type == "interface" {
            tags.insert(NO_MANAGE_TAG.to_owned(), "true".to_owned());
            tags.insert(INSTANCE_TAG.to_owned(), "i-1".to_owned());
        }
        let id = self.make(0, tags, interface_type);
        let full = self.attached().count() >= self.limits.enis as usize;
        let index = (1..)
            .find(|i| !self.is_taken(*i))
            .expect("indices do not end");
        if !full && index <= 99 {
            self.attach(&id, index);
        }
    }

    /// Somebody else takes one of their ENIs off.
    pub fn foreign_leaves(&mut self, which: usize) {
        let theirs: Vec<EniId> = self
            .enis
            .iter()
            .filter(|(id, e)| !e.is_ours() && **id != primary_id())
            .map(|(id, _)| id.clone())
            .collect();
        if let Some(id) = theirs.get(which % theirs.len().max(1)) {
            let eni = self.eni_mut(id);
            if eni.attachment.take().is_none() {
                self.enis.remove(id);
            }
        }
    }

    fn is_taken(&self, device_index: u32) -> bool {
        self.attached().any(|(_, e)| {
            e.attachment
                .as_ref()
                .is_some_and(|a| a.device_index == device_index)
        })
    }

    /// Does what an action asks, or refuses it whole.
    pub fn perform(&mut self, action: &Action) -> Result<Outcome, Refused> {
        let result = match action {
            Action::Create {
                token, addresses, ..
            } => self.create(token, *addresses),
            Action::Attach { eni, device_index } => self.attach_call(eni, *device_index),
            Action::Protect { eni } => self.protect(eni),
            // The link of an attached ENI is there; one of an ENI that is not never comes.
            Action::Connect { eni } => match self.enis.get(eni).map(|e| e.attachment.is_some()) {
                Some(true) => Ok(Outcome::Done),
                _ => Err(FailureKind::Local),
            },
            Action::Assign { eni, count } => self.assign(eni, *count),
            Action::Unassign { eni, addresses } => self.unassign(eni, addresses),
            Action::Detach { eni } => match self.enis.get_mut(eni).map(|e| e.attachment.take()) {
                Some(Some(_)) => Ok(Outcome::Done),
                _ => Err(FailureKind::NotFound),
            },
            Action::Delete { eni } => self.delete(eni),
            Action::Describe => Ok(Outcome::Done),
        };
        if let Err(kind) = result {
            self.refusals.push((action.clone(), kind));
        }
        result
    }

    fn create(&mut self, token: &str, addresses: u32) -> Result<Outcome, Refused> {
        let made = match self.tokens.get(token) {
            Some((id, _)) if !self.enis.contains_key(id) => return Err(FailureKind::NotFound),
            Some(made) => made.clone(),
            None if addresses > self.limits.slots_per_eni => return Err(FailureKind::AddressLimit),
            None if self.free().len() < 1 + addresses as usize => {
                return Err(FailureKind::SubnetFull);
            }
            None => {
                let tags = BTreeMap::from([(INSTANCE_TAG.to_owned(), "i-1".to_owned())]);
                let id = self.make(addresses as usize, tags, "interface");
                let with = self.eni_mut(&id).secondary.iter().copied().collect();
                self.tokens
                    .insert(token.to_owned(), (id.clone(), Vec::clone(&with)));
                (id, with)
            }
        };
        let eni = &self.enis[&made.0];
        Ok(Outcome::Created(Box::new(CreatedEni {
            id: made.0,
            mac: eni.mac,
            primary_address: eni.primary,
            subnet: subnet(),
            addresses: made.1,
        })))
    }

    fn attach_call(&mut self, id: &EniId, device_index: u32) -> Result<Outcome, Refused> {
        let eni = self.enis.get(id).ok_or(FailureKind::NotFound)?;
        if eni.attachment.is_some() || self.is_taken(device_index) {
            return Err(FailureKind::WrongState);
        }
        if self.attached().count() >= self.limits.enis as usize {
            return Err(FailureKind::EniLimit);
        }
        let attachment_id = self.attach(id, device_index);
        Ok(Outcome::Attached { attachment_id })
    }

    fn protect(&mut self, id: &EniId) -> Result<Outcome, Refused> {
        let attachment = self.enis.get_mut(id).and_then(|e| e.attachment.as_mut());
        attachment
            .ok_or(FailureKind::NotFound)?
            .delete_on_termination = true;
        Ok(Outcome::Done)
    }

    fn assign(&mut self, id: &EniId, count: u32) -> Result<Outcome, Refused> {
        let eni = self.enis.get(id).ok_or(FailureKind::NotFound)?;
        if eni.secondary.len() + count as usize > self.limits.slots_per_eni as usize {
            return Err(FailureKind::AddressLimit);
        }
        let addresses = self.take(count as usize).ok_or(FailureKind::SubnetFull)?;
        self.eni_mut(id).secondary.extend(&addresses);
        Ok(Outcome::Assigned { addresses })
    }

    fn unassign(&mut self, id: &EniId, addresses: &[Ipv4Addr]) -> Result<Outcome, Refused> {
        let eni = self.enis.get_mut(id).ok_or(FailureKind::NotFound)?;
        if addresses.iter().any(|ip| !eni.secondary.contains(ip)) {
            return Err(FailureKind::WrongState);
        }
        eni.secondary.retain(|ip| !addresses.contains(ip));
        self.returned.extend(addresses);
        Ok(Outcome::Done)
    }

    fn delete(&mut self, id: &EniId) -> Result<Outcome, Refused> {
        let eni = self.enis.get(id).ok_or(FailureKind::NotFound)?;
        if eni.attachment.is_some() {
            return Err(FailureKind::WrongState);
        }
        self.returned.extend(&eni.secondary);
        self.returned.push(eni.primary);
        self.enis.remove(id);
        Ok(Outcome::Done)
    }

    /// What DescribeNetworkInterfaces answers: all on the instance, and available ones with its tag.
    pub fn show(&self) -> Vec<DescribedEni> {
        self.enis
            .iter()
            .filter(|(_, e)| e.attachment.is_some() || e.tags.contains_key(INSTANCE_TAG))
            .map(|(id, e)| DescribedEni {
                id: id.clone(),
                mac: e.mac,
                primary_address: Some(e.primary),
                subnet: e.attachment.is_some().then(subnet),
                addresses: e.secondary.iter().copied().collect(),
                prefixes: Vec::new(),
                interface_type: e.interface_type.to_owned(),
                description: String::new(),
                security_groups: Vec::new(),
                tags: e.tags.clone(),
                attachment: e.attachment.clone(),
            })
            .collect()
    }
}
