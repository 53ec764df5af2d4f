//! Many pings at once, whose failures are told together. After some of them the rest is not tried any more: each costs
//! a probe's whole patience, and the verdict stands.

use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use anyhow::bail;

use super::{Patience, ping};
use crate::netns::Netns;

/// Probes at a time: a few per processor, most of their time is waiting.
const WORKERS: usize = 8;

/// How many failures an error spells out.
const SPELT_OUT: usize = 5;

/// After so many failures no further leg is begun.
const ENOUGH: usize = 16;

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
    let failed = || failures.lock().unwrap_or_else(PoisonError::into_inner);
    thread::scope(|scope| {
        for _ in 0..WORKERS.min(legs.len()) {
            scope.spawn(|| {
                while failed().len() < ENOUGH
                    && let Some(leg) = legs.get(next.fetch_add(1, Ordering::Relaxed))
                {
                    if let Err(error) = ping::ping(leg.from, leg.to, patience) {
                        failed().push(format!(
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
    let failures = failed();
    if failures.is_empty() {
        return Ok(legs.len());
    }
    let tried = next.into_inner().min(legs.len());
    let shown = &failures[..failures.len().min(SPELT_OUT)];
    bail!(
        "{} of {tried} pings failed: {}",
        failures.len(),
        shown.join("; ")
    )
}
