//! What CHECK must see: something that the plugin made is gone or changed.

use serde_json::{Value, json};

use super::parts::own_addresses;
use super::telling::inside;
use crate::case::{Mode, Verdict, expect, skip};
use crate::world::World;
use crate::world::traces::has_link;

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
        let is_renamed = command.ends_with(&["name", "other0"]);
        expect(!is_renamed || has_link(&pod.netns, "other0")?, || {
            "the interface under another name is gone after a CHECK that failed".to_owned()
        })?;
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
