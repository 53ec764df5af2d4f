//! V and N: negotiation, the order of the checks, and the answer to VERSION.

use std::io::{Seek, Write};

use serde_json::{Value, json};

use crate::daemon::Place;
use crate::plugin::{Call, config, config_with};

const SUPPORTED: [&str; 5] = ["0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"];

#[test]
fn v01_v02_versions_are_compared_as_strings() {
    let place = Place::new();
    for version in [
        "0.1.0", "0.2.0", "0.3", "1.0", "1.2.0", "9.9.9", "v1.0.0", "adsf",
    ] {
        for verb in ["ADD", "DEL"] {
            let call = Call::new(verb, &place)
                .config(&config_with(&place, &json!({"cniVersion": version})));
            let sides = [version, r#"["0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"]"#];
            let error = call
                .run()
                .fails(1, &["incompatible CNI versions", sides[0], sides[1]]);
            assert_eq!(error["cniVersion"], "1.1.0");
        }
    }
    for version in [json!(null), json!("")] {
        let call =
            Call::new("DEL", &place).config(&config_with(&place, &json!({"cniVersion": version})));
        call.run().fails(1, &[r#"config is "0.1.0""#]);
    }
    for version in [json!(1), json!({}), json!(["1.0.0"])] {
        Call::new("DEL", &place)
            .config(&config_with(&place, &json!({"cniVersion": version})))
            .run()
            .fails(6, &["cniVersion"]);
    }
}

#[test]
fn v04_every_advertised_version_is_taken() {
    let place = Place::new();
    let _daemon = place.listen_well();
    for version in SUPPORTED {
        Call::new("DEL", &place)
            .config(&config_with(&place, &json!({"cniVersion": version})))
            .run()
            .silent();
    }
}

#[test]
fn v05_verbs_that_came_later_need_a_later_configuration() {
    let place = Place::new();
    let cases = [
        ("CHECK", "0.3.1", 1),
        ("CHECK", "0.3.0", 1),
        ("CHECK", "9.9.9", 1),
        ("GC", "1.0.0", 1),
        ("GC", "0.4.0", 1),
        ("GC", "2", 1),
        ("STATUS", "1.0.0", 1),
        ("STATUS", "0.3.1", 1),
        ("CHECK", "adsf", 6),
        ("GC", "1.x.0", 6),
        ("STATUS", "1.1.0.0", 6),
    ];
    for (verb, version, code) in cases {
        let words = match (code, version) {
            (1, "9.9.9" | "2") => vec!["incompatible CNI versions".to_owned()],
            (1, _) => vec![
                format!("config version does not allow {verb}"),
                version.into(),
            ],
            _ => vec![version.to_owned()],
        };
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let call =
            Call::new(verb, &place).config(&config_with(&place, &json!({"cniVersion": version})));
        call.run().fails(code, &words);
    }
}

/// Each step adds the next mistake in the reference's order, which must win over all before it.
#[test]
fn v06_the_first_mistake_is_the_one_reported() {
    let place = Place::new();
    let config = |members: Value| config_with(&place, &members).to_string();
    let with = |stdin: String| Call::new("CHECK", &place).stdin(stdin);
    with(config(json!({"cniVersion": "9.9.9", "prevResult": 5})))
        .run()
        .fails(1, &["incompatible"]);
    with(config(json!({"cniVersion": "0.1.0"})))
        .run()
        .fails(1, &["does not allow CHECK"]);
    let unknown = config(json!({"cniVersion": "0.1.0"}));
    Call::new("NOPE", &place)
        .stdin(unknown)
        .run()
        .fails(4, &["unknown CNI_COMMAND"]);
    let nameless = config(json!({"cniVersion": "0.1.0", "name": ""}));
    Call::new("NOPE", &place)
        .stdin(nameless)
        .run()
        .fails(7, &["missing network name"]);
    with(config(json!({"cniVersion": 1, "name": ""})))
        .run()
        .fails(6, &["cniVersion"]);
    with("{".into())
        .env("CNI_IFNAME", "a/b")
        .run()
        .fails(4, &["interface name"]);
    with("{".into())
        .env("CNI_IFNAME", "a/b")
        .env("CNI_CONTAINERID", "-")
        .run()
        .fails(4, &["CNI_CONTAINERID"]);
    with("{".into())
        .env("CNI_IFNAME", "")
        .env("CNI_CONTAINERID", "-")
        .run()
        .fails(4, &["[CNI_IFNAME]"]);
}

#[test]
fn n01_n02_n03_version_answers_to_anything() {
    let place = Place::new();
    let cases: [(&[u8], &str); 7] = [
        (b"", "1.1.0"),
        (b"{}", "1.1.0"),
        (b"{", "1.1.0"),
        (b"garbage", "1.1.0"),
        (b"{\"cniVersion\": 5}", "1.1.0"),
        (b"{\"cniVersion\": \"\"}", "1.1.0"),
        (b"{\"cniVersion\": \"0.4.0\"}", "0.4.0"),
    ];
    for (stdin, echoed) in cases {
        // In a file: what is written while the plugin starts need not be there when it looks.
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(stdin).unwrap();
        file.rewind().unwrap();
        let outcome = Call::bare("VERSION").stdin_from(file).run();
        assert_eq!(
            outcome.result(),
            json!({"cniVersion": echoed, "supportedVersions": SUPPORTED})
        );
        assert_eq!(outcome.stderr, "");
    }
    // The configuration of a daemon that is away.
    Call::bare("VERSION").config(&config(&place)).run().result();
}

#[test]
fn n02_version_does_not_wait_for_the_end_of_stdin() {
    let (reader, mut writer) = std::io::pipe().unwrap();
    writer.write_all(br#"{"cniVersion": "1.0.0"}"#).unwrap();
    let outcome = Call::bare("VERSION").stdin_from(reader).run();
    assert_eq!(outcome.result()["cniVersion"], "1.0.0");
    drop(writer);
}
