//! C: stdin. Most are shown with DEL, which needs no namespace; envelope and own keys are judged before any verb.

use std::fs::File;

use berth_cni::contract::{AddRequest, Ask};
use serde_json::{Value, json};

use crate::daemon::Place;
use crate::namespace::Namespace;
use crate::plugin::{Call, config, config_with};

#[test]
fn c01_c02_stdin_must_be_one_json_object() {
    let place = Place::new();
    let good = config(&place).to_string();
    let cases: [(&[u8], u64); 11] = [
        (b"", 6),
        (b"{", 6),
        (b"[]", 6),
        (b"5", 6),
        (b"\"text\"", 6),
        (b"\xef\xbb\xbf{}", 6),
        (b"{\"name\": \"\xff\"}", 6),
        (b"{}{}", 6),
        (b"{\"name\": 5}", 6),
        (b"null", 7),
        (b"{}", 7),
    ];
    for verb in ["ADD", "DEL", "CHECK", "GC", "STATUS", "NOPE"] {
        for (stdin, code) in cases {
            Call::new(verb, &place).stdin(stdin).run().fails(code, &[]);
        }
    }
    Call::new("DEL", &place)
        .stdin(&good[..good.len() - 1])
        .run()
        .fails(6, &[]);
}

#[test]
fn c02_unreadable_stdin() {
    let place = Place::new();
    Call::new("DEL", &place)
        .stdin_from(File::open("/").unwrap())
        .run()
        .fails(5, &["error reading from stdin"]);
}

#[test]
fn c03_network_names() {
    let place = Place::new();
    for name in [json!(null), json!("")] {
        let config = config_with(&place, &json!({ "name": name }));
        Call::new("DEL", &place)
            .config(&config)
            .run()
            .fails(7, &["missing network name"]);
    }
    for name in ["a/b", "te%%st", "../x", ".", "a b", "é"] {
        let config = config_with(&place, &json!({ "name": name }));
        Call::new("DEL", &place)
            .config(&config)
            .run()
            .fails(7, &["network name", name]);
    }
}

#[test]
fn c04_size_and_depth_are_bounded() {
    let place = Place::new();
    let _daemon = place.listen_well();
    let huge = config_with(
        &place,
        &json!({"runtimeConfig": {"annotations": "a".repeat(8 << 20)}}),
    );
    Call::new("DEL", &place)
        .config(&huge)
        .run()
        .fails(7, &["network config larger than 8388608 bytes"]);
    let large = config_with(
        &place,
        &json!({"runtimeConfig": {"annotations": "a".repeat(7 << 20)}}),
    );
    Call::new("DEL", &place).config(&large).run().silent();
    let deep = format!(
        r#"{{"name": "n", "x": {}{}}}"#,
        "[".repeat(100_000),
        "]".repeat(100_000)
    );
    Call::new("DEL", &place).stdin(deep).run().fails(6, &[]);
}

#[test]
fn c05_c06_c07_c08_foreign_keys_are_ignored_whatever_they_hold() {
    let place = Place::new();
    let _daemon = place.listen_well();
    let nulls = json!({"type": null, "ipMasq": null, "ipam": null, "dns": null, "runtimeConfig": null, "prevResult": null,
        "args": null, "mtu": null, "vethPrefix": null});
    let containerd = json!({"capabilities": {"io.kubernetes.cri.pod-annotations": true}, "ipam": {}, "disableCheck": "true",
        "runtimeConfig": {
            "portMappings": [{"HostPort": 80, "ContainerPort": 80, "Protocol": "sctp", "HostIP": ""}],
            "bandwidth": {"IngressRate": 1}, "dns": {"Servers": null, "Searches": null, "Options": null},
            "io.kubernetes.cri.pod-annotations": null},
        "cni.dev/valid-attachments": null, "cni.dev/attachments": null, "args": {"cni": []}, "pluginLogFile": "x"});
    for members in [nulls, containerd] {
        Call::new("DEL", &place)
            .config(&config_with(&place, &members))
            .run()
            .silent();
    }
}

#[test]
fn c09_the_link_is_configured_in_aws_nodes_words() {
    let Some(netns) = Namespace::new() else {
        return;
    };
    let cases = [
        (
            json!({"mtu": "9001", "vethPrefix": "eni"}),
            Some(9001),
            Some("eni"),
        ),
        (json!({"mtu": 1500}), Some(1500), None),
        (json!({}), None, None),
    ];
    for (members, mtu, veth_prefix) in cases {
        let request = add_with(&netns, &members);
        assert_eq!(
            (request.mtu, request.veth_prefix.as_deref()),
            (mtu, veth_prefix),
            "{members}"
        );
    }
}

#[test]
fn c10_malformed_keys_of_our_own_are_named() {
    let place = Place::new();
    let link = [
        json!({"mtu": 575}),
        json!({"mtu": 9002}),
        json!({"mtu": "jumbo"}),
        json!({"mtu": 1500.5}),
        json!({"mtu": {}}),
        json!({"vethPrefix": "enies"}),
        json!({"vethPrefix": ""}),
        json!({"vethPrefix": "a/b"}),
        json!({"vethPrefix": "eth"}),
        json!({"vethPrefix": 5}),
    ];
    let paths = [
        json!({"socket": 5}),
        json!({"socket": "berthd.sock"}),
        json!({"tombstones": ""}),
    ];
    for members in &link {
        let (key, value) = members.as_object().unwrap().iter().next().unwrap();
        Call::new("ADD", &place)
            .config(&config_with(&place, members))
            .run()
            .fails(7, &[key, &value.to_string()]);
    }
    for members in &paths {
        let (key, value) = members.as_object().unwrap().iter().next().unwrap();
        for verb in ["ADD", "DEL"] {
            Call::new(verb, &place)
                .config(&config_with(&place, members))
                .run()
                .fails(7, &[key, &value.to_string()]);
        }
    }
    let _daemon = place.listen_well();
    for members in &link {
        // The link's mistakes are no reason to keep a pod from going.
        Call::new("DEL", &place)
            .config(&config_with(&place, members))
            .run()
            .silent();
    }
}

#[test]
fn c11_the_last_of_duplicate_keys_counts() {
    let place = Place::new();
    let _daemon = place.listen_well();
    let twice = config(&place)
        .to_string()
        .replacen('{', r#"{"name": "a/b", "#, 1);
    Call::new("DEL", &place).stdin(twice).run().silent();
}

fn add_with(netns: &Namespace, members: &Value) -> AddRequest {
    let place = Place::new();
    let daemon = place.listen_well();
    Call::new("ADD", &place)
        .netns(netns.path())
        .config(&config_with(&place, members))
        .run()
        .result();
    match daemon.only().request.ask {
        Ask::Add(request) => request,
        other => panic!("{other:?}"),
    }
}
