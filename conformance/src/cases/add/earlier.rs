//! A and R: what ADD makes of the result of the plugins before it.

use serde_json::{Value, json};

use crate::case::Source::{AwsNode, Libcni, Plugins, Spec};
use crate::case::Versions::Each;
use crate::case::{Finding, Mode, Verdict, expect, skip};
use crate::pod::Pod;
use crate::runtime::conflist::Version;
use crate::world::{IFNAME, World};

cases! {
    Add;
    passes_on: Must, ["A03"], [Spec("ADD"), Plugins], Each, Chained,
        "interfaces, addresses, routes and DNS of prevResult are in the result";
    keeps_order_and_indexes: Must, ["A04", "R08"], [Spec("ADD"), Libcni], Each, Chained,
        "interfaces and addresses of prevResult keep their order, and addresses point at the interface they pointed at";
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
    prev_result_of_another_version: Must, ["A06"], [Libcni], Each, Chained,
        "a prevResult of another version than the configuration's fails ADD";
    prev_result_invalid: Must, ["A07"], [Libcni], Each, Chained,
        "a prevResult that is no object, or has addresses that are none, fails ADD";
    prev_result_missing: Must, ["A05"], [Plugins], Each, Chained,
        "a plugin that only works behind others fails ADD without prevResult";
    interface_missing: Should, ["A02"], [Spec("ADD")], Each, Chained,
        "ADD fails if the interface that prevResult lists is not in the sandbox";
}

/// The first sandbox's `prevResult` with more in it than plugins need: links of the host and of other sandboxes around
/// the pod's, addresses for each of them, routes, DNS.
fn rich(world: &World<'_>) -> Result<Value, Finding> {
    let pod = world.pod()?;
    let mut result = pod.previous.clone().unwrap_or_default();
    let mut interfaces = list(&result, "interfaces");
    let own = interfaces.len();
    interfaces.push(json!({"name": "foreign0", "mac": "02:00:00:00:00:01"}));
    interfaces.push(
        json!({"name": "foreign1", "mac": "02:00:00:00:00:02", "sandbox": "/run/netns/foreign"}),
    );
    let mut ips = list(&result, "ips");
    let mut ip = |mut ip: Value, family: &str| {
        if world.version() < Version::V1_0_0 {
            ip["version"] = json!(family);
        }
        ips.push(ip);
    };
    ip(
        json!({"address": "198.51.100.7/24", "gateway": "198.51.100.1", "interface": own + 1}),
        "4",
    );
    ip(json!({"address": "2001:db8::7/64", "interface": own}), "6");
    let mut routes = list(&result, "routes");
    routes.push(json!({"dst": "203.0.113.0/24", "gw": "198.51.100.1"}));
    routes.push(json!({"dst": "2001:db8:1::/48"}));
    result["interfaces"] = interfaces.into();
    result["ips"] = ips.into();
    result["routes"] = routes.into();
    result["dns"] = json!({"nameservers": ["192.0.2.53"], "domain": "a.example", "search": ["b.example"], "options": ["ndots:5"]});
    Ok(result)
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
        let bare = |mut entry: Value| {
            entry
                .as_object_mut()
                .map(|members| members.remove("interface"));
            entry
        };
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

fn keeps_order_and_indexes(world: &World<'_>) -> Verdict {
    let previous = rich(world)?;
    let result = add_behind(world, &previous)?;
    for key in ["interfaces", "ips"] {
        let entries = list(&result, key);
        let mut places = Vec::new();
        for earlier in list(&previous, key) {
            let member = if key == "ips" { "address" } else { "name" };
            places.push(
                entries
                    .iter()
                    .position(|entry| entry[member] == earlier[member]),
            );
        }
        expect(
            places.iter().all(Option::is_some) && places.is_sorted(),
            || format!("{key} of prevResult {previous} are not in order in {result}"),
        )?;
    }
    let at = |result: &Value, ip: &Value| {
        let index = ip["interface"]
            .as_u64()
            .and_then(|index| usize::try_from(index).ok())?;
        Some(list(result, "interfaces").get(index)?["name"].clone())
    };
    for earlier in list(&previous, "ips") {
        let now = list(&result, "ips")
            .into_iter()
            .find(|ip| ip["address"] == earlier["address"]);
        let now = now.unwrap_or_default();
        expect(at(&previous, &earlier) == at(&result, &now), || {
            format!(
                "{} is on {:?} in {result}",
                earlier["address"],
                at(&result, &now)
            )
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
    expect(
        found(ips - 1).get("interface").is_none_or(Value::is_null),
        || format!("an address without interface got one in {result}"),
    )
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
    for ip in previous["ips"].as_array_mut().into_iter().flatten() {
        let is_v6 = ip["address"]
            .as_str()
            .is_some_and(|address| address.contains(':'));
        ip["version"] = json!(if is_v6 { "6" } else { "4" });
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

fn fails_behind(world: &World<'_>, previous: &Value) -> Verdict {
    world
        .run(&world.call("ADD")?.set("prevResult", previous.clone()))?
        .failure()
        .map(drop)
}

fn prev_result_of_another_version(world: &World<'_>) -> Verdict {
    let mut previous = rich(world)?;
    // in libcni 0.3.1 and 0.4.0 are one type
    let other = if world.version() < Version::V1_0_0 {
        "1.0.0"
    } else {
        "0.4.0"
    };
    for version in [other, "9.9.9"] {
        previous["cniVersion"] = json!(version);
        fails_behind(world, &previous)?;
    }
    Ok(())
}

fn prev_result_invalid(world: &World<'_>) -> Verdict {
    for invalid in [json!(7), json!("x"), json!([])] {
        fails_behind(world, &invalid)?;
    }
    let mut previous = rich(world)?;
    previous["ips"][0]["address"] = json!("192.0.2.1");
    fails_behind(world, &previous)?;
    previous["ips"] = json!({"address": "192.0.2.1/24"});
    fails_behind(world, &previous)
}

fn prev_result_missing(world: &World<'_>) -> Verdict {
    if world.subject().modes()?.contains(&Mode::Creating) {
        return skip("the plugin works as the first one too");
    }
    // in an empty sandbox: where the interface is, one that makes it fails for that
    let pod = Pod::empty(IFNAME)?;
    world.run(&world.call_for("ADD", &pod))?.failure().map(drop)
}

fn interface_missing(world: &World<'_>) -> Verdict {
    let pod = world.pod()?;
    pod.netns.ip(&["link", "del", pod.ifname()])?;
    world.run(&world.call("ADD")?)?.failure().map(drop)
}
