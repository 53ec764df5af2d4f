//! Real packets between namespaces: ping, TCP, UDP, and what a link counted.
//!
//! Every probe gives up after a bounded number of short attempts and says what it saw, so that a check which fails
//! explains itself, and a check that expects silence ([`Patience::ONCE`]) does not wait for long.

pub mod counters;
pub mod ping;
pub mod sweep;
pub mod tcp;
pub mod udp;

use std::thread;
use std::time::Duration;

/// How often a probe is repeated before it counts as failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// At least 1.
    pub attempts: u32,
    /// How long one attempt waits for an answer.
    pub wait: Duration,
    /// Between two attempts.
    pub pause: Duration,
}

impl Patience {
    /// One attempt of one second: for negative controls, where silence is the expected answer.
    pub const ONCE: Self = Self {
        attempts: 1,
        wait: Duration::from_secs(1),
        pause: Duration::ZERO,
    };

    /// About ten seconds in all: a shared machine may stall for some, a broken path never recovers.
    pub const USUAL: Self = Self {
        attempts: 8,
        wait: Duration::from_secs(1),
        pause: Duration::from_millis(250),
    };

    /// Repeats `attempt` until it succeeds or the patience is at its end; the last error is returned.
    ///
    /// # Errors
    /// Every attempt failed.
    pub fn retry<T>(
        self,
        mut attempt: impl FnMut(Duration) -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        let mut left = self.attempts;
        loop {
            match attempt(self.wait) {
                Ok(value) => return Ok(value),
                Err(error) if left <= 1 => {
                    return Err(error.context(format!("after {} attempts", self.attempts)));
                }
                Err(_) => {
                    left -= 1;
                    thread::sleep(self.pause);
                }
            }
        }
    }
}
