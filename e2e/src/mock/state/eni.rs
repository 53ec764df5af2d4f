//! ENIs: what they are, how they are made and deleted.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::SystemTime;

use ipnet::Ipv4Net;

use super::State;
use super::address::Assign;
use super::subnet::members;
use crate::mock::error::{Code, Refusal};

/// An ENI.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Eni {
    /// `eni-...`.
    pub id: String,
    /// Lower case with colons.
    pub mac: String,
    /// Its subnet.
    pub subnet_id: String,
    /// Free text.
    pub description: String,
    /// Security group ids.
    pub groups: Vec<String>,
    /// Tags.
    pub tags: BTreeMap<String, String>,
    /// The address that cannot be unassigned.
    pub primary: Ipv4Addr,
    /// The others, in the order they were assigned.
    pub secondary: Vec<Ipv4Addr>,
    /// Delegated /28s, in the order they were assigned.
    pub prefixes: Vec<Ipv4Net>,
    /// Where it is attached, if it is.
    pub attachment: Option<Attachment>,
}

/// The attachment of an ENI to an instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attachment {
    /// `eni-attach-...`.
    pub id: String,
    /// The instance.
    pub instance_id: String,
    /// 0 is the primary.
    pub device_index: u32,
    /// Whether the ENI goes with the instance; EC2 starts with no for those that are attached later.
    pub delete_on_termination: bool,
    /// How far it is.
    pub status: AttachmentStatus,
    /// Whether the link is in the machine. It may be missing although EC2 says `attached`.
    pub plugged: bool,
    /// When the attachment was asked for.
    pub since: SystemTime,
}

/// How far an attachment is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttachmentStatus {
    /// Asked for.
    Attaching,
    /// Done.
    Attached,
    /// On its way out.
    Detaching,
}

impl AttachmentStatus {
    /// As EC2 spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Attaching => "attaching",
            Self::Attached => "attached",
            Self::Detaching => "detaching",
        }
    }
}

impl Eni {
    /// All its addresses, the primary one first.
    pub fn addresses(&self) -> impl Iterator<Item = Ipv4Addr> + '_ {
        std::iter::once(self.primary).chain(self.secondary.iter().copied())
    }

    /// All addresses whose packets come to it: those above and the members of its prefixes.
    pub fn reachable(&self) -> impl Iterator<Item = Ipv4Addr> + '_ {
        self.addresses()
            .chain(self.prefixes.iter().copied().flat_map(members))
    }

    /// How many of the type's addresses per ENI it takes: a prefix takes the place of an address.
    pub(super) fn slots(&self) -> u32 {
        u32::try_from(1 + self.secondary.len() + self.prefixes.len()).unwrap_or(u32::MAX)
    }

    /// `available` or `in-use`; the steps between show in the attachment's status only.
    pub fn status(&self) -> &'static str {
        match self.attachment {
            None => "available",
            Some(_) => "in-use",
        }
    }
}

/// What CreateNetworkInterface asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CreateEni {
    /// Subnet id.
    pub subnet_id: String,
    /// Free text.
    pub description: String,
    /// Security group ids; none means the default one.
    pub groups: Vec<String>,
    /// Tags.
    pub tags: BTreeMap<String, String>,
    /// A chosen primary address.
    pub primary: Option<Ipv4Addr>,
    /// Secondary addresses.
    pub secondary: Option<Assign>,
    /// Idempotency token, 64 ASCII characters at most.
    pub client_token: Option<String>,
}

impl State {
    /// Makes an ENI with its addresses, or does nothing (CreateNetworkInterface).
    pub fn create_eni(&mut self, request: &CreateEni) -> Result<Eni, Refusal> {
        if let Some(earlier) = self.repeated(request)? {
            return Ok(earlier);
        }
        self.subnet(&request.subnet_id)?;
        let groups = self.check_groups(&request.groups)?;
        let (primary, secondary, prefixes) = self.first_addresses(request)?;
        let eni = Eni {
            id: self.seed.id("eni"),
            mac: self.seed.mac(),
            subnet_id: request.subnet_id.clone(),
            description: request.description.clone(),
            groups,
            tags: request.tags.clone(),
            primary,
            secondary,
            prefixes,
            attachment: None,
        };
        self.enis.insert(eni.id.clone(), eni.clone());
        if let Some(token) = &request.client_token {
            self.tokens
                .insert(token.clone(), (request.clone(), eni.clone()));
        }
        Ok(eni)
    }

