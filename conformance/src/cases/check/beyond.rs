//! What others changed, which CHECK must bear, and what is not in the sandbox, which it should see.

use serde_json::{Value, json};

use super::telling::inside;
use crate::case::{Mode, Verdict, expect, skip, wrong};
use crate::pod::Pod;
use crate::world::World;
use crate::world::traces::{has_link, soon};

/// The other end of links that the suite makes in sandboxes.
const PEER: &str = "cnfpeer0";

pub(super) fn later_changes(world: &World<'_>) -> Verdict {
    let pod = world.pod()?;
    let mut result = world.add()?;
    let check = world.call_after("CHECK", &result)?;
    let (netns, ifname) = (&pod.netns, pod.ifname());
    netns.ip(&["link", "add", "net9", "type", "veth", "peer", "name", PEER])?;
    netns.ip(&["link", "set", "net9", "up"])?;
    netns.ip(&["addr", "add", "198.51.100.9/24", "dev", "net9"])?;
    netns.ip(&["addr", "add", "203.0.113.9/32", "dev", ifname])?;
    netns.ip(&["route", "add", "198.18.0.0/16", "dev", ifname])?;
    let far = [
        "route",
        "add",
        "198.19.0.0/16",
        "via",
        "198.18.0.1",
        "dev",
        ifname,
    ];
    netns.ip(&far)?;
    // one that is told which mtu to set may look whether it is set
    if world.mode() == Mode::Creating || !world.subject().entry.contains_key("mtu") {
        netns.ip(&["link", "set", "dev", ifname, "mtu", "1300"])?;
    }
    world.run(&check)?.silent()?;
    // the last plugin's result is what CHECK gets
    let at = result["interfaces"].as_array().map_or(0, Vec::len);
    let link = json!({"name": "net9", "sandbox": pod.sandbox()});
    push(&mut result, "interfaces", link);
    let ip = json!({"version": "4", "address": "198.51.100.9/24", "interface": at});
    let mut before = result.clone();
    push(&mut before, "ips", ip.clone());
    if let Some(ips) = before["ips"].as_array_mut() {
        // as one that stood there before it
        ips.rotate_right(1);
    }
    push(&mut result, "ips", ip);
    for result in [before, result] {
        for dns in [
            json!({"nameservers": ["192.0.2.53"]}),
            json!({"nameservers": ["192.0.2.53"], "domain": "example.test", "search": ["example.test"]}),
            Value::Null,
        ] {
            let mut result = result.clone();
            match (dns.is_null(), result.as_object_mut()) {
                (true, Some(members)) => drop(members.remove("dns")),
                _ => result["dns"] = dns,
            }
            world.run(&world.call_after("CHECK", &result)?)?.silent()?;
        }
    }
    Ok(())
}

fn push(result: &mut Value, list: &str, entry: Value) {
    match result[list].as_array_mut() {
        Some(entries) => entries.push(entry),
        None => result[list] = json!([entry]),
    }
}

pub(super) fn later_mac(world: &World<'_>) -> Verdict {
    const MAC: &str = "0a:58:c0:00:02:63";
    let pod = world.pod()?;
    let mut result = world.add()?;
    let Some(at) = inside(&result, pod.ifname()) else {
        return skip("its result has no interface in the sandbox");
    };
    let neighbours = pod.netns.ip(&["neigh", "show", "dev", pod.ifname()])?;
    pod.netns
        .ip(&["link", "set", "dev", pod.ifname(), "address", MAC])?;
    // the kernel drops them with the old address, which is that plugin's to mend
    make_routes(&pod, "", &neighbours)?;
    result["interfaces"][at]["mac"] = json!(MAC);
    world.run(&world.call_after("CHECK", &result)?)?.silent()
}

pub(super) fn after_del(world: &World<'_>) -> Verdict {
    let result = world.add()?;
    world.del(&result)?;
    world
        .run(&world.call_after("CHECK", &result)?)?
        .failure()
        .map(drop)
}

