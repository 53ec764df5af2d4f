//! The layout of a node: its ENIs, their tables and rules, SNAT and steering.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use super::{GROUP_BASE, MarkMask, PrimaryMark};
use crate::eni::Eni;
use crate::mac::Mac;
use crate::settings::NetworkSettings;

/// All that stands on a node whether or not it has pods.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeDesired {
    /// The primary ENI's link.
    pub primary: Mac,
    /// The primary ENI and every secondary one that pods may use.
    pub enis: Vec<EniDesired>,
    /// The bits that steer packets to secondary ENIs.
    pub mask: MarkMask,
    /// The mark of what must leave by the primary ENI; `None` if nothing must: neither SNAT nor NodePort is the node's.
    pub primary_mark: Option<PrimaryMark>,
    /// Whether what came in by the primary ENI for the node is answered by it (AWS_VPC_CNI_NODE_PORT_SUPPORT).
    pub node_port: bool,
    /// CIDRs that are reached by the primary ENI from every pod (AWS_EXTERNAL_SERVICE_CIDRS).
    pub external_services: Vec<Ipv4Net>,
    /// CIDRs whose traffic keeps the pod's own address: the VPC's and the excluded ones.
    pub internal_cidrs: Vec<Ipv4Net>,
    /// The node's /28s: what is sent to an address of them that no pod has is refused, instead of going back to the VPC.
    pub prefixes: Vec<Ipv4Net>,
    /// What happens to traffic that leaves those CIDRs; `None` when something outside the node translates it
    /// (AWS_VPC_K8S_CNI_EXTERNALSNAT).
    pub snat: Option<Snat>,
    /// Prefix of the host veths' names (AWS_VPC_K8S_CNI_VETHPREFIX).
    pub veth_prefix: String,
}

/// Source translation by the node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Snat {
    /// The node's primary address.
    pub to: Ipv4Addr,
    /// How source ports are chosen.
    pub randomize: Randomize,
}

/// AWS_VPC_K8S_CNI_RANDOMIZESNAT.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Randomize {
    /// `prng`: nft `fully-random`.
    #[default]
    Fully,
    /// `hashrandom`: nft `random`.
    Hash,
    /// `none`.
    No,
}

/// One ENI on the node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EniDesired {
    /// Finds its link.
    pub mac: Mac,
    /// 0 is the primary, whose addresses and routes are the operating system's and are left alone.
    pub device_index: u32,
    /// Carried by the link with the subnet's mask and `noprefixroute`; without it the fabric's source check drops ARP.
    pub primary_address: Ipv4Addr,
    /// Its subnet.
    pub subnet: Ipv4Net,
    /// The VPC router: the subnet's first address (EC2 user guide, "Subnet sizing for IPv4").
    pub gateway: Ipv4Addr,
    /// Its routing table; the primary's is `main` (254).
    pub table: u32,
    /// Its mark; 0 for the primary.
    pub mark: u32,
    /// Group of the veths of its pods.
    pub group: u32,
    /// MTU of the link, bytes (AWS_VPC_ENI_MTU).
    pub mtu: u32,
}

/// The routing table of an ENI on network card 0: device 0 is `main`, device d has d + 1, as aws-node.
pub const fn table_of(device_index: u32) -> u32 {
    match device_index {
        0 => 254,
        device => device + 1,
    }
}

/// The group of the veths of an ENI's pods.
pub const fn group_of(device_index: u32) -> u32 {
    GROUP_BASE + device_index
}

/// The layout of one ENI; `None` if its device index does not fit the mask, or if it has no IPv4.
pub fn eni(eni: &Eni, settings: &NetworkSettings) -> Option<EniDesired> {
    let subnet = eni.subnet?;
    Some(EniDesired {
        mac: eni.mac,
        device_index: eni.device_index,
        primary_address: eni.primary_address?,
        subnet,
        gateway: Ipv4Addr::from_bits(subnet.network().to_bits() + 1),
        table: table_of(eni.device_index),
        mark: settings.mask.mark(eni.device_index)?,
        group: group_of(eni.device_index),
        mtu: settings.eni_mtu,
    })
}

/// The layout of the node: `enis` are the primary and those secondary ones whose link is there, `prefixes` the /28s that are
/// the node's. `None` without a primary.
pub fn node<'a>(
    enis: impl IntoIterator<Item = &'a Eni>,
    prefixes: impl IntoIterator<Item = Ipv4Net>,
    vpc_cidrs: &[Ipv4Net],
    settings: &NetworkSettings,
) -> Option<NodeDesired> {
    let enis: Vec<EniDesired> = enis.into_iter().filter_map(|e| eni(e, settings)).collect();
    let primary = enis.iter().find(|e| e.device_index == 0)?;
    let mut internal_cidrs = [vpc_cidrs, &settings.exclude_snat].concat();
    internal_cidrs.sort_unstable();
    internal_cidrs.dedup();
    Some(NodeDesired {
        primary: primary.mac,
        mask: settings.mask,
        primary_mark: (settings.node_port || !settings.external_snat)
            .then_some(settings.primary_mark),
        node_port: settings.node_port,
        external_services: settings.external_services.clone(),
        internal_cidrs,
        prefixes: prefixes.into_iter().collect(),
        snat: (!settings.external_snat).then_some(Snat {
            to: primary.primary_address,
            randomize: settings.randomize,
        }),
        veth_prefix: settings.veth_prefix.clone(),
        enis,
    })
}
