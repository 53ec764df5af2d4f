//! X: the error object, and what the daemon's failures and mistakes become.

use berth_cni::contract::{MAX_FRAME, Outcome};
use serde_json::json;

use crate::daemon::{Act, Place, added, failure, framed};
use crate::namespace::Namespace;
use crate::plugin::{Call, config_with};

#[test]
fn x01_the_daemons_failure_is_the_runtimes_error() {
    let Some(netns) = Namespace::new() else {
        return;
    };
    let place = Place::new();
    let _daemon = place.listen(vec![
        failure(11, "subnet-0a1b has no free address", "all 251 are taken"),
        failure(103, "no", ""),
    ]);
    let add = || {
        Call::new("ADD", &place)
            .netns(netns.path())
            .config(&config_with(&place, &json!({"cniVersion": "0.3.1"})))
            .run()
    };
    let expected = json!({"cniVersion": "0.3.1", "code": 11, "msg": "subnet-0a1b has no free address", "details": "all 251 are taken"});
    assert_eq!(add().error(), expected);
    assert_eq!(
        add().error(),
        json!({"cniVersion": "0.3.1", "code": 103, "msg": "no"})
    );
}

#[test]
fn x01_errors_before_the_configuration_is_known_carry_the_newest_version() {
    let place = Place::new();
    assert_eq!(Call::bare("ADD").run().error()["cniVersion"], "1.1.0");
    assert_eq!(
        Call::new("DEL", &place).stdin("{").run().error()["cniVersion"],
        "1.1.0"
    );
    let nameless = config_with(&place, &json!({"cniVersion": "0.4.0", "name": ""}));
    assert_eq!(
        Call::new("DEL", &place).config(&nameless).run().error()["cniVersion"],
        "0.4.0"
    );
}

#[test]
fn x01_another_protocol_is_named_with_both_numbers() {
    let Some(netns) = Namespace::new() else {
        return;
    };
    let place = Place::new();
    let _daemon = place.listen(vec![Act::Say(framed(
        br#"{"protocol": 7, "what": "ever"}"#,
    ))]);
    for verb in ["ADD", "DEL"] {
        Call::new(verb, &place)
            .netns(netns.path())
            .run()
            .fails(100, &["protocol 2", "protocol 7", "same release"]);
    }
}

#[test]
fn x01_answers_that_make_no_sense_are_errors_at_once() {
    let Some(netns) = Namespace::new() else {
        return;
    };
    let too_long = u32::try_from(MAX_FRAME + 1).unwrap().to_be_bytes().to_vec();
    let cases = [
        (
            "ADD",
            Act::Answer(Outcome::Deleted),
            "another verb's outcome",
        ),
        (
            "DEL",
            Act::Answer(Outcome::Added(added())),
            "another verb's outcome",
        ),
        ("ADD", Act::Say(framed(b"hello")), "cannot understand"),
        ("ADD", Act::Say(framed(b"")), "cannot understand"),
        (
            "DEL",
            Act::Say(framed(
                br#"{"protocol": 2, "outcome": {"kind": "perhaps"}}"#,
            )),
            "cannot understand",
        ),
        ("ADD", Act::Say(too_long), "8388609 bytes"),
    ];
    for (verb, act, text) in cases {
        let place = Place::new();
        let daemon = place.listen(vec![act]);
        Call::new(verb, &place)
            .netns(netns.path())
            .run()
            .fails(100, &[text]);
        daemon.only();
        assert!(place.buried().is_empty());
    }
}

#[test]
fn x05_texts_are_one_line_whatever_the_daemon_says() {
    let place = Place::new();
    let _daemon = place.listen(vec![failure(11, "first\nsecond", "third\r\n\tfourth")]);
    let error = Call::new("DEL", &place).run().error();
    assert_eq!(
        (error["msg"].as_str(), error["details"].as_str()),
        (Some("first second"), Some("third   fourth"))
    );
}
