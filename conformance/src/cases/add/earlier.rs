//! A and R: what ADD makes of the result of the plugins before it. What it must not accept is in `previous`.

use serde_json::{Value, json};

use crate::case::Source::{AwsNode, Libcni, Ours, Plugins, Spec};
use crate::case::Versions::Each;
use crate::case::{Finding, Verdict, expect, skip};
use crate::runtime::conflist::Version;
use crate::world::World;

cases! {
    Add;
    passes_on: Must, ["A03"], [Spec("ADD"), Plugins], Each, Chained,
        "interfaces, addresses, routes and DNS of prevResult are in the result";
    keeps_order_and_indexes: Must, ["A04", "R08"], [Spec("ADD"), Libcni], Each, Chained,
        "interfaces and addresses of prevResult keep their order, and addresses point at the interface they pointed at";
    appends: Ours, ["A04", "R08"], [Ours], Each, Chained,
        "interfaces, addresses and routes of prevResult come before the plugin's own, none of them left out";
    keeps_index_zero_and_none: Must, ["R06"], [Libcni], Each, Chained,
        "an address with interface 0 keeps it, and one without an interface is not given one";
    keeps_opaque_texts: Must, ["R05", "C06"], [AwsNode], Each, Chained,
        "a mac that is no MAC address and a sandbox that is no path are passed on as they are";
    takes_empty_texts: Must, ["R04"], [Libcni], Each, Chained,
        "an empty gateway, mac or sandbox in prevResult counts as none";
    tolerates_old_members: Should, ["R07"], [Spec("Result types"), Plugins], Each, Chained,
        "ips[].version in a prevResult of 1.0.0 is tolerated, and not passed on";
    prev_result_without_version: Must, ["A06"], [Plugins], Each, Chained,
        "a prevResult without cniVersion is taken for one of the configuration's version";
}

/// The first sandbox's `prevResult` with more in it than plugins need: links of the host and of other sandboxes around
/// the pod's, addresses for each of them, routes, DNS. Nothing is in the order that a plugin might like better, and much
/// looks as if it came twice.
pub(super) fn rich(world: &World<'_>) -> Result<Value, Finding> {
    let pod = world.pod()?;
    let mut result = pod.previous.clone().unwrap_or_default();
    let mut interfaces = list(&result, "interfaces");
    // the pod's own comes third behind a host's end
    interfaces.insert(0, json!({"name": "foreign9", "mac": "02:00:00:00:00:09"}));
    let own = interfaces.len();
    let mut ips = list(&result, "ips");
    for ip in &mut ips {
        if let Some(index) = ip["interface"].as_u64() {
            ip["interface"] = json!(index + 1);
        }
    }
    interfaces.extend([
        json!({"name": "foreign0", "mac": "02:00:00:00:00:01"}),
        json!({"name": "foreign1", "mac": "02:00:00:00:00:02", "sandbox": "/run/netns/foreign"}),
        json!({"name": "foreign1", "mac": "02:00:00:00:00:03", "sandbox": "/run/netns/another"}),
    ]);
    let v4 = "198.51.100.7/24";
    ips.insert(0, json!({"address": "2001:db8::8/64", "interface": 0}));
    ips.extend([
        json!({"address": v4, "gateway": "198.51.100.1", "interface": own + 2}),
        json!({"address": v4, "gateway": "198.51.100.1", "interface": own + 1}),
        json!({"address": "203.0.113.7/32"}),
        json!({"address": "2001:db8::7/64", "interface": own}),
    ]);
    if world.version() < Version::V1_0_0 {
        with_families(&mut ips);
    }
    let mut routes = list(&result, "routes");
    routes.extend([
        json!({"dst": "203.0.113.0/24", "gw": "198.51.100.2"}),
        json!({"dst": "203.0.113.0/24", "gw": "198.51.100.1"}),
        json!({"dst": "2001:db8:1::/48"}),
        json!({"dst": "192.0.2.128/25", "gw": "198.51.100.1"}),
    ]);
    if world.version() >= Version::V1_1_0 {
        let last = interfaces.len() - 1;
        interfaces[last]["mtu"] = json!(1400);
        interfaces[last]["socketPath"] = json!("/run/foreign1.sock");
        interfaces[last]["pciID"] = json!("0000:00:1f.6");
        routes.push(json!({"dst": "198.18.0.0/15", "mtu": 1400, "advmss": 1360, "priority": 7, "table": 100, "scope": 253}));
    }
    result["interfaces"] = interfaces.into();
    result["ips"] = ips.into();
    result["routes"] = routes.into();
    result["dns"] = json!({"nameservers": ["192.0.2.53"], "domain": "a.example", "search": ["b.example"], "options": ["ndots:5"]});
    Ok(result)
}

/// Gives each of `ips` the `version` of its address.
fn with_families(ips: &mut [Value]) {
    for ip in ips {
        let is_v6 = ip["address"]
            .as_str()
            .is_some_and(|address| address.contains(':'));
        ip["version"] = json!(if is_v6 { "6" } else { "4" });
    }
}

fn list(result: &Value, key: &str) -> Vec<Value> {
    result[key].as_array().cloned().unwrap_or_default()
}

/// ADD behind `previous` succeeds; its result.
fn add_behind(world: &World<'_>, previous: &Value) -> Result<Value, Finding> {
    world
        .run(&world.call("ADD")?.set("prevResult", previous.clone()))?
        .result()
}

/// Whether `entry` says all that `earlier` says; what is empty says nothing.
fn says_all(entry: &Value, earlier: &Value) -> bool {
    let empty = |value: &Value| {
        value.is_null() || value == "" || *value == json!({}) || *value == json!([])
    };
    let members = earlier.as_object().into_iter().flatten();
    members
        .filter(|(_, value)| !empty(value))
        .all(|(key, value)| entry[key] == *value)
}

