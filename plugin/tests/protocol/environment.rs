//! E: the variables, which are required, which are judged, and how. Which ids, names and arguments are refused is for the
//! conformance suite to try (`conformance/src/cases/environment/values.rs`); here is what only berth-cni does with them.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use berth_cni::contract::{AddRequest, Ask, PodName};
use serde_json::{Value, json};

use crate::daemon::{Daemon, Place};
use crate::namespace::Namespace;
use crate::plugin::{Call, config_with};

/// The verbs that have no outcome yet, with what they require.
const REQUIRED: [(&str, &[&str]); 6] = [
    ("ADD", &["CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME"]),
    ("CHECK", &["CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME"]),
    ("DEL", &["CNI_CONTAINERID", "CNI_IFNAME"]),
    ("GC", &["CNI_PATH"]),
    ("STATUS", &[]),
    ("VERSION", &[]),
];

const ALL: [&str; 4] = ["CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME", "CNI_PATH"];

#[test]
fn e01_no_command_is_an_error_and_an_introduction() {
    for call in [Call::bare(""), Call::bare("").without("CNI_COMMAND")] {
        let outcome = call.run();
        outcome.fails(4, &["required env variables [CNI_COMMAND] missing"]);
        assert!(
            outcome
                .stderr
                .contains("CNI protocol versions: 0.3.0, 0.3.1, 0.4.0, 1.0.0, 1.1.0"),
            "{outcome:?}"
        );
    }
}

#[test]
fn e02_unknown_commands_are_named() {
    let place = Place::new();
    for verb in ["NOPE", "add", "ADD "] {
        Call::new(verb, &place)
            .run()
            .fails(4, &[&format!("unknown CNI_COMMAND: {verb}")]);
    }
}

#[test]
fn e03_e05_each_required_variable_is_required_and_no_other() {
    let place = Place::new();
    for (verb, required) in REQUIRED {
        for name in ALL {
            let unset = Call::new(verb, &place).without(name).run();
            let empty = Call::new(verb, &place).env(name, "").run();
            for outcome in [unset, empty] {
                if required.contains(&name) {
                    outcome.fails(4, &[&format!("required env variables [{name}] missing")]);
                } else {
                    assert!(
                        !outcome.stdout.contains("required env variables"),
                        "{verb} without {name}: {outcome:?}"
                    );
                }
            }
        }
    }
}

#[test]
fn e04_all_missing_variables_are_named_in_order() {
    Call::bare("ADD")
        .run()
        .fails(4, &["[CNI_CONTAINERID,CNI_NETNS,CNI_IFNAME]"]);
    Call::bare("DEL")
        .run()
        .fails(4, &["[CNI_CONTAINERID,CNI_IFNAME]"]);
    Call::bare("GC").run().fails(4, &["[CNI_PATH]"]);
}

#[test]
fn e06_version_takes_dummies() {
    let dummies = ["CNI_NETNS", "CNI_IFNAME", "CNI_PATH"];
    let call = dummies.iter().fold(
        Call::bare("VERSION").env("CNI_CONTAINERID", ""),
        |call, name| call.env(name, "dummy"),
    );
    call.run().result();
}

#[test]
fn e07_what_is_wrong_with_a_container_id_is_quoted_on_one_line() {
    let place = Place::new();
    for (id, quoted) in [("a/b", "a/b"), ("abc\n", "abc ")] {
        for verb in ["ADD", "DEL", "CHECK"] {
            let error = Call::new(verb, &place)
                .env("CNI_CONTAINERID", id)
                .run()
                .fails(4, &["CNI_CONTAINERID"]);
            assert_eq!(error["details"], quoted, "{verb}");
        }
    }
    let _daemon = place.listen_well();
    Call::new("DEL", &place)
        .env("CNI_CONTAINERID", "a".repeat(1000))
        .run()
        .silent();
}

#[test]
fn e08_interface_names_are_counted_in_bytes() {
    let place = Place::new();
    let text = "interface name is too long; interface name should be less than 16 characters";
    for verb in ["ADD", "DEL", "CHECK"] {
        Call::new(verb, &place)
            .env("CNI_IFNAME", "éééééééé")
            .run()
            .fails(4, &[text]);
    }
    let _daemon = place.listen_well();
    for name in ["ééééééé", "..."] {
        Call::new("DEL", &place)
            .env("CNI_IFNAME", name)
            .run()
            .silent();
    }
}

#[test]
fn e09_variables_that_a_verb_does_not_need_are_not_judged() {
    let place = Place::new();
    for verb in ["GC", "STATUS", "VERSION"] {
        let call =
            Call::new(verb, &place).config(&config_with(&place, &json!({"cniVersion": "1.1.0"})));
        let outcome = call
            .env("CNI_IFNAME", "a/b")
            .env("CNI_CONTAINERID", OsStr::from_bytes(b"\xff"))
            .run();
        assert!(
            !outcome.stdout.contains("CNI_CONTAINERID")
                && !outcome.stdout.contains("interface name"),
            "{outcome:?}"
        );
    }
}

#[test]
fn e11_sandbox_is_the_given_path_whatever_it_leads_through() {
    let Some(netns) = Namespace::new() else {
        return;
    };
    let place = Place::new();
    let daemon = place.listen_well();
    let link = tempfile::tempdir().unwrap();
    let link = link.path().join("cni netns");
    std::os::unix::fs::symlink(netns.path(), &link).unwrap();
    let result = Call::new("ADD", &place).netns(&link).run().result();
    assert_eq!(result["interfaces"][1]["sandbox"], link.to_str().unwrap());
    assert_eq!(add_request(&daemon).netns, link.to_str().unwrap());
}