/// After a DEL somebody makes an interface that looks the same.
pub(super) fn impostor(world: &World<'_>) -> Verdict {
    let pod = world.pod()?;
    let result = world.add()?;
    let Some(at) = inside(&result, pod.ifname()) else {
        return skip("its result has no interface in the sandbox");
    };
    let show = |what: &[&str]| {
        pod.netns
            .ip(&[what, &["show", "dev", pod.ifname()]].concat())
    };
    let (routes, neighbours) = (show(&["-4", "route"])?, show(&["neigh"])?);
    let check = world.call_after("CHECK", &result)?;
    world.del(&result)?;
    soon(|| {
        let is_there = has_link(&pod.netns, pod.ifname())?;
        expect(!is_there, || "DEL leaves the interface".to_owned())
    })?;
    make_link(&pod, result["interfaces"][at]["mac"].as_str())?;
    make_addresses(&pod, &result)?;
    make_routes(&pod, &routes, &neighbours)?;
    world.run(&check)?.failure().map(drop)
}

fn make_link(pod: &Pod, mac: Option<&str>) -> anyhow::Result<()> {
    let (netns, ifname) = (&pod.netns, pod.ifname());
    netns.ip(&["link", "add", ifname, "type", "veth", "peer", "name", PEER])?;
    if let Some(mac) = mac {
        netns.ip(&["link", "set", "dev", ifname, "address", mac])?;
    }
    netns.ip(&["link", "set", ifname, "up"])?;
    netns.ip(&["link", "set", PEER, "up"]).map(drop)
}

fn make_addresses(pod: &Pod, result: &Value) -> anyhow::Result<()> {
    for ip in result["ips"].as_array().into_iter().flatten() {
        let address = ip["address"].as_str().unwrap_or_default();
        pod.netns
            .ip(&["addr", "replace", address, "dev", pod.ifname()])?;
    }
    Ok(())
}

/// From what `ip` showed; routes that lead through another one after those that do not.
fn make_routes(pod: &Pod, routes: &str, neighbours: &str) -> anyhow::Result<()> {
    let (far, near): (Vec<&str>, Vec<&str>) =
        routes.lines().partition(|route| route.contains(" via "));
    for route in near.into_iter().chain(far) {
        let words = route.split_whitespace().filter(|word| *word != "linkdown");
        let words: Vec<&str> = words.chain(["dev", pod.ifname()]).collect();
        // what an address brings is there already
        let _ = pod.netns.ip(&[&["route", "add"], &words[..]].concat());
    }
    let permanent = neighbours
        .lines()
        .filter_map(|line| line.trim_end().strip_suffix("PERMANENT"));
    for neighbour in permanent {
        let words: Vec<&str> = neighbour.split_whitespace().collect();
        let tail = ["dev", pod.ifname(), "nud", "permanent"];
        pod.netns
            .ip(&[&["neigh", "replace"], &words[..], &tail].concat())?;
    }
    Ok(())
}

pub(super) fn host_side_down(world: &World<'_>) -> Verdict {
    let result = world.add()?;
    let is_on_host = |interface: &&Value| interface["sandbox"].as_str().is_none_or(str::is_empty);
    let interfaces = result["interfaces"].as_array().into_iter().flatten();
    let found = interfaces.into_iter().find(is_on_host);
    let Some(name) = found.and_then(|interface| interface["name"].as_str()) else {
        return skip("its result has no interface on the host");
    };
    let check = world.call_after("CHECK", &result)?;
    world.run(&check)?.silent()?;
    world.host().ip(&["link", "set", "dev", name, "down"])?;
    let answer = world.run(&check)?;
    if !answer.succeeded() {
        return answer.failure().map(drop);
    }
    let link = world.host().ip(&["-o", "link", "show", "dev", name])?;
    if link.contains(",UP") || link.contains("<UP") {
        return Ok(());
    }
    wrong(format!("{name} is down: {}", answer.quote()))
}

pub(super) fn daemon_away(world: &World<'_>) -> Verdict {
    let result = world.add()?;
    let check = world.call_after("CHECK", &result)?;
    let away = world.stop_daemon()?;
    let answer = world.run(&check)?;
    away.mend()?;
    answer.failure()?;
    world.run(&check)?.silent()
}
