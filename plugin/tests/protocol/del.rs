//! D: DEL succeeds with whatever the runtime still knows, and with no daemon.

use std::fs::File;
use std::os::unix::fs::PermissionsExt;

use berth_cni::contract::{Ask, AttachmentId, AwsNodeLink, DelRequest, PodName};
use serde_json::json;

use crate::daemon::{Act, Place, failure, stopping};
use crate::namespace::{Namespace, identity};
use crate::plugin::{CONTAINER, Call, config_with};

const TOMBSTONE: &str =
    "aws-cni:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef:eth0";

fn request() -> DelRequest {
    DelRequest {
        id: AttachmentId {
            network: "aws-cni".into(),
            container_id: CONTAINER.into(),
            ifname: "eth0".into(),
        },
        pod: Some(PodName {
            namespace: "default".into(),
            name: "web-0".into(),
            uid: None,
        }),
        aws_node: Vec::new(),
    }
}

fn del(place: &Place) -> Call {
    Call::new("DEL", place).env("CNI_ARGS", "K8S_POD_NAMESPACE=default;K8S_POD_NAME=web-0")
}

#[test]
fn d01_d10_the_request_carries_the_attachment_and_the_namespace() {
    let Some(netns) = Namespace::new() else {
        return;
    };
    let place = Place::new();
    let daemon = place.listen_well();
    del(&place).netns(netns.path()).run().silent();
    let mut seen = daemon.only();
    assert_eq!(seen.request.ask, Ask::Del(request()));
    assert_eq!(
        identity(&File::from(seen.descriptors.remove(0))),
        netns.identity()
    );
    assert!(seen.descriptors.is_empty());
    assert!(place.buried().is_empty());
}

#[test]
fn d03_d05_a_namespace_that_is_gone_or_none_is_left_out() {
    let place = Place::new();
    let daemon = place.listen_well();
    let dir = tempfile::tempdir().unwrap();
    let stale = dir.path().join("cni-stale");
    std::fs::write(&stale, "").unwrap();
    let gone = [dir.path().join("gone"), stale.join("below"), "".into()];
    for path in gone {
        del(&place).netns(&path).run().silent();
        assert!(daemon.only().descriptors.is_empty(), "{path:?}");
    }
    del(&place).without("CNI_NETNS").run().silent();
    assert!(daemon.only().descriptors.is_empty());
    let odd = del(&place).netns(&stale).run();
    assert!(
        odd.status.success()
            && odd.stdout.is_empty()
            && odd.stderr.contains("not a network namespace"),
        "{odd:?}"
    );
    assert!(daemon.only().descriptors.is_empty());
}

/// A result of aws-node: the dummy's `mac` is a VLAN's number, the others' is a route table's.
fn aws_result(vlan: &str) -> serde_json::Value {
    json!({
        "cniVersion": "0.4.0",
        "interfaces": [
            {"name": "eni1a2b3c4d5e6"},
            {"name": "eth0", "mac": "254", "sandbox": "/var/run/netns/cni-1"},
            {"name": "eniffffffffff0"},
            {"name": "mNicIf1", "mac": "10001", "sandbox": "/var/run/netns/cni-1"},
            {"name": "dummy1a2b3c4d5e", "mac": vlan, "sandbox": "0"},
        ],
        "ips": [
            {"version": "4", "address": "10.0.3.9/32", "interface": 1},
            {"version": "4", "address": "10.0.9.9/32", "interface": 3},
            {"version": "6", "address": "fd00::9/128", "interface": 1},
            {"version": "4", "address": "10.0.3.10/32", "interface": 0},
            {"version": "4", "address": "10.0.3.11/32"},
        ],
    })
}

#[test]
fn d08_what_aws_node_left_is_told_to_the_daemon() {
    let place = Place::new();
    let daemon = place.listen_well();
    let members = json!({"cniVersion": "0.4.0", "prevResult": aws_result("0")});
    let config = config_with(&place, &members);
    del(&place).config(&config).run().silent();
    let link = |host_ifname: &str, address: [u8; 4], table| AwsNodeLink {
        host_ifname: host_ifname.into(),
        address: address.into(),
        table,
    };
    let aws_node = vec![
        link("eni1a2b3c4d5e6", [10, 0, 3, 9], 254),
        link("eniffffffffff0", [10, 0, 9, 9], 10001),
    ];
    let told = DelRequest {
        aws_node,
        ..request()
    };
    assert_eq!(daemon.only().request.ask, Ask::Del(told.clone()));
    drop(daemon);
    std::fs::remove_file(place.socket()).unwrap();
    del(&place).config(&config).run().silent();
    assert_eq!(place.buried(), [(TOMBSTONE.to_owned(), told.clone())]);
    // The runtime repeats it, and has forgotten the result.
    del(&place).run().silent();
    assert_eq!(place.buried(), [(TOMBSTONE.to_owned(), told)]);
}

