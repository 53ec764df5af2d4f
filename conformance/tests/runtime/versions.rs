//! A list whose version or plugins change while a container runs: what its cached result and list become.

use std::fs;

use conformance::netns::require_netns;
use conformance::runtime::conflist::Version;
use serde_json::{Value, json};

use crate::bench::{Bench, attachment};

/// A result in the form of before 1.0.0.
const OLD: &str = r#"{"ips": [{"version": "4", "address": "192.0.2.7/32"}]}"#;

#[test]
fn a_cached_result_is_converted_to_the_lists_version() {
    if !require_netns().unwrap() {
        return;
    }
    let bench = Bench::new(&["a"]);
    bench.on("a", "ADD", &format!("echo '{OLD}'"));
    let plugins = || json!([{"type": "a"}]);
    let old = bench.runtime(Version::V0_3_1, plugins());
    let new = bench.runtime(Version::V1_1_0, plugins());
    old.add(&bench.host, &attachment()).unwrap();
    new.check(&bench.host, &attachment()).unwrap();
    let converted = json!({"cniVersion": "1.1.0", "ips": [{"address": "192.0.2.7/32"}]});
    assert_eq!(bench.stdin("a", "CHECK")["prevResult"], converted);
    new.del(&bench.host, &attachment()).unwrap();
    assert_eq!(bench.stdin("a", "DEL")["prevResult"], converted);
    // and down
    bench.on(
        "a",
        "ADD",
        r#"echo '{"ips": [{"address": "192.0.2.7/32"}]}'"#,
    );
    new.add(&bench.host, &attachment()).unwrap();
    let lower = bench.runtime(Version::V0_4_0, plugins());
    lower.del(&bench.host, &attachment()).unwrap();
    assert_eq!(
        bench.stdin("a", "DEL")["prevResult"]["ips"][0]["version"],
        "4"
    );
    // 0.3.1 has no prevResult on DEL at all
    new.add(&bench.host, &attachment()).unwrap();
    old.del(&bench.host, &attachment()).unwrap();
    assert_eq!(bench.stdin("a", "DEL").get("prevResult"), None);
}

#[test]
fn some_runtimes_delete_by_the_list_as_it_was() {
    if !require_netns().unwrap() {
        return;
    }
    let bench = Bench::new(&["a", "b"]);
    let old = bench.runtime(Version::V1_0_0, json!([{"type": "a", "key": "old"}]));
    let new = bench.runtime(
        Version::V1_1_0,
        json!([{"type": "a", "key": "new"}, {"type": "b"}]),
    );
    old.add(&bench.host, &attachment()).unwrap();
    fs::remove_file(bench.file("order")).unwrap();
    new.del_as_added(&bench.host, &attachment()).unwrap();
    assert_eq!(bench.read("order"), "DEL a\n");
    let seen = |key: &str| -> Value { bench.stdin("a", "DEL")[key].clone() };
    assert_eq!(
        (seen("key"), seen("cniVersion")),
        (json!("old"), json!("1.0.0"))
    );
    // nothing is cached any more: by its own
    new.del_as_added(&bench.host, &attachment()).unwrap();
    assert_eq!(seen("key"), "new");
}

#[test]
fn of_several_versions_the_highest_is_run() {
    if !require_netns().unwrap() {
        return;
    }
    let bench = Bench::new(&["a"]);
    let versions =
        json!({"cniVersion": "0.4.0", "cniVersions": ["0.4.0", "1.0.0", "1.1.0", "2.0.0"]});
    let runtime = bench.runtime_of(json!([{"type": "a"}]), &versions);
    runtime.add(&bench.host, &attachment()).unwrap();
    assert_eq!(bench.stdin("a", "ADD")["cniVersion"], "1.1.0");
    assert_eq!(bench.stdin("a", "ADD").get("cniVersions"), None);
}