fn passes_on(world: &World<'_>) -> Verdict {
    let previous = rich(world)?;
    let result = add_behind(world, &previous)?;
    for key in ["interfaces", "ips", "routes"] {
        // an address may point at another position, if the interface there is the same: the next case's matter
        let entries: Vec<Value> = list(&result, key).into_iter().map(bare).collect();
        for earlier in list(&previous, key).into_iter().map(bare) {
            expect(
                entries.iter().any(|entry| says_all(entry, &earlier)),
                || format!("{key}: {earlier} of prevResult is not in {result}"),
            )?;
        }
    }
    expect(says_all(&result["dns"], &previous["dns"]), || {
        format!("dns of prevResult is not in {result}")
    })
}

/// Where in `result` the entries of `previous` under `key` are, each behind the one before it; `None` for one that is not
/// there. An index may be another if it means the same interface.
fn places(result: &Value, previous: &Value, key: &str) -> Vec<Option<usize>> {
    let entries = list(result, key);
    let mut from = 0;
    let mut place = |earlier: &Value| {
        let is_it = |entry: &Value| {
            says_all(&bare(entry.clone()), &bare(earlier.clone()))
                && named(result, entry) == named(previous, earlier)
        };
        let at = entries.iter().skip(from).position(is_it)?;
        from += at + 1;
        Some(from - 1)
    };
    list(previous, key).iter().map(&mut place).collect()
}

/// The interface of `result` that an address points at, as far as the two must agree: its name and sandbox.
fn named(result: &Value, ip: &Value) -> Option<[String; 2]> {
    let index = usize::try_from(ip["interface"].as_u64()?).ok()?;
    let interface = &result["interfaces"][index];
    let text = |key: &str| interface[key].as_str().unwrap_or_default().to_owned();
    Some([text("name"), text("sandbox")])
}

/// An entry without its index.
fn bare(mut entry: Value) -> Value {
    entry
        .as_object_mut()
        .map(|members| members.remove("interface"));
    entry
}

fn keeps_order_and_indexes(world: &World<'_>) -> Verdict {
    let previous = rich(world)?;
    let result = add_behind(world, &previous)?;
    for key in ["interfaces", "ips"] {
        let lost = places(&result, &previous, key)
            .iter()
            .position(Option::is_none);
        expect(lost.is_none(), || {
            let at = lost.unwrap_or_default();
            let entry = &previous[key][at];
            format!(
                "{key}: {entry} of prevResult {previous} is not in its place, or with another index, in {result}"
            )
        })?;
    }
    Ok(())
}

fn appends(world: &World<'_>) -> Verdict {
    let previous = rich(world)?;
    let result = add_behind(world, &previous)?;
    for key in ["interfaces", "ips", "routes"] {
        let places = places(&result, &previous, key);
        let moved = places
            .iter()
            .enumerate()
            .find(|(at, place)| **place != Some(*at));
        expect(moved.is_none(), || {
            format!("{key} of prevResult {previous} are not the first ones in {result}: {moved:?}")
        })?;
    }
    Ok(())
}

fn keeps_index_zero_and_none(world: &World<'_>) -> Verdict {
    let mut previous = rich(world)?;
    let ips = list(&previous, "ips").len();
    previous["ips"][ips - 2]["interface"] = json!(0);
    previous["ips"][ips - 1]
        .as_object_mut()
        .map(|ip| ip.remove("interface"));
    let result = add_behind(world, &previous)?;
    let found = |at: usize| {
        let address = &previous["ips"][at]["address"];
        list(&result, "ips")
            .into_iter()
            .find(|ip| ip["address"] == *address)
            .unwrap_or_default()
    };
    expect(found(ips - 2)["interface"] == 0, || {
        format!("interface 0 of an address is lost in {result}")
    })?;
    expect(found(ips - 1).get("interface").is_none(), || {
        format!("an address without interface got one in {result}")
    })
}

fn keeps_opaque_texts(world: &World<'_>) -> Verdict {
    let mut previous = rich(world)?;
    let at = list(&previous, "interfaces").len() - 1;
    previous["interfaces"][at] = json!({"name": "dummy0a1b2c3d4e5", "mac": "254", "sandbox": "0"});
    let result = add_behind(world, &previous)?;
    let kept = list(&result, "interfaces")
        .iter()
        .any(|entry| says_all(entry, &previous["interfaces"][at]));
    expect(kept, || {
        format!("{} is not in {result}", previous["interfaces"][at])
    })
}

fn takes_empty_texts(world: &World<'_>) -> Verdict {
    let mut previous = rich(world)?;
    let (ip, interface) = (
        list(&previous, "ips").len() - 1,
        list(&previous, "interfaces").len() - 2,
    );
    previous["ips"][ip]["gateway"] = json!("");
    previous["interfaces"][interface]["mac"] = json!("");
    previous["interfaces"][interface]["sandbox"] = json!("");
    add_behind(world, &previous).map(drop)
}

fn tolerates_old_members(world: &World<'_>) -> Verdict {
    if world.version() < Version::V1_0_0 {
        return skip("ips[].version is not old in this version");
    }
    let mut previous = rich(world)?;
    if let Some(ips) = previous["ips"].as_array_mut() {
        with_families(ips);
    }
    let result = add_behind(world, &previous)?;
    let gone = list(&result, "ips")
        .iter()
        .all(|ip| ip.get("version").is_none());
    expect(gone, || format!("ips[].version in {result}"))
}

fn prev_result_without_version(world: &World<'_>) -> Verdict {
    let mut previous = rich(world)?;
    previous
        .as_object_mut()
        .map(|previous| previous.remove("cniVersion"));
    add_behind(world, &previous).map(drop)
}
