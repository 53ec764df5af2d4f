//! R: the form of a result in each version. Whether it is true is `kernel`'s.

pub(super) mod kernel;

use std::net::IpAddr;

use serde_json::Value;

use crate::case::Source::{Containerd, CriO, Plugins, Spec};
use crate::case::Versions::{Before, Each, Since};
use crate::case::{Verdict, expect, wrong};
use crate::cases::versions;
use crate::pod::Pod;
use crate::runtime::conflist::Version;
use crate::world::World;

cases! {
    Results;
    members_of_the_version: Must, ["A08", "A14", "R07"], [Spec("Result types")], Each, Each,
        "a result has only members that its version knows: others are lost between two plugins";
    ips_have_a_version: Must, ["R07"], [Spec("Result types")], Before(Version::V1_0_0), Each,
        "before 1.0.0 each of ips has a version, \"4\" or \"6\", that is its address's";
    ips_have_no_version: Must, ["R07"], [Spec("Result types")], Since(Version::V1_0_0), Each,
        "from 1.0.0 on none of ips has a version";
    container_interface: Must, ["R02"], [Spec("Result types"), Containerd], Each, Each,
        "there is an interface named CNI_IFNAME whose sandbox is CNI_NETNS as it was given";
    indexes: Must, ["R01", "R06"], [Containerd], Each, Each,
        "ips[].interface is an index of interfaces: go-cni fails or panics otherwise";
    addresses_on_the_container: Must, ["R01"], [Containerd, CriO], Each, Each,
        "an address points at the interface CNI_IFNAME in the sandbox: containerd fails the pod otherwise";
    notation: Must, ["R04"], [Spec("Result types")], Each, Each,
        "addresses and destinations are in CIDR notation, gateways are addresses, of the same family";
    names_and_texts: Must, ["R02", "R05"], [Spec("Result types")], Each, Each,
        "each interface has a name of 1 to 15 bytes; mac and sandbox are texts; dns has lists of texts, and a text as domain";
    whole_numbers: Must, ["A14", "R06"], [Spec("Result types")], Since(Version::V1_1_0), Each,
        "mtu, advmss, priority, table and scope are whole numbers, mtu is not 0, socketPath and pciID are not empty";
    host_interface: Should, ["R03"], [Plugins], Each, Creating,
        "the host's end of a veth is listed without a sandbox: bandwidth looks for it";
}

/// What all versions know of `dns`.
const DNS: &[&str] = &["nameservers", "domain", "search", "options"];

/// What each version knows of a result's lists.
fn known(version: Version) -> [(&'static str, &'static [&'static str]); 5] {
    let top: &[&str] = &["cniVersion", "interfaces", "ips", "routes", "dns"];
    if version < Version::V1_1_0 {
        let ips: &[&str] = if version < Version::V1_0_0 {
            &["version", "address", "gateway", "interface"]
        } else {
            &["address", "gateway", "interface"]
        };
        return [
            ("", top),
            ("interfaces", &["name", "mac", "sandbox"]),
            ("ips", ips),
            ("routes", &["dst", "gw"]),
            ("dns", DNS),
        ];
    }
    [
        ("", top),
        (
            "interfaces",
            &["name", "mac", "mtu", "sandbox", "socketPath", "pciID"],
        ),
        ("ips", &["address", "gateway", "interface"]),
        (
            "routes",
            &["dst", "gw", "mtu", "advmss", "priority", "table", "scope"],
        ),
        ("dns", DNS),
    ]
}

/// The entries of one of a result's lists.
fn list<'r>(result: &'r Value, key: &str) -> &'r [Value] {
    result[key].as_array().map_or(&[], Vec::as_slice)
}

fn text<'r>(entry: &'r Value, key: &str) -> &'r str {
    entry[key].as_str().unwrap_or_default()
}

fn members_of_the_version(world: &World<'_>) -> Verdict {
    let result = world.add()?;
    for (key, members) in known(world.version()) {
        let entries = match key {
            "" => std::slice::from_ref(&result),
            "dns" => result.get("dns").map_or(&[][..], std::slice::from_ref),
            _ => list(&result, key),
        };
        for entry in entries {
            let Some(object) = entry.as_object() else {
                return wrong(format!("{key} has {entry}, which is no object"));
            };
            let foreign = object
                .keys()
                .find(|member| !members.contains(&member.as_str()));
            expect(foreign.is_none(), || {
                format!("{foreign:?} is not known to {}: {result}", world.version())
            })?;
        }
    }
    Ok(())
}

fn ips_have_a_version(world: &World<'_>) -> Verdict {
    for version in versions::texts(world)? {
        let pod = world.another_pod()?;
        let call = versions::add_in(world, &pod, version, true);
        let result = world.run(&call)?.result()?;
        for ip in list(&result, "ips") {
            let family = if text(ip, "address").contains(':') {
                "6"
            } else {
                "4"
            };
            expect(ip["version"] == family, || {
                format!(
                    "version {} of {} in {version}",
                    ip["version"], ip["address"]
                )
            })?;
        }
    }
    Ok(())
}

fn ips_have_no_version(world: &World<'_>) -> Verdict {
    let result = world.add()?;
    let has = list(&result, "ips")
        .iter()
        .any(|ip| ip.get("version").is_some());
    expect(!has, || format!("ips[].version in {result}"))
}

