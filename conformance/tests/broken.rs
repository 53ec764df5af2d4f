//! The suite against a plugin that is right, and against the same one with each of its rules broken: a case that names
//! the rule must say so.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::thread;

use conformance::catalog;
use conformance::netns::require_netns;
use serde_json::Value;

const PLUGIN: &str = env!("CARGO_BIN_EXE_broken-cni");
const SUITE: &str = env!("CARGO_BIN_EXE_conformance");
/// Runs at once: much of a case is waiting for the kernel.
const WORKERS: usize = 8;

/// Other configurations than the usual one, with their descriptions.
const PLACES: [(&str, &str, &str); 3] = [
    ("ipam", "with-ipam.conf", "description.json"),
    ("list", "list.conflist", "description.json"),
    ("only-chained", "only-chained.conf", "only-chained.json"),
];

/// One line of `broken-cni --rules`.
struct Rule {
    name: String,
    assertion: String,
    /// Where it shows: a version, a mode, or one of [`PLACES`].
    place: Option<String>,
}

fn rules() -> Vec<Rule> {
    let output = Command::new(PLUGIN).arg("--rules").output().unwrap();
    let rule = |line: &str| {
        let (name, rest) = line.split_once(": ").unwrap();
        let (shown, _) = rest.split_once(": ").unwrap();
        let (assertion, place) = match shown.split_once(' ') {
            Some((assertion, place)) => (assertion, Some(place.to_owned())),
            None => (shown, None),
        };
        Rule {
            name: name.to_owned(),
            assertion: assertion.to_owned(),
            place,
        }
    };
    String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(rule)
        .collect()
}

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/broken")
        .join(name)
}

/// A run of the suite against `plugin`, configured as in `place`, or as usual.
fn suite(plugin: &Path, place: Option<&str>) -> Command {
    let known = PLACES.iter().find(|(name, ..)| Some(*name) == place);
    let (_, conf, description) = known.unwrap_or(&("usual", "broken-cni.conf", "description.json"));
    let mut command = Command::new(SUITE);
    command
        .arg("run")
        .arg("--plugin")
        .arg(plugin)
        .arg("--conf")
        .arg(data(conf))
        .arg("--description")
        .arg(data(description))
        .args(["--format", "json"]);
    command
}

fn records(command: &mut Command) -> Vec<Value> {
    let output = command.output().unwrap();
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)))
}

/// What of `records` failed because of the plugin, or because of the suite.
fn failed(records: &[Value], by_suite: bool) -> Vec<String> {
    let is_of_suite = |record: &Value| {
        record["detail"]
            .as_str()
            .unwrap()
            .starts_with("the suite could not try it")
    };
    let failed = records
        .iter()
        .filter(|record| record["outcome"] == "failed");
    failed
        .filter(|record| is_of_suite(record) == by_suite)
        .map(Value::to_string)
        .collect()
}

/// Why a broken rule was not found, if it was not.
fn overlooked(dir: &Path, rule: &Rule) -> Option<String> {
    let plugin = dir.join(&rule.name).join("broken-cni");
    let place = rule.place.as_deref();
    let mut command = suite(&plugin, place);
    command.args(["--fail-fast", "--only", &rule.assertion]);
    let version = place.filter(|place| place.starts_with(|first: char| first.is_ascii_digit()));
    command.args(["--cni-version", version.unwrap_or("1.1.0")]);
    let mode = if place.is_some_and(|place| place.contains("chained")) {
        "chained"
    } else {
        "creating"
    };
    command.args(["--mode", mode]);
    let output = command.output().unwrap();
    let Ok(records) = serde_json::from_slice::<Vec<Value>>(&output.stdout) else {
        return Some(String::from_utf8_lossy(&output.stderr).into_owned());
    };
    if failed(&records, false).is_empty() {
        return Some(format!(
            "{} runs, {:?}",
            records.len(),
            failed(&records, true)
        ));
    }
    None
}

#[test]
fn a_plugin_that_is_right_passes() -> anyhow::Result<()> {
    if !require_netns()? {
        return Ok(());
    }
    let jobs = WORKERS.to_string();
    let mut all = records(suite(Path::new(PLUGIN), None).args(["--jobs", &jobs]));
    for (place, only) in [
        ("ipam", "delegation"),
        ("list", "chain"),
        ("only-chained", "A05"),
    ] {
        let mut run = suite(Path::new(PLUGIN), Some(place));
        all.extend(records(run.args(["--jobs", &jobs, "--only", only])));
    }
    let failed: Vec<String> = [failed(&all, false), failed(&all, true)].concat();
    assert!(failed.is_empty(), "{}", failed.join("\n"));
    assert!(all.len() > 800, "{} runs", all.len());
    Ok(())
}

#[test]
fn each_assertion_has_a_rule_that_can_be_broken() {
    let rules = rules();
    let cases = catalog::cases();
    let tried: BTreeSet<&str> = cases
        .iter()
        .flat_map(|case| case.assertions)
        .copied()
        .collect();
    let broken: BTreeSet<&str> = rules.iter().map(|rule| rule.assertion.as_str()).collect();
    assert_eq!(tried, broken);
}

#[test]
fn each_broken_rule_is_found() -> anyhow::Result<()> {
    if !require_netns()? {
        return Ok(());
    }
    let rules = rules();
    assert!(rules.len() > 200, "{} rules", rules.len());
    let dir = tempfile::tempdir()?;
    for rule in &rules {
        // all of them before the first is run: a program that is being written cannot be started
        let plugin = dir.path().join(&rule.name);
        fs::create_dir(&plugin)?;
        let script = format!("#!/bin/sh\nexec {PLUGIN} --break {}\n", rule.name);
        fs::write(plugin.join("broken-cni"), script)?;
        fs::set_permissions(plugin.join("broken-cni"), fs::Permissions::from_mode(0o755))?;
    }
    let count = rules.len();
    let chosen = std::env::var("BROKEN_RULES").unwrap_or_default();
    let is_chosen =
        |rule: &Rule| chosen.is_empty() || chosen.split(',').any(|name| name == rule.name);
    // taken from the end, where those are for which the suite has to wait
    let queue = Mutex::new(rules.into_iter().filter(is_chosen).collect());
    let found = Mutex::new(Vec::new());
    each(&queue, |rule: Rule| {
        if let Some(why) = overlooked(dir.path(), &rule) {
            found
                .lock()
                .unwrap()
                .push(format!("{} ({}): {why}", rule.name, rule.assertion));
        }
    });
    let found = found.into_inner().unwrap();
    assert!(
        found.is_empty(),
        "{} of {count} rules are not found:\n{}",
        found.len(),
        found.join("\n")
    );
    Ok(())
}

/// Takes from `queue`, some at once, until it is empty.
fn each<T: Send>(queue: &Mutex<Vec<T>>, work: impl Fn(T) + Sync) {
    thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                loop {
                    let next = queue.lock().unwrap().pop();
                    let Some(next) = next else {
                        return;
                    };
                    work(next);
                }
            });
        }
    });
}
