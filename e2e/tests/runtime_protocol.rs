//! What the runtime runner tells plugins and what it makes of their answers, seen by plugins that write it all down.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use e2e::netns::{Netns, require_netns};
use e2e::runtime::Runtime;
use e2e::runtime::attachment::{Attachment, PortMapping};
use e2e::runtime::conflist::{Conflist, Version};
use e2e::runtime::failure::Cause;
use serde_json::{Value, json};

/// Writes its environment and stdin beside itself, then does what the file `<name>.<verb>` says.
const SCRIPT: &str = r#"#!/bin/sh
dir=$(dirname "$0"); name=$(basename "$0")
echo "$CNI_COMMAND $name" >> "$dir/order"
cat > "$dir/$name.$CNI_COMMAND.stdin"
env | grep ^CNI_ | sort > "$dir/$name.$CNI_COMMAND.env"
if [ -f "$dir/$name.$CNI_COMMAND" ]; then . "$dir/$name.$CNI_COMMAND"; fi
"#;

struct Bench {
    host: Netns,
    dir: tempfile::TempDir,
}

impl Bench {
    fn new(plugins: &[&str]) -> Self {
        let bench = Self {
            host: Netns::unique("rtp").unwrap(),
            dir: tempfile::tempdir().unwrap(),
        };
        for plugin in plugins {
            fs::write(bench.file(plugin), SCRIPT).unwrap();
            fs::set_permissions(bench.file(plugin), fs::Permissions::from_mode(0o755)).unwrap();
            bench.on(
                plugin,
                "ADD",
                &format!("echo '{}'", json!({"dns": {"domain": plugin}})),
            );
        }
        bench
    }

    fn on(&self, plugin: &str, verb: &str, script: &str) {
        fs::write(self.file(&format!("{plugin}.{verb}")), script).unwrap();
    }

    fn runtime(&self, version: Version, plugins: Value) -> Runtime {
        let list = json!({"name": "net", "cniVersion": version.as_str(), "plugins": plugins});
        let conflist = Conflist::from_json(list).unwrap();
        let nowhere = PathBuf::from("/nonexistent");
        Runtime::new(
            conflist,
            vec![nowhere, self.dir.path().to_owned()],
            self.dir.path(),
        )
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.file(name)).unwrap()
    }

    fn stdin(&self, plugin: &str, verb: &str) -> Value {
        serde_json::from_str(&self.read(&format!("{plugin}.{verb}.stdin"))).unwrap()
    }
}

fn attachment() -> Attachment {
    Attachment::of_pod(
        "shop",
        "cart-0",
        "c0ffee".to_owned(),
        PathBuf::from("/run/netns/none"),
    )
}

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
        r#"{"kind":"cniCacheV1","result":{"cniVersion":"0.3.1"}}"#,
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

#[test]
fn check_has_the_cached_result_and_stops_at_the_first_failure() {
    if !require_netns().unwrap() {
        return;
    }
    let bench = Bench::new(&["a", "b"]);
    let plugins = || json!([{"type": "a"}, {"type": "b"}]);
    let old = bench.runtime(Version::V0_3_1, plugins());
    old.add(&bench.host, &attachment()).unwrap();
    old.check(&bench.host, &attachment()).unwrap_err();
    let runtime = bench.runtime(Version::V0_4_0, plugins());
    // of another version, which is none
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
