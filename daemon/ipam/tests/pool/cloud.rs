//! A small EC2 to test the core against: ENIs, attachments, addresses, limits and client tokens, all in memory and
//! without time. It refuses what EC2 refuses, and hands addresses out as unkindly as EC2 may: one that was given back a
//! moment ago is the first to go to somebody else.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use ipam::action::{CreatedEni, DescribedAttachment, DescribedEni};
use ipam::ownership::{INSTANCE_TAG, NO_MANAGE_TAG};
use ipam::{Action, AddressMode, EniId, FailureKind, Limits, Mac, Outcome};
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
    pub prefixes: BTreeSet<Ipv4Net>,
    pub tags: BTreeMap<String, String>,
    pub interface_type: &'static str,
    pub attachment: Option<DescribedAttachment>,
}

impl CloudEni {
    /// All addresses that pods may have: the secondary ones, and those of its prefixes.
    pub fn pod_addresses(&self) -> BTreeSet<Ipv4Addr> {
        let members = self.prefixes.iter().flat_map(|prefix| members(*prefix));
        members.chain(self.secondary.iter().copied()).collect()
    }

    fn slots(&self) -> usize {
        self.secondary.len() + self.prefixes.len()
    }

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
    pub subnet: Ipv4Net,
    pub enis: BTreeMap<EniId, CloudEni>,
    /// Addresses that other nodes have.
    pub others: Vec<Ipv4Addr>,
    /// What each client token made.
    pub tokens: BTreeMap<String, (EniId, Vec<Ipv4Addr>, Vec<Ipv4Net>)>,
    /// Calls that EC2 itself refused.
    pub refusals: Vec<(Action, Refused)>,
    returned: Vec<Ipv4Addr>,
    made: u32,
    dice: Dice,
}

/// 59 addresses and two prefixes, since EC2 keeps addresses of the first /28 and of the last.
pub fn small_subnet() -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(10, 0, 0, 0), 26)
}

/// 251 addresses and fourteen prefixes.
pub fn large_subnet() -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(10, 0, 0, 0), 24)
}

/// All sixteen addresses of a prefix.
pub fn members(prefix: Ipv4Net) -> impl Iterator<Item = Ipv4Addr> {
    let first = u32::from(prefix.network());
    (first..first + 16).map(Ipv4Addr::from)
}

pub fn primary_id() -> EniId {
    EniId("eni-0".to_owned())
}

