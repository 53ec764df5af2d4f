//! What CHECK must see: something that the plugin made is gone or changed.

use serde_json::{Value, json};

use super::telling::inside;
use crate::case::{Mode, Verdict, skip};
use crate::pod::Pod;
use crate::world::World;

pub(super) fn interface_gone(world: &World<'_>) -> Verdict {
    let pod = world.pod()?;
    let result = world.add()?;
    if world.mode() == Mode::Chained && own_addresses(&result, &pod).is_empty() {
        return skip("it gives no address behind others, so the interface is not its concern");
    }
    let check = world.call_after("CHECK", &result)?;
    // with its other end as it was, and then without
    for command in [
        &["link", "set", "dev", pod.ifname(), "down"][..],
        &["link", "set", "dev", pod.ifname(), "name", "other0"],
        &["link", "del", "dev", "other0"],
    ] {
        pod.netns.ip(command)?;
        if !command.ends_with(&["down"]) {
            world.run(&check)?.failure()?;
        }
    }
    Ok(())
}

pub(super) fn mac_changed(world: &World<'_>) -> Verdict {
    const MAC: &str = "0a:58:c0:00:02:63";
    let pod = world.pod()?;
    let result = world.add()?;
    let mac = inside(&result, pod.ifname()).map(|at| &result["interfaces"][at]["mac"]);
    if mac.and_then(Value::as_str).is_none_or(str::is_empty) {
        return skip("its result has no MAC address");
    }
    let check = world.call_after("CHECK", &result)?;
    world.run(&check)?.silent()?;
    pod.netns
        .ip(&["link", "set", "dev", pod.ifname(), "address", MAC])?;
    world.run(&check)?.failure().map(drop)
}

pub(super) fn address_gone(world: &World<'_>) -> Verdict {
    let pod = world.pod()?;
    let result = world.add()?;
    let own = own_addresses(&result, &pod);
    let Some(address) = own.first() else {
        return skip("it gives no address");
    };
    let check = world.call_after("CHECK", &result)?;
    world.run(&check)?.silent()?;
    pod.netns
        .ip(&["addr", "del", address, "dev", pod.ifname()])?;
    world.run(&check)?.failure().map(drop)
}

pub(super) fn address_listed(world: &World<'_>) -> Verdict {
    let pod = world.pod()?;
    let mut result = world.add()?;
    let at = inside(&result, pod.ifname());
    let (Some(at), Some(ips)) = (at, result["ips"].as_array_mut()) else {
        return skip("its result has no address on an interface");
    };
    ips.push(json!({"version": "4", "address": "203.0.113.9/24", "interface": at}));
    world
        .run(&world.call_after("CHECK", &result)?)?
        .failure()
        .map(drop)
}

pub(super) fn route_gone(world: &World<'_>) -> Verdict {
    let pod = world.pod()?;
    let result = world.add()?;
    let foreign = listed(pod.previous.as_ref(), "routes", "dst");
    let own = listed(Some(&result), "routes", "dst");
    let Some(dst) = own.iter().find(|dst| !foreign.contains(dst)) else {
        return skip("its result has no route of its own");
    };
    let check = world.call_after("CHECK", &result)?;
    world.run(&check)?.silent()?;
    if pod.netns.ip(&["route", "show", "exact", dst])?.is_empty() {
        return skip("its route is in a table of its own");
    }
    pod.netns.ip(&["route", "del", dst])?;
    world.run(&check)?.failure().map(drop)
}

pub(super) fn damage_stays(world: &World<'_>) -> Verdict {
    let pod = world.pod()?;
    let result = world.add()?;
    if own_addresses(&result, &pod).is_empty() {
        return skip("it gives no address");
    }
    pod.netns.ip(&["addr", "flush", "dev", pod.ifname()])?;
    let before = world.traces(Some(&pod))?;
    let answer = world.run(&world.call_after("CHECK", &result)?)?;
    before.are_unchanged(world, Some(&pod))?;
    answer.failure().map(drop)
}

/// The addresses that `result` has more than the plugins' before it.
fn own_addresses(result: &Value, pod: &Pod) -> Vec<String> {
    let foreign = listed(pod.previous.as_ref(), "ips", "address");
    let mut own = listed(Some(result), "ips", "address");
    own.retain(|address| !foreign.contains(address));
    own
}

fn listed(result: Option<&Value>, list: &str, member: &str) -> Vec<String> {
    let entries = result.and_then(|result| result[list].as_array());
    let text = |entry: &Value| entry[member].as_str().map(str::to_owned);
    entries.into_iter().flatten().filter_map(text).collect()
}
