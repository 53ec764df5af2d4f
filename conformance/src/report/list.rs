//! The catalog as a list: what there is to run, and what cannot be.

use std::collections::BTreeMap;
use std::io::{self, Write};

use serde_json::{Value, json};

use crate::case::{Case, Modes, Source, Versions};
use crate::catalog::Untestable;

/// Cases as text: a line with name, assertions and level, and one with the rule and where it comes from.
///
/// # Errors
/// It cannot be written.
pub fn text(cases: &[&Case], out: &mut impl Write) -> io::Result<()> {
    for case in cases {
        let assertions = case.assertions.join(" ");
        writeln!(
            out,
            "{:<58} {assertions:<12} {}",
            case.id(),
            case.level.as_str()
        )?;
        writeln!(out, "    {} ({})", case.rule, sources(case).join(", "))?;
    }
    writeln!(out, "{} cases", cases.len())
}

/// Cases as a JSON array.
#[must_use]
pub fn json(cases: &[&Case]) -> Value {
    let one = |case: &&Case| {
        json!({
            "case": case.id(),
            "rule": case.rule,
            "assertions": case.assertions,
            "sources": sources(case),
            "level": case.level.as_str(),
            "versions": versions(case.versions),
            "modes": modes(case.modes),
        })
    };
    cases.iter().map(one).collect()
}

/// Each assertion with the cases that try it, as text.
///
/// # Errors
/// It cannot be written.
pub fn by_assertion(cases: &[&Case], out: &mut impl Write) -> io::Result<()> {
    let mut tried: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for case in cases {
        for assertion in case.assertions {
            tried.entry(assertion).or_default().push(case.id());
        }
    }
    for (assertion, cases) in &tried {
        writeln!(out, "{assertion:<5} {}", cases.join(" "))?;
    }
    writeln!(out, "{} assertions", tried.len())
}

/// What no case tries, as text.
///
/// # Errors
/// It cannot be written.
pub fn untestable(all: &[Untestable], out: &mut impl Write) -> io::Result<()> {
    for one in all {
        writeln!(
            out,
            "{:<5} {}\n      {}",
            one.assertion, one.rule, one.reason
        )?;
    }
    Ok(())
}

/// What no case tries, as a JSON array.
#[must_use]
pub fn untestable_json(all: &[Untestable]) -> Value {
    all.iter()
        .map(|one| json!({"assertion": one.assertion, "rule": one.rule, "reason": one.reason}))
        .collect()
}

fn sources(case: &Case) -> Vec<String> {
    case.sources.iter().map(Source::to_string).collect()
}

fn versions(versions: Versions) -> String {
    match versions {
        Versions::Each => "each".to_owned(),
        Versions::Since(version) => format!("since {version}"),
        Versions::Before(version) => format!("before {version}"),
        Versions::Once => "once".to_owned(),
        Versions::OnceSince(since) => format!("the newest, from {since} on"),
    }
}

fn modes(modes: Modes) -> &'static str {
    match modes {
        Modes::Each => "each",
        Modes::Creating => "creating",
        Modes::Chained => "chained",
        Modes::Once => "once",
    }
}
