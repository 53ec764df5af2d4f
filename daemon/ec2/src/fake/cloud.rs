//! The state of the fake cloud and the effect of each call on it; refuses what EC2 refuses. No time, no faults.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use super::FakeSetup;
use super::history::Enis;
use crate::classify::classify;
use crate::error::{Action, Ec2Error};
use crate::port::{CreateNetworkInterface, NetworkInterface, NicAttachment, NicStatus};

/// EC2's words are not known.
const NO_PREFIXES: &str = "prefixes are not supported on this instance type";

/// Longest client token (EC2, "Ensuring idempotency").
const TOKEN_CHARS: usize = 64;

/// Instance, subnet and ENIs.
pub(super) struct Cloud {
    pub(super) setup: FakeSetup,
    pub(super) enis: Enis,
    /// Addresses of the subnet that others hold.
    pub(super) elsewhere: BTreeSet<Ipv4Addr>,
    /// What each client token asked for, and was answered.
    tokens: BTreeMap<String, (CreateNetworkInterface, NetworkInterface)>,
    serial: u32,
}

/// A refusal in EC2's words; the kind follows from the code, as in the adapter.
pub(super) fn refuse(action: Action, code: &str, message: impl Into<String>) -> Ec2Error {
    Ec2Error {
        action,
        kind: classify(action, code, 400),
        code: code.to_owned(),
        message: message.into(),
    }
}

impl Cloud {
    pub(super) fn new(setup: FakeSetup) -> Self {
        Self {
            setup,
            enis: Enis::new(),
            elsewhere: BTreeSet::new(),
            tokens: BTreeMap::new(),
            serial: 0,
        }
    }

    /// An ENI with free addresses, lowest first, beside these prefixes, not attached.
    pub(super) fn add(
        &mut self,
        secondary: u32,
        prefixes: &[Ipv4Net],
        action: Action,
    ) -> Result<String, Ec2Error> {
        let mut addresses = self.take_addresses(secondary.saturating_add(1), prefixes, action)?;
        let primary_address = addresses.remove(0);
        self.serial += 1;
        let serial = self.serial;
        let id = format!("eni-{serial:017x}");
        let [_, _, high, low] = serial.to_be_bytes();
        let eni = NetworkInterface {
            id: id.clone(),
            mac: format!("02:be:27:00:{high:02x}:{low:02x}"),
            subnet_id: self.setup.subnet_id.clone(),
            interface_type: "interface".to_owned(),
            description: String::new(),
            status: NicStatus::Available,
            primary_address: Some(primary_address),
            secondary_addresses: addresses,
            prefixes: prefixes.to_vec(),
            security_groups: self.setup.security_groups.clone(),
            tags: BTreeMap::new(),
            attachment: None,
        };
        self.enis.insert(id.clone(), eni);
        Ok(id)
    }

    pub(super) fn create(
        &mut self,
        request: &CreateNetworkInterface,
    ) -> Result<NetworkInterface, Ec2Error> {
        let action = Action::CreateNetworkInterface;
        let token = &request.client_token;
        if token.is_empty() || token.len() > TOKEN_CHARS || !token.is_ascii() {
            return Err(refuse(action, "InvalidParameterValue", "bad client token"));
        }
        if let Some((before, answer)) = self.tokens.get(token) {
            return if before == request {
                Ok(answer.clone())
            } else {
                Err(refuse(action, "IdempotentParameterMismatch", token))
            };
        }
        if request.subnet_id != self.setup.subnet_id {
            return Err(refuse(
                action,
                "InvalidSubnetID.NotFound",
                &request.subnet_id,
            ));
        }
        if request.prefixes > 0 && request.secondary_addresses > 0 {
            let both = "addresses and prefixes exclude each other";
            return Err(refuse(action, "InvalidParameterCombination", both));
        }
        let prefixes = self.take_prefixes(request.prefixes, action)?;
        let id = self.add(request.secondary_addresses, &prefixes, action)?;
        let eni = self.get(action, &id)?;
        eni.description.clone_from(&request.description);
        eni.tags.clone_from(&request.tags);
        let answer = eni.clone();
        self.tokens
            .insert(token.clone(), (request.clone(), answer.clone()));
        Ok(answer)
    }

