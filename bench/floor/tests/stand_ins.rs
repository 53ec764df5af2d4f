//! The programs that stand where a runtime looks for a plugin: the one that times another, and the one that does nothing.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

/// Answers with what it read and what it was asked, and fails as told.
const REAL: &str = "#!/bin/sh\ncat; printf '%s' \"$CNI_COMMAND\"; exit 7\n";

/// A directory with a timed plugin `echo`, removed when dropped.
struct Installed(PathBuf);

impl Installed {
    fn new() -> Self {
        let dir = std::env::temp_dir().join(format!("timed-plugin-{}", std::process::id()));
        for part in ["bin", "real"] {
            fs::create_dir_all(dir.join(part)).unwrap();
        }
        fs::copy(env!("CARGO_BIN_EXE_timed-plugin"), dir.join("bin/echo")).unwrap();
        let real = dir.join("real/echo");
        fs::write(&real, REAL).unwrap();
        fs::set_permissions(&real, fs::Permissions::from_mode(0o755)).unwrap();
        Self(dir)
    }
}

impl Drop for Installed {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn run(program: &std::path::Path, verb: &str, input: &str) -> Output {
    let mut child = Command::new(program)
        .env("CNI_COMMAND", verb)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(input.as_bytes())
        .unwrap();
    child.wait_with_output().unwrap()
}

#[test]
fn a_timed_plugin_answers_as_the_real_one_and_its_time_is_written_down() {
    let installed = Installed::new();
    for verb in ["ADD", "DEL"] {
        let output = run(&installed.0.join("bin/echo"), verb, "conf ");
        assert_eq!(output.stdout, format!("conf {verb}").into_bytes());
        assert_eq!(output.status.code(), Some(7));
    }
    let times = fs::read_to_string(installed.0.join("times")).unwrap();
    let lines: Vec<Vec<&str>> = times
        .lines()
        .map(|line| line.split(' ').collect())
        .collect();
    assert_eq!(lines.len(), 2, "{times}");
    for (line, verb) in lines.iter().zip(["ADD", "DEL"]) {
        assert_eq!(line[..2], ["echo", verb]);
        assert!(line[2].parse::<u64>().unwrap() > 0, "{times}");
    }
}

#[test]
fn the_null_plugin_has_a_result_for_add_and_is_silent_otherwise() {
    let null = std::path::Path::new(env!("CARGO_BIN_EXE_null-plugin"));
    let added = run(null, "ADD", "");
    assert!(String::from_utf8(added.stdout).unwrap().contains("\"ips\""));
    let deleted = run(null, "DEL", "");
    assert!(deleted.status.success() && deleted.stdout.is_empty());
}
