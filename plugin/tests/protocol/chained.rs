//! A03 to A08, R04 to R07: behind other plugins of the list, whose results come in many forms.

use berth_cni::contract::{AddRequest, Ask, Interface};
use serde_json::{Value, json};

use crate::daemon::{Place, added};
use crate::namespace::Namespace;
use crate::plugin::{Call, config_with};

/// The request and the result of an ADD behind `previous`.
fn behind(netns: &Namespace, version: &str, previous: &Value) -> (AddRequest, Value) {
    let place = Place::new();
    let daemon = place.listen_well();
    let config = config_with(
        &place,
        &json!({"cniVersion": version, "prevResult": previous}),
    );
    let result = Call::new("ADD", &place)
        .netns(netns.path())
        .config(&config)
        .run()
        .result();
    match daemon.only().request.ask {
        Ask::Add(request) => (request, result),
        other => panic!("{other:?}"),
    }
}

fn ip(interface: usize) -> Value {
    json!({"address": "10.0.3.7/32", "gateway": "169.254.1.1", "interface": interface})
}

#[test]
fn a03_a04_the_address_goes_to_the_interface_that_is_there() {
    let Some(netns) = Namespace::new() else {
        return;
    };
    // Route tables and device numbers where others have MACs and sandboxes, as aws-node writes them.
    let previous = json!({
        "cniVersion": "1.0.0",
        "interfaces": [
            {"name": "dummy0", "mac": "0", "sandbox": "0"},
            {"name": "eth0", "mac": "aa:bb:cc:00:11:22"},
            {"name": "eth0", "mac": "254", "sandbox": "/run/netns/other-spelling"},
        ],
        "ips": [
            {"address": "192.168.7.2/24", "gateway": "", "interface": 2},
            {"address": "fd00::2/64"},
            {"address": "192.168.8.2/24", "interface": 0},
        ],
        "routes": [{"dst": "10.9.0.0/16", "gw": "192.168.7.1", "mtu": 1400, "table": 9}],
        "dns": {"nameservers": ["10.100.0.10"]},
    });
    let (request, result) = behind(&netns, "1.0.0", &previous);
    assert_eq!(request.interface, Interface::Existing);
    let mut expected = previous;
    let host = json!({"name": added().host_ifname, "mac": added().host_mac});
    expected["interfaces"].as_array_mut().unwrap().push(host);
    expected["ips"].as_array_mut().unwrap().push(ip(2));
    // No route: none is made on another plugin's interface.
    assert_eq!(result, expected);
}

#[test]
fn a04_what_is_already_listed_is_not_listed_twice() {
    let Some(netns) = Namespace::new() else {
        return;
    };
    let previous = json!({
        "interfaces": [{"name": "enib0bcafe1234", "mac": "", "sandbox": ""}, {"name": "eth0", "sandbox": "/run/netns/x"}],
        "ips": null,
        "routes": [{"dst": "0.0.0.0/0", "gw": "192.168.7.1"}],
    });
    let (request, result) = behind(&netns, "1.1.0", &previous);
    assert_eq!(request.interface, Interface::Existing);
    assert_eq!(result["interfaces"], previous["interfaces"]);
    assert_eq!(result["ips"], json!([ip(1)]));
    assert_eq!(result["routes"], previous["routes"]);
}

#[test]
fn a04_a_chain_that_made_no_interface_of_that_name_gets_ours() {
    let Some(netns) = Namespace::new() else {
        return;
    };
    let others = [
        json!({}),
        json!({"interfaces": null, "ips": null, "routes": null, "dns": null}),
        json!({"interfaces": [{"name": "eth0"}]}),
        json!({"interfaces": [{"name": "eth0", "sandbox": ""}, {"name": "net1", "sandbox": "/run/netns/x"}]}),
    ];
    for previous in others {
        let (request, result) = behind(&netns, "1.1.0", &previous);
        assert_eq!(request.interface, Interface::Create, "{previous}");
        let foreign = previous["interfaces"].as_array().map_or(0, Vec::len);
        let interfaces = result["interfaces"].as_array().unwrap();
        assert_eq!(interfaces.len(), foreign + 2, "{result}");
        assert_eq!(interfaces[foreign]["name"], "enib0bcafe1234");
        assert_eq!(
            interfaces[foreign + 1]["sandbox"],
            netns.path().to_str().unwrap()
        );
        assert_eq!(result["ips"], json!([ip(foreign + 1)]), "{previous}");
    }
}

