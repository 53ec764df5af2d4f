//! ADD and DEL: what the emulator tells the plugins of a list, and what it makes of their answers.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use conformance::netns::require_netns;
use conformance::runtime::attachment::{Attachment, PortMapping};
use conformance::runtime::conflist::Version;
use conformance::runtime::failure::Cause;
use serde_json::{Value, json};

use crate::bench::{Bench, attachment};

#[test]
fn results_go_down_the_chain_and_come_back_on_del() {
    if !require_netns().unwrap() {
        return;
    }
    for version in Version::ALL {
        let bench = Bench::new(&["a", "b", "c"]);
        let runtime = bench.runtime(
            version,
            json!([{"type": "a", "key": 1}, {"type": "b"}, {"type": "c"}]),
        );
        let added = runtime.add(&bench.host, &attachment()).unwrap();
        let result =
            |domain: &str| json!({"cniVersion": version.as_str(), "dns": {"domain": domain}});
        assert_eq!(*added.result.json(), result("c"));
        let common = json!({"type": "a", "key": 1, "name": "net", "cniVersion": version.as_str()});
        assert_eq!(bench.stdin("a", "ADD"), common);
        assert_eq!(bench.stdin("b", "ADD")["prevResult"], result("a"));
        assert_eq!(bench.stdin("c", "ADD")["prevResult"], result("b"));

        runtime.del(&bench.host, &attachment()).unwrap();
        assert_eq!(
            bench.read("order"),
            "ADD a\nADD b\nADD c\nDEL c\nDEL b\nDEL a\n"
        );
        let expected = if version == Version::V0_3_1 {
            Value::Null
        } else {
            result("c")
        };
        for plugin in ["a", "b", "c"] {
            assert_eq!(
                bench.stdin(plugin, "DEL")["prevResult"],
                expected,
                "{plugin} at {version}"
            );
        }
        runtime.del(&bench.host, &attachment()).unwrap();
        assert_eq!(
            bench.stdin("a", "DEL").get("prevResult"),
            None,
            "the cache is gone after the first DEL"
        );
    }
}

#[test]
fn the_environment_is_libcnis() {
    if !require_netns().unwrap() {
        return;
    }
    let bench = Bench::new(&["a"]);
    let runtime = bench.runtime(Version::V1_0_0, json!([{"type": "a"}]));
    runtime.add(&bench.host, &attachment()).unwrap();
    let expected = format!(
        "CNI_ARGS=IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=cart-0;K8S_POD_INFRA_CONTAINER_ID=c0ffee\n\
         CNI_COMMAND=ADD\nCNI_CONTAINERID=c0ffee\nCNI_IFNAME=eth0\nCNI_NETNS=/run/netns/none\n\
         CNI_PATH=/nonexistent:{}\n",
        bench.dir.path().display()
    );
    assert_eq!(bench.read("a.ADD.env"), expected);
    // the namespace was removed before DEL: the variable is set and empty
    let gone = Attachment {
        netns: PathBuf::new(),
        ..attachment()
    };
    runtime.del(&bench.host, &gone).unwrap();
    assert!(bench.read("a.DEL.env").contains("CNI_NETNS=\n"));
}

#[test]
fn capabilities_reach_only_those_that_declare_them() {
    if !require_netns().unwrap() {
        return;
    }
    let bench = Bench::new(&["a", "b", "c"]);
    let plugins = json!([{"type": "a"}, {"type": "b", "capabilities": {"portMappings": true, "bandwidth": true}},
        {"type": "c", "capabilities": {"portMappings": false}}]);
    let runtime = bench.runtime(Version::V1_0_0, plugins);
    let attachment = attachment().with_ports(&[PortMapping {
        host: 80,
        container: 8080,
    }]);
    runtime.add(&bench.host, &attachment).unwrap();
    let ports = json!([{"HostPort": 80, "ContainerPort": 8080, "Protocol": "tcp", "HostIP": ""}]);
    assert_eq!(
        bench.stdin("b", "ADD")["runtimeConfig"],
        json!({"portMappings": ports})
    );
    assert_eq!(bench.stdin("a", "ADD").get("runtimeConfig"), None);
    assert_eq!(bench.stdin("c", "ADD").get("runtimeConfig"), None);
}

