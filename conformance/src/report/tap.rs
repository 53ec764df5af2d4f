//! TAP 14: skipped runs carry a SKIP directive, known failures a TODO one, details stand in a YAML block.

use std::io::{self, Write};

use super::run_of;
use crate::session::{Outcome, Record};

pub(super) fn write(records: &[Record], out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "TAP version 14")?;
    writeln!(out, "1..{}", records.len())?;
    for (number, record) in (1..).zip(records) {
        let name = format!("{} {}", record.case.id(), run_of(record));
        // a # of the text would begin a directive
        let detail = record.detail.replace(['\n', '\r'], " ").replace('#', "\\#");
        match record.outcome {
            Outcome::Passed => writeln!(out, "ok {number} - {name}")?,
            Outcome::Skipped => writeln!(out, "ok {number} - {name} # SKIP {detail}")?,
            Outcome::FailedAsExpected => writeln!(out, "not ok {number} - {name} # TODO {detail}")?,
            Outcome::Failed => {
                writeln!(out, "not ok {number} - {name}")?;
                // a JSON string is a YAML string
                let message = serde_json::Value::from(record.detail.as_str());
                let rule = serde_json::Value::from(record.case.rule);
                writeln!(out, "  ---\n  message: {message}\n  rule: {rule}\n  ...")?;
            }
        }
    }
    Ok(())
}