#[test]
fn r06_index_0_is_written() {
    let Some(netns) = Namespace::new() else {
        return;
    };
    let (_, result) = behind(
        &netns,
        "1.0.0",
        &json!({"interfaces": [{"name": "eth0", "sandbox": "/x"}]}),
    );
    assert_eq!(result["ips"], json!([ip(0)]));
}

#[test]
fn r07_the_family_is_written_for_0x_and_dropped_for_1x() {
    let Some(netns) = Namespace::new() else {
        return;
    };
    let previous = json!({
        "interfaces": [{"name": "eth0", "sandbox": "/x"}],
        "ips": [{"version": "4", "address": "192.168.7.2/24", "interface": 0}],
    });
    let (_, old) = behind(&netns, "0.4.0", &previous);
    assert_eq!(old["ips"][0], previous["ips"][0]);
    assert_eq!(old["ips"][1]["version"], "4");
    let (_, new) = behind(&netns, "1.0.0", &previous);
    assert_eq!(
        new["ips"],
        json!([{"address": "192.168.7.2/24", "interface": 0}, ip(0)])
    );
}

#[test]
fn a06_a_result_without_a_version_is_taken_for_the_configurations() {
    let Some(netns) = Namespace::new() else {
        return;
    };
    for previous in [
        json!({}),
        json!({"cniVersion": ""}),
        json!({"cniVersion": null}),
        json!({"cniVersion": "0.4.0"}),
    ] {
        let (_, result) = behind(&netns, "0.4.0", &previous);
        assert_eq!(result["cniVersion"], "0.4.0");
    }
}

#[test]
fn a06_a07_broken_results_fail_an_add_and_not_a_del() {
    let Some(netns) = Namespace::new() else {
        return;
    };
    let place = Place::new();
    let daemon = place.listen_well();
    let broken = [
        json!(5),
        json!([]),
        json!("{}"),
        json!({"cniVersion": "0.4.0"}),
        json!({"cniVersion": 1}),
        json!({"interfaces": {}}),
        json!({"interfaces": [5]}),
        json!({"interfaces": [{"mac": "aa:bb:cc:00:11:22"}]}),
        json!({"ips": [{}]}),
        json!({"ips": [{"address": 5}]}),
        json!({"ips": [{"address": "10.0.0.1"}]}),
        json!({"ips": [{"address": "10.0.0.1/33"}]}),
        json!({"ips": [{"address": "10.0.0.300/24"}]}),
        json!({"ips": [{"address": "10.0.0.1/24", "gateway": "router"}]}),
        json!({"ips": [{"address": "10.0.0.1/24", "interface": 0}]}),
        json!({"interfaces": [{"name": "veth0"}], "ips": [{"address": "10.0.0.1/24", "interface": 1}]}),
        json!({"interfaces": [{"name": "veth0"}], "ips": [{"address": "10.0.0.1/24", "interface": -1}]}),
        json!({"routes": [{"dst": "everywhere"}]}),
    ];
    for previous in broken {
        let config = config_with(&place, &json!({"prevResult": previous}));
        let added = Call::new("ADD", &place)
            .netns(netns.path())
            .config(&config)
            .run();
        added.fails(7, &["prevResult"]);
        assert!(daemon.seen().is_empty(), "{previous}");
        Call::new("DEL", &place).config(&config).run().silent();
        daemon.only();
    }
}
