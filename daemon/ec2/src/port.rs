//! The verbs of the cloud that berth uses, and the plain data they exchange.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use async_trait::async_trait;
use ipnet::Ipv4Net;

use crate::error::Ec2Error;

/// The calls to EC2. An implementation performs each exactly once: no retry, no sleep, no memory.
#[async_trait]
pub trait Ec2: Send + Sync {
    /// `CreateNetworkInterface`: an ENI with its secondary addresses and tags in one call. Repeating it with the same
    /// client token gives the same ENI.
    async fn create_network_interface(
        &self,
        request: &CreateNetworkInterface,
    ) -> Result<NetworkInterface, Ec2Error>;
    /// `AttachNetworkInterface` on card 0; answers the attachment id.
    async fn attach_network_interface(
        &self,
        eni: &str,
        instance: &str,
        device_index: u32,
    ) -> Result<String, Ec2Error>;
    /// `ModifyNetworkInterfaceAttribute` with delete-on-termination true.
    async fn set_delete_on_termination(&self, eni: &str, attachment: &str) -> Result<(), Ec2Error>;
    /// `ModifyNetworkInterfaceAttribute` with these security groups instead of those it has.
    async fn set_security_groups(&self, eni: &str, groups: &[String]) -> Result<(), Ec2Error>;
    /// `AssignPrivateIpAddresses` by count; answers the newly assigned addresses only.
    async fn assign_private_ip_addresses(
        &self,
        eni: &str,
        count: u32,
    ) -> Result<Vec<Ipv4Addr>, Ec2Error>;
    /// `AssignPrivateIpAddresses` by count of /28 prefixes; answers the newly assigned prefixes only.
    async fn assign_ipv4_prefixes(&self, eni: &str, count: u32) -> Result<Vec<Ipv4Net>, Ec2Error>;
    /// `UnassignPrivateIpAddresses` of single addresses and of /28 prefixes.
    async fn unassign_private_ip_addresses(
        &self,
        eni: &str,
        addresses: &[Ipv4Addr],
        prefixes: &[Ipv4Net],
    ) -> Result<(), Ec2Error>;
    /// `DetachNetworkInterface`, never forced.
    async fn detach_network_interface(&self, attachment: &str) -> Result<(), Ec2Error>;
    /// `DeleteNetworkInterface`.
    async fn delete_network_interface(&self, eni: &str) -> Result<(), Ec2Error>;
    /// `DescribeNetworkInterfaces`, all pages.
    async fn describe_network_interfaces(
        &self,
        what: &Describe,
    ) -> Result<Vec<NetworkInterface>, Ec2Error>;
    /// `DescribeInstanceTypes` for one type.
    async fn describe_instance_type(&self, instance_type: &str)
    -> Result<InstanceLimits, Ec2Error>;
    /// `DescribeSubnets` for one subnet; answers how many of its addresses are free (`availableIpAddressCount`), those of
    /// CIDR reservations and of broken /28 blocks included.
    async fn describe_subnet(&self, subnet: &str) -> Result<u32, Ec2Error>;
}

/// What to make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreateNetworkInterface {
    /// Subnet of the primary ENI.
    pub subnet_id: String,
    /// Security groups of the primary ENI.
    pub security_groups: Vec<String>,
    /// `aws-K8S-<instance id>`, which aws-node's own sweep looks for.
    pub description: String,
    /// All tags.
    pub tags: BTreeMap<String, String>,
    /// How many secondary addresses it comes with.
    pub secondary_addresses: u32,
    /// How many /28 prefixes it comes with; EC2 refuses a call that asks for both.
    pub prefixes: u32,
    /// Idempotency token, 64 ASCII characters at most (EC2, "Ensuring idempotency").
    pub client_token: String,
}

/// Which ENIs to list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Describe {
    /// Those attached to this instance (filter `attachment.instance-id`).
    AttachedTo(String),
    /// Those of this tag and status `available` (filters `tag:<key>`, `status`): leftovers of ours.
    AvailableWithTag {
        /// Tag key.
        key: String,
        /// Tag value.
        value: String,
    },
    /// Those with these ids. Ids that do not exist make the call fail with `NotFound`.
    Ids(Vec<String>),
}