    /// Answers the attachment id; the ENI stays `Changing` until [`Cloud::arrive`].
    pub(super) fn attach(
        &mut self,
        id: &str,
        instance: &str,
        device_index: u32,
    ) -> Result<String, Ec2Error> {
        let action = Action::AttachNetworkInterface;
        if instance != self.setup.instance_id {
            return Err(refuse(action, "InvalidInstanceID.NotFound", instance));
        }
        let limits = self.setup.limits;
        let on_card = |eni: &&NetworkInterface| {
            eni.attachment
                .as_ref()
                .is_some_and(|at| at.network_card == 0)
        };
        let attached = self.enis.values().filter(on_card).count();
        let index_taken = self
            .enis
            .values()
            .filter(on_card)
            .any(|eni| device_index_of(eni) == Some(device_index));
        let eni = self.get(action, id)?;
        if eni.status != NicStatus::Available {
            return Err(refuse(action, "InvalidNetworkInterface.InUse", id));
        }
        if attached >= limits.enis as usize {
            return Err(refuse(action, "AttachmentLimitExceeded", instance));
        }
        if index_taken {
            return Err(refuse(
                action,
                "InvalidParameterValue",
                "device index is taken",
            ));
        }
        if slots(eni) > limits.ipv4_per_eni as usize {
            return Err(refuse(action, "PrivateIpAddressLimitExceeded", id));
        }
        if !eni.prefixes.is_empty() && !limits.prefixes {
            return Err(refuse(action, "UnsupportedOperation", NO_PREFIXES));
        }
        Ok(self.put_on(id, device_index, 0))
    }

    /// Begins an attachment, unchecked, and answers its id: a new one each time.
    pub(super) fn put_on(&mut self, id: &str, device_index: u32, network_card: u32) -> String {
        self.serial += 1;
        let attachment = format!("eni-attach-{:017x}", self.serial);
        if let Some(eni) = self.enis.get_mut(id) {
            eni.status = NicStatus::Changing;
            eni.attachment = Some(NicAttachment {
                id: attachment.clone(),
                instance_id: self.setup.instance_id.clone(),
                device_index,
                network_card,
                delete_on_termination: false,
            });
        }
        attachment
    }

    /// The end of an attach.
    pub(super) fn arrive(&mut self, id: &str) -> Option<&NetworkInterface> {
        let eni = self.enis.get_mut(id)?;
        eni.attachment.as_ref()?;
        eni.status = NicStatus::InUse;
        Some(eni)
    }

    pub(super) fn set_delete_on_termination(
        &mut self,
        id: &str,
        attachment: &str,
    ) -> Result<(), Ec2Error> {
        let action = Action::ModifyNetworkInterfaceAttribute;
        match &mut self.get(action, id)?.attachment {
            Some(at) if at.id == attachment => {
                at.delete_on_termination = true;
                Ok(())
            }
            _ => Err(refuse(action, "InvalidAttachmentID.NotFound", attachment)),
        }
    }

    pub(super) fn set_security_groups(
        &mut self,
        id: &str,
        groups: &[String],
    ) -> Result<(), Ec2Error> {
        let action = Action::ModifyNetworkInterfaceAttribute;
        self.get(action, id)?.security_groups = groups.to_vec();
        Ok(())
    }

    pub(super) fn assign(&mut self, id: &str, count: u32) -> Result<Vec<Ipv4Addr>, Ec2Error> {
        let action = Action::AssignPrivateIpAddresses;
        self.check_room(id, count, action)?;
        let fresh = self.take_addresses(count, &[], action)?;
        let eni = self.get(action, id)?;
        eni.secondary_addresses.extend_from_slice(&fresh);
        Ok(fresh)
    }

    pub(super) fn assign_prefixes(
        &mut self,
        id: &str,
        count: u32,
    ) -> Result<Vec<Ipv4Net>, Ec2Error> {
        let action = Action::AssignPrivateIpAddresses;
        self.check_room(id, count, action)?;
        let on_instance = self.get(action, id)?.attachment.is_some();
        if on_instance && !self.setup.limits.prefixes {
            return Err(refuse(action, "UnsupportedOperation", NO_PREFIXES));
        }
        let fresh = self.take_prefixes(count, action)?;
        self.get(action, id)?.prefixes.extend_from_slice(&fresh);
        Ok(fresh)
    }

    /// Whether the ENI takes so many more addresses or prefixes.
    fn check_room(&mut self, id: &str, count: u32, action: Action) -> Result<(), Ec2Error> {
        let limit = self.setup.limits.ipv4_per_eni as usize;
        let held = slots(self.get(action, id)?);
        if count == 0 {
            return Err(refuse(action, "InvalidParameterValue", "count is 0"));
        }
        if held + count as usize > limit {
            return Err(refuse(action, "PrivateIpAddressLimitExceeded", id));
        }
        Ok(())
    }

    /// All or nothing, as EC2.
    pub(super) fn unassign(
        &mut self,
        id: &str,
        addresses: &[Ipv4Addr],
        prefixes: &[Ipv4Net],
    ) -> Result<(), Ec2Error> {
        let action = Action::UnassignPrivateIpAddresses;
        let eni = self.get(action, id)?;
        if let Some(other) = addresses
            .iter()
            .find(|address| !eni.secondary_addresses.contains(address))
        {
            let message = format!("{other} is not a secondary address of {id}");
            return Err(refuse(action, "InvalidParameterValue", message));
        }
        if let Some(other) = prefixes.iter().find(|p| !eni.prefixes.contains(p)) {
            let message = format!("{other} is not a prefix of {id}");
            return Err(refuse(action, "InvalidParameterValue", message));
        }
        eni.secondary_addresses
            .retain(|address| !addresses.contains(address));
        eni.prefixes.retain(|prefix| !prefixes.contains(prefix));
        Ok(())
    }

