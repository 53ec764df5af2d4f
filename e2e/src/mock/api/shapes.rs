//! The things of the model as EC2's XML shows them.

use std::collections::BTreeMap;

use ipnet::Ipv4Net;

use super::xml::Xml;
use crate::mock::state::{ACCOUNT, Attachment, Eni, Instance, InstanceLimits, State, Subnet};
use crate::mock::timestamp::rfc3339;

/// `NetworkInterface`, as Create and Describe answer it.
pub(super) fn network_interface(x: &mut Xml, state: &State, eni: &Eni, status: &str) {
    interface_core(x, state, eni, status);
    if let Some(subnet) = state.subnets.get(&eni.subnet_id) {
        x.text("availabilityZone", &subnet.zone);
    }
    x.text("requesterManaged", false);
    x.text("interfaceType", "interface");
    if let Some(a) = &eni.attachment {
        x.node("attachment", |x| {
            attachment(x, a);
            x.text("instanceId", &a.instance_id);
            x.text("instanceOwnerId", ACCOUNT);
        });
    }
    tags(x, &eni.tags);
    prefixes(x, "ipv4PrefixSet", &eni.prefixes);
    x.list("ipv6AddressesSet", std::iter::empty::<()>(), |_, ()| ());
}

/// Prefixes as a list of that name.
pub(super) fn prefixes(x: &mut Xml, name: &'static str, prefixes: &[Ipv4Net]) {
    x.list(name, prefixes, |x, prefix| x.text("ipv4Prefix", prefix));
}

/// What `NetworkInterface` and an instance's own list have in common.
fn interface_core(x: &mut Xml, state: &State, eni: &Eni, status: &str) {
    x.text("networkInterfaceId", &eni.id);
    x.text("subnetId", &eni.subnet_id);
    x.text("vpcId", &state.vpc_id);
    x.text("description", &eni.description);
    x.text("ownerId", ACCOUNT);
    x.text("status", status);
    x.text("macAddress", &eni.mac);
    x.text("privateIpAddress", eni.primary);
    x.text("sourceDestCheck", true);
    groups(x, state, eni);
    x.list("privateIpAddressesSet", eni.addresses(), |x, address| {
        x.text("privateIpAddress", address);
        x.text("primary", address == eni.primary);
    });
}

fn groups(x: &mut Xml, state: &State, eni: &Eni) {
    x.list("groupSet", &eni.groups, |x, id| {
        x.text("groupId", id);
        x.text_if("groupName", state.groups.get(id));
    });
}

fn attachment(x: &mut Xml, a: &Attachment) {
    x.text("attachmentId", &a.id);
    x.text("deviceIndex", a.device_index);
    x.text("networkCardIndex", 0);
    x.text("status", a.status.as_str());
    x.text("attachTime", rfc3339(a.since));
    x.text("deleteOnTermination", a.delete_on_termination);
}

fn tags(x: &mut Xml, tags: &BTreeMap<String, String>) {
    x.list("tagSet", tags, |x, (key, value)| {
        x.text("key", key);
        x.text("value", value);
    });
}

/// `Instance`, with its ENIs.
pub(super) fn instance(x: &mut Xml, state: &State, instance: &Instance) {
    x.text("instanceId", &instance.id);
    x.text("imageId", "ami-0123456789abcdef0");
    x.node("instanceState", |x| {
        let (code, name) = if instance.running {
            (16, "running")
        } else {
            (48, "terminated")
        };
        x.text("code", code);
        x.text("name", name);
    });
    x.text("instanceType", &instance.instance_type);
    x.text("launchTime", rfc3339(instance.launched));
    let enis = state.enis_of(&instance.id);
    if let Some(primary) = enis.first() {
        x.text("privateIpAddress", primary.primary);
        x.text("subnetId", &instance.subnet_id);
        x.text("vpcId", &state.vpc_id);
    }
    if let Some(subnet) = state.subnets.get(&instance.subnet_id) {
        x.node("placement", |x| x.text("availabilityZone", &subnet.zone));
    }
    x.list("networkInterfaceSet", enis, |x, eni| {
        interface_core(x, state, eni, eni.status());
        x.text("interfaceType", "interface");
        if let Some(a) = &eni.attachment {
            x.node("attachment", |x| attachment(x, a));
        }
    });
}

/// `Subnet`.
pub(super) fn subnet(x: &mut Xml, state: &State, subnet: &Subnet) {
    x.text("subnetId", &subnet.id);
    x.text("state", "available");
    x.text("vpcId", &state.vpc_id);
    x.text("ownerId", ACCOUNT);
    x.text("cidrBlock", subnet.cidr);
    x.text("availableIpAddressCount", subnet.free());
    x.text("availabilityZone", &subnet.zone);
    x.text("defaultForAz", false);
    x.text("mapPublicIpOnLaunch", false);
    x.list("tagSet", std::iter::empty::<()>(), |_, ()| ());
}

/// `InstanceTypeInfo`, as far as it is about networks.
pub(super) fn instance_type(x: &mut Xml, name: &str, limits: &InstanceLimits) {
    x.text("instanceType", name);
    x.text("currentGeneration", true);
    x.text("bareMetal", limits.bare_metal);
    if !limits.bare_metal {
        x.text("hypervisor", &limits.hypervisor);
    }
    x.node("networkInfo", |x| {
        // The sum over all cards, as EC2 has it; the default card's figure is in its own element.
        x.text(
            "maximumNetworkInterfaces",
            limits.enis.saturating_mul(limits.network_cards),
        );
        x.text("maximumNetworkCards", limits.network_cards);
        x.text("defaultNetworkCardIndex", 0);
        x.list("networkCards", 0..limits.network_cards, |x, card| {
            x.text("networkCardIndex", card);
            x.text("maximumNetworkInterfaces", limits.enis);
        });
        x.text("ipv4AddressesPerInterface", limits.ipv4_per_eni);
        x.text("ipv6AddressesPerInterface", limits.ipv6_per_eni);
        x.text("ipv6Supported", limits.ipv6_per_eni > 0);
    });
}
