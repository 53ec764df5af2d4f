//! EC2's answers in our types. The SDK makes every field optional; what is missing or malformed here is named with its
//! ENI and reported as `BadAnswer`, which is doubtful: the call itself may well have worked.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::net::Ipv4Addr;
use std::str::FromStr;

use aws_sdk_ec2::types;
use ipnet::Ipv4Net;

use crate::error::{Action, Ec2Error, Kind};
use crate::mac;
use crate::port::{InstanceLimits, NetworkInterface, NicAttachment, NicStatus};
use crate::text::{MESSAGE_CHARS, one_line};

/// An answer that makes no sense.
pub(super) fn bad(action: Action, what: &str) -> Ec2Error {
    Ec2Error {
        action,
        kind: Kind::Doubtful,
        code: "BadAnswer".to_owned(),
        message: one_line(what, MESSAGE_CHARS),
    }
}

/// The reader of one object; knows its name for errors.
#[derive(Clone, Copy)]
struct Reader<'a> {
    action: Action,
    subject: &'a str,
}

impl Reader<'_> {
    fn there<T>(&self, field: &str, value: Option<T>) -> Result<T, Ec2Error> {
        value.ok_or_else(|| {
            bad(
                self.action,
                &format!("{}: {field} is missing", self.subject),
            )
        })
    }

    fn wrong(&self, field: &str, value: impl Debug) -> Ec2Error {
        bad(
            self.action,
            &format!("{}: {field} is {value:?}", self.subject),
        )
    }

    fn text(&self, field: &str, value: Option<&str>) -> Result<String, Ec2Error> {
        let value = value.filter(|text| !text.is_empty());
        self.there(field, value).map(str::to_owned)
    }

    fn parse<T: FromStr>(&self, field: &str, value: Option<&str>) -> Result<T, Ec2Error> {
        let text = self.there(field, value)?;
        text.parse().map_err(|_| self.wrong(field, text))
    }

    fn number(&self, field: &str, value: Option<i32>) -> Result<u32, Ec2Error> {
        let number = self.there(field, value)?;
        u32::try_from(number).map_err(|_| self.wrong(field, number))
    }
}

/// An ENI.
pub(super) fn network_interface(
    action: Action,
    eni: &types::NetworkInterface,
) -> Result<NetworkInterface, Ec2Error> {
    let nameless = Reader {
        action,
        subject: "a network interface",
    };
    let id = nameless.text("networkInterfaceId", eni.network_interface_id())?;
    let reader = Reader {
        action,
        subject: &id,
    };
    let mac = reader.text("macAddress", eni.mac_address())?;
    let mac = mac::normalize(&mac).ok_or_else(|| reader.wrong("macAddress", &mac))?;
    let primary_address = primary_address(&reader, eni)?;
    let prefix =
        |prefix: &types::Ipv4PrefixSpecification| reader.parse("ipv4Prefix", prefix.ipv4_prefix());
    Ok(NetworkInterface {
        mac,
        subnet_id: reader.text("subnetId", eni.subnet_id())?,
        interface_type: eni
            .interface_type()
            .map_or("interface", types::NetworkInterfaceType::as_str)
            .to_owned(),
        description: eni.description().unwrap_or_default().to_owned(),
        status: status(&reader, eni.status())?,
        primary_address,
        secondary_addresses: secondary_addresses(&reader, eni, primary_address)?,
        prefixes: eni
            .ipv4_prefixes()
            .iter()
            .map(prefix)
            .collect::<Result<_, _>>()?,
        security_groups: eni
            .groups()
            .iter()
            .filter_map(|group| group.group_id().map(str::to_owned))
            .collect(),
        tags: tags(&reader, eni.tag_set())?,
        attachment: eni
            .attachment()
            .map(|at| attachment(&reader, at))
            .transpose()?,
        id,
    })
}

/// Nothing for those that rightly have none: EFA-only ENIs and those of IPv6-only subnets. They are never ours, and one
/// of them on the node must not make all the others unreadable.
fn primary_address(
    reader: &Reader<'_>,
    eni: &types::NetworkInterface,
) -> Result<Option<Ipv4Addr>, Ec2Error> {
    let efa_only = eni.interface_type() == Some(&types::NetworkInterfaceType::EfaOnly);
    let none = eni.private_ip_address().is_none() && eni.private_ip_addresses().is_empty();
    if none && (efa_only || !eni.ipv6_addresses().is_empty()) {
        return Ok(None);
    }
    let address = reader.parse("privateIpAddress", eni.private_ip_address())?;
    Ok(Some(address))
}

fn secondary_addresses(
    reader: &Reader<'_>,
    eni: &types::NetworkInterface,
    primary_address: Option<Ipv4Addr>,
) -> Result<Vec<Ipv4Addr>, Ec2Error> {
    let mut addresses = Vec::with_capacity(eni.private_ip_addresses().len());
    for entry in eni.private_ip_addresses() {
        let address = reader.parse("privateIpAddressesSet", entry.private_ip_address())?;
        if Some(address) != primary_address {
            addresses.push(address);
        }
    }
    Ok(addresses)
}