#[test]
fn e12_e13_the_own_namespace_is_refused_before_anything_is_asked() {
    let place = Place::new();
    let daemon = place.listen_well();
    for verb in ["ADD", "DEL"] {
        for path in [
            "/proc/self/ns/net",
            &format!("/proc/{}/ns/net", std::process::id()),
        ] {
            for value in ["", "0", "false", "yes"] {
                let call = Call::new(verb, &place)
                    .netns(path)
                    .env("CNI_NETNS_OVERRIDE", value);
                call.run().fails(
                    8,
                    &[
                        "plugin's netns and netns from CNI_NETNS should not be the same",
                        path,
                    ],
                );
            }
        }
    }
    assert!(daemon.seen().is_empty());
    assert!(place.buried().is_empty());
}

#[test]
fn e12_the_own_namespace_is_taken_when_that_was_asked_for() {
    let place = Place::new();
    let daemon = place.listen_well();
    for value in ["1", "TRUE", "true", "True"] {
        for verb in ["ADD", "DEL"] {
            let call = Call::new(verb, &place)
                .netns("/proc/self/ns/net")
                .env("CNI_NETNS_OVERRIDE", value);
            assert!(call.run().status.success());
            assert_eq!(daemon.only().descriptors.len(), 1, "{verb}");
        }
    }
}

#[test]
fn e14_malformed_args_fail_an_add_and_not_a_del() {
    let Some(netns) = Namespace::new() else {
        return;
    };
    let place = Place::new();
    let daemon = place.listen_well();
    for args in [OsStr::new("A=b=c"), OsStr::from_bytes(b"A=\xff")] {
        Call::new("ADD", &place)
            .netns(netns.path())
            .env("CNI_ARGS", args)
            .run()
            .fails(4, &["CNI_ARGS"]);
        assert!(daemon.seen().is_empty());
        let deleted = Call::new("DEL", &place).env("CNI_ARGS", args).run();
        assert!(
            deleted.status.success()
                && deleted.stdout.is_empty()
                && deleted.stderr.contains("CNI_ARGS"),
            "{deleted:?}"
        );
        daemon.only();
    }
}

#[test]
fn e14_the_pod_is_read_from_args_in_any_order() {
    let pod = Some(PodName {
        namespace: "default".into(),
        name: "web-0".into(),
        uid: Some("u-1".into()),
    });
    let cases = [
        (
            "K8S_POD_NAMESPACE=default;K8S_POD_NAME=web-0;K8S_POD_UID=u-1",
            pod.clone(),
        ),
        (
            "IgnoreUnknown=1;K8S_POD_UID=u-1;K8S_POD_INFRA_CONTAINER_ID=c;K8S_POD_NAME=web-0;K8S_POD_NAMESPACE=default",
            pod.clone(),
        ),
        (
            "IgnoreUnknown=perhaps;IP=10.0.0.1;K8S_POD_NAME=old;K8S_POD_NAME=web-0;K8S_POD_UID=u-1;K8S_POD_NAMESPACE=default",
            pod.clone(),
        ),
        (
            "K8S_POD_NAMESPACE=default;K8S_POD_NAME=web-0;K8S_POD_UID=",
            pod.map(|pod| PodName { uid: None, ..pod }),
        ),
        ("IgnoreUnknown=1;K8S_POD_NAME=a-podman-container", None),
        ("", None),
    ];
    for (args, expected) in cases {
        assert_eq!(pod_of(args, &json!({})), expected, "{args}");
    }
}

#[test]
fn e15_args_of_the_configuration_win() {
    let args = json!({"args": {"cni": {"K8S_POD_NAME": "from-args", "K8S_POD_UID": 5}}});
    let pod = pod_of(
        "K8S_POD_NAMESPACE=default;K8S_POD_NAME=web-0;K8S_POD_UID=u-1",
        &args,
    );
    assert_eq!(
        pod,
        Some(PodName {
            namespace: "default".into(),
            name: "from-args".into(),
            uid: Some("u-1".into())
        })
    );
}

#[test]
fn e17_the_ambient_environment_changes_nothing() {
    let place = Place::new();
    let _daemon = place.listen_well();
    let names = [
        "RUST_LOG",
        "RUST_BACKTRACE",
        "TRACEPARENT",
        "HTTP_PROXY",
        "NOTIFY_SOCKET",
        "BERTH_SOCKET",
        "TMPDIR",
        "HOME",
    ];
    let hostile = |call: Call| {
        names
            .iter()
            .fold(call, |call, name| call.env(name, "trace,1,/nonexistent"))
    };
    hostile(Call::new("DEL", &place)).run().silent();
    let version = hostile(Call::bare("VERSION")).run();
    version.result();
    assert_eq!(version.stderr, "");
}

#[test]
fn e18_values_that_are_not_utf8_are_named() {
    let place = Place::new();
    let bad = OsStr::from_bytes(b"/a\xff");
    for name in ["CNI_COMMAND", "CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME"] {
        Call::new("ADD", &place)
            .env(name, bad)
            .run()
            .fails(4, &[name, "UTF-8"]);
    }
    let _daemon = place.listen_well();
    Call::new("DEL", &place)
        .env("CNI_NETNS", bad)
        .run()
        .silent();
}

fn pod_of(args: &str, members: &Value) -> Option<PodName> {
    let place = Place::new();
    let daemon = place.listen_well();
    Call::new("DEL", &place)
        .env("CNI_ARGS", args)
        .config(&config_with(&place, members))
        .run()
        .silent();
    match daemon.only().request.ask {
        Ask::Del(request) => request.pod,
        other => panic!("{other:?}"),
    }
}

fn add_request(daemon: &Daemon) -> AddRequest {
    match daemon.only().request.ask {
        Ask::Add(request) => request,
        other => panic!("{other:?}"),
    }
}
