//! The JSON document: which fields there are, and of what kind. Who changes one breaks programs that read it.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{Policy, Problem, planned, trace, understood};

const GOLDEN: &str = include_str!("document.txt");
const PAGE: &str = include_str!("../../../../../docs/planning.md");

/// Every path of `value` with what stands there.
fn paths(at: &str, value: &Value, found: &mut BTreeMap<String, BTreeSet<&'static str>>) {
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "text",
        Value::Array(values) => {
            let each = format!("{at}[]");
            return values.iter().for_each(|value| paths(&each, value, found));
        }
        Value::Object(fields) => {
            for (name, value) in fields {
                paths(&format!("{at}.{name}"), value, found);
            }
            return;
        }
    };
    found.entry(at.to_owned()).or_default().insert(kind);
}

#[test]
fn the_document_keeps_its_fields() {
    // One group in a zone and one of a type without prefixes; one policy that fits, one that does not, one without blocks.
    let cluster = understood(
        &["m5.large,count=3,pods=2,zone=a", "m3.2xlarge,count=1"],
        &["10.0.0.0/27,zone=a", "10.0.1.0/24"],
        &["berth", "aws-default", "aws-prefix1"],
    );
    let answer = serde_json::to_value(planned(&cluster.unwrap())).unwrap();
    let mut found = BTreeMap::new();
    paths("", &answer, &mut found);
    let replayed = serde_json::to_value(planned(&trace::cluster())).unwrap();
    paths("", &replayed, &mut found);
    let line = |(path, kinds): (&String, &BTreeSet<&str>)| {
        let kinds: Vec<&str> = kinds.iter().copied().collect();
        format!("{path}: {}\n", kinds.join(" or "))
    };
    let lines: String = found.iter().map(line).collect();
    assert_eq!(lines, GOLDEN, "--- is now ---\n{lines}");
    assert_eq!(answer["format"], super::FORMAT);
}

#[test]
fn the_same_plan_answers_the_same() {
    let answer = || {
        let cluster = understood(&["m5.large,count=5,pods=9,life=5m"], &["10.0.0.0/24"], &[]);
        serde_json::to_string(&planned(&cluster.unwrap())).unwrap()
    };
    assert_eq!(answer(), answer());
}

#[test]
fn the_page_names_every_field() {
    for line in GOLDEN.lines() {
        let path = line.split(": ").next().unwrap();
        let leaf = path.rsplit('.').next().unwrap();
        let told = [format!("`{leaf}`"), format!(".{leaf}`")];
        assert!(told.iter().any(|told| PAGE.contains(told)), "{path}");
    }
    let problems = understood(
        &["m5.large,count=1,nonsense=1"],
        &["10.0.0.0/24,nonsense=1"],
        &[],
    );
    for problem in problems.unwrap_err().0 {
        let Problem::UnknownField { known, .. } = problem else {
            panic!("{problem}")
        };
        for field in known.split(", ") {
            assert!(PAGE.contains(&format!("`{field}`")), "{field}");
        }
    }
    for policy in Policy::ALL {
        assert!(PAGE.contains(&format!("`{policy}`")), "{policy}");
    }
}