    /// Answers the ENI, which stays `Changing` until [`Cloud::leave`].
    pub(super) fn detach(&mut self, attachment: &str) -> Result<String, Ec2Error> {
        let action = Action::DetachNetworkInterface;
        let attached = |eni: &&mut NetworkInterface| {
            eni.attachment
                .as_ref()
                .is_some_and(|at| at.id == attachment)
        };
        let Some(eni) = self.enis.values_mut().find(attached) else {
            return Err(refuse(action, "InvalidAttachmentID.NotFound", attachment));
        };
        if device_index_of(eni) == Some(0) {
            return Err(refuse(action, "OperationNotPermitted", "the primary ENI"));
        }
        if eni.status != NicStatus::InUse {
            return Err(refuse(action, "IncorrectState", attachment));
        }
        eni.status = NicStatus::Changing;
        Ok(eni.id.clone())
    }

    /// The end of a detach.
    pub(super) fn leave(&mut self, id: &str) -> Option<&NetworkInterface> {
        let eni = self.enis.get_mut(id)?;
        eni.attachment.take()?;
        eni.status = NicStatus::Available;
        Some(eni)
    }

    pub(super) fn delete(&mut self, id: &str) -> Result<(), Ec2Error> {
        let action = Action::DeleteNetworkInterface;
        if self.get(action, id)?.status != NicStatus::Available {
            return Err(refuse(
                action,
                "InvalidParameterValue",
                format!("{id} is in use"),
            ));
        }
        self.enis.remove(id);
        Ok(())
    }

    /// Device 0 of the default card.
    pub(super) fn primary(&self) -> Option<&NetworkInterface> {
        self.enis.values().find(|eni| {
            let attachment = eni.attachment.as_ref();
            attachment.is_some_and(|at| at.device_index == 0 && at.network_card == 0)
        })
    }

    fn get(&mut self, action: Action, id: &str) -> Result<&mut NetworkInterface, Ec2Error> {
        self.enis
            .get_mut(id)
            .ok_or_else(|| refuse(action, "InvalidNetworkInterfaceID.NotFound", id))
    }

    /// Free addresses of the subnet, lowest first, so that what was given back is soon met again.
    pub(super) fn free_addresses(&self) -> impl Iterator<Item = Ipv4Addr> + use<> {
        let subnet = self.setup.subnet;
        let mut used = self.elsewhere.clone();
        for eni in self.enis.values() {
            used.extend(eni.primary_address);
            used.extend(&eni.secondary_addresses);
            used.extend(eni.prefixes.iter().flat_map(|prefix| {
                (u32::from(prefix.network())..=u32::from(prefix.broadcast())).map(Ipv4Addr::from)
            }));
        }
        // EC2 keeps the first four and the last address of each subnet ("Subnet CIDR blocks").
        let first = u32::from(subnet.network()).saturating_add(4);
        let end = u32::from(subnet.broadcast());
        (first..end)
            .map(Ipv4Addr::from)
            .filter(move |address| !used.contains(address))
    }

    /// Free /28s, lowest first: aligned to 16, with no address in them that somebody has or EC2 keeps.
    fn take_prefixes(&self, count: u32, action: Action) -> Result<Vec<Ipv4Net>, Ec2Error> {
        let free: BTreeSet<Ipv4Addr> = self.free_addresses().collect();
        let blocks = self.setup.subnet.subnets(28).into_iter().flatten();
        let whole = blocks.filter(|block| {
            (u32::from(block.network())..=u32::from(block.broadcast()))
                .all(|address| free.contains(&Ipv4Addr::from(address)))
        });
        let prefixes: Vec<_> = whole.take(count as usize).collect();
        if prefixes.len() < count as usize {
            let subnet = &self.setup.subnet_id;
            return Err(refuse(action, "InsufficientCidrBlocks", subnet));
        }
        Ok(prefixes)
    }

    /// Free addresses that are in none of `promised`.
    fn take_addresses(
        &self,
        count: u32,
        promised: &[Ipv4Net],
        action: Action,
    ) -> Result<Vec<Ipv4Addr>, Ec2Error> {
        let free = self
            .free_addresses()
            .filter(|address| !promised.iter().any(|prefix| prefix.contains(address)));
        let addresses: Vec<_> = free.take(count as usize).collect();
        if addresses.len() < count as usize {
            let subnet = &self.setup.subnet_id;
            return Err(refuse(action, "InsufficientFreeAddressesInSubnet", subnet));
        }
        Ok(addresses)
    }
}

/// How many of the type's addresses per ENI this one takes; a prefix takes the place of an address.
fn slots(eni: &NetworkInterface) -> usize {
    1 + eni.secondary_addresses.len() + eni.prefixes.len()
}

fn device_index_of(eni: &NetworkInterface) -> Option<u32> {
    eni.attachment.as_ref().map(|at| at.device_index)
}
