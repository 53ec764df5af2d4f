//! Which rule is broken: one name from the command line, for the whole process.

use std::io::Write;
use std::process::ExitCode;
use std::sync::OnceLock;

static BROKEN: OnceLock<String> = OnceLock::new();

/// What the command line asks for.
pub enum Choice {
    /// To be a plugin.
    Call,
    /// The names.
    List,
    /// No such thing; says so.
    Unknown(String),
}

/// Whether this is the rule that this process breaks.
pub fn broken(rule: &str) -> bool {
    BROKEN.get().is_some_and(|broken| broken == rule)
}

/// Reads `--break RULE` or `--rules`; a runtime gives no arguments.
pub fn choose(mut arguments: impl Iterator<Item = String>) -> Choice {
    match arguments.next().as_deref() {
        None => Choice::Call,
        Some("--rules") => Choice::List,
        Some("--break") => {
            let rule = arguments.next().unwrap_or_default();
            let is_its = |line: &str| line.split(':').next() == Some(&rule);
            if !RULES.lines().any(is_its) {
                return Choice::Unknown(format!("no such rule: {rule}"));
            }
            let _ = BROKEN.set(rule);
            Choice::Call
        }
        Some(other) => Choice::Unknown(format!("{other} is neither --break nor --rules")),
    }
}

/// Prints them.
pub fn list() -> ExitCode {
    let written = std::io::stdout().lock().write_all(RULES.as_bytes());
    if written.is_ok() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// A line each: name; the assertion that it breaks, and where that shows if not in creating mode and in the newest
/// version; what is done wrong.
const RULES: &str = include_str!("rules.txt");
