//! The program from outside, against a plugin that is a shell script and does next to nothing right.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use conformance::netns::{NETNS_DIR, require_netns};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// Answers VERSION; waits for a child of its own at all else, and writes down which.
const HANGS: &str = r#"#!/bin/sh
[ "$CNI_COMMAND" = VERSION ] && echo '{"cniVersion": "1.0.0", "supportedVersions": ["1.0.0"]}' && exit
/bin/sleep 600 &
echo $! >> "${0%/*}/children"
wait
"#;

/// Answers VERSION; says of all else that it was done.
const PLUGIN: &str = r#"#!/bin/sh
[ "$CNI_COMMAND" = VERSION ] && echo '{"cniVersion": "1.0.0", "supportedVersions": ["1.0.0"]}'
exit 0
"#;

struct Bench(tempfile::TempDir);

impl Bench {
    fn new() -> Self {
        Self::with(PLUGIN)
    }

    fn with(script: &str) -> Self {
        let bench = Self(tempfile::tempdir().unwrap());
        bench.write("plugin", script);
        let plugin = bench.0.path().join("plugin");
        fs::set_permissions(plugin, fs::Permissions::from_mode(0o755)).unwrap();
        bench.write("plugin.conf", r#"{"type": "plugin"}"#);
        bench
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.0.path().join(name), text).unwrap();
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_conformance"));
        command
            .current_dir(&self.0)
            .args(["run", "--plugin", "plugin", "--conf", "plugin.conf"])
            .args(arguments);
        command
    }

    /// The processes that the plugin has started so far.
    fn children(&self) -> Vec<u32> {
        let written = fs::read_to_string(self.0.path().join("children")).unwrap_or_default();
        written.lines().map(|id| id.parse().unwrap()).collect()
    }
}

fn text(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
        + &String::from_utf8(output.stderr.clone()).unwrap()
}

fn last_line(output: &Output) -> String {
    String::from_utf8(output.stdout.clone())
        .unwrap()
        .lines()
        .last()
        .unwrap_or_default()
        .to_owned()
}

#[test]
fn what_passes_and_what_fails_is_in_the_sums_and_the_status() {
    if !require_netns().unwrap() {
        return;
    }
    let bench = Bench::new();
    let passes = bench.run(&["--only", "version::ascending"]);
    assert_eq!(passes.status.code(), Some(0), "{}", text(&passes));
    assert_eq!(last_line(&passes), "1 passed, 0 failed, 0 skipped");
    let fails = bench.run(&[
        "--only",
        "version::ascending",
        "--only",
        "E02",
        "--json",
        "report.json",
    ]);
    assert_eq!(fails.status.code(), Some(1), "{}", text(&fails));
    assert_eq!(last_line(&fails), "1 passed, 1 failed, 0 skipped");
    assert!(
        text(&fails).contains("should fail with an error"),
        "{}",
        text(&fails)
    );
    let report = fs::read_to_string(bench.0.path().join("report.json")).unwrap();
    let report: Value = serde_json::from_str(&report).unwrap();
    assert_eq!(
        (&report[0]["case"], &report[0]["assertion"]),
        (&"environment::unknown_command".into(), &"E02".into())
    );
    assert_eq!(
        (
            &report[0]["version"],
            &report[0]["mode"],
            &report[0]["outcome"]
        ),
        (&"1.0.0".into(), &"creating".into(), &"failed".into())
    );
}

#[test]
fn an_expected_failure_is_none_and_one_that_passes_is() {
    if !require_netns().unwrap() {
        return;
    }
    let bench = Bench::new();
    bench.write(
        "known.json",
        r#"[{"case": "environment::unknown_command", "reason": "it is a script"}]"#,
    );
    let known = bench.run(&["--only", "E02", "--expect", "known.json"]);
    assert_eq!(known.status.code(), Some(0), "{}", text(&known));
    assert!(
        text(&known).contains("1 failed as expected"),
        "{}",
        text(&known)
    );
    assert_eq!(last_line(&known), "0 passed, 0 failed, 0 skipped");
    bench.write(
        "known.json",
        r#"[{"case": "version::ascending", "reason": "it was wrong once"}]"#,
    );
    let outdated = bench.run(&["--only", "version::ascending", "--expect", "known.json"]);
    assert_eq!(outdated.status.code(), Some(1), "{}", text(&outdated));
    assert!(
        text(&outdated).contains("passes, but is expected to fail: it was wrong once"),
        "{}",
        text(&outdated)
    );
}