#[test]
fn d08_other_results_say_nothing_of_aws_node() {
    let place = Place::new();
    let daemon = place.listen_well();
    let mut nameless = aws_result("0");
    nameless["interfaces"].as_array_mut().unwrap().pop();
    // One with a VLAN, one without the dummy, and some that are none.
    for result in [
        aws_result("7"),
        nameless,
        json!(5),
        json!({"interfaces": 3, "ips": {}}),
        json!({"interfaces": [{"name": "dummy0", "mac": "0", "sandbox": "0"}], "ips": [{"interface": 9}, 4, null]}),
    ] {
        let members = json!({"cniVersion": "0.4.0", "prevResult": result});
        del(&place)
            .config(&config_with(&place, &members))
            .run()
            .silent();
        assert_eq!(daemon.only().request.ask, Ask::Del(request()));
    }
}

#[test]
fn d02_d07_without_a_daemon_a_tombstone_is_left_once() {
    let place = Place::new();
    for _ in 0..2 {
        del(&place).run().silent();
        assert_eq!(place.buried(), [(TOMBSTONE.to_owned(), request())]);
    }
    let mode = |path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(place.tombstones()), 0o700);
    assert_eq!(mode(place.tombstones().join(TOMBSTONE)), 0o600);
    // A socket file that nobody listens on is no daemon either.
    drop(std::os::unix::net::UnixListener::bind(place.socket()).unwrap());
    del(&place).run().silent();
    assert_eq!(place.buried().len(), 1);
}

#[test]
fn d07_the_tombstone_is_taken_back_when_the_second_attempt_succeeds() {
    let Some(netns) = Namespace::new() else {
        return;
    };
    let place = Place::new();
    let daemon = place.listen(vec![Act::Cut, Act::Obey]);
    del(&place).netns(netns.path()).run().silent();
    let seen = daemon.seen();
    assert_eq!(seen.len(), 2);
    assert_eq!(seen[0].request, seen[1].request);
    assert!(seen.iter().all(|seen| seen.descriptors.len() == 1));
    assert!(place.tombstones().exists());
    assert!(place.buried().is_empty());
}

#[test]
fn d07_a_daemon_on_its_way_out_leaves_the_tombstone_to_the_next_one() {
    let place = Place::new();
    let daemon = place.listen(vec![stopping()]);
    del(&place).run().silent();
    assert_eq!(daemon.seen().len(), 2);
    assert_eq!(place.buried(), [(TOMBSTONE.to_owned(), request())]);
}

#[test]
fn d07_a_daemon_that_dies_of_it_twice_leaves_a_tombstone() {
    let place = Place::new();
    let daemon = place.listen(vec![Act::Cut]);
    del(&place).run().silent();
    assert_eq!(daemon.seen().len(), 2);
    assert_eq!(place.buried(), [(TOMBSTONE.to_owned(), request())]);
}

#[test]
fn d07_without_daemon_and_tombstone_the_runtime_must_try_again() {
    let place = Place::new();
    std::fs::write(place.socket().parent().unwrap().join("berth"), "in the way").unwrap();
    let words = [
        "berthd does not answer",
        "no tombstone can be left",
        place.tombstones().to_str().unwrap().to_owned().leak(),
    ];
    del(&place).run().fails(11, &words);
}

#[test]
fn d12_no_text_that_go_cni_takes_for_success() {
    let place = Place::new();
    let _daemon = place.listen(vec![failure(
        101,
        "link not found",
        "open /x: No such file or directory (os error 2)",
    )]);
    let error = del(&place).run().error();
    let text = error.to_string().to_lowercase();
    assert!(
        !text.contains("not found") && !text.contains("no such file or directory"),
        "{text}"
    );
    assert_eq!(error["code"], 101);

    let away = Place::new();
    std::fs::write(away.socket().parent().unwrap().join("berth"), "in the way").unwrap();
    let text = del(&away).run().error().to_string().to_lowercase();
    assert!(
        !text.contains("not found") && !text.contains("no such file or directory"),
        "{text}"
    );
}

#[test]
fn d14_a_malformed_call_fails_and_asks_nothing() {
    let place = Place::new();
    let daemon = place.listen_well();
    del(&place).env("CNI_CONTAINERID", "-").run().fails(4, &[]);
    del(&place).stdin("{").run().fails(6, &[]);
    del(&place)
        .config(&config_with(&place, &json!({"name": ""})))
        .run()
        .fails(7, &[]);
    assert!(daemon.seen().is_empty());
    assert!(place.buried().is_empty());
}

#[test]
fn p05_a_del_ends_by_its_deadline() {
    let place = Place::new();
    let daemon = place.listen(vec![Act::Hang]);
    del(&place)
        .run()
        .fails(11, &["berthd did not answer in time"]);
    daemon.only();
}
