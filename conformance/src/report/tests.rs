//! The reports on a session that has one run of each outcome.

use serde_json::{Value, json};

use super::*;
use crate::case::Mode;
use crate::catalog;
use crate::runtime::conflist::Version;

fn records() -> Vec<Record> {
    let record = |outcome, detail: &str, version| Record {
        case: catalog::cases()[0],
        version,
        mode: Mode::Creating,
        outcome,
        detail: detail.to_owned(),
    };
    vec![
        record(Outcome::Passed, "", Version::V0_3_1),
        record(
            Outcome::Failed,
            "it <said> \"no\"\n# twice",
            Version::V0_4_0,
        ),
        record(Outcome::FailedAsExpected, "known", Version::V1_0_0),
        record(Outcome::Skipped, "no daemon", Version::V1_1_0),
    ]
}

fn report(format: Format) -> String {
    report_on(format, &records())
}

fn report_on(format: Format, records: &[Record]) -> String {
    let mut out = Vec::new();
    write(format, "plugin", records, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn text_ends_with_the_sums_and_quotes_what_was_wrong() {
    let text = report(Format::Text);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[lines.len() - 1], "1 passed, 1 failed, 1 skipped");
    assert_eq!(
        lines[lines.len() - 2],
        "1 distinct cases, 4 runs, 1 failed as expected"
    );
    assert!(text.contains("0.4.0 creating: it <said>"), "{text}");
    let mut records = records();
    let passed = |case| Record {
        case,
        ..records[0].clone()
    };
    let others: Vec<Record> = catalog::cases()[1..9].iter().copied().map(passed).collect();
    records.extend(others);
    let text = report_on(Format::Text, &records);
    let at = |what: &str| text.find(what).unwrap();
    assert!(
        at("FAIL ") > at(&records.last().unwrap().case.id()),
        "{text}"
    );
    assert!(text.contains("1.1.0 creating: no daemon"), "{text}");
}

#[test]
fn json_has_the_six_members() {
    let all: Value = serde_json::from_str(&report(Format::Json)).unwrap();
    let case = catalog::cases()[0];
    assert_eq!(all.as_array().unwrap().len(), 4);
    assert_eq!(
        all[1],
        json!({"case": case.id(), "assertion": case.assertions.join(" "), "version": "0.4.0", "mode": "creating",
            "outcome": "failed", "detail": "it <said> \"no\"\n# twice"})
    );
}

#[test]
fn tap_has_a_plan_and_directives() {
    let text = report(Format::Tap);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[..2], ["TAP version 14", "1..4"]);
    assert!(lines[2].starts_with("ok 1 - "), "{text}");
    assert!(lines[3].starts_with("not ok 2 - "), "{text}");
    assert!(
        text.contains("not ok 3 - ") && text.contains("# TODO known"),
        "{text}"
    );
    assert!(
        lines.last().unwrap().ends_with("# SKIP no daemon"),
        "{text}"
    );
}

#[test]
fn junit_counts_and_escapes() {
    let text = report(Format::Junit);
    assert!(
        text.contains("tests=\"4\"") && text.contains("failures=\"1\""),
        "{text}"
    );
    assert!(text.contains("it &lt;said&gt;"), "{text}");
}
