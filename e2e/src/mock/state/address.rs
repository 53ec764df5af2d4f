//! Secondary addresses of an ENI: assigned and unassigned within the instance's and the subnet's limits.

use std::net::Ipv4Addr;

use super::State;
use super::limits::limits_of;
use crate::mock::error::{Code, Refusal};

/// Which secondary addresses to assign.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Assign {
    /// So many, of EC2's choice.
    Count(u32),
    /// These.
    These(Vec<Ipv4Addr>),
}

impl Assign {
    fn count(&self) -> u32 {
        match self {
            Self::Count(count) => *count,
            Self::These(addresses) => u32::try_from(addresses.len()).unwrap_or(u32::MAX),
        }
    }
}

impl State {
    /// Adds secondary addresses, all or none, and answers the new ones (AssignPrivateIpAddresses).
    pub fn assign(&mut self, id: &str, what: &Assign) -> Result<Vec<Ipv4Addr>, Refusal> {
        let eni = self.eni(id)?;
        if what.count() == 0 {
            return Err(Code::InvalidParameterValue.because("Asked for no address at all"));
        }
        let held = u32::try_from(eni.addresses().count()).unwrap_or(u32::MAX);
        if held.saturating_add(what.count()) > self.address_limit(id)? {
            return Err(Code::PrivateIpAddressLimitExceeded
                .because("Number of private addresses will exceed limit."));
        }
        let subnet_id = eni.subnet_id.clone();
        let subnet = self.subnets.get_mut(&subnet_id).ok_or_else(|| {
            Code::InternalError.because(format!("ENI {id} names the unknown subnet {subnet_id}"))
        })?;
        let new = match what {
            Assign::Count(count) => subnet.take(*count, &mut self.seed)?,
            Assign::These(addresses) => {
                subnet.take_these(addresses)?;
                addresses.clone()
            }
        };
        self.eni_mut(id)?.secondary.extend(&new);
        Ok(new)
    }

    /// Takes secondary addresses away, all or none (UnassignPrivateIpAddresses).
    pub fn unassign(&mut self, id: &str, addresses: &[Ipv4Addr]) -> Result<(), Refusal> {
        let eni = self.eni(id)?;
        if addresses.contains(&eni.primary) {
            return Err(Code::InvalidParameterValue.because(format!(
                "The primary address {} of {id} cannot be unassigned",
                eni.primary
            )));
        }
        if !addresses.iter().all(|a| eni.secondary.contains(a)) {
            return Err(Code::InvalidParameterValue.because(format!(
                "Some of {addresses:?} addresses are not assigned to interface {id}"
            )));
        }
        let eni = self.eni_mut(id)?;
        eni.secondary.retain(|a| !addresses.contains(a));
        let subnet_id = eni.subnet_id.clone();
        if let Some(subnet) = self.subnets.get_mut(&subnet_id) {
            subnet.give_back(addresses.iter().copied());
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
}