#[test]
fn what_a_plugin_declines_is_skipped_with_its_reason() {
    if !require_netns().unwrap() {
        return;
    }
    let bench = Bench::new();
    bench.write("it.json", r#"{"declines": {"GC": "keeps nothing"}}"#);
    let conf = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/broken/broken-cni.conf");
    let mut command = Command::new(env!("CARGO_BIN_EXE_conformance"));
    command
        .current_dir(&bench.0)
        .args(["run", "--plugin", env!("CARGO_BIN_EXE_broken-cni")])
        .args(["--conf", conf, "--description", "it.json", "--only", "gc"]);
    let output = command.output().unwrap();
    assert!(
        last_line(&output).starts_with("0 passed, 0 failed, "),
        "{}",
        text(&output)
    );
    assert!(
        text(&output).contains("the plugin declines GC: keeps nothing"),
        "{}",
        text(&output)
    );
}

#[test]
fn what_cannot_be_run_says_why() {
    let bench = Bench::new();
    for (arguments, words) in [
        (["--only", "no::such"], "no case, group or assertion"),
        (["--cni-version", "7"], "no cases for version \"7\""),
        (["--expect", "none.json"], "cannot read none.json"),
    ] {
        let output = bench.run(&arguments);
        assert_eq!(
            output.status.code(),
            Some(2),
            "{arguments:?}: {}",
            text(&output)
        );
        assert!(
            text(&output).contains(words),
            "{arguments:?}: {}",
            text(&output)
        );
    }
}

#[test]
fn lists_name_every_case_and_what_cannot_be_one() {
    let list = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_conformance"));
        let output = command.arg("list").args(arguments).output().unwrap();
        assert!(output.status.success(), "{}", text(&output));
        String::from_utf8(output.stdout).unwrap()
    };
    let cases: Value = serde_json::from_str(&list(&["--format", "json"])).unwrap();
    let cases = cases.as_array().unwrap();
    assert!(list(&[]).ends_with(&format!("{} cases\n", cases.len())));
    assert!(
        cases
            .iter()
            .any(|case| case["case"] == "add::gives_one_result")
    );
    assert!(list(&["--assertions"]).contains("\nE02 "));
    assert!(list(&["--untestable"]).contains("E15 "));
}

#[test]
fn a_session_that_is_interrupted_reports_what_it_has_and_leaves_nothing() {
    if !require_netns().unwrap() {
        return;
    }
    let bench = Bench::with(HANGS);
    let only = ["--only", "version::ascending", "--only", "del"];
    let mut suite = bench.command(&only);
    let suite = suite.stdout(Stdio::piped()).stderr(Stdio::piped());
    let suite = suite.spawn().unwrap();
    let id = suite.id();
    soon(|| !bench.children().is_empty());
    kill_process(Pid::from_child(&suite), Signal::INT).unwrap();
    let output = suite.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", text(&output));
    assert!(
        text(&output).contains("interrupted after 1 of "),
        "{}",
        text(&output)
    );
    assert_eq!(last_line(&output), "1 passed, 0 failed, 0 skipped");
    for child in bench.children() {
        soon(|| !is_running(child));
    }
    let of_the_session = format!("conformance-{id}-");
    let left = fs::read_dir(NETNS_DIR).unwrap();
    let left: Vec<_> = left.map(|entry| entry.unwrap().file_name()).collect();
    assert!(
        !left
            .iter()
            .any(|name| name.to_string_lossy().contains(&of_the_session)),
        "{left:?}"
    );
}

/// Whether a process has that id and has not ended: one that nobody waits for stays a zombie.
fn is_running(id: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    let state = stat
        .rsplit(") ")
        .next()
        .and_then(|rest| rest.chars().next());
    state.is_some_and(|state| state != 'Z')
}

fn soon(mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !holds() {
        assert!(Instant::now() < deadline, "it never holds");
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_list_that_is_read_in_part_is_no_error() {
    for kind in [&["list"][..], &["list", "--format", "json"]] {
        // the end that reads is closed already
        let (_, unread) = std::io::pipe().unwrap();
        let output = Command::new(env!("CARGO_BIN_EXE_conformance"))
            .args(kind)
            .stdout(unread)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", output.status);
        assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    }
}
