//! Time as the daemon reads it: CLOCK_BOOTTIME for decisions, wall time for tags and aws-node's time stamps.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ipam::Timestamp;

/// A source of time.
pub trait Clock: Send + Sync {
    /// The time since boot.
    fn now(&self) -> Timestamp;
    /// The time since 1970.
    fn wall(&self) -> Duration;
}

/// The machine's clocks.
#[derive(Clone, Copy, Debug, Default)]
pub struct BootClock;

impl Clock for BootClock {
    fn now(&self) -> Timestamp {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        let nanos = u64::try_from(now.tv_sec)
            .unwrap_or(0)
            .saturating_mul(1_000_000_000);
        Timestamp::from_nanos(nanos.saturating_add(u64::try_from(now.tv_nsec).unwrap_or(0)))
    }

    fn wall(&self) -> Duration {
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default()
    }
}
