//! What the daemon knows about its node: who it is, what its type allows, where its ENIs live.

use ec2::{Identity, InstanceLimits, MetadataInterface};
use ipam::{Eni, EniId, Limits, Mac, Timestamp};
use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};
use std::net::Ipv4Addr;

/// Facts about the node. They are in the checkpoint, so that a restart serves without asking anyone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeFacts {
    /// `i-...`.
    pub instance_id: String,
    /// For example `m5.large`.
    pub instance_type: String,
    /// ENIs of the default card, the primary included.
    pub max_enis: u32,
    /// IPv4 addresses an ENI, its primary one included.
    pub ipv4_per_eni: u32,
    /// Whether /28 prefixes can be delegated.
    pub prefixes: bool,
    /// The primary ENI.
    pub primary: PrimaryEni,
    /// The VPC's CIDRs.
    pub vpc_cidrs: Vec<Ipv4Net>,
}

/// The primary ENI: new ones are made in its likeness.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrimaryEni {
    /// Its id.
    pub id: String,
    /// Its MAC.
    pub mac: Mac,
    /// Its primary address, which SNAT uses.
    pub address: Ipv4Addr,
    /// Its subnet's id.
    pub subnet_id: String,
    /// Its subnet's CIDR.
    pub subnet: Ipv4Net,
    /// Its security groups.
    pub security_groups: Vec<String>,
}

/// Instance metadata that does not hang together.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FactsError {
    /// The identity names a primary ENI that the list of ENIs lacks.
    #[error("instance metadata lists no ENI with the primary's MAC {0}")]
    NoPrimary(String),
    /// The node's own subnet has no IPv4 CIDR.
    #[error("the subnet of the primary ENI has no IPv4 CIDR: berth gives IPv4 addresses only")]
    NoIpv4Subnet,
    /// A MAC that is none.
    #[error("instance metadata: {0}")]
    BadMac(#[from] ipam::mac::BadMac),
}

impl NodeFacts {
    /// Puts the facts together.
    ///
    /// # Errors
    /// When the answers of instance metadata contradict each other.
    pub fn new(
        identity: Identity,
        interfaces: &[MetadataInterface],
        limits: InstanceLimits,
    ) -> Result<Self, FactsError> {
        let primary = interfaces
            .iter()
            .find(|eni| eni.mac == identity.primary_mac)
            .ok_or_else(|| FactsError::NoPrimary(identity.primary_mac.clone()))?;
        Ok(Self {
            instance_id: identity.instance_id,
            instance_type: identity.instance_type,
            max_enis: limits.enis,
            ipv4_per_eni: limits.ipv4_per_eni,
            prefixes: limits.prefixes,
            primary: PrimaryEni {
                id: primary.id.clone(),
                mac: primary.mac.parse()?,
                address: identity.primary_address,
                subnet_id: primary.subnet_id.clone(),
                subnet: primary.subnet_cidr.ok_or(FactsError::NoIpv4Subnet)?,
                security_groups: primary.security_groups.clone(),
            },
            vpc_cidrs: primary.vpc_cidrs.clone(),
        })
    }

    /// The limits as the planner counts them.
    pub fn limits(&self) -> Limits {
        // An ENI's primary address is never a pod's (aws-node: IPv4Limit - 1).
        Limits {
            enis: self.max_enis,
            slots_per_eni: self.ipv4_per_eni.saturating_sub(1),
            prefixes: self.prefixes,
        }
    }

    /// The limits as EC2 tells them.
    pub fn instance_limits(&self) -> InstanceLimits {
        InstanceLimits {
            enis: self.max_enis,
            ipv4_per_eni: self.ipv4_per_eni,
            prefixes: self.prefixes,
        }
    }

    /// The primary ENI as the pool has it.
    pub fn primary_eni(&self, now: Timestamp) -> Eni {
        let primary = &self.primary;
        let id = EniId(primary.id.clone());
        Eni::primary(id, primary.mac, primary.address, primary.subnet, now)
    }
}
