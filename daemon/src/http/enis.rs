//! `/v1/enis` in aws-node's shape, for scripts and people who know it (`aws-k8s-agent`'s introspection, 1.20 and later:
//! by network card; container ids and interface names blank since 1.23). What berth has no word for is empty.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::{Duration, UNIX_EPOCH};

use ipnet::Ipv4Net;
use serde_json::{Map, Value, json};

use crate::report::{AttachmentReport, EniReport, Report};

/// Go's zero time, of an address that no pod has or had.
const NEVER: &str = "0001-01-01T00:00:00Z";
/// The masks of a /32 and of a /28 as Go writes them: four bytes in base64.
const HOST_MASK: &str = "/////w==";
const PREFIX_MASK: &str = "////8A==";
/// The main routing table, of the primary ENI.
const MAIN_TABLE: u32 = 254;

/// The document. berth uses network card 0 only.
pub(super) fn document(report: &Report) -> Value {
    let pods: BTreeMap<Ipv4Addr, &AttachmentReport> = (report.attachments.iter())
        .map(|attachment| (attachment.address, attachment))
        .collect();
    let of_card = |eni: &&EniReport| eni.ownership != "foreign";
    let enis: Map<String, Value> = (report.enis.iter().filter(of_card))
        .map(|eni| (eni.id.clone(), of_eni(eni, report, &pods)))
        .collect();
    json!({"0": {
        "TotalIPs": report.addresses.held,
        "AssignedIPs": report.addresses.used,
        "ENIs": enis,
    }})
}

fn of_eni(eni: &EniReport, report: &Report, pods: &BTreeMap<Ipv4Addr, &AttachmentReport>) -> Value {
    let in_prefix = |address: &Ipv4Addr| eni.prefixes.iter().any(|p| p.contains(address));
    let singles = (eni.held.keys().filter(|address| !in_prefix(address)))
        .map(|address| (Ipv4Net::from(*address), HOST_MASK));
    let blocks = eni.prefixes.iter().map(|prefix| (*prefix, PREFIX_MASK));
    let cidrs: Map<String, Value> = singles
        .chain(blocks)
        .map(|(cidr, mask)| (cidr.to_string(), of_cidr(cidr, mask, pods)))
        .collect();
    let is_primary = eni.ownership == "primary";
    // aws-node's tables are numbered after the devices, and so are berth's.
    let table = if is_primary {
        MAIN_TABLE
    } else {
        eni.device_index + 1
    };
    json!({
        "ID": eni.id,
        "IsPrimary": is_primary,
        "IsTrunk": false,
        "IsEFA": false,
        "DeviceNumber": eni.device_index,
        "AvailableIPv4Cidrs": cidrs,
        "IPv6Cidrs": {},
        "IsExcludedForPodIPs": false,
        "RouteTableID": table,
        "SubnetID": report.subnet_id.clone().unwrap_or_default(),
    })
}

/// A single address, as a /32, or a prefix, with those of its addresses that pods have.
fn of_cidr(cidr: Ipv4Net, mask: &str, pods: &BTreeMap<Ipv4Addr, &AttachmentReport>) -> Value {
    let addresses: Map<String, Value> = (pods.range(cidr.network()..=cidr.broadcast()))
        .map(|(address, attachment)| (address.to_string(), of_pod(attachment)))
        .collect();
    json!({
        "Cidr": {"IP": cidr.network(), "Mask": mask},
        "IPAddresses": addresses,
        "IsPrefix": mask == PREFIX_MASK,
        "AddressFamily": "",
    })
}

fn of_pod(attachment: &AttachmentReport) -> Value {
    let (namespace, name) = (attachment.pod.as_deref())
        .and_then(|pod| pod.split_once('/'))
        .unwrap_or_default();
    json!({
        "Address": attachment.address,
        "IPAMKey": {"networkName": attachment.network, "containerID": "", "ifName": ""},
        "IPAMMetadata": {"k8sPodNamespace": namespace, "k8sPodName": name},
        "AssignedTime": time(attachment.since),
        "UnassignedTime": NEVER,
    })
}

fn time(nanos: u64) -> String {
    humantime::format_rfc3339_nanos(UNIX_EPOCH + Duration::from_nanos(nanos)).to_string()
}
