//! `/v1/enis` in aws-node's shape, for scripts and people who know it (`aws-k8s-agent`'s introspection, 1.20 and later:
//! by network card; container ids and interface names blank since 1.23). What berth has no word for is empty.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::{Duration, UNIX_EPOCH};

use serde_json::{Map, Value, json};

use crate::report::{AttachmentReport, EniReport, Report};

/// Go's zero time, of an address that no pod has or had.
const NEVER: &str = "0001-01-01T00:00:00Z";
/// A /32 as Go writes a mask.
const HOST_MASK: &str = "/////w==";
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
    let cidrs: Map<String, Value> = (eni.held.keys())
        .map(|address| (format!("{address}/32"), of_address(*address, pods)))
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

fn of_address(address: Ipv4Addr, pods: &BTreeMap<Ipv4Addr, &AttachmentReport>) -> Value {
    let entry = pods.get(&address).map(|attachment| {
        let (namespace, name) = (attachment.pod.as_deref())
            .and_then(|pod| pod.split_once('/'))
            .unwrap_or_default();
        json!({
            "Address": address,
            "IPAMKey": {"networkName": attachment.network, "containerID": "", "ifName": ""},
            "IPAMMetadata": {"k8sPodNamespace": namespace, "k8sPodName": name},
            "AssignedTime": time(attachment.since),
            "UnassignedTime": NEVER,
        })
    });
    let addresses: Map<String, Value> = (entry.into_iter())
        .map(|entry| (address.to_string(), entry))
        .collect();
    json!({
        "Cidr": {"IP": address, "Mask": HOST_MASK},
        "IPAddresses": addresses,
        "IsPrefix": false,
        "AddressFamily": "",
    })
}

fn time(nanos: u64) -> String {
    humantime::format_rfc3339_nanos(UNIX_EPOCH + Duration::from_nanos(nanos)).to_string()
}
