//! How far a session is, on stderr: on a terminal one line that is written over, elsewhere a line every ten seconds.

use std::io::{IsTerminal, Write, stderr};
use std::time::{Duration, Instant};

use crate::session::{Outcome, Record};

/// Where nobody watches, a line this often.
const QUIET: Duration = Duration::from_secs(10);

/// Counts runs and says so.
#[derive(Debug)]
pub struct Progress {
    total: usize,
    done: usize,
    failed: usize,
    terminal: bool,
    said: Instant,
}

impl Progress {
    /// For `total` runs that are to come.
    #[must_use]
    pub fn new(total: usize) -> Self {
        Self {
            total,
            done: 0,
            failed: 0,
            terminal: stderr().is_terminal(),
            said: Instant::now(),
        }
    }

    /// One is done.
    pub fn tell(&mut self, record: &Record) {
        self.done += 1;
        self.failed += usize::from(record.outcome == Outcome::Failed);
        let line = format!("{} of {}, {} failed", self.done, self.total, self.failed);
        // nobody is harmed if it cannot be written
        if self.terminal {
            let _ = write!(stderr(), "\r\x1b[K{line}: {}", record.case.id());
            if self.done == self.total {
                let _ = write!(stderr(), "\r\x1b[K");
            }
        } else if self.said.elapsed() >= QUIET {
            self.said = Instant::now();
            let _ = writeln!(stderr(), "{line}");
        }
    }
}
