//! The router's nftables ruleset: the source/dest check, the internet gateway, and the record of who carried what.
//!
//! Nothing is translated or tracked: what arrives is what was sent.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use serde_json::Value;

use super::netns::Netns;
use super::{Direction, FabricError, Flow, Loss, LossReason};

/// The link to the internet, in the router.
pub(super) const GATEWAY_LINK: &str = "igw";

/// `check` sees every packet that an ENI sends. The lookup of its source with the link it came in by finds a route
/// only if the address is assigned to that very ENI: this is EC2's source/dest check.
/// `gateway` sees what is forwarded. An internet gateway knows primary addresses only (those with a public address
/// in real life), so what a node did not translate is lost there.
const RULESET: &str = r#"
table ip fabric {
  set primaries { type ipv4_addr; }
  set sent { typeof iifname . ip saddr . ip daddr; flags dynamic; size 65535; }
  set delivered { typeof oifname . ip saddr . ip daddr; flags dynamic; size 65535; }
  set spoofed { typeof iifname . ip saddr . ip daddr; flags dynamic; size 65535; }
  set unroutable { typeof iifname . ip saddr . ip daddr; flags dynamic; size 65535; }
  chain check {
    type filter hook prerouting priority raw; policy accept;
    iifname "igw" return
    fib saddr . iif oif missing update @spoofed { iifname . ip saddr . ip daddr counter } drop
  }
  chain gateway {
    type filter hook forward priority filter; policy accept;
    oifname "igw" ip saddr != @primaries update @unroutable { iifname . ip saddr . ip daddr counter } drop
    iifname "igw" ip daddr != @primaries update @unroutable { iifname . ip saddr . ip daddr counter } drop
    update @sent { iifname . ip saddr . ip daddr counter }
    update @delivered { oifname . ip saddr . ip daddr counter }
  }
}
"#;

/// Loads the ruleset: `nft -f -`.
pub(super) fn load(router: &Netns) -> Result<(), FabricError> {
    router.nft(&["-f", "-"], RULESET).map(drop)
}

/// Lets a node's primary address through the internet gateway.
pub(super) fn add_primary(router: &Netns, address: Ipv4Addr) -> Result<(), FabricError> {
    let line = format!("add element ip fabric primaries {{ {address} }}\n");
    router.nft(&["-f", "-"], &line).map(drop)
}

/// Closes the internet gateway for a node's primary address.
pub(super) fn remove_primary(router: &Netns, address: Ipv4Addr) -> Result<(), FabricError> {
    let line = format!("delete element ip fabric primaries {{ {address} }}\n");
    router.nft(&["-f", "-"], &line).map(drop)
}

/// What was dropped, by ENI (`links` maps the router's links to ENIs).
pub(super) fn losses(
    router: &Netns,
    links: &BTreeMap<String, String>,
) -> Result<Vec<Loss>, FabricError> {
    let mut losses = Vec::new();
    for (set, reason) in [
        ("spoofed", LossReason::SourceDestCheck),
        ("unroutable", LossReason::InternetGateway),
    ] {
        for record in read(router, set)? {
            losses.push(Loss {
                reason,
                eni: links.get(&record.link).cloned(),
                source: record.source,
                destination: record.destination,
                packets: record.packets,
            });
        }
    }
    Ok(losses)
}

/// What passed a link of the router, in both directions.
pub(super) fn flows(router: &Netns, link: &str) -> Result<Vec<Flow>, FabricError> {
    let mut flows = Vec::new();
    for (set, direction) in [
        ("sent", Direction::Sent),
        ("delivered", Direction::Delivered),
    ] {
        for record in read(router, set)?.into_iter().filter(|r| r.link == link) {
            flows.push(Flow {
                direction,
                source: record.source,
                destination: record.destination,
                packets: record.packets,
            });
        }
    }
    Ok(flows)
}

/// An element of one of the dynamic sets.
struct Record {
    link: String,
    source: Ipv4Addr,
    destination: Ipv4Addr,
    packets: u64,
}

/// Reads a set: `nft -j list set ip fabric SET`.
fn read(router: &Netns, set: &str) -> Result<Vec<Record>, FabricError> {
    let text = router.nft(&["-j", "list", "set", "ip", "fabric", set], "")?;
    let answer: Value = serde_json::from_str(&text).map_err(|e| FabricError::Program {
        command: format!("nft -j list set ip fabric {set}"),
        input: String::new(),
        why: format!("its answer is not JSON: {e}"),
    })?;
    let objects = answer["nftables"].as_array().map_or(&[][..], Vec::as_slice);
    Ok(objects
        .iter()
        .filter_map(|object| object["set"]["elem"].as_array())
        .flatten()
        .filter_map(record)
        .collect())
}

fn record(element: &Value) -> Option<Record> {
    let element = &element["elem"];
    let key = element["val"]["concat"].as_array()?;
    Some(Record {
        link: key.first()?.as_str()?.to_owned(),
        source: key.get(1)?.as_str()?.parse().ok()?,
        destination: key.get(2)?.as_str()?.parse().ok()?,
        packets: element["counter"]["packets"].as_u64()?,
    })
}
