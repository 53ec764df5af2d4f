//! Secondary addresses and prefixes of an ENI: assigned and unassigned within the instance's and the subnet's limits.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use super::limits::limits_of;
use super::subnet::{Subnet, members};
use super::{Eni, State};
use crate::mock::error::{Code, Refusal};
use crate::mock::seed::Seed;

/// Which secondary addresses to assign.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Assign {
    /// So many, of EC2's choice.
    Count(u32),
    /// These.
    These(Vec<Ipv4Addr>),
    /// So many /28s, of EC2's choice.
    Prefixes(u32),
    /// These /28s.
    ThesePrefixes(Vec<Ipv4Net>),
}

impl Assign {
    /// How many.
    pub fn count(&self) -> u32 {
        match self {
            Self::Count(count) | Self::Prefixes(count) => *count,
            Self::These(addresses) => u32::try_from(addresses.len()).unwrap_or(u32::MAX),
            Self::ThesePrefixes(prefixes) => u32::try_from(prefixes.len()).unwrap_or(u32::MAX),
        }
    }

    fn has_prefixes(&self) -> bool {
        matches!(self, Self::Prefixes(_) | Self::ThesePrefixes(_))
    }

    /// Takes all of it from the subnet, or nothing: addresses, or prefixes.
    pub(super) fn take_from(
        &self,
        subnet: &mut Subnet,
        seed: &mut Seed,
    ) -> Result<(Vec<Ipv4Addr>, Vec<Ipv4Net>), Refusal> {
        match self {
            Self::Count(count) => Ok((subnet.take(*count, seed)?, Vec::new())),
            Self::These(addresses) => {
                subnet.take_these(addresses)?;
                Ok((addresses.clone(), Vec::new()))
            }
            Self::Prefixes(count) => Ok((Vec::new(), subnet.take_prefixes(*count, seed)?)),
            Self::ThesePrefixes(prefixes) => {
                subnet.take_these_prefixes(prefixes)?;
                Ok((Vec::new(), prefixes.clone()))
            }
        }
    }
}

impl State {
    /// Adds secondary addresses or prefixes, all or none, and answers the new ones (AssignPrivateIpAddresses).
    pub fn assign(
        &mut self,
        id: &str,
        what: &Assign,
    ) -> Result<(Vec<Ipv4Addr>, Vec<Ipv4Net>), Refusal> {
        let eni = self.eni(id)?;
        if what.count() == 0 {
            return Err(Code::InvalidParameterValue.because("Asked for no address at all"));
        }
        if eni.slots().saturating_add(what.count()) > self.address_limit(id)? {
            return Err(Code::PrivateIpAddressLimitExceeded
                .because("Number of private addresses will exceed limit."));
        }
        if what.has_prefixes() {
            self.check_prefixes(eni)?;
        }
        let subnet_id = eni.subnet_id.clone();
        let subnet = self.subnets.get_mut(&subnet_id).ok_or_else(|| {
            Code::InternalError.because(format!("ENI {id} names the unknown subnet {subnet_id}"))
        })?;
        let (addresses, prefixes) = what.take_from(subnet, &mut self.seed)?;
        let eni = self.eni_mut(id)?;
        eni.secondary.extend(&addresses);
        eni.prefixes.extend(&prefixes);
        Ok((addresses, prefixes))
    }

    /// Takes secondary addresses and prefixes away, all or none (UnassignPrivateIpAddresses).
    pub fn unassign(
        &mut self,
        id: &str,
        addresses: &[Ipv4Addr],
        prefixes: &[Ipv4Net],
    ) -> Result<(), Refusal> {
        let eni = self.eni(id)?;
        if addresses.contains(&eni.primary) {
            return Err(Code::InvalidParameterValue.because(format!(
                "The primary address {} of {id} cannot be unassigned",
                eni.primary
            )));
        }
        let all = addresses.iter().all(|a| eni.secondary.contains(a))
            && prefixes.iter().all(|p| eni.prefixes.contains(p));
        if !all {
            return Err(Code::InvalidParameterValue.because(format!(
                "Some of {addresses:?} addresses or {prefixes:?} prefixes are not assigned to interface {id}"
            )));
        }
        let eni = self.eni_mut(id)?;
        eni.secondary.retain(|a| !addresses.contains(a));
        eni.prefixes.retain(|p| !prefixes.contains(p));
        let subnet_id = eni.subnet_id.clone();
        if let Some(subnet) = self.subnets.get_mut(&subnet_id) {
            let members = prefixes.iter().copied().flat_map(members);
            subnet.give_back(addresses.iter().copied().chain(members));
        }
        Ok(())
    }

    /// How many addresses the ENI may have. What EC2 allows on an unattached one is not documented; here it is
    /// bounded by the attach, which refuses what the instance type cannot carry.
    fn address_limit(&self, id: &str) -> Result<u32, Refusal> {
        let Some(attachment) = &self.eni(id)?.attachment else {
            return Ok(u32::MAX);
        };
        let instance = self.instance(&attachment.instance_id)?;
        Ok(limits_of(&instance.instance_type).map_or(u32::MAX, |l| l.ipv4_per_eni))
    }

    /// Prefixes are for instances on Nitro and for bare metal (EC2 User Guide, "Prefix delegation"). The code is a
    /// guess: nobody has published what EC2 answers.
    fn check_prefixes(&self, eni: &Eni) -> Result<(), Refusal> {
        let Some(attachment) = &eni.attachment else {
            return Ok(());
        };
        let kind = &self.instance(&attachment.instance_id)?.instance_type;
        match limits_of(kind) {
            Some(limits) if !limits.takes_prefixes() => Err(Code::UnsupportedOperation.because(
                format!("Prefixes are not supported on instance type {kind}"),
            )),
            _ => Ok(()),
        }
    }
}
