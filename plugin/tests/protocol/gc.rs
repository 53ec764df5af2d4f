//! G: GC, whose list may be null or empty but must be there, and which only a daemon can do.

use berth_cni::contract::{Ask, GcRequest, ValidAttachment};
use serde_json::{Value, json};

use crate::daemon::{Act, Place, failure, stopping};
use crate::plugin::{Call, config_with};

const VALID: &str = "cni.dev/valid-attachments";
const EARLIER: &str = "cni.dev/attachments";

fn gc(place: &Place, members: &Value) -> Call {
    let mut config = config_with(place, &json!({"cniVersion": "1.1.0"}));
    for (key, value) in members.as_object().unwrap() {
        config[key] = value.clone();
    }
    Call::bare("GC")
        .env("CNI_PATH", "/opt/cni/bin")
        .env("CNI_CONTAINERID", "")
        .env("CNI_IFNAME", "")
        .config(&config)
}

fn request(valid: &[(&str, &str)]) -> Ask {
    let attachment = |(container_id, ifname): &(&str, &str)| ValidAttachment {
        container_id: (*container_id).into(),
        ifname: (*ifname).into(),
    };
    Ask::Gc(GcRequest {
        network: "aws-cni".into(),
        valid: valid.iter().map(attachment).collect(),
    })
}

#[test]
fn g02_g03_every_form_of_the_list_is_read() {
    let place = Place::new();
    let daemon = place.listen_well();
    let list = json!([{"containerID": "c1", "ifname": "eth0"}, {"containerID": "c2", "ifname": "net1", "more": 1}]);
    let two = request(&[("c1", "eth0"), ("c2", "net1")]);
    let none = request(&[]);
    let cases = [
        (json!({VALID: list}), &two),
        (json!({EARLIER: list}), &two),
        (json!({VALID: list, EARLIER: list}), &two),
        // The first key says it, also where it says nothing.
        (json!({VALID: list, EARLIER: []}), &two),
        (json!({VALID: null, EARLIER: list}), &none),
        (json!({VALID: null, EARLIER: null}), &none),
        (json!({VALID: []}), &none),
        (json!({EARLIER: null}), &none),
    ];
    for (members, asked) in cases {
        gc(&place, &members).run().silent();
        let seen = daemon.only();
        assert_eq!(seen.request.ask, *asked, "{members}");
        assert!(seen.descriptors.is_empty());
    }
}

#[test]
fn g04_without_a_list_nothing_is_touched() {
    let place = Place::new();
    let daemon = place.listen_well();
    gc(&place, &json!({})).run().fails(7, &[VALID, EARLIER]);
    assert!(daemon.seen().is_empty());
}

#[test]
fn g04_a_list_that_cannot_be_read_whole_is_none() {
    let place = Place::new();
    let daemon = place.listen_well();
    let good = json!({"containerID": "c1", "ifname": "eth0"});
    for list in [
        json!("c1"),
        json!({}),
        json!(false),
        json!(["c1"]),
        json!([good, null]),
        json!([good, {"containerID": "c1"}]),
        json!([good, {"ifname": "eth0"}]),
        json!([good, {"containerID": "", "ifname": "eth0"}]),
        json!([good, {"containerID": 1, "ifname": "eth0"}]),
    ] {
        gc(&place, &json!({VALID: list})).run().fails(7, &[VALID]);
    }
    assert!(daemon.seen().is_empty());
}

#[test]
fn g05_what_could_not_be_taken_back_is_the_error() {
    let place = Place::new();
    let _daemon = place.listen(vec![failure(
        101,
        "2 of 3 attachments",
        "aws-cni/c1/eth0: ...",
    )]);
    gc(&place, &json!({VALID: []}))
        .run()
        .fails(101, &["2 of 3 attachments", "aws-cni/c1/eth0"]);
}

#[test]
fn g05_without_a_daemon_the_runtime_must_try_again() {
    let place = Place::new();
    let call = || gc(&place, &json!({VALID: []})).run();
    call().fails(11, &["berthd does not answer"]);
    assert!(!place.tombstones().exists());
    let daemon = place.listen(vec![Act::Slam, stopping(), Act::Obey, Act::Hang]);
    call().silent();
    assert_eq!(daemon.seen().len(), 2);
    call().fails(11, &["berthd did not answer in time"]);
}