    /// Deletes an ENI that is not attached (DeleteNetworkInterface).
    pub fn delete_eni(&mut self, id: &str) -> Result<(), Refusal> {
        if self.eni(id)?.attachment.is_some() {
            // Not InvalidNetworkInterface.InUse: that one is AttachNetworkInterface's.
            return Err(Code::InvalidParameterValue
                .because(format!("Network interface '{id}' is currently in use.")));
        }
        self.forget_eni(id);
        Ok(())
    }

    /// A security group of that name (CreateSecurityGroup); its id.
    pub fn create_group(&mut self, name: &str) -> String {
        let id = self.seed.id("sg");
        self.groups.insert(id.clone(), name.to_owned());
        id
    }

    /// Sets the security groups (ModifyNetworkInterfaceAttribute).
    pub fn set_groups(&mut self, id: &str, groups: &[String]) -> Result<(), Refusal> {
        self.eni(id)?;
        let groups = self.check_groups(groups)?;
        self.eni_mut(id)?.groups = groups;
        Ok(())
    }

    pub(super) fn forget_eni(&mut self, id: &str) {
        if let Some(eni) = self.enis.remove(id)
            && let Some(subnet) = self.subnets.get_mut(&eni.subnet_id)
        {
            subnet.give_back(eni.reachable());
        }
    }

    /// The answer to a token that was seen before: the ENI as it is now, or as it was made if it is gone.
    fn repeated(&self, request: &CreateEni) -> Result<Option<Eni>, Refusal> {
        let Some(token) = &request.client_token else {
            return Ok(None);
        };
        if token.len() > 64 || !token.is_ascii() {
            return Err(Code::InvalidParameterValue
                .because("The client token must have at most 64 ASCII characters"));
        }
        match self.tokens.get(token) {
            None => Ok(None),
            Some((asked, made)) if asked == request => {
                Ok(Some(self.enis.get(&made.id).unwrap_or(made).clone()))
            }
            Some(_) => Err(Code::IdempotentParameterMismatch
                .because("The client token was used before with other parameters")),
        }
    }

    fn check_groups(&self, groups: &[String]) -> Result<Vec<String>, Refusal> {
        if groups.is_empty() {
            return Ok(self.groups.keys().take(1).cloned().collect());
        }
        match groups.iter().find(|g| !self.groups.contains_key(*g)) {
            None => Ok(groups.to_vec()),
            Some(id) => Err(Code::InvalidSecurityGroupIdNotFound
                .because(format!("The securityGroup ID '{id}' does not exist"))),
        }
    }

    /// Primary and secondary addresses and prefixes in one step: the subnet is changed only if all of them are to be had.
    fn first_addresses(
        &mut self,
        request: &CreateEni,
    ) -> Result<(Ipv4Addr, Vec<Ipv4Addr>, Vec<Ipv4Net>), Refusal> {
        let mut subnet = self.subnet(&request.subnet_id)?.clone();
        let mut seed = self.seed.clone();
        let primary = match request.primary {
            Some(address) => {
                subnet.take_these(&[address])?;
                vec![address]
            }
            None => subnet.take(1, &mut seed)?,
        };
        let (secondary, prefixes) = match &request.secondary {
            Some(what) => what.take_from(&mut subnet, &mut seed)?,
            None => (Vec::new(), Vec::new()),
        };
        let primary = *primary.first().ok_or_else(|| {
            Code::InsufficientFreeAddressesInSubnet.because("no free address for the primary")
        })?;
        self.seed = seed;
        self.subnets.insert(subnet.id.clone(), subnet);
        Ok((primary, secondary, prefixes))
    }
}
