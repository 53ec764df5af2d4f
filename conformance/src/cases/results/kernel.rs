//! R: whether what a result says is so.

use anyhow::Context;
use serde_json::Value;

use super::{list, text};
use crate::case::Source::{Ours, Plugins, Spec};
use crate::case::Versions::{Each, Since};
use crate::case::{Verdict, expect};
use crate::netns::Netns;
use crate::runtime::conflist::Version;
use crate::world::World;

cases! {
    Results;
    links_are_there: Must, ["R01", "R02"], [Spec("Result types"), Plugins], Each, Each,
        "each interface of the sandbox or the host that is listed is a link there";
    macs_are_theirs: Should, ["R05"], [Plugins, Ours], Each, Creating,
        "a mac that is listed is the link's, also on the host";
    addresses_are_theirs: Must, ["R01"], [Spec("Result types"), Plugins], Each, Each,
        "each address of the container's interface is on it, with the prefix length that is listed";
    routes_are_there: Must, ["A13", "R04"], [Spec("Result types"), Plugins], Each, Creating,
        "each route that is listed is in the sandbox, by its gateway, with metric 0 unless it says another";
    mtu_is_its: Must, ["A14"], [Spec("Result types")], Since(Version::V1_1_0), Creating,
        "an mtu that is listed is the link's";
}

/// The links of a namespace as `ip -j` has them.
fn links(netns: &Netns) -> anyhow::Result<Vec<Value>> {
    let shown = netns.ip(&["-j", "addr"])?;
    serde_json::from_str(&shown).context("ip -j addr printed no list")
}

/// The listed interfaces that are in this sandbox or on this host, each with its link if there is one.
fn located(world: &World<'_>, result: &Value) -> anyhow::Result<Vec<(Value, Option<Value>)>> {
    let pod = world.pod()?;
    let (inside, outside) = (links(&pod.netns)?, links(world.host())?);
    let sandbox = pod.sandbox().to_string_lossy().into_owned();
    let mut found = Vec::new();
    for interface in list(result, "interfaces") {
        let of = match text(interface, "sandbox") {
            "" => &outside,
            here if here == sandbox => &inside,
            _ => continue,
        };
        let link = of.iter().find(|link| link["ifname"] == interface["name"]);
        found.push((interface.clone(), link.cloned()));
    }
    Ok(found)
}

fn links_are_there(world: &World<'_>) -> Verdict {
    let result = world.add()?;
    for (interface, link) in located(world, &result)? {
        expect(link.is_some(), || {
            format!("there is no link for {interface}")
        })?;
    }
    Ok(())
}

fn macs_are_theirs(world: &World<'_>) -> Verdict {
    let result = world.add()?;
    for (interface, link) in located(world, &result)? {
        let Some(mac) = interface["mac"].as_str() else {
            continue;
        };
        let is = link.unwrap_or_default()["address"].clone();
        let same = is.as_str().is_some_and(|is| is.eq_ignore_ascii_case(mac));
        expect(same, || format!("{interface}, and the link has {is}"))?;
    }
    Ok(())
}

fn addresses_are_theirs(world: &World<'_>) -> Verdict {
    let result = world.add()?;
    let pod = world.pod()?;
    let links = links(&pod.netns)?;
    let link = links.iter().find(|link| link["ifname"] == pod.ifname());
    let on_it = link
        .and_then(|link| link["addr_info"].as_array())
        .cloned()
        .unwrap_or_default();
    let written: Vec<String> = on_it
        .iter()
        .map(|one| format!("{}/{}", text(one, "local"), one["prefixlen"]))
        .collect();
    let sandbox = pod.sandbox().to_string_lossy().into_owned();
    for ip in list(&result, "ips") {
        let index = ip["interface"]
            .as_u64()
            .and_then(|index| usize::try_from(index).ok());
        let interface = index
            .and_then(|index| list(&result, "interfaces").get(index))
            .cloned();
        let interface = interface.unwrap_or_default();
        if interface["name"] != pod.ifname() || interface["sandbox"] != *sandbox {
            continue;
        }
        let address = text(ip, "address");
        expect(written.iter().any(|one| one == address), || {
            format!(
                "{address} is not on {}, which has {written:?}",
                pod.ifname()
            )
        })?;
    }
    Ok(())
}

fn routes_are_there(world: &World<'_>) -> Verdict {
    let result = world.add()?;
    let pod = world.pod()?;
    for route in list(&result, "routes") {
        let (dst, gw) = (text(route, "dst"), text(route, "gw"));
        let family = if dst.contains(':') { "-6" } else { "-4" };
        let shown = pod
            .netns
            .ip(&[family, "-j", "route", "show", "exact", dst, "table", "all"])?;
        let routes: Value = serde_json::from_str(&shown).unwrap_or_default();
        let metric = route["priority"].as_u64().unwrap_or(0);
        let is_it = |one: &Value| {
            (gw.is_empty() || one["gateway"] == gw)
                && (family == "-6" || one["metric"].as_u64().unwrap_or(0) == metric)
        };
        let there = routes
            .as_array()
            .is_some_and(|routes| routes.iter().any(is_it));
        expect(there, || format!("{route} is not among {shown}"))?;
    }
    Ok(())
}

fn mtu_is_its(world: &World<'_>) -> Verdict {
    let result = world.add()?;
    for (interface, link) in located(world, &result)? {
        let Some(mtu) = interface.get("mtu") else {
            continue;
        };
        let is = link.unwrap_or_default()["mtu"].clone();
        expect(is == *mtu, || format!("{interface}, and the link has {is}"))?;
    }
    Ok(())
}
