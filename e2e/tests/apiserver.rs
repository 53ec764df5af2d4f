//! The small API server's own tests: the real kubectl, which shares no code with it, lists and watches against it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::io::{BufRead, BufReader, Read};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use e2e::apiserver::{ApiServer, Fault, FaultKind, PodSpec, Verb};
use e2e::netns::output;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

/// What kubectl may take to say something, on a machine with much to do.
const PATIENCE: Duration = Duration::from_secs(30);

struct World {
    api: ApiServer,
    url: String,
    home: tempfile::TempDir,
    _runtime: Runtime,
}

impl World {
    /// Two nodes; two pods on the first and one on the second.
    fn new() -> Self {
        let runtime = Runtime::new().unwrap();
        let entered = runtime.enter();
        let api = ApiServer::new(None, Duration::from_millis(200));
        let address = api.listen(None, (Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        drop(entered);
        api.add_node("n1", 29);
        api.add_node("n2", 58);
        for (name, node) in [("a", "n1"), ("b", "n1"), ("c", "n2")] {
            api.bind(&PodSpec::new("shop", name, node));
        }
        Self {
            api,
            url: format!("http://{address}"),
            home: tempfile::tempdir().unwrap(),
            _runtime: runtime,
        }
    }

    fn kubectl(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(kubectl());
        command
            .env_clear()
            .env("HOME", self.home.path())
            .args(["--server", &self.url, "--request-timeout", "60s"])
            .args(arguments);
        command
    }

    fn said(&self, arguments: &[&str]) -> String {
        output(&mut self.kubectl(arguments)).unwrap()
    }

    /// The error that kubectl prints.
    fn refused(&self, arguments: &[&str]) -> String {
        let ended = self.kubectl(arguments).output().unwrap();
        assert!(!ended.status.success(), "{ended:?}");
        String::from_utf8_lossy(&ended.stderr).into_owned()
    }
}

/// The system's, or the one that scripts/setup has unpacked.
fn kubectl() -> PathBuf {
    let unpacked = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/tools/kubectl");
    if unpacked.exists() {
        unpacked
    } else {
        "kubectl".into()
    }
}

/// A kubectl that watches, ended with the test.
struct Watch {
    child: Child,
    lines: Receiver<String>,
}

impl Watch {
    fn start(world: &World, arguments: &[&str]) -> Self {
        let mut command = world.kubectl(arguments);
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (sender, lines) = channel();
        let output = BufReader::new(child.stdout.take().unwrap());
        thread::spawn(move || {
            let lines = output.lines().map_while(Result::ok);
            lines
                .take_while(|line| sender.send(line.clone()).is_ok())
                .for_each(drop);
        });
        Self { child, lines }
    }

    fn next(&self) -> String {
        self.lines
            .recv_timeout(PATIENCE)
            .expect("kubectl says nothing")
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn kubectl_lists_by_field_and_namespace() {
    let world = World::new();
    let of = |selector: &str| {
        world.said(&[
            "get",
            "pods",
            "-A",
            "-o",
            "name",
            "--field-selector",
            selector,
        ])
    };
    assert_eq!(of("spec.nodeName=n1"), "pod/a\npod/b\n");
    assert_eq!(of("spec.nodeName!=n1"), "pod/c\n");
    assert_eq!(of("spec.nodeName=n1,metadata.name==b"), "pod/b\n");
    world
        .api
        .set("shop", "a", "/status/phase", json!("Succeeded"));
    assert_eq!(of("spec.nodeName=n1,status.phase!=Succeeded"), "pod/b\n");
    assert_eq!(
        world.said(&["get", "pods", "-n", "shop", "-o", "name"]),
        "pod/a\npod/b\npod/c\n"
    );
    assert_eq!(world.said(&["get", "pods", "-n", "none", "-o", "name"]), "");
    let pods = world.said(&[
        "get",
        "node",
        "n2",
        "-o",
        "jsonpath={.status.allocatable.pods}",
    ]);
    assert_eq!(pods, "58");
    let pod: Value =
        serde_json::from_str(&world.said(&["get", "pod", "-n", "shop", "b", "-o", "json"]))
            .unwrap();
    assert_eq!(pod["spec"]["nodeName"], "n1");
    let error = world.refused(&["get", "pods", "-A", "--field-selector", "spec.colour=blue"]);
    assert!(
        error.contains("field label not supported: spec.colour"),
        "{error}"
    );
    let error = world.refused(&["get", "pod", "-n", "shop", "z"]);
    assert!(error.contains("NotFound"), "{error}");
}

#[test]
fn kubectl_watches_by_field() {
    let world = World::new();
    let arguments = [
        "get",
        "pods",
        "-A",
        "--field-selector",
        "spec.nodeName=n1",
        "--watch",
        "--output-watch-events",
        "-o",
        "custom-columns=TYPE:.type,NAME:.object.metadata.name,PHASE:.object.status.phase",
        "--no-headers",
    ];
    let watch = Watch::start(&world, &arguments);
    let line = |watch: &Watch| {
        watch
            .next()
            .split_whitespace()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    assert_eq!(line(&watch), ["ADDED", "a", "Pending"]);
    assert_eq!(line(&watch), ["ADDED", "b", "Pending"]);
    world.api.bind(&PodSpec::new("shop", "elsewhere", "n2"));
    world.api.bind(&PodSpec::new("shop", "d", "n1"));
    assert_eq!(line(&watch), ["ADDED", "d", "Pending"]);
    world
        .api
        .set("shop", "a", "/status/phase", json!("Running"));
    assert_eq!(line(&watch), ["MODIFIED", "a", "Running"]);
    // Bookmarks have passed by now, and kubectl has not minded them.
    thread::sleep(Duration::from_millis(500));
    world.api.set("shop", "d", "/spec/nodeName", json!("n2"));
    assert_eq!(line(&watch)[..2], ["DELETED", "d"]);
    world.api.delete("shop", "b");
    assert_eq!(line(&watch)[..2], ["DELETED", "b"]);
}

#[test]
fn kubectl_understands_what_goes_wrong() {
    let world = World::new();
    let known = ["get", "pods", "-A", "-o", "name"];
    let status = |code| FaultKind::Status {
        code,
        retry_after: None,
    };
    world.api.fault(Fault::always(status(401)));
    let error = world.refused(&known);
    world.api.clear_faults();
    assert!(
        error.contains("Unauthorized") || error.contains("logged in"),
        "{error}"
    );
    assert_eq!(world.said(&known).lines().count(), 3);
    world.api.fault(Fault::once(status(403)).of(Verb::List));
    let error = world.refused(&known);
    assert!(error.contains("Forbidden"), "{error}");
    // A 429 with Retry-After is asked again, and served.
    let busy = FaultKind::Status {
        code: 429,
        retry_after: Some(1),
    };
    world.api.fault(Fault::once(busy).of(Verb::List));
    let before = world.api.count(Verb::List, "pods");
    assert_eq!(world.said(&known).lines().count(), 3);
    assert_eq!(world.api.count(Verb::List, "pods"), before + 2);
    let page = FaultKind::Garbage {
        shape: e2e::apiserver::Garbage::Html,
    };
    world.api.fault(Fault::once(page).of(Verb::List));
    world.refused(&known);
}

#[test]
fn a_watch_from_a_forgotten_version_is_gone() {
    let world = World::new();
    world.api.compact();
    let path = |version: u32| {
        format!("/api/v1/pods?watch=true&resourceVersion={version}&timeoutSeconds=1")
    };
    let error = world.refused(&["get", "--raw", &path(1)]);
    assert!(error.contains("too old resource version"), "{error}");
    world.api.bind(&PodSpec::new("shop", "late", "n1"));
    let now: Value = serde_json::from_str(&world.said(&["get", "--raw", "/api/v1/pods"])).unwrap();
    let newest: u32 = now["metadata"]["resourceVersion"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    let told = world.said(&["get", "--raw", &path(newest - 1)]);
    let event: Value = serde_json::from_str(told.lines().next().unwrap()).unwrap();
    assert_eq!(
        (&event["type"], &event["object"]["metadata"]["name"]),
        (&json!("ADDED"), &json!("late"))
    );
    world
        .api
        .fault(Fault::once(FaultKind::ErrorEvent { code: 410 }).of(Verb::Watch));
    let told = world.said(&["get", "--raw", &path(newest)]);
    let event: Value = serde_json::from_str(&told).unwrap();
    assert_eq!(
        (&event["type"], &event["object"]["code"]),
        (&json!("ERROR"), &json!(410))
    );
}

#[test]
fn the_program_serves_and_is_told_of_pods_by_http() {
    let mut program = Command::new(env!("CARGO_BIN_EXE_mock-apiserver"))
        .args(["--node", "n1"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(program.stdout.take().unwrap())
        .lines()
        .map_while(Result::ok);
    let url = lines
        .next()
        .unwrap()
        .strip_prefix("api ")
        .unwrap()
        .to_owned();
    let place = url.strip_prefix("http://").unwrap().to_owned();
    let post = |path: &str, body: &str| {
        let mut stream = std::net::TcpStream::connect(&place).unwrap();
        std::io::Write::write_all(
            &mut stream,
            format!(
                "POST /admin/{path} HTTP/1.1\r\nHost: api\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            )
            .as_bytes(),
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 204"), "{answer}");
    };
    post("pods", r#"{"name":"web-0","node":"n1","hostNetwork":true}"#);
    let home = tempfile::tempdir().unwrap();
    let mut command = Command::new(kubectl());
    command
        .env_clear()
        .env("HOME", home.path())
        .args(["--server", &url]);
    let listed = output(command.args(["get", "pods,nodes", "-A", "-o", "name"]));
    post("faults", r#"{"kind":"status","code":403,"verb":"list"}"#);
    program.kill().unwrap();
    program.wait().unwrap();
    assert_eq!(listed.unwrap(), "pod/web-0\nnode/n1\n");
}
