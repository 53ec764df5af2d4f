//! The tree of metadata below `/latest/`, read from a state. What is not there on a real instance of this kind
//! (public addresses, IPv6, network cards, prefixes where there are none) is not there either: the client gets a 404.

use std::time::{Duration, SystemTime};

use serde_json::json;

use crate::mock::state::{ACCOUNT, AttachmentStatus, Eni, REGION, State};
use crate::mock::timestamp::rfc3339;

/// Name of the instance's role.
const ROLE: &str = "node";

/// What an ENI's directory holds.
const INTERFACE_KEYS: [&str; 13] = [
    "device-number",
    "interface-id",
    "local-hostname",
    "local-ipv4s",
    "mac",
    "owner-id",
    "security-group-ids",
    "security-groups",
    "subnet-id",
    "subnet-ipv4-cidr-block",
    "vpc-id",
    "vpc-ipv4-cidr-block",
    "vpc-ipv4-cidr-blocks",
];

/// The text at a path for an instance, or nothing for a 404.
pub(super) fn read(state: &State, instance: &str, path: &str) -> Option<String> {
    let segments: Vec<&str> = path.split('/').filter(|s| !s.is_empty()).collect();
    match segments.as_slice() {
        ["latest", "dynamic", "instance-identity", "document"] => document(state, instance),
        [
            "latest",
            "meta-data",
            "network",
            "interfaces",
            "macs",
            rest @ ..,
        ] => interfaces(state, instance, rest),
        ["latest", "meta-data", rest @ ..] => meta_data(state, instance, rest),
        _ => None,
    }
}

fn primary<'a>(state: &'a State, instance: &str) -> Option<&'a Eni> {
    state.enis_of(instance).into_iter().next()
}

fn zone(state: &State, instance: &str) -> Option<String> {
    let subnet = &state.instances.get(instance)?.subnet_id;
    Some(state.subnets.get(subnet)?.zone.clone())
}

fn document(state: &State, instance: &str) -> Option<String> {
    let machine = state.instances.get(instance)?;
    let document = json!({
        "accountId": ACCOUNT,
        "architecture": "x86_64",
        "availabilityZone": zone(state, instance)?,
        "imageId": "ami-0123456789abcdef0",
        "instanceId": machine.id,
        "instanceType": machine.instance_type,
        "pendingTime": rfc3339(machine.launched),
        "privateIp": primary(state, instance)?.primary,
        "region": REGION,
        "version": "2017-09-30",
    });
    serde_json::to_string_pretty(&document).ok()
}

fn meta_data(state: &State, instance: &str, path: &[&str]) -> Option<String> {
    let text = match path {
        [] => lines(&[
            "ami-id",
            "iam/",
            "instance-id",
            "instance-type",
            "local-hostname",
            "local-ipv4",
            "mac",
            "network/",
            "placement/",
            "services/",
        ]),
        ["ami-id"] => "ami-0123456789abcdef0".to_owned(),
        ["instance-id"] => state.instances.get(instance)?.id.clone(),
        ["instance-type"] => state.instances.get(instance)?.instance_type.clone(),
        ["local-ipv4"] => primary(state, instance)?.primary.to_string(),
        ["local-hostname" | "hostname"] => hostname(primary(state, instance)?),
        ["mac"] => primary(state, instance)?.mac.clone(),
        ["network"] => "interfaces/".to_owned(),
        ["network", "interfaces"] => "macs/".to_owned(),
        ["placement"] => lines(&["availability-zone", "region"]),
        ["placement", "availability-zone"] => zone(state, instance)?,
        ["placement", "region"] => REGION.to_owned(),
        ["services"] => lines(&["domain", "partition"]),
        ["services", "domain"] => "amazonaws.com".to_owned(),
        ["services", "partition"] => "aws".to_owned(),
        ["iam"] => lines(&["info", "security-credentials/"]),
        ["iam", "info"] => json!({
            "Code": "Success",
            "InstanceProfileArn": format!("arn:aws:iam::{ACCOUNT}:instance-profile/{ROLE}"),
        })
        .to_string(),
        ["iam", "security-credentials"] => ROLE.to_owned(),
        ["iam", "security-credentials", ROLE] => credentials(),
        _ => return None,
    };
    Some(text)
}

/// Credentials that name nobody: the mock does not look at signatures.
fn credentials() -> String {
    let now = SystemTime::now();
    json!({
        "Code": "Success",
        "LastUpdated": rfc3339(now),
        "Type": "AWS-HMAC",
        "AccessKeyId": "ASIAMOCKMOCKMOCKMOCK",
        "SecretAccessKey": "mock-secret",
        "Token": "mock-session",
        "Expiration": rfc3339(now + Duration::from_secs(6 * 3600)),
    })
    .to_string()
}

/// `network/interfaces/macs/...`.
fn interfaces(state: &State, instance: &str, path: &[&str]) -> Option<String> {
    let shown: Vec<&Eni> = state
        .enis_of(instance)
        .into_iter()
        .filter(|e| {
            e.attachment
                .as_ref()
                .is_some_and(|a| a.plugged || a.status == AttachmentStatus::Attached)
        })
        .collect();
    match path {
        [] => {
            let macs: Vec<String> = shown.iter().map(|e| format!("{}/", e.mac)).collect();
            Some(lines(&macs))
        }
        [mac] => {
            let eni = shown.iter().find(|e| e.mac == *mac)?;
            let prefixes = (!eni.prefixes.is_empty()).then_some("ipv4-prefix");
            Some(lines(
                &INTERFACE_KEYS
                    .into_iter()
                    .chain(prefixes)
                    .collect::<Vec<_>>(),
            ))
        }
        [mac, key] => field(state, shown.into_iter().find(|e| e.mac == *mac)?, key),
        _ => None,
    }
}

fn field(state: &State, eni: &Eni, key: &str) -> Option<String> {
    let attachment = eni.attachment.as_ref()?;
    let subnet = state.subnets.get(&eni.subnet_id)?;
    let names = eni.groups.iter().filter_map(|id| state.groups.get(id));
    Some(match key {
        "device-number" => attachment.device_index.to_string(),
        "interface-id" => eni.id.clone(),
        "ipv4-prefix" if !eni.prefixes.is_empty() => lines(&eni.prefixes),
        "local-hostname" => hostname(eni),
        "local-ipv4s" => lines(&eni.addresses().collect::<Vec<_>>()),
        "mac" => eni.mac.clone(),
        "owner-id" => ACCOUNT.to_owned(),
        "security-group-ids" => lines(&eni.groups),
        "security-groups" => lines(&names.collect::<Vec<_>>()),
        "subnet-id" => eni.subnet_id.clone(),
        "subnet-ipv4-cidr-block" => subnet.cidr.to_string(),
        "vpc-id" => state.vpc_id.clone(),
        "vpc-ipv4-cidr-block" => state.vpc_cidrs.first()?.to_string(),
        "vpc-ipv4-cidr-blocks" => lines(&state.vpc_cidrs),
        _ => return None,
    })
}

fn hostname(eni: &Eni) -> String {
    let dashed = eni.primary.to_string().replace('.', "-");
    format!("ip-{dashed}.{REGION}.compute.internal")
}

fn lines<T: ToString>(items: &[T]) -> String {
    items
        .iter()
        .map(T::to_string)
        .collect::<Vec<_>>()
        .join("\n")
}
