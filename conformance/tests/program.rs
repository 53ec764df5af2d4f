//! The program from outside, against a plugin that is a shell script and does next to nothing right.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Output};

use conformance::netns::require_netns;
use serde_json::Value;

/// Answers VERSION; says of all else that it was done.
const PLUGIN: &str = r#"#!/bin/sh
[ "$CNI_COMMAND" = VERSION ] && echo '{"cniVersion": "1.0.0", "supportedVersions": ["1.0.0"]}'
exit 0
"#;

struct Bench(tempfile::TempDir);

impl Bench {
    fn new() -> Self {
        let bench = Self(tempfile::tempdir().unwrap());
        bench.write("plugin", PLUGIN);
        let plugin = bench.0.path().join("plugin");
        fs::set_permissions(plugin, fs::Permissions::from_mode(0o755)).unwrap();
        bench.write("plugin.conf", r#"{"type": "plugin"}"#);
        bench
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.0.path().join(name), text).unwrap();
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_conformance"));
        command
            .current_dir(&self.0)
            .args(["run", "--plugin", "plugin", "--conf", "plugin.conf"]);
        command.args(arguments).output().unwrap()
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
fn what_cannot_be_run_says_why() {
    let bench = Bench::new();
    for (arguments, words) in [
        (["--only", "no::such"], "no case, group or assertion"),
        (["--cni-version", "7"], "no version \"7\""),
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
