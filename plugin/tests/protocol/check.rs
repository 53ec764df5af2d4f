//! K: CHECK, which needs prevResult, changes nothing, and prints nothing when all is well.

use std::fs::File;

use berth_cni::contract::{Ask, AttachmentId, CheckRequest, ListedAddress};
use serde_json::{Value, json};

use crate::daemon::{Act, Place, failure, stopping};
use crate::namespace::{Namespace, identity};
use crate::plugin::{CONTAINER, Call, config_with};

/// What berth's own ADD printed, as the runtime gives it back.
fn own_result(version: &str, netns: &Namespace) -> Value {
    json!({
        "cniVersion": version,
        "interfaces": [
            {"name": "enib0bcafe1234", "mac": "0a:58:a9:fe:01:01"},
            {"name": "eth0", "mac": "0A:58:0A:00:03:07", "sandbox": netns.path()},
        ],
        "ips": [{"address": "10.0.3.7/32", "gateway": "169.254.1.1", "interface": 1}],
        "routes": [{"dst": "0.0.0.0/0", "gw": "169.254.1.1"}],
    })
}

fn check(place: &Place, netns: &Namespace, members: &Value) -> Call {
    let config = config_with(place, members);
    Call::new("CHECK", place)
        .netns(netns.path())
        .config(&config)
}

fn listed(address: [u8; 4], prefix_len: u8) -> ListedAddress {
    ListedAddress {
        address: address.into(),
        prefix_len,
    }
}

fn request(mac: Option<&str>, addresses: Vec<ListedAddress>) -> CheckRequest {
    CheckRequest {
        id: AttachmentId {
            network: "aws-cni".into(),
            container_id: CONTAINER.into(),
            ifname: "eth0".into(),
        },
        mac: mac.map(str::to_owned),
        addresses,
    }
}

#[test]
fn k01_k07_each_version_asks_with_the_namespace_and_prints_nothing() {
    let Some(netns) = Namespace::new() else {
        return;
    };
    let place = Place::new();
    let daemon = place.listen_well();
    for version in ["0.4.0", "1.0.0", "1.1.0"] {
        let members = json!({"cniVersion": version, "prevResult": own_result(version, &netns)});
        check(&place, &netns, &members).run().silent();
        let mut seen = daemon.only();
        let told = request(Some("0a:58:0a:00:03:07"), vec![listed([10, 0, 3, 7], 32)]);
        assert_eq!(seen.request.ask, Ask::Check(told), "{version}");
        assert_eq!(seen.descriptors.len(), 1);
        assert_eq!(
            identity(&File::from(seen.descriptors.remove(0))),
            netns.identity()
        );
    }
}

#[test]
fn k01_behind_another_plugin_the_addresses_of_the_pods_interface_are_told() {
    let Some(netns) = Namespace::new() else {
        return;
    };
    let place = Place::new();
    let daemon = place.listen_well();
    // The order of `ptp` with berth behind it; a number that is no MAC, an address elsewhere, IPv6, and one without index.
    let previous = json!({
        "interfaces": [
            {"name": "veth1"},
            {"name": "eth0", "mac": "254", "sandbox": netns.path()},
            {"name": "net1", "sandbox": netns.path()},
        ],
        "ips": [
            {"address": "192.168.77.5/24", "interface": 1},
            {"address": "10.0.3.7/32", "interface": 1},
            {"address": "10.9.9.9/32", "interface": 2},
            {"address": "fd00::7/128", "interface": 1},
            {"address": "10.0.3.8/32"},
        ],
    });
    check(&place, &netns, &json!({"prevResult": previous}))
        .run()
        .silent();
    let addresses = vec![
        listed([192, 168, 77, 5], 24),
        listed([10, 0, 3, 7], 32),
        listed([10, 0, 3, 8], 32),
    ];
    assert_eq!(
        daemon.only().request.ask,
        Ask::Check(request(None, addresses))
    );
}

#[test]
fn k01_k06_a_prev_result_that_cannot_be_of_this_call_is_refused_before_the_daemon_hears_of_it() {
    let Some(netns) = Namespace::new() else {
        return;
    };
    let place = Place::new();
    let daemon = place.listen_well();
    let elsewhere = json!({"interfaces": [{"name": "eth0", "sandbox": "/run/netns/other"}]});
    let on_host = json!({"interfaces": [{"name": "eth0"}]});
    let cases: [(Value, &[&str]); 6] = [
        (json!(null), &["required prevResult missing"]),
        (json!(5), &["invalid prevResult"]),
        (
            json!({"ips": [{"address": "10.0.3.7"}]}),
            &["invalid prevResult"],
        ),
        (
            own_result("0.4.0", &netns),
            &["invalid prevResult", "0.4.0"],
        ),
        (on_host, &["no interface eth0"]),
        (elsewhere, &["/run/netns/other", "CNI_NETNS"]),
    ];
    for (previous, words) in cases {
        check(&place, &netns, &json!({"prevResult": previous}))
            .run()
            .fails(7, words);
    }
    Call::new("CHECK", &place)
        .netns(netns.path())
        .run()
        .fails(7, &["required prevResult missing"]);
    assert!(daemon.seen().is_empty());
}

#[test]
fn k06_the_namespace_must_be_there_and_not_the_plugins_own() {
    let place = Place::new();
    let daemon = place.listen_well();
    let call = |path: &str| {
        let previous = json!({"interfaces": [{"name": "eth0", "sandbox": path}]});
        let config = config_with(&place, &json!({"prevResult": previous}));
        Call::new("CHECK", &place).netns(path).config(&config).run()
    };
    call("/run/netns/none").fails(4, &["/run/netns/none"]);
    call("/proc/self/ns/net").fails(8, &["should not be the same"]);
    assert!(daemon.seen().is_empty());
}

#[test]
fn k02_k04_what_the_daemon_finds_wrong_is_the_error() {
    let Some(netns) = Namespace::new() else {
        return;
    };
    let place = Place::new();
    let text = "address 10.0.3.7/32 is missing on eth0";
    let _daemon = place.listen(vec![failure(102, text, "delete the pod")]);
    let members = json!({"prevResult": own_result("1.0.0", &netns)});
    let error = check(&place, &netns, &members).run().fails(102, &[text]);
    assert_eq!(error["cniVersion"], "1.0.0");
}

#[test]
fn k04_k10_without_a_daemon_it_fails_in_time_and_leaves_nothing() {
    let Some(netns) = Namespace::new() else {
        return;
    };
    let place = Place::new();
    let members = json!({"prevResult": own_result("1.0.0", &netns)});
    let call = || check(&place, &netns, &members).run();
    call().fails(11, &["berthd does not answer"]);
    assert!(!place.tombstones().exists());
    // A restart is no failure, a daemon that hangs is one.
    let daemon = place.listen(vec![Act::Cut, stopping(), Act::Obey, Act::Hang]);
    call().silent();
    assert_eq!(daemon.seen().len(), 3);
    call().fails(11, &["berthd did not answer in time"]);
}