fn status(
    reader: &Reader<'_>,
    status: Option<&types::NetworkInterfaceStatus>,
) -> Result<NicStatus, Ec2Error> {
    match reader.there("status", status)?.as_str() {
        // CreateNetworkInterface answers `pending`, which the model of the SDK does not list.
        "available" | "pending" => Ok(NicStatus::Available),
        // `associated` is a branch on its trunk.
        "in-use" | "associated" => Ok(NicStatus::InUse),
        "attaching" | "detaching" => Ok(NicStatus::Changing),
        other => Err(reader.wrong("status", other)),
    }
}

fn tags(reader: &Reader<'_>, tags: &[types::Tag]) -> Result<BTreeMap<String, String>, Ec2Error> {
    let tag = |tag: &types::Tag| {
        let key = reader.text("tagSet.key", tag.key())?;
        Ok((key, tag.value().unwrap_or_default().to_owned()))
    };
    tags.iter().map(tag).collect()
}

fn attachment(
    reader: &Reader<'_>,
    at: &types::NetworkInterfaceAttachment,
) -> Result<NicAttachment, Ec2Error> {
    Ok(NicAttachment {
        id: reader.text("attachment.attachmentId", at.attachment_id())?,
        instance_id: reader.text("attachment.instanceId", at.instance_id())?,
        device_index: reader.number("attachment.deviceIndex", at.device_index())?,
        // Left out on types with a single card.
        network_card: reader.number(
            "attachment.networkCardIndex",
            Some(at.network_card_index().unwrap_or(0)),
        )?,
        delete_on_termination: at.delete_on_termination().unwrap_or(false),
    })
}

/// The addresses of AssignPrivateIpAddresses.
pub(super) fn assigned(
    eni: &str,
    count: u32,
    answer: &[types::AssignedPrivateIpAddress],
) -> Result<Vec<Ipv4Addr>, Ec2Error> {
    let texts = answer.iter().map(|entry| entry.private_ip_address());
    all_assigned(eni, count, "assignedPrivateIpAddressesSet", texts)
}

/// The prefixes of AssignPrivateIpAddresses.
pub(super) fn assigned_prefixes(
    eni: &str,
    count: u32,
    answer: &[types::Ipv4PrefixSpecification],
) -> Result<Vec<Ipv4Net>, Ec2Error> {
    let texts = answer.iter().map(|entry| entry.ipv4_prefix());
    all_assigned(eni, count, "assignedIpv4PrefixSet", texts)
}

/// EC2 assigns all or none; another number means that something that is not EC2 answered, or that the list is not of the
/// new ones only, and then only a Describe can tell.
fn all_assigned<'a, T: FromStr + Debug>(
    eni: &str,
    count: u32,
    field: &str,
    texts: impl Iterator<Item = Option<&'a str>>,
) -> Result<Vec<T>, Ec2Error> {
    let reader = Reader {
        action: Action::AssignPrivateIpAddresses,
        subject: eni,
    };
    let given = texts
        .map(|text| reader.parse(field, text))
        .collect::<Result<Vec<T>, _>>()?;
    if given.len() == count as usize {
        Ok(given)
    } else {
        Err(reader.wrong(field, given))
    }
}

/// How many addresses a subnet has left.
pub(super) fn free_addresses(
    subnet: &str,
    answer: Option<&types::Subnet>,
) -> Result<u32, Ec2Error> {
    let reader = Reader {
        action: Action::DescribeSubnets,
        subject: subnet,
    };
    let answer = reader.there("subnetSet", answer)?;
    let id = reader.text("subnetId", answer.subnet_id())?;
    if id != subnet {
        return Err(reader.wrong("subnetId", id));
    }
    reader.number(
        "availableIpAddressCount",
        answer.available_ip_address_count(),
    )
}

/// The limits of DescribeInstanceTypes, those of the default network card.
pub(super) fn limits(
    instance_type: &str,
    info: Option<&types::InstanceTypeInfo>,
) -> Result<InstanceLimits, Ec2Error> {
    let reader = Reader {
        action: Action::DescribeInstanceTypes,
        subject: instance_type,
    };
    let info = reader.there("instanceTypeSet", info)?;
    let network = reader.there("networkInfo", info.network_info())?;
    let default_card = network.default_network_card_index().unwrap_or(0);
    let card = network
        .network_cards()
        .iter()
        .find(|card| card.network_card_index() == Some(default_card));
    let enis = card
        .and_then(types::NetworkCardInfo::maximum_network_interfaces)
        .or(network.maximum_network_interfaces());
    let nitro = info.hypervisor() == Some(&types::InstanceTypeHypervisor::Nitro);
    Ok(InstanceLimits {
        enis: reader.number("maximumNetworkInterfaces", enis)?,
        ipv4_per_eni: reader.number(
            "ipv4AddressesPerInterface",
            network.ipv4_addresses_per_interface(),
        )?,
        prefixes: nitro || info.bare_metal() == Some(true),
    })
}
