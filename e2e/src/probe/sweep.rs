//! Many pings at once: every leg is tried, and all failures are told together.

use std::net::Ipv4Addr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use anyhow::bail;

use super::{Patience, ping};
use crate::netns::Netns;

/// Probes at a time: a few per processor, most of their time is waiting.
const WORKERS: usize = 8;

/// How many failures an error spells out.
const SPELT_OUT: usize = 5;

/// One ping to send.
#[derive(Clone, Copy, Debug)]
pub struct Leg<'a> {
    /// Who pings, for the error.
    pub name: &'a str,
    /// From where.
    pub from: &'a Netns,
    /// To where.
    pub to: Ipv4Addr,
}

/// Pings along all `legs` and returns how many there were.
///
/// # Errors
/// One or more were not answered within `patience`; the first few are spelt out.
pub fn ping_all(legs: &[Leg<'_>], patience: Patience) -> anyhow::Result<usize> {
    let next = AtomicUsize::new(0);
    let failures = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..WORKERS.min(legs.len()) {
            scope.spawn(|| {
                while let Some(leg) = legs.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if let Err(error) = ping::ping(leg.from, leg.to, patience)
                        && let Ok(mut failures) = failures.lock()
                    {
                        failures.push(format!(
                            "{} -> {}: {}",
                            leg.name,
                            leg.to,
                            error.root_cause()
                        ));
                    }
                }
            });
        }
    });
    let failures = failures.into_inner().unwrap_or_default();
    if failures.is_empty() {
        return Ok(legs.len());
    }
    let shown = failures.len().min(SPELT_OUT);
    bail!(
        "{} of {} pings failed: {}",
        failures.len(),
        legs.len(),
        failures[..shown].join("; ")
    )
}