impl Cloud {
    /// An instance with its primary ENI, which has `secondary` addresses already.
    pub fn new(limits: Limits, subnet: Ipv4Net, secondary: usize, seed: u64) -> Self {
        let mut cloud = Self {
            limits,
            subnet,
            enis: BTreeMap::new(),
            others: Vec::new(),
            tokens: BTreeMap::new(),
            refusals: Vec::new(),
            returned: Vec::new(),
            made: 0,
            dice: Dice::new(seed),
        };
        cloud.make((0, Vec::new()), BTreeMap::new(), "interface");
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
        (addresses, prefixes): (usize, Vec<Ipv4Net>),
        tags: BTreeMap<String, String>,
        interface_type: &'static str,
    ) -> EniId {
        let id = EniId(format!("eni-{}", self.made));
        let taken = self.take_beside(1 + addresses, &prefixes);
        let mut taken = taken.expect("room in the subnet");
        let primary = taken.remove(0);
        let mac = Mac([2, 0, 0, 0, 1, self.made as u8]);
        self.made += 1;
        let eni = CloudEni {
            primary,
            mac,
            secondary: taken.into_iter().collect(),
            prefixes: prefixes.into_iter().collect(),
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

    /// The ENI on this instance that has `ip` as a secondary address or in a prefix.
    pub fn holder(&self, ip: Ipv4Addr) -> Option<&EniId> {
        self.attached()
            .find(|(_, e)| e.pod_addresses().contains(&ip))
            .map(|(id, _)| id)
    }

    fn free(&self) -> Vec<Ipv4Addr> {
        // EC2 keeps the first four and the last address of a subnet.
        let mut used: BTreeSet<Ipv4Addr> = self.others.iter().copied().collect();
        for eni in self.enis.values() {
            used.insert(eni.primary);
            used.extend(eni.pod_addresses());
        }
        let all = self.subnet.hosts().skip(3);
        all.filter(|ip| !used.contains(ip)).collect()
    }

    /// The /28s with sixteen free addresses.
    pub fn whole_blocks(&self) -> Vec<Ipv4Net> {
        let free: BTreeSet<Ipv4Addr> = self.free().into_iter().collect();
        let blocks = self.subnet.subnets(28).expect("longer than the subnet's");
        blocks
            .filter(|block| members(*block).all(|ip| free.contains(&ip)))
            .collect()
    }

    fn take_prefixes(&mut self, count: usize) -> Option<Vec<Ipv4Net>> {
        let mut whole = self.whole_blocks();
        if whole.len() < count {
            return None;
        }
        let pick = |_| {
            let at = self.dice.below(whole.len());
            whole.swap_remove(at)
        };
        Some((0..count).map(pick).collect())
    }

    fn take(&mut self, count: usize) -> Option<Vec<Ipv4Addr>> {
        self.take_beside(count, &[])
    }

    /// Takes addresses that are in none of `promised`.
    fn take_beside(&mut self, count: usize, promised: &[Ipv4Net]) -> Option<Vec<Ipv4Addr>> {
        let mut free = self.free();
        free.retain(|ip| !promised.iter().any(|prefix| prefix.contains(ip)));
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

    /// Other nodes take one address of each whole block but `spared`.
    pub fn fragment(&mut self, spared: usize) {
        let whole = self.whole_blocks().into_iter().skip(spared);
        self.others.extend(whole.map(|block| block.network()));
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
        let id = self.make((0, Vec::new()), tags, interface_type);
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
                token, mode, count, ..
            } => self.create(token, *mode, *count as usize),
            Action::Attach { eni, device_index } => self.attach_call(eni, *device_index),
            Action::Protect { eni } => self.protect(eni),
            // The link of an attached ENI is there; one of an ENI that is not never comes.
            Action::Connect { eni } => match self.enis.get(eni).map(|e| e.attachment.is_some()) {
                Some(true) => Ok(Outcome::Done),
                _ => Err(FailureKind::Local),
            },
            Action::Assign { eni, mode, count } => self.assign(eni, *mode, *count as usize),
            Action::Unassign {
                eni,
                addresses,
                prefixes,
            } => self.unassign(eni, addresses, prefixes),
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

    /// What a call asks for: addresses or prefixes.
    fn blocks(
        &mut self,
        mode: AddressMode,
        count: usize,
    ) -> Result<(Vec<Ipv4Addr>, Vec<Ipv4Net>), Refused> {
        match mode {
            AddressMode::Secondary => {
                let addresses = self.take(count).ok_or(FailureKind::SubnetFull)?;
                Ok((addresses, Vec::new()))
            }
            AddressMode::Prefix if !self.limits.prefixes => Err(FailureKind::Refused),
            AddressMode::Prefix => {
                let prefixes = self.take_prefixes(count);
                Ok((Vec::new(), prefixes.ok_or(FailureKind::NoContiguousBlock)?))
            }
        }
    }

    fn create(&mut self, token: &str, mode: AddressMode, count: usize) -> Result<Outcome, Refused> {
        let made = match self.tokens.get(token) {
            Some((id, ..)) if !self.enis.contains_key(id) => return Err(FailureKind::NotFound),
            Some(made) => made.clone(),
            None if count > self.limits.slots_per_eni as usize => {
                return Err(FailureKind::AddressLimit);
            }
            None => self.create_anew(token, mode, count)?,
        };
        let eni = &self.enis[&made.0];
        Ok(Outcome::Created(Box::new(CreatedEni {
            id: made.0,
            mac: eni.mac,
            primary_address: eni.primary,
            subnet: self.subnet,
            addresses: made.1,
            prefixes: made.2,
        })))
    }

    fn create_anew(
        &mut self,
        token: &str,
        mode: AddressMode,
        count: usize,
    ) -> Result<(EniId, Vec<Ipv4Addr>, Vec<Ipv4Net>), Refused> {
        let (_, prefixes) = match mode {
            AddressMode::Prefix => self.blocks(mode, count)?,
            AddressMode::Secondary => (Vec::new(), Vec::new()),
        };
        let singles = if mode == AddressMode::Secondary {
            count
        } else {
            0
        };
        if self.free().len() < 1 + singles + 16 * prefixes.len() {
            return Err(FailureKind::SubnetFull);
        }
        let tags = BTreeMap::from([(INSTANCE_TAG.to_owned(), "i-1".to_owned())]);
        let id = self.make((singles, prefixes), tags, "interface");
        let eni = &self.enis[&id];
        let with = eni.secondary.iter().copied().collect();
        let made = (id.clone(), with, eni.prefixes.iter().copied().collect());
        self.tokens.insert(token.to_owned(), made.clone());
        Ok(made)
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

    fn assign(&mut self, id: &EniId, mode: AddressMode, count: usize) -> Result<Outcome, Refused> {
        let eni = self.enis.get(id).ok_or(FailureKind::NotFound)?;
        if eni.slots() + count > self.limits.slots_per_eni as usize {
            return Err(FailureKind::AddressLimit);
        }
        let (addresses, prefixes) = self.blocks(mode, count)?;
        let eni = self.eni_mut(id);
        eni.secondary.extend(&addresses);
        eni.prefixes.extend(&prefixes);
        Ok(Outcome::Assigned {
            addresses,
            prefixes,
        })
    }

    fn unassign(
        &mut self,
        id: &EniId,
        addresses: &[Ipv4Addr],
        prefixes: &[Ipv4Net],
    ) -> Result<Outcome, Refused> {
        let eni = self.enis.get_mut(id).ok_or(FailureKind::NotFound)?;
        let all = addresses.iter().all(|ip| eni.secondary.contains(ip))
            && prefixes.iter().all(|prefix| eni.prefixes.contains(prefix));
        if !all {
            return Err(FailureKind::WrongState);
        }
        eni.secondary.retain(|ip| !addresses.contains(ip));
        eni.prefixes.retain(|prefix| !prefixes.contains(prefix));
        self.returned.extend(addresses);
        self.returned
            .extend(prefixes.iter().flat_map(|p| members(*p)));
        Ok(Outcome::Done)
    }

    fn delete(&mut self, id: &EniId) -> Result<Outcome, Refused> {
        let eni = self.enis.get(id).ok_or(FailureKind::NotFound)?;
        if eni.attachment.is_some() {
            return Err(FailureKind::WrongState);
        }
        self.returned.extend(eni.pod_addresses());
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
                subnet: e.attachment.is_some().then_some(self.subnet),
                addresses: e.secondary.iter().copied().collect(),
                prefixes: e.prefixes.iter().copied().collect(),
                interface_type: e.interface_type.to_owned(),
                description: String::new(),
                security_groups: Vec::new(),
                tags: e.tags.clone(),
                attachment: e.attachment.clone(),
            })
            .collect()
    }
}
