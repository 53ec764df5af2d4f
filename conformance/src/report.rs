//! What a session found, for people (text) and for machines (TAP, JUnit, JSON).

mod json;
mod junit;
pub mod list;
pub mod progress;
mod tap;
mod text;

use std::io::{self, Write};

use crate::session::{Outcome, Record};

/// A form of report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For people: a line for each case, what was wrong, and the sums.
    Text,
    /// Test Anything Protocol, version 14.
    Tap,
    /// The XML that CI servers read.
    Junit,
    /// An array of `{case, assertion, version, mode, outcome, detail}`.
    Json,
}

/// Writes the report on `records` of the plugin named `plugin`.
///
/// # Errors
/// It cannot be written.
pub fn write(
    format: Format,
    plugin: &str,
    records: &[Record],
    out: &mut impl Write,
) -> io::Result<()> {
    match format {
        Format::Text => text::write(plugin, records, out),
        Format::Tap => tap::write(records, out),
        Format::Junit => junit::write(plugin, records, out),
        Format::Json => json::write(records, out),
    }
}

/// How many of `records` came out so.
#[must_use]
pub fn count(records: &[Record], outcome: Outcome) -> usize {
    records
        .iter()
        .filter(|record| record.outcome == outcome)
        .count()
}

/// `1.0.0 chained`: the run among those of its case.
fn run_of(record: &Record) -> String {
    format!("{} {}", record.version, record.mode.as_str())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests;
