//! Text: a line for each case, below it what was wrong in which run, at the end the sums. What failed stands last, where a
//! reader looks first and a log that is cut still has it.

use std::io::{self, Write};

use super::{count, run_of};
use crate::session::{Outcome, Record};

pub(super) fn write(plugin: &str, records: &[Record], out: &mut impl Write) -> io::Result<()> {
    let mut records: Vec<&Record> = records.iter().collect();
    // runs of one case together, whatever they were planned by
    records.sort_by_key(|record| (record.case.group, record.case.name));
    let mut cases: Vec<&[&Record]> = records
        .chunk_by(|one, next| std::ptr::eq(one.case, next.case))
        .collect();
    cases.sort_by_key(|runs| runs.iter().any(|run| run.outcome == Outcome::Failed));
    writeln!(out, "{plugin}")?;
    for runs in &cases {
        write_case(runs, out)?;
    }
    let owned: Vec<Record> = records.iter().map(|record| (*record).clone()).collect();
    let [passed, failed, expected, skipped] = [
        Outcome::Passed,
        Outcome::Failed,
        Outcome::FailedAsExpected,
        Outcome::Skipped,
    ]
    .map(|outcome| count(&owned, outcome));
    let known = if expected > 0 {
        format!(", {expected} failed as expected")
    } else {
        String::new()
    };
    writeln!(
        out,
        "\n{} distinct cases, {} runs{known}",
        cases.len(),
        records.len()
    )?;
    writeln!(out, "{passed} passed, {failed} failed, {skipped} skipped")
}

fn write_case(runs: &[&Record], out: &mut impl Write) -> io::Result<()> {
    let case = runs[0].case;
    let is = |outcome: Outcome| runs.iter().any(|run| run.outcome == outcome);
    let mark = if is(Outcome::Failed) {
        "FAIL"
    } else if is(Outcome::FailedAsExpected) {
        "known"
    } else if is(Outcome::Passed) {
        "ok"
    } else {
        "skip"
    };
    let assertions = case.assertions.join(" ");
    writeln!(
        out,
        "{mark:<5} {:<50} {:<6} {assertions:<16} {}",
        case.id(),
        case.level.as_str(),
        runs_in_words(runs)
    )?;
    let mut told: Vec<(&str, Vec<String>)> = Vec::new();
    for run in runs.iter().filter(|run| run.outcome != Outcome::Passed) {
        // the same words for several runs stand once
        match told.iter_mut().find(|(detail, _)| *detail == run.detail) {
            Some((_, of)) => of.push(run_of(run)),
            None => told.push((&run.detail, vec![run_of(run)])),
        }
    }
    if mark == "FAIL" {
        writeln!(out, "        rule: {}", case.rule)?;
    }
    for (detail, of) in told {
        writeln!(
            out,
            "        {}: {}",
            of.join(", "),
            detail.replace('\n', "\n          ")
        )?;
    }
    Ok(())
}

fn runs_in_words(runs: &[&Record]) -> String {
    match runs.len() {
        1 => run_of(runs[0]),
        all => match runs
            .iter()
            .filter(|run| run.outcome == Outcome::Failed)
            .count()
        {
            0 => format!("{all} runs"),
            failed => format!("{failed} of {all} runs"),
        },
    }
}
