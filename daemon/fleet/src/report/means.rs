//! `mean8`: the eight steady workloads of a policy in one row.
//!
//! | Field | Of the eight |
//! |---|---|
//! | `held_per_used` | geometric mean |
//! | `calls_per_1000_pods` | geometric mean, each counted as 1 at least |
//! | `waited_share`, `oscillation_per_1000` | arithmetic mean |
//! | `wait_ms`, `peak_held` | the highest |
//! | `throttled`, `failed_adds`, `starved` | the sum |
//! | `served_s` | `null` |

use crate::run::{Row, Waits};
use crate::workloads::Workload;

/// What the row's `workload` is.
pub const MEAN8: &str = "mean8";

/// The row of `policy`; nothing unless all eight are among `rows`.
pub fn mean8(rows: &[&Row], policy: &str) -> Option<Row> {
    let steady = Workload::STEADY.map(|workload| {
        rows.iter()
            .find(|row| row.workload == workload.name() && row.policy == policy)
    });
    let eight: Vec<&Row> = steady.into_iter().flatten().copied().collect();
    if eight.len() < Workload::STEADY.len() {
        return None;
    }
    let of = |field: fn(&Row) -> f64| eight.iter().copied().map(field);
    let highest = |field| of(field).fold(0.0, f64::max);
    let sum = |field: fn(&Row) -> u64| eight.iter().copied().map(field).sum();
    Some(Row {
        workload: MEAN8.to_owned(),
        policy: policy.to_owned(),
        held_per_used: geometric(of(|row| row.held_per_used)),
        peak_held: eight.iter().map(|row| row.peak_held).max().unwrap_or(0),
        calls_per_1000_pods: geometric(of(|row| row.calls_per_1000_pods.max(1.0))),
        throttled: sum(|row| row.throttled),
        wait_ms: Waits {
            p50: highest(|row| row.wait_ms.p50),
            p99: highest(|row| row.wait_ms.p99),
            max: highest(|row| row.wait_ms.max),
        },
        waited_share: arithmetic(of(|row| row.waited_share)),
        failed_adds: sum(|row| row.failed_adds),
        starved: sum(|row| row.starved),
        oscillation_per_1000: arithmetic(of(|row| row.oscillation_per_1000)),
        served_s: None,
    })
}

fn arithmetic(values: impl ExactSizeIterator<Item = f64>) -> f64 {
    let count = values.len() as f64;
    values.sum::<f64>() / count
}

fn geometric(values: impl ExactSizeIterator<Item = f64>) -> f64 {
    arithmetic(values.map(f64::ln)).exp()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::tests::row;

    #[test]
    fn ratios_and_calls_are_geometric_means_and_the_rest_is_as_documented() {
        let mut rows: Vec<_> = (Workload::STEADY.iter())
            .map(|workload| row(workload.name(), "berth", 2.0))
            .collect();
        rows[0].held_per_used = 512.0;
        rows[1].calls_per_1000_pods = 0.0;
        rows[2].wait_ms.p99 = 775.0;
        rows[3].waited_share = 0.09;
        rows[4].failed_adds = 7;
        let other = row("raw", "other", 99.0);
        let rows: Vec<_> = rows.iter().chain([&other]).collect();
        let mean = mean8(&rows, "berth").expect("all eight");
        assert_eq!(mean.workload, "mean8");
        // The eighth root of 2^7 * 512 is 4, of 20^7 it is 13.753.
        assert!((mean.held_per_used - 4.0).abs() < 1e-9, "{mean:?}");
        assert!((mean.calls_per_1000_pods - 13.753).abs() < 1e-3, "{mean:?}");
        assert!((mean.waited_share - 0.02).abs() < 1e-9, "{mean:?}");
        assert_eq!((mean.wait_ms.p99, mean.failed_adds), (775.0, 7));
        assert_eq!(mean8(&rows, "other"), None);
        assert_eq!(mean8(&rows[1..], "berth"), None);
    }
}
