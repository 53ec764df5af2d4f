//! P: what the process leaves on its descriptors, and that it ends.

use std::os::fd::AsFd;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::daemon::Place;
use crate::namespace::Namespace;
use crate::plugin::{Call, config_with};
use serde_json::{Value, json};

#[test]
fn p05_a_stdin_that_is_never_closed_costs_the_deadline_only() {
    let place = Place::new();
    let (reader, writer) = std::io::pipe().unwrap();
    Call::new("STATUS", &place)
        .stdin_from(reader)
        .run()
        .fails(5, &["stdin"]);
    drop(writer);
}

#[test]
fn p05_a_daemon_that_accepts_nobody_costs_the_deadline_only() {
    let place = Place::new();
    let _deaf = UnixListener::bind(place.socket()).unwrap();
    // Fills the backlog: connecting would block without a bound from now on.
    let waiting: Vec<_> = std::iter::from_fn(|| connect_now(&place.socket())).collect();
    assert!(!waiting.is_empty());
    Call::new("DEL", &place)
        .run()
        .fails(11, &["berthd did not answer in time"]);
    assert!(place.buried().is_empty());
}

#[test]
fn p06_a_closed_stdout_is_a_failure_and_no_panic() {
    let Some(netns) = Namespace::new() else {
        return;
    };
    let place = Place::new();
    let _daemon = place.listen_well();
    for verb in ["ADD", "VERSION"] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let outcome = Call::new(verb, &place)
            .netns(netns.path())
            .stdout_to(writer)
            .run();
        assert_eq!(outcome.status.code(), Some(1), "{outcome:?}");
        assert_eq!(outcome.stderr, "", "{outcome:?}");
    }
}

/// Starts itself once more to panic under the plugin's hook: the plugin has no way to be made to.
#[test]
#[allow(clippy::disallowed_methods, reason = "the process that is to panic")]
fn p06_a_panic_is_an_error_object() {
    if std::env::var_os("BERTH_TEST_PANICS").is_some() {
        std::panic::set_hook(Box::new(|panic| {
            berth_cni::answer_panic(panic.location(), std::io::stdout().as_fd());
            std::process::exit(1);
        }));
        panic!("as told");
    }
    let output = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "process::p06_a_panic_is_an_error_object",
            "--nocapture",
            "--test-threads=1",
        ])
        .env("BERTH_TEST_PANICS", "1")
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let stdout = String::from_utf8(output.stdout).unwrap();
    let error: Value = serde_json::from_str(&stdout[stdout.find('{').unwrap()..]).unwrap();
    assert_eq!(
        (&error["code"], &error["cniVersion"]),
        (&json!(999), &json!("1.1.0"))
    );
    assert!(
        error["details"].as_str().unwrap().contains("process.rs"),
        "{error}"
    );
}

/// By the plugin as it is installed: the standard library answers nothing when there is no memory.
#[test]
fn p06_no_memory_is_an_error_object() {
    if std::env::var_os("BERTH_BIN_DIR").is_none() {
        return;
    }
    let place = Place::new();
    // The program and its stack find room in that, in KiB; a heap does not.
    let outcome = Call::new("ADD", &place)
        .by_shell("ulimit -v 500; exec \"$0\"")
        .run();
    outcome.fails(999, &["alloc"]);
}

/// Who is started without a stream has the first file that it opens in its place.
#[test]
fn p06_a_stream_that_is_not_there_is_an_empty_one() {
    let place = Place::new();
    let outcome = Call::new("ADD", &place).by_shell("exec \"$0\" <&-").run();
    outcome.fails(6, &["not a JSON object"]);
}

#[test]
fn p08_the_working_directory_does_not_matter() {
    let place = Place::new();
    let _daemon = place.listen_well();
    for dir in ["/", "/proc/self"] {
        Call::new("DEL", &place)
            .in_dir(Path::new(dir))
            .run()
            .silent();
    }
}

/// A socket that may not be used is a mistake of the installation, not a daemon that is away.
#[test]
fn a_socket_path_that_cannot_be_one_is_an_error() {
    let place = Place::new();
    let long = format!("/{}", "a".repeat(200));
    let config = config_with(&place, &json!({"socket": long}));
    Call::new("DEL", &place)
        .config(&config)
        .run()
        .fails(5, &["cannot talk to berthd", &long]);
    assert!(place.buried().is_empty());
}

fn connect_now(socket: &Path) -> Option<std::os::fd::OwnedFd> {
    use rustix::net::{
        AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with,
    };
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let descriptor = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None).unwrap();
    connect(&descriptor, &SocketAddrUnix::new(socket).unwrap())
        .ok()
        .map(|()| descriptor)
}
