//! The built program, from the command line to what it leaves: tables, pictures, `fleet.json`. Two tiny workloads.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

/// Runs `fleet` in `directory`.
fn fleet(directory: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_fleet"))
        .current_dir(directory)
        .args(arguments)
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A directory with a trace of two hours, and a workload of somebody's own.
fn directory() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let mut pods = String::from("name,cpu_milli,deletion_time,scheduled_time\n");
    for pod in 0..60 {
        let scheduled = 120 * pod;
        writeln!(pods, "p{pod},4000,{},{scheduled}", scheduled + 600).unwrap();
    }
    fs::write(directory.path().join("pods.csv"), pods).unwrap();
    fs::write(
        directory.path().join("nodes.csv"),
        "sn,cpu_milli\na,16000\n",
    )
    .unwrap();
    let own = r#"{
        "name": "own", "until_s": 900, "subnets": [{ "cidr": "10.0.0.0/25" }],
        "groups": [{ "count": 2, "type": "m5.large", "enis": 3, "addresses_per_eni": 10, "vcpus": 2, "joins_s": [1, 2],
                     "pods": [{ "each": 6, "after_s": [5, 9] }] }]
    }"#;
    fs::write(directory.path().join("own.json"), own).unwrap();
    directory
}

/// A trace and a workload of somebody's own, each under two policies with two seeds.
const EIGHT_RUNS: [&str; 13] = [
    "--workload",
    "raw",
    "--trace",
    "pods.csv",
    "--nodes",
    "nodes.csv",
    "--scenario",
    "own.json",
    "--policy=berth",
    "--policy=aws-default",
    "--seeds=2",
    "--threads",
    "2",
];

#[test]
fn tables_and_pictures_come_out() {
    let directory = directory();
    let output = fleet(directory.path(), &EIGHT_RUNS);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let (printed, said) = (text(&output.stdout), text(&output.stderr));
    for words in [
        "Steady clusters",
        "Others",
        "of 2 seeds",
        "How good berth is",
        "2 pictures in target/fleet",
    ] {
        assert!(printed.contains(words), "{words:?} in\n{printed}");
    }
    assert!(said.contains("[8/8]"), "{said}");
    assert!(!printed.contains("SYNTHETIC"), "{printed}");
    for picture in ["raw.svg", "own.svg"] {
        let svg = fs::read_to_string(directory.path().join("target/fleet").join(picture)).unwrap();
        assert!(svg.starts_with("<svg"), "{svg}");
    }
}

#[test]
fn figures_are_read_back_and_are_the_same_twice() {
    let directory = directory();
    let written = || {
        fleet(directory.path(), &EIGHT_RUNS);
        fs::read_to_string(directory.path().join("target/fleet.json")).unwrap()
    };
    let first = written();
    let json: Value = serde_json::from_str(&first).unwrap();
    let name = |row: &Value| {
        format!(
            "{} {}",
            row["workload"].as_str().unwrap(),
            row["policy"].as_str().unwrap()
        )
    };
    let names: Vec<_> = json.as_array().unwrap().iter().map(name).collect();
    assert_eq!(
        names,
        [
            "raw berth",
            "raw aws-default",
            "own berth",
            "own aws-default"
        ]
    );
    assert_eq!(
        (&json[0]["trace"], json[2].get("trace")),
        (&"pods.csv".into(), None)
    );
    // 12 pods on two nodes of 9 addresses an ENI: one ENI in use and one in reserve, 18 + 1 on each.
    assert_eq!(json[3]["peak_held"], 38);
    assert_eq!(
        (&json[2]["starved"], &json[2]["spread"]["seeds"]),
        (&0.into(), &2.into())
    );
    assert_eq!(written(), first);
}

#[test]
fn without_a_trace_a_made_up_one_is_replayed_and_everything_says_so() {
    let directory = directory();
    let output = fleet(
        directory.path(),
        &[
            "--workload",
            "x60",
            "--policy",
            "berth",
            "--json",
            "f.json",
            "--out",
            "p",
        ],
    );
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("SYNTHETIC"));
    assert!(text(&output.stdout).contains("x60*") && text(&output.stdout).contains("SYNTHETIC"));
    let written = fs::read_to_string(directory.path().join("f.json")).unwrap();
    assert!(written.contains(r#""trace": "synthetic""#), "{written}");
    let picture = fs::read_to_string(directory.path().join("p/x60.svg")).unwrap();
    assert!(picture.contains("synthetic trace"));
}

#[test]
fn what_cannot_be_run_is_said_in_a_sentence() {
    let directory = directory();
    let refused = |arguments: &[&str]| {
        let output = fleet(directory.path(), arguments);
        assert!(!output.status.success(), "{arguments:?}");
        text(&output.stderr)
    };
    let missing = refused(&[
        "--workload",
        "raw",
        "--trace",
        "no.csv",
        "--nodes",
        "nodes.csv",
    ]);
    assert!(
        missing.starts_with("fleet: cannot read no.csv: "),
        "{missing}"
    );
    let column = refused(&[
        "--workload",
        "raw",
        "--trace",
        "nodes.csv",
        "--nodes",
        "pods.csv",
    ]);
    assert!(
        column.starts_with("fleet: nodes.csv: no column `scheduled_time`"),
        "{column}"
    );
    let form = refused(&["--scenario", "pods.csv"]);
    assert!(form.starts_with("fleet: pods.csv: expected "), "{form}");
}
