//! R and A01: the result of a plugin that is first in its list, member by member for each version.

use serde_json::{Value, json};

use crate::daemon::Place;
use crate::namespace::Namespace;
use crate::plugin::{Call, config_with};

/// The result that runtimes of `version` expect.
fn expected(version: &str, sandbox: &str) -> Value {
    let mut result = json!({
        "cniVersion": version,
        "interfaces": [
            {"name": "enib0bcafe1234", "mac": "0a:58:a9:fe:01:01"},
            {"name": "eth0", "mac": "0a:58:0a:00:03:07", "sandbox": sandbox},
        ],
        "ips": [{"address": "10.0.3.7/32", "gateway": "169.254.1.1", "interface": 1}],
        "routes": [{"dst": "0.0.0.0/0", "gw": "169.254.1.1"}],
    });
    if version.starts_with("0.") {
        result["ips"][0]["version"] = json!("4");
        result["dns"] = json!({});
    }
    if version == "1.1.0" {
        result["interfaces"][1]["mtu"] = json!(9001);
    }
    result
}

#[test]
fn a01_r01_r02_r03_r04_r05_v03_the_result_of_each_version() {
    let Some(netns) = Namespace::new() else {
        return;
    };
    let sandbox = netns.path();
    let place = Place::new();
    let _daemon = place.listen_well();
    for version in ["0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"] {
        let config = config_with(&place, &json!({"cniVersion": version}));
        let outcome = Call::new("ADD", &place)
            .netns(&sandbox)
            .config(&config)
            .run();
        assert_eq!(
            outcome.result(),
            expected(version, sandbox.to_str().unwrap())
        );
        assert_eq!(outcome.stderr, "");
    }
}

#[test]
fn r02_the_interface_has_the_name_that_was_asked_for() {
    let Some(netns) = Namespace::new() else {
        return;
    };
    let place = Place::new();
    let _daemon = place.listen_well();
    let result = Call::new("ADD", &place)
        .netns(netns.path())
        .env("CNI_IFNAME", "net1")
        .run()
        .result();
    assert_eq!(result["interfaces"][1]["name"], "net1");
}
