//! The crate `cni-plugin` as a reader of what we print: written by others, and so of another mind about what the
//! specification says. It reads 0.4.0 and 1.x. What it demands beyond the specification, and no plugin of the CNI project
//! prints either, is put in before it reads: `sandbox` of an interface on the host, and `dns`.

use cni_plugin::reply::{ErrorReply, SuccessReply, VersionReply};
use serde_json::{Value, json};

use crate::daemon::{Place, added};
use crate::namespace::Namespace;
use crate::plugin::{Call, config_with};

/// The versions that the crate reads.
const VERSIONS: [&str; 3] = ["0.4.0", "1.0.0", "1.1.0"];

fn read(mut result: Value) -> SuccessReply {
    for interface in result["interfaces"].as_array_mut().unwrap() {
        if interface.get("sandbox").is_none() {
            interface["sandbox"] = json!("");
        }
    }
    if result.get("dns").is_none() {
        result["dns"] = json!({});
    }
    serde_json::from_value(result).unwrap()
}

/// What an ADD prints, alone or behind `previous`.
fn add(netns: &Namespace, version: &str, previous: &Value) -> SuccessReply {
    let place = Place::new();
    let _daemon = place.listen_well();
    let config = json!({"cniVersion": version, "prevResult": previous});
    let call = Call::new("ADD", &place).netns(netns.path());
    read(call.config(&config_with(&place, &config)).run().result())
}

/// Our part of a result, as it is read.
fn check(reply: &SuccessReply, version: &str, netns: &Namespace) {
    assert_eq!(reply.cni_version.to_string(), version);
    let ours = reply.ips.last().unwrap();
    let (expected, pod) = (added(), &reply.interfaces[ours.interface.unwrap()]);
    assert_eq!(ours.address.ip(), expected.address);
    assert_eq!(ours.address.prefix(), 32);
    assert_eq!(ours.gateway, Some(expected.gateway.into()));
    assert_eq!((pod.name.as_str(), &*pod.sandbox), ("eth0", &*netns.path()));
    // Nothing that it does not know.
    assert!(reply.specific.is_empty(), "{:?}", reply.specific);
}

#[test]
fn an_independent_reader_finds_in_a_result_what_is_in_it() {
    let Some(netns) = Namespace::new() else {
        return;
    };
    for version in VERSIONS {
        let reply = add(&netns, version, &Value::Null);
        check(&reply, version, &netns);
        let host = &reply.interfaces[0];
        assert_eq!(host.name, added().host_ifname);
        assert!(host.mac.is_some() && reply.interfaces[1].mac.is_some());
        assert_eq!((reply.interfaces.len(), reply.ips.len()), (2, 1));
        assert_eq!(reply.routes.last().unwrap().dst.to_string(), "0.0.0.0/0");
    }
}

#[test]
fn and_behind_another_plugin_both_plugins_parts() {
    let Some(netns) = Namespace::new() else {
        return;
    };
    let previous = json!({
        "interfaces": [
            {"name": "veth1", "mac": "aa:bb:cc:00:11:22"},
            {"name": "eth0", "mac": "aa:bb:cc:00:11:23", "sandbox": netns.path()},
        ],
        "ips": [{"version": "4", "address": "192.168.7.2/24", "gateway": "192.168.7.1", "interface": 1}],
        "dns": {"nameservers": ["10.100.0.10"]},
    });
    for version in VERSIONS {
        let reply = add(&netns, version, &previous);
        check(&reply, version, &netns);
        let first = reply.ips.first().unwrap();
        assert_eq!(first.address.to_string(), "192.168.7.2/24");
        assert_eq!(first.interface, reply.ips[1].interface);
        assert_eq!(reply.dns.nameservers.len(), 1);
        // Berth makes none there.
        assert!(reply.routes.is_empty());
    }
}

#[test]
fn errors_and_versions_too() {
    let place = Place::new();
    let refused = Call::new("ADD", &place).env("CNI_IFNAME", "a/b").run();
    let error: ErrorReply<'_> = serde_json::from_str(&refused.stdout).unwrap();
    assert_eq!(error.code, 4);
    assert!(error.msg.contains("interface name"), "{error:?}");
    let answered = Call::new("VERSION", &place).run();
    let versions: VersionReply = serde_json::from_str(&answered.stdout).unwrap();
    assert_eq!(versions.supported_versions.len(), 5);
}
