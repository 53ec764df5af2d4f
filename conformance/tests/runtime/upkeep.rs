//! CHECK, GC and STATUS, and the flags of a list that switch them off.

use std::fs;

use conformance::netns::require_netns;
use conformance::runtime::attachment::Attachment;
use conformance::runtime::conflist::Version;
use serde_json::{Value, json};

use crate::bench::{Bench, attachment};

#[test]
fn check_has_the_cached_result_and_stops_at_the_first_failure() {
    if !require_netns().unwrap() {
        return;
    }
    let bench = Bench::new(&["a", "b"]);
    let plugins = || json!([{"type": "a"}, {"type": "b"}]);
    let old = bench.runtime(Version::V0_3_1, plugins());
    old.check(&bench.host, &attachment()).unwrap_err();
    let runtime = bench.runtime(Version::V0_4_0, plugins());
    let error = runtime.check(&bench.host, &attachment()).unwrap_err();
    assert!(error.to_string().contains("no result"), "{error}");
    runtime.add(&bench.host, &attachment()).unwrap();
    fs::remove_file(bench.file("order")).unwrap();
    assert_eq!(runtime.check(&bench.host, &attachment()).unwrap().len(), 2);
    for plugin in ["a", "b"] {
        let domain = &bench.stdin(plugin, "CHECK")["prevResult"]["dns"]["domain"];
        assert_eq!(domain, "b");
    }
    bench.on("a", "CHECK", r#"echo '{"code": 102, "msg": "no"}'; exit 1"#);
    let error = runtime.check(&bench.host, &attachment()).unwrap_err();
    assert_eq!(error.reported().unwrap().code, 102);
    assert_eq!(bench.read("order"), "CHECK a\nCHECK b\nCHECK a\n");
}

#[test]
fn gc_deletes_what_is_cached_and_not_named_and_then_asks_every_plugin() {
    if !require_netns().unwrap() {
        return;
    }
    let bench = Bench::new(&["a", "b"]);
    let plugins = || json!([{"type": "a"}, {"type": "b"}]);
    let other = Attachment {
        container_id: "other".to_owned(),
        ..attachment()
    };
    let runtime = bench.runtime(Version::V1_1_0, plugins());
    for attachment in [attachment(), other.clone()] {
        runtime.add(&bench.host, &attachment).unwrap();
    }
    fs::remove_file(bench.file("order")).unwrap();
    runtime.gc(&bench.host, &[&other]).unwrap();
    assert_eq!(bench.read("order"), "DEL b\nDEL a\nGC a\nGC b\n");
    assert!(bench.read("a.DEL.env").contains("CNI_CONTAINERID=c0ffee\n"));
    let named = json!([{"containerID": "other", "ifname": "eth0"}]);
    for key in ["cni.dev/valid-attachments", "cni.dev/attachments"] {
        assert_eq!(bench.stdin("b", "GC")[key], named);
    }
    assert!(bench.read("a.GC.env").contains("CNI_CONTAINERID=\n"));
    // one that fails stops nobody
    bench.on("a", "GC", "exit 1");
    assert_eq!(runtime.gc(&bench.host, &[]).unwrap_err().len(), 1);
    assert_eq!(bench.stdin("b", "GC")["cni.dev/attachments"], Value::Null);
    assert!(!runtime.cache().path(runtime.conflist(), &other).exists());
    // somebody who names nothing: neither key, and everything goes
    bench.on("a", "GC", "");
    runtime.add(&bench.host, &other).unwrap();
    runtime.gc_without_list(&bench.host).unwrap();
    for key in ["cni.dev/valid-attachments", "cni.dev/attachments"] {
        assert_eq!(bench.stdin("b", "GC").get(key), None);
    }
    assert!(!runtime.cache().path(runtime.conflist(), &other).exists());
    // before 1.1.0 there are DELs only
    let old = bench.runtime(Version::V1_0_0, plugins());
    old.add(&bench.host, &other).unwrap();
    fs::remove_file(bench.file("order")).unwrap();
    old.gc(&bench.host, &[]).unwrap();
    assert_eq!(bench.read("order"), "DEL b\nDEL a\n");
}

#[test]
fn status_is_asked_of_each_until_one_fails() {
    if !require_netns().unwrap() {
        return;
    }
    let bench = Bench::new(&["a", "b"]);
    let plugins = || json!([{"type": "a"}, {"type": "b"}]);
    let old = bench.runtime(Version::V1_0_0, plugins());
    assert!(old.status(&bench.host).unwrap().is_empty());
    let runtime = bench.runtime(Version::V1_1_0, plugins());
    runtime.status(&bench.host).unwrap();
    assert_eq!(bench.read("order"), "STATUS a\nSTATUS b\n");
    let environment = bench.read("a.STATUS.env");
    assert!(environment.contains("CNI_NETNS=\n"), "{environment}");
    bench.on("a", "STATUS", r#"echo '{"code": 50, "msg": "no"}'; exit 1"#);
    let error = runtime.status(&bench.host).unwrap_err();
    assert_eq!(error.reported().unwrap().code, 50);
    assert_eq!(bench.read("order"), "STATUS a\nSTATUS b\nSTATUS a\n");
}

#[test]
fn a_list_can_switch_check_and_gc_off() {
    if !require_netns().unwrap() {
        return;
    }
    let bench = Bench::new(&["a"]);
    let flags = json!({"disableCheck": "true", "disableGC": true});
    let runtime = bench.runtime_of(json!([{"type": "a"}]), &flags);
    runtime.add(&bench.host, &attachment()).unwrap();
    assert!(
        runtime
            .check(&bench.host, &attachment())
            .unwrap()
            .is_empty()
    );
    runtime.gc(&bench.host, &[]).unwrap();
    assert_eq!(bench.read("order"), "ADD a\n");
}
