//! JSON: one object a run.

use std::io::{self, Write};

use serde_json::json;

use crate::session::Record;

pub(super) fn write(records: &[Record], out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "[")?;
    for (at, record) in records.iter().enumerate() {
        let object = json!({
            "case": record.case.id(),
            "assertion": record.case.assertions.join(" "),
            "version": record.version.as_str(),
            "mode": record.mode.as_str(),
            "outcome": record.outcome.as_str(),
            "detail": record.detail,
        });
        let comma = if at + 1 < records.len() { "," } else { "" };
        writeln!(out, "  {object}{comma}")?;
    }
    writeln!(out, "]")
}
