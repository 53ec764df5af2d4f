//! The monotonic clock, which the standard library would have: deadlines are points of it.

use core::ops::{Add, Sub};
use core::time::Duration;

use rustix::time::{ClockId, Timespec, clock_gettime};

/// A point in time, by the time since the machine started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Instant(Duration);

impl Instant {
    /// This moment.
    pub fn now() -> Self {
        Self(duration(clock_gettime(ClockId::Monotonic)))
    }

    /// Nanoseconds since the machine started.
    pub(crate) fn nanoseconds(self) -> u128 {
        self.0.as_nanos()
    }

    /// What lies between the two; nothing if `earlier` is later.
    pub fn saturating_duration_since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

impl Add<Duration> for Instant {
    type Output = Self;

    fn add(self, later: Duration) -> Self {
        Self(self.0.saturating_add(later))
    }
}

impl Sub<Duration> for Instant {
    type Output = Self;

    fn sub(self, earlier: Duration) -> Self {
        Self(self.0.saturating_sub(earlier))
    }
}

/// The kernel's form as the language's; a time before the clock's start counts as its start.
pub(crate) fn duration(time: Timespec) -> Duration {
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    Duration::from_secs(seconds)
        + Duration::from_nanos(u64::try_from(time.tv_nsec).unwrap_or_default())
}