/// Position of the container's interface.
fn position(pod: &Pod, result: &Value) -> Option<usize> {
    let sandbox = pod.sandbox().to_string_lossy().into_owned();
    let is_it = |entry: &Value| entry["name"] == pod.ifname() && entry["sandbox"] == *sandbox;
    list(result, "interfaces").iter().position(is_it)
}

fn container_interface(world: &World<'_>) -> Verdict {
    // not each container's is called the same
    for pod in [world.pod()?, world.another_pod_with("net1")?] {
        let result = world.run(&world.call_for("ADD", &pod))?.result()?;
        expect(position(&pod, &result).is_some(), || {
            format!(
                "no interface {} in sandbox {}: {result}",
                pod.ifname(),
                pod.sandbox().display()
            )
        })?;
    }
    Ok(())
}

fn indexes(world: &World<'_>) -> Verdict {
    let result = world.add()?;
    let count = list(&result, "interfaces").len();
    for ip in list(&result, "ips") {
        let Some(index) = ip.get("interface") else {
            continue;
        };
        let valid = index
            .as_u64()
            .is_some_and(|index| usize::try_from(index).is_ok_and(|index| index < count));
        expect(valid, || {
            format!("interface {index} with {count} interfaces: {result}")
        })?;
    }
    Ok(())
}

fn addresses_on_the_container(world: &World<'_>) -> Verdict {
    let result = world.add()?;
    let Some(at) = position(&*world.pod()?, &result) else {
        return wrong(format!("the container's interface is not listed: {result}"));
    };
    let has = list(&result, "ips")
        .iter()
        .any(|ip| ip["interface"].as_u64() == u64::try_from(at).ok());
    expect(has, || format!("no address has the index {at}: {result}"))
}

fn cidr(text: &str) -> Option<IpAddr> {
    let (address, length) = text.split_once('/')?;
    let (address, length): (IpAddr, u8) = (address.parse().ok()?, length.parse().ok()?);
    (length <= if address.is_ipv4() { 32 } else { 128 }).then_some(address)
}

fn notation(world: &World<'_>) -> Verdict {
    let result = world.add()?;
    for (key, network, gateway) in [("ips", "address", "gateway"), ("routes", "dst", "gw")] {
        for entry in list(&result, key) {
            let Some(address) = cidr(text(entry, network)) else {
                return wrong(format!("{network} is not in CIDR notation: {entry}"));
            };
            let Some(gateway) = entry.get(gateway) else {
                continue;
            };
            let parsed: Option<IpAddr> = gateway.as_str().and_then(|gateway| gateway.parse().ok());
            let fits = parsed.is_some_and(|gateway| gateway.is_ipv4() == address.is_ipv4());
            expect(fits, || format!("gateway {gateway} in {entry}"))?;
        }
    }
    Ok(())
}

fn names_and_texts(world: &World<'_>) -> Verdict {
    let result = world.add()?;
    for interface in list(&result, "interfaces") {
        expect((1..=15).contains(&text(interface, "name").len()), || {
            format!("no name of a link: {interface}")
        })?;
        for key in ["mac", "sandbox"] {
            expect(interface.get(key).is_none_or(Value::is_string), || {
                format!("{key} is no text: {interface}")
            })?;
        }
    }
    let is_text = |value: &Value| value.is_string();
    for key in DNS {
        let fits = match &result["dns"][key] {
            Value::Null => true,
            Value::Array(entries) => *key != "domain" && entries.iter().all(is_text),
            other => *key == "domain" && other.is_string(),
        };
        expect(fits, || format!("{key} in dns: {}", result["dns"]))?;
    }
    Ok(())
}

fn whole_numbers(world: &World<'_>) -> Verdict {
    let result = world.add()?;
    for key in ["interfaces", "routes"] {
        for entry in list(&result, key) {
            for member in ["mtu", "advmss", "priority", "table", "scope"] {
                let Some(number) = entry.get(member) else {
                    continue;
                };
                let applies = number
                    .as_u64()
                    .is_some_and(|number| member != "mtu" || number > 0);
                expect(applies, || format!("{member} is {number}: {entry}"))?;
            }
            for member in ["socketPath", "pciID"] {
                let applies = entry
                    .get(member)
                    .is_none_or(|_| !text(entry, member).is_empty());
                expect(applies, || format!("{member} says nothing: {entry}"))?;
            }
        }
    }
    Ok(())
}

fn host_interface(world: &World<'_>) -> Verdict {
    let result = world.add()?;
    let on_host = |interface: &&Value| text(interface, "sandbox").is_empty();
    let listed: Vec<&str> = list(&result, "interfaces")
        .iter()
        .filter(on_host)
        .map(|one| text(one, "name"))
        .collect();
    let pod = world.pod()?;
    let shown = pod
        .netns
        .ip(&["-d", "-o", "link", "show", "dev", pod.ifname()])?;
    if !shown.contains(" veth ") {
        return crate::case::skip("the container's interface is no veth");
    }
    for name in &listed {
        let shown = world.host().ip(&["-d", "-o", "link", "show", "dev", name]);
        if shown.is_ok_and(|shown| shown.contains(" veth ")) {
            return Ok(());
        }
    }
    wrong(format!("no veth of the host among {listed:?}"))
}
