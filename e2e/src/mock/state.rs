//! The state of the mock cloud as EC2 would keep it: a VPC, its subnets, instances, ENIs and their addresses.
//!
//! Pure: no clock, no I/O, no network. Each operation either does what EC2 would do or refuses with EC2's error
//! code and changes nothing. Delays, lag, faults and the packets are other modules' business.

mod address;
mod attach;
mod describe;
mod eni;
mod instance;
mod limits;
mod subnet;
mod view;

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

pub use self::address::Assign;
pub use self::describe::{Filter, Page};
pub use self::eni::{Attachment, AttachmentStatus, CreateEni, Eni};
pub use self::instance::{Instance, Termination};
pub use self::limits::{InstanceLimits, all_limits, limits_of};
pub use self::subnet::{DELEGATED_LENGTH, RESERVED_PER_SUBNET, Subnet};
use crate::mock::error::{Code, Refusal};
use crate::mock::seed::Seed;

/// The account that owns everything.
pub const ACCOUNT: &str = "111122223333";
/// The region; all subnets lie in its zone `a` unless told otherwise.
pub const REGION: &str = "us-west-2";
/// Name of the one security group, which every ENI gets unless it names another.
pub const DEFAULT_GROUP: &str = "nodes";

/// Everything that EC2 knows. Two states are equal if no call could tell them apart.
#[derive(Clone, Debug, PartialEq)]
pub struct State {
    /// `vpc-...`.
    pub vpc_id: String,
    /// The primary CIDR first.
    pub vpc_cidrs: Vec<Ipv4Net>,
    /// Id of the subnet that was named first: where instances go that name none.
    pub first_subnet: String,
    /// By subnet id.
    pub subnets: BTreeMap<String, Subnet>,
    /// Names by security group id.
    pub groups: BTreeMap<String, String>,
    /// By instance id, terminated ones included.
    pub instances: BTreeMap<String, Instance>,
    /// By ENI id.
    pub enis: BTreeMap<String, Eni>,
    /// What each client token of CreateNetworkInterface asked for, and what it got.
    tokens: BTreeMap<String, (CreateEni, Eni)>,
    seed: Seed,
}

impl State {
    /// An empty VPC. Subnets are (CIDR, availability zone), one at least, and must lie in the VPC's CIDRs.
    pub fn new(
        vpc_cidrs: &[Ipv4Net],
        subnets: &[(Ipv4Net, String)],
        seed: u64,
    ) -> Result<Self, Refusal> {
        let mut seed = Seed::new(seed);
        let vpc_id = seed.id("vpc");
        let groups = BTreeMap::from([(seed.id("sg"), DEFAULT_GROUP.to_owned())]);
        let mut made: BTreeMap<String, Subnet> = BTreeMap::new();
        let mut first_subnet = None;
        for (cidr, zone) in subnets {
            let inside = vpc_cidrs.iter().any(|vpc| vpc.contains(cidr));
            let overlaps = made.values().any(|s| s.overlaps(cidr));
            if !inside || overlaps || !(16..=28).contains(&cidr.prefix_len()) {
                return Err(Code::InvalidParameterValue.because(format!(
                    "subnet {cidr} must be a /16 to /28 within the VPC and overlap no other"
                )));
            }
            let id = seed.id("subnet");
            first_subnet.get_or_insert_with(|| id.clone());
            made.insert(id.clone(), Subnet::new(id, *cidr, zone.clone()));
        }
        Ok(Self {
            vpc_id,
            vpc_cidrs: vpc_cidrs.to_vec(),
            first_subnet: first_subnet.ok_or_else(|| {
                Code::InvalidParameterValue.because("the VPC needs at least one subnet")
            })?,
            subnets: made,
            groups,
            instances: BTreeMap::new(),
            enis: BTreeMap::new(),
            tokens: BTreeMap::new(),
            seed,
        })
    }

    /// The ENI of this id.
    pub fn eni(&self, id: &str) -> Result<&Eni, Refusal> {
        self.enis.get(id).ok_or_else(|| no_such_eni(id))
    }

    fn eni_mut(&mut self, id: &str) -> Result<&mut Eni, Refusal> {
        self.enis.get_mut(id).ok_or_else(|| no_such_eni(id))
    }

    /// The subnet of this id.
    pub fn subnet(&self, id: &str) -> Result<&Subnet, Refusal> {
        self.subnets.get(id).ok_or_else(|| {
            Code::InvalidSubnetIdNotFound.because(format!("The subnet ID '{id}' does not exist"))
        })
    }

    /// The instance of this id.
    pub fn instance(&self, id: &str) -> Result<&Instance, Refusal> {
        self.instances.get(id).ok_or_else(|| {
            Code::InvalidInstanceIdNotFound
                .because(format!("The instance ID '{id}' does not exist"))
        })
    }

    /// The ENIs on an instance, attaching and detaching ones included, by device index.
    pub fn enis_of(&self, instance: &str) -> Vec<&Eni> {
        let mut enis: Vec<&Eni> = self
            .enis
            .values()
            .filter(|e| {
                e.attachment
                    .as_ref()
                    .is_some_and(|a| a.instance_id == instance)
            })
            .collect();
        enis.sort_by_key(|e| e.attachment.as_ref().map(|a| a.device_index));
        enis
    }

    /// The ENI that has an address, by itself or in a prefix, if one has.
    pub fn owner_of(&self, address: Ipv4Addr) -> Option<&Eni> {
        self.enis
            .values()
            .find(|e| e.reachable().any(|a| a == address))
    }

    /// Adds or overwrites tags on ENIs (CreateTags).
    pub fn create_tags(
        &mut self,
        resources: &[String],
        tags: &BTreeMap<String, String>,
    ) -> Result<(), Refusal> {
        for id in resources {
            self.eni(id).map_err(|_| {
                Code::InvalidId.because(format!("The ID '{id}' is not valid or not taggable here"))
            })?;
        }
        for id in resources {
            let eni = self.eni_mut(id)?;
            eni.tags
                .extend(tags.iter().map(|(k, v)| (k.clone(), v.clone())));
        }
        Ok(())
    }
}

fn no_such_eni(id: &str) -> Refusal {
    Code::InvalidNetworkInterfaceIdNotFound
        .because(format!("The networkInterface ID '{id}' does not exist"))
}
