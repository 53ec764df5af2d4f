//! R: the addresses of a result and those of the links.

use serde_json::Value;

use super::{Located, list, text};
use crate::case::Source::{Containerd, Plugins, Spec};
use crate::case::Versions::Each;
use crate::case::{Verdict, expect};
use crate::world::World;

cases! {
    Results;
    addresses_are_theirs: Must, ["A04", "R01"], [Spec("Result types"), Plugins], Each, Each,
        "each address is on the link that its index names, in the sandbox or on the host, with the prefix length that is listed";
    addresses_are_listed: Should, ["R01"], [Spec("ADD Success"), Containerd], Each, Each,
        "each address that ADD puts on a link of the sandbox is in the result, and the index names that link if it is listed";
}

/// The addresses of a link, in CIDR notation, without those that the kernel gives itself.
fn addresses(link: &Value) -> Vec<String> {
    let infos = link["addr_info"].as_array().into_iter().flatten();
    let configured = infos.filter(|info| info["scope"] != "link" || info["family"] == "inet");
    configured
        .map(|info| format!("{}/{}", text(info, "local"), info["prefixlen"]))
        .collect()
}

/// The entry of `interfaces` that an address points at.
fn interface<'r>(result: &'r Value, ip: &Value) -> Option<&'r Value> {
    let index = usize::try_from(ip["interface"].as_u64()?).ok()?;
    list(result, "interfaces").get(index)
}

/// Whether an address is listed as one of other texts: IPv6 has many for one.
fn is_same(one: &str, other: &str) -> bool {
    let parsed = |text: &str| {
        let (address, length) = text.split_once('/')?;
        let address: std::net::IpAddr = address.parse().ok()?;
        Some((address, length.parse::<u8>().ok()?))
    };
    one == other || (parsed(one).is_some() && parsed(one) == parsed(other))
}

fn addresses_are_theirs(world: &World<'_>) -> Verdict {
    let result = world.add()?;
    let located = Located::now(world, &*world.pod()?)?;
    for ip in list(&result, "ips") {
        let named = interface(&result, ip);
        let Some(link) = named.and_then(|interface| located.link(interface)) else {
            continue;
        };
        let on_it = link.map(addresses).unwrap_or_default();
        let is_on_it = on_it.iter().any(|one| is_same(one, text(ip, "address")));
        expect(is_on_it, || {
            let name = named.unwrap_or(&Value::Null);
            format!("{ip}: it is not on {name}, which has {on_it:?}")
        })?;
    }
    Ok(())
}

fn addresses_are_listed(world: &World<'_>) -> Verdict {
    let pod = world.pod()?;
    let before = Located::now(world, &pod)?;
    let result = world.add()?;
    let now = Located::now(world, &pod)?;
    for link in &now.inside {
        let earlier = before
            .inside
            .iter()
            .find(|one| one["ifname"] == link["ifname"]);
        let had = earlier.map(addresses).unwrap_or_default();
        let is_new = |address: &String| link["ifname"] != "lo" && !had.contains(address);
        for address in addresses(link).into_iter().filter(is_new) {
            is_listed(&result, &now, link, &address)?;
        }
    }
    Ok(())
}

/// `address`, which is on `link`, is in `result`, and points there if it can.
fn is_listed(result: &Value, located: &Located, link: &Value, address: &str) -> Verdict {
    let name = &link["ifname"];
    let is_the_link =
        |entry: &Value| entry["name"] == *name && entry["sandbox"] == *located.sandbox;
    let mut entries = list(result, "ips")
        .iter()
        .filter(|ip| is_same(text(ip, "address"), address))
        .peekable();
    expect(entries.peek().is_some(), || {
        format!("{address} was put on {name} and is not in {result}")
    })?;
    let can_point = list(result, "interfaces").iter().any(is_the_link);
    let points = entries.any(|ip| interface(result, ip).is_some_and(is_the_link));
    expect(points || !can_point, || {
        format!("{address} is on {name}, and its index does not say so: {result}")
    })
}
