//! JUnit: a suite for each group, a test case for each run. Known failures are skipped ones there, with the reason.

use std::io::{self, Write};

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use super::run_of;
use crate::session::{Outcome, Record};

pub(super) fn write(plugin: &str, records: &[Record], out: &mut impl Write) -> io::Result<()> {
    let mut report = Report::new(plugin);
    for group in records.chunk_by(|one, next| one.case.group == next.case.group) {
        let mut suite = TestSuite::new(group[0].case.group.as_str());
        for record in group {
            let name = format!("{} {}", record.case.name, run_of(record));
            let mut case = TestCase::new(name, status(record));
            case.set_classname(record.case.id());
            suite.add_test_case(case);
        }
        report.add_test_suite(suite);
    }
    report.serialize(out).map_err(io::Error::other)
}

fn status(record: &Record) -> TestCaseStatus {
    let mut status = match record.outcome {
        Outcome::Passed => return TestCaseStatus::success(),
        Outcome::Failed => TestCaseStatus::non_success(NonSuccessKind::Failure),
        Outcome::FailedAsExpected | Outcome::Skipped => TestCaseStatus::skipped(),
    };
    status.set_message(record.detail.as_str());
    if record.outcome == Outcome::Failed {
        status.set_description(format!("rule: {}", record.case.rule));
    }
    status
}
