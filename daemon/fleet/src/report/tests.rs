//! Runs made by hand, for the tests of what is told about runs.

use std::collections::BTreeMap;

use ipam::Timestamp;

use super::Cell;
use crate::run::{NodeRun, Row, Run, Sample, Waits};

/// A row in which nothing went wrong.
pub(crate) fn row(workload: &str, policy: &str, held_per_used: f64) -> Row {
    Row {
        workload: workload.to_owned(),
        policy: policy.to_owned(),
        held_per_used,
        peak_held: 100,
        calls_per_1000_pods: 20.0,
        throttled: 0,
        wait_ms: Waits {
            p50: 0.0,
            p99: 40.0,
            max: 350.0,
        },
        waited_share: 0.01,
        failed_adds: 0,
        starved: 0,
        oscillation_per_1000: 4.0,
        served_s: Some(30.0),
    }
}

/// A run of that row, in which `used` pods come within 10 min.
pub(crate) fn cell(row: Row, used: u32) -> Cell {
    let samples = (0..=600).step_by(5).map(|second: u64| {
        let there = used * u32::try_from(second).unwrap_or(0) / 600;
        Sample {
            at: Timestamp::from_secs(1000 + second),
            held: (f64::from(there) * row.held_per_used) as u32 + 2,
            used: there,
            calls: 0,
        }
    });
    let run = Run {
        row: row.clone(),
        samples: samples.collect(),
        calls: BTreeMap::new(),
        subnets: Vec::new(),
        nodes: vec![NodeRun {
            held: 2.0,
            held_at_end: 2,
            ..NodeRun::default()
        }],
    };
    Cell {
        run,
        seeds: vec![row],
        trace: None,
    }
}
