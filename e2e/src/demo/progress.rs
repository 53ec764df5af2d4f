//! The demo's running commentary: a line for each step with the time since the start, a verdict for each check.

use std::io::Write;
use std::time::Instant;

use serde::Serialize;

/// One check and what was seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// Its name; stable, others look for it.
    pub name: &'static str,
    /// Whether it held.
    pub ok: bool,
    /// What was seen, or why it did not hold.
    pub detail: String,
}

/// Writes the commentary and collects the verdicts.
pub struct Progress<'a> {
    out: &'a mut dyn Write,
    started: Instant,
    checks: Vec<Check>,
}

impl<'a> Progress<'a> {
    /// Starts the clock.
    pub fn new(out: &'a mut dyn Write) -> Self {
        Self {
            out,
            started: Instant::now(),
            checks: Vec::new(),
        }
    }

    /// One line about what happens now.
    ///
    /// # Errors
    /// The output is closed.
    pub fn step(&mut self, what: &str) -> std::io::Result<()> {
        writeln!(
            self.out,
            "[{:5.1}s] {what}",
            self.started.elapsed().as_secs_f64()
        )?;
        self.out.flush()
    }

    /// Runs one check. What it returns is the detail; its error is a verdict, and the demo goes on.
    ///
    /// # Errors
    /// The output is closed.
    pub fn check(
        &mut self,
        name: &'static str,
        look: impl FnOnce() -> anyhow::Result<String>,
    ) -> std::io::Result<()> {
        let (ok, detail) = match look() {
            Ok(detail) => (true, detail),
            Err(error) => (false, format!("{error:#}")),
        };
        self.step(&format!(
            "{} {name:<22} {detail}",
            if ok { "ok  " } else { "FAIL" }
        ))?;
        self.checks.push(Check { name, ok, detail });
        Ok(())
    }

    /// All verdicts so far.
    #[must_use]
    pub fn checks(&self) -> &[Check] {
        &self.checks
    }

    /// Writes text that is not part of the commentary.
    ///
    /// # Errors
    /// The output is closed.
    pub fn print(&mut self, text: &str) -> std::io::Result<()> {
        self.out.write_all(text.as_bytes())?;
        self.out.flush()
    }
}