#[test]
fn the_first_failure_stops_the_chain_and_nothing_is_cached() {
    if !require_netns().unwrap() {
        return;
    }
    let bench = Bench::new(&["a", "b", "c"]);
    bench.on("b", "ADD", r#"echo '{"cniVersion":"1.0.0","code":11,"msg":"subnet is full","details":"wait"}'; exit 1"#);
    let runtime = bench.runtime(
        Version::V1_0_0,
        json!([{"type": "a"}, {"type": "b"}, {"type": "c"}]),
    );
    let failure = runtime.add(&bench.host, &attachment()).unwrap_err();
    let error = failure.reported().expect("an error document");
    assert_eq!(
        (error.code, error.msg.as_str(), error.details.as_str()),
        (11, "subnet is full", "wait")
    );
    let text = r#"plugin type="b" name="net" failed (ADD): code 11: subnet is full; wait"#;
    assert_eq!(failure.to_string(), text);
    assert_eq!(bench.read("order"), "ADD a\nADD b\n");
    assert!(!runtime.cache().dir().exists());

    runtime.del(&bench.host, &attachment()).unwrap();
    assert_eq!(bench.read("order"), "ADD a\nADD b\nDEL c\nDEL b\nDEL a\n");
    assert_eq!(bench.stdin("b", "DEL").get("prevResult"), None);
}

#[test]
fn a_failed_del_keeps_the_cache_for_the_next_one() {
    if !require_netns().unwrap() {
        return;
    }
    let bench = Bench::new(&["a", "b"]);
    let runtime = bench.runtime(Version::V1_0_0, json!([{"type": "a"}, {"type": "b"}]));
    runtime.add(&bench.host, &attachment()).unwrap();
    bench.on("b", "DEL", "exit 3");
    let failure = runtime.del(&bench.host, &attachment()).unwrap_err();
    assert!(matches!(*failure.cause, Cause::Mute { .. }), "{failure}");
    assert_eq!(bench.read("order"), "ADD a\nADD b\nDEL b\n");
    bench.on("b", "DEL", "");
    runtime.del(&bench.host, &attachment()).unwrap();
    assert_eq!(bench.stdin("a", "DEL")["prevResult"]["dns"]["domain"], "b");
}

#[test]
fn a_broken_cache_does_not_stop_del() {
    if !require_netns().unwrap() {
        return;
    }
    let bench = Bench::new(&["a"]);
    let runtime = bench.runtime(Version::V1_0_0, json!([{"type": "a"}]));
    let path = runtime.cache().path(runtime.conflist(), &attachment());
    for broken in [
        "{",
        r#"{"kind":"other"}"#,
        r#"{"kind":"cniCacheV1","result":{"cniVersion":"0.2.0"}}"#,
        r#"{"kind":"cniCacheV1","result":{"ips":[]}}"#,
    ] {
        runtime.add(&bench.host, &attachment()).unwrap();
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        fs::write(&path, broken).unwrap();
        runtime.del(&bench.host, &attachment()).unwrap();
        assert_eq!(bench.stdin("a", "DEL").get("prevResult"), None, "{broken}");
        assert!(!path.exists());
    }
}

#[test]
fn a_plugin_that_hangs_is_killed() {
    if !require_netns().unwrap() {
        return;
    }
    let bench = Bench::new(&["a"]);
    bench.on("a", "ADD", r#"echo $$ > "$dir/pid"; exec sleep 600"#);
    let mut runtime = bench.runtime(Version::V1_0_0, json!([{"type": "a"}]));
    runtime.timeouts.add = Duration::from_millis(500);
    let started = Instant::now();
    let failure = runtime.add(&bench.host, &attachment()).unwrap_err();
    assert!(failure.timed_out(), "{failure}");
    assert!(started.elapsed() < Duration::from_secs(60));
    let pid = bench.read("pid");
    assert!(
        !PathBuf::from("/proc").join(pid.trim()).exists(),
        "the plugin is gone and reaped"
    );
}

#[test]
fn what_is_no_result_is_a_failure() {
    if !require_netns().unwrap() {
        return;
    }
    let bench = Bench::new(&["a"]);
    let runtime = bench.runtime(Version::V1_0_0, json!([{"type": "a"}]));
    for script in [
        "",
        "echo null",
        "echo '{}{}'",
        r#"echo '{"ips":[{"address":"10.0.0.1/32","interface":0}]}'"#,
    ] {
        bench.on("a", "ADD", script);
        let failure = runtime.add(&bench.host, &attachment()).unwrap_err();
        assert!(
            matches!(*failure.cause, Cause::NoResult { .. }),
            "{script:?}: {failure}"
        );
    }
    let absent = bench.runtime(Version::V1_0_0, json!([{"type": "absent"}]));
    let failure = absent.add(&bench.host, &attachment()).unwrap_err();
    assert!(matches!(*failure.cause, Cause::NotFound(_)), "{failure}");
}

#[test]
fn a_binary_that_is_being_written_is_waited_for() {
    if !require_netns().unwrap() {
        return;
    }
    let bench = Bench::new(&["a"]);
    let runtime = bench.runtime(Version::V1_0_0, json!([{"type": "a"}]));
    let open = fs::OpenOptions::new()
        .append(true)
        .open(bench.file("a"))
        .unwrap();
    let installer = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(300));
        drop(open);
    });
    runtime.add(&bench.host, &attachment()).unwrap();
    installer.join().unwrap();
}
