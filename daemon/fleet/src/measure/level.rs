//! A count that changes over time, its average and its peak in a window.

use ipam::Timestamp;

/// The time that counts.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    /// From here.
    pub from: Timestamp,
    /// To here.
    pub until: Timestamp,
}

impl Window {
    /// Whether `at` is in it.
    pub fn has(self, at: Timestamp) -> bool {
        self.from <= at && at < self.until
    }
}

/// A count.
#[derive(Clone, Copy, Debug, Default)]
pub struct Level {
    value: u32,
    since: Timestamp,
    peak: u32,
    /// Value times nanoseconds, within the window.
    area: u128,
}

impl Level {
    /// How much it is now.
    pub fn value(&self) -> u32 {
        self.value
    }

    /// Most at one time within the window, as far as it was counted.
    pub fn peak(&self) -> u32 {
        self.peak
    }

    /// Changes by `by` at `now`.
    pub fn change(&mut self, by: i64, now: Timestamp, window: Window) {
        self.count(now, window);
        let value = i64::from(self.value).saturating_add(by).max(0);
        self.value = u32::try_from(value).unwrap_or(u32::MAX);
    }

    /// Counts what it was up to `now`.
    pub fn count(&mut self, now: Timestamp, window: Window) {
        let (start, end) = (self.since.max(window.from), now.min(window.until));
        if start < end {
            self.area += u128::from(self.value) * end.since(start).as_nanos();
            self.peak = self.peak.max(self.value);
        }
        self.since = now;
    }

    /// The average over the window, as far as it was counted.
    pub fn average(&self, window: Window) -> f64 {
        let nanos = window.until.since(window.from).as_nanos();
        match nanos {
            0 => 0.0,
            nanos => self.area as f64 / nanos as f64,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(seconds: u64) -> Timestamp {
        Timestamp::from_secs(seconds)
    }

    const WINDOW: Window = Window {
        from: at(10),
        until: at(20),
    };

    #[test]
    fn only_the_window_counts() {
        let mut level = Level::default();
        for (seconds, by) in [(1, 100), (5, -96), (12, 6), (17, -8), (30, 50)] {
            level.change(by, at(seconds), WINDOW);
        }
        // 4 for 2 s, 10 for 5 s, 2 for 3 s.
        assert!((level.average(WINDOW) - 6.4).abs() < 1e-9);
        assert_eq!((level.peak(), level.value()), (10, 52));
    }

    #[test]
    fn what_comes_and_goes_at_once_is_no_peak() {
        let mut level = Level::default();
        for (seconds, by) in [(11, 5), (11, -4), (20, 0)] {
            level.change(by, at(seconds), WINDOW);
        }
        assert_eq!(level.peak(), 1);
        assert!((level.average(WINDOW) - 0.9).abs() < 1e-9);
    }
}
