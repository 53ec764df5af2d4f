//! Traces of clusters: pods with the time at which each was scheduled and deleted. Read from two CSV files in the format of
//! the Alibaba GPU cluster trace (v2023), or [made up](synthetic) in its shape. What a workload makes of one is
//! [`crate::workloads::replay`].

mod read;
pub mod synthetic;

use std::ops::Range;
use std::time::Duration;

pub use read::{Error, File};

/// A day.
pub const DAY: Duration = Duration::from_secs(24 * 3600);

/// Pods over time, and the size of the nodes that they ran on.
#[derive(Clone, Debug, PartialEq)]
pub struct Trace {
    /// Where it is from.
    pub source: Source,
    /// The pods that were scheduled, in that order.
    pub pods: Vec<TracePod>,
    /// CPU of the most frequent kind of node, in thousandths of a core.
    pub node_cpu_milli: f64,
}

/// Where a trace is from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// Of this file.
    File(String),
    /// Made by [`synthetic`].
    Synthetic,
}

impl Source {
    /// As tables and `fleet.json` have it: the file, or `synthetic`.
    pub fn name(&self) -> &str {
        match self {
            Self::File(name) => name,
            Self::Synthetic => "synthetic",
        }
    }
}

/// A pod of a trace. Times are the trace's own.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TracePod {
    /// When it was scheduled.
    pub scheduled: Duration,
    /// When it was deleted, not before that.
    pub deleted: Duration,
    /// The CPU it asked for, in thousandths of a core.
    pub cpu_milli: f64,
}

impl TracePod {
    /// How long it ran.
    pub fn life(&self) -> Duration {
        self.deleted.saturating_sub(self.scheduled)
    }
}

/// Share of the pods that may come before a trace's window: a cluster that is only being built up.
const BEFORE_WINDOW: f64 = 0.005;

impl Trace {
    /// The days that are worth replaying, whole ones: from that on in which the first 0.5 % of the pods have been
    /// scheduled, to the end of the last one that is in the trace whole. A trace of less than two days is its own window.
    ///
    /// Of the 2023 trace those are days 115 to 149: 27 pods came before, 7,163 within, and 65 on the day that is cut off.
    pub fn window(&self) -> Range<Duration> {
        let (Some(first), Some(last)) = (self.pods.first(), self.pods.last()) else {
            return Duration::ZERO..Duration::ZERO;
        };
        let before = (self.pods.len() as f64 * BEFORE_WINDOW) as usize;
        let busy = self
            .pods
            .get(before)
            .map_or(first.scheduled, |pod| pod.scheduled);
        let window = midnight(busy)..midnight(last.scheduled);
        if window.end.saturating_sub(window.start) < 2 * DAY {
            // The last pod must have a life within it.
            return first.scheduled..last.scheduled + Duration::from_secs(600);
        }
        window
    }
}

/// The start of the day of `time`.
fn midnight(time: Duration) -> Duration {
    Duration::from_secs(time.as_secs() / DAY.as_secs() * DAY.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trace(scheduled: impl Iterator<Item = u64>) -> Trace {
        let pods = scheduled.map(|at| TracePod {
            scheduled: Duration::from_secs(at),
            deleted: Duration::from_secs(at + 60),
            cpu_milli: 1000.0,
        });
        Trace {
            source: Source::Synthetic,
            pods: pods.collect(),
            node_cpu_milli: 96_000.0,
        }
    }

    #[test]
    fn the_window_leaves_out_the_days_in_which_a_cluster_is_built_up_and_the_last_that_is_cut_off()
    {
        // Three pods in the first hundred days, then one in 6 minutes until the noon of day 110.
        let building = [0, 40 * 86_400, 80 * 86_400];
        let busy = (100 * 86_400..110 * 86_400 + 43_200).step_by(360);
        let window = trace(building.into_iter().chain(busy)).window();
        assert_eq!(window, 100 * DAY..110 * DAY);
    }

    #[test]
    fn a_short_trace_is_its_own_window() {
        let window = trace((5_000..9_000).step_by(100)).window();
        assert_eq!(
            window,
            Duration::from_secs(5_000)..Duration::from_secs(9_500)
        );
    }
}