/// An ENI as EC2 describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetworkInterface {
    /// `eni-...`.
    pub id: String,
    /// Lower case with colons.
    pub mac: String,
    /// Its subnet.
    pub subnet_id: String,
    /// `interface`, `trunk`, `branch`, `efa`, `efa-only`, ...
    pub interface_type: String,
    /// Free text.
    pub description: String,
    /// Status.
    pub status: NicStatus,
    /// The address that cannot be unassigned; EFA-only ENIs and those of IPv6-only subnets have none.
    pub primary_address: Option<Ipv4Addr>,
    /// The others, without prefixes.
    pub secondary_addresses: Vec<Ipv4Addr>,
    /// Delegated /28 prefixes.
    pub prefixes: Vec<Ipv4Net>,
    /// Security groups.
    pub security_groups: Vec<String>,
    /// Tags.
    pub tags: BTreeMap<String, String>,
    /// Where it is attached, if it is.
    pub attachment: Option<NicAttachment>,
}

/// Status of an ENI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NicStatus {
    /// Not attached.
    Available,
    /// On its way to an instance, or from it.
    Changing,
    /// Attached.
    InUse,
}

/// The attachment of an ENI.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NicAttachment {
    /// `eni-attach-...`.
    pub id: String,
    /// The instance.
    pub instance_id: String,
    /// 0 is the primary.
    pub device_index: u32,
    /// Network card, 0 on most types.
    pub network_card: u32,
    /// Whether the ENI goes with the instance.
    pub delete_on_termination: bool,
}

/// The limits of an instance type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InstanceLimits {
    /// ENIs of the default network card, the primary included.
    pub enis: u32,
    /// IPv4 addresses an ENI, its primary one included.
    pub ipv4_per_eni: u32,
    /// Nitro or bare metal: /28 prefixes can be delegated.
    pub prefixes: bool,
}

/// What instance metadata says of this machine (IMDSv2).
#[async_trait]
pub trait Metadata: Send + Sync {
    /// Who we are. Constant for the life of the instance.
    async fn identity(&self) -> Result<Identity, MetadataError>;
    /// The attached ENIs. Lags EC2 in both directions.
    async fn interfaces(&self) -> Result<Vec<MetadataInterface>, MetadataError>;
}

/// Who this node is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// `i-...`.
    pub instance_id: String,
    /// For example `m5.large`.
    pub instance_type: String,
    /// For example `us-west-2`.
    pub region: String,
    /// MAC of the primary ENI.
    pub primary_mac: String,
    /// Primary address of the primary ENI.
    pub primary_address: Ipv4Addr,
}

/// An attached ENI as instance metadata shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetadataInterface {
    /// MAC, lower case with colons: the key.
    pub mac: String,
    /// `eni-...`.
    pub id: String,
    /// 0 is the primary.
    pub device_index: u32,
    /// Network card, 0 where the path is absent.
    pub network_card: u32,
    /// The subnet.
    pub subnet_id: String,
    /// The subnet's CIDR; `None` where it has none for IPv4 or metadata does not say (EFA-only ENIs).
    pub subnet_cidr: Option<Ipv4Net>,
    /// All CIDRs of the VPC.
    pub vpc_cidrs: Vec<Ipv4Net>,
    /// Security groups.
    pub security_groups: Vec<String>,
    /// Its addresses, the primary one first; empty for EFA-only ENIs and those of IPv6-only subnets.
    pub addresses: Vec<Ipv4Addr>,
}

/// Metadata could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MetadataError {
    /// No answer, or an HTTP error.
    #[error("instance metadata {path}: {message}")]
    Unavailable {
        /// Path below `/latest/`.
        path: String,
        /// Why, one line.
        message: String,
    },
    /// An answer that makes no sense.
    #[error("instance metadata {path}: {value:?} is not {expected}")]
    BadAnswer {
        /// Path below `/latest/`.
        path: String,
        /// What it said.
        value: String,
        /// What was looked for.
        expected: &'static str,
    },
}
