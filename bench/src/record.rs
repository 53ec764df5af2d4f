//! What was measured, as `target/bench.json` has it.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use crate::goals::{GOALS, Goal};
use crate::quantiles::quantile_us;

/// Times of one thing under one condition.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// What was timed, such as `add`.
    pub name: String,
    /// By whom and how, such as `berth secondary`.
    pub variant: String,
    /// Pods that were there already.
    pub pods: u32,
    /// How many times.
    pub n: usize,
    /// Half took no longer, in microseconds.
    pub p50_us: f64,
    /// Nine of ten took no longer.
    pub p90_us: f64,
    /// 99 of 100 took no longer.
    pub p99_us: f64,
}

/// What is no time: packets per second, bytes, calls.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Figure {
    /// What it is, such as `rss`.
    pub name: String,
    /// Of whom and how.
    pub variant: String,
    /// Pods that were there.
    pub pods: u32,
    /// The figure.
    pub value: f64,
    /// Its unit, such as `MiB`.
    pub unit: &'static str,
}

/// A goal and what was reached.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Reached {
    /// Its name in [`GOALS`].
    pub name: &'static str,
    /// What was measured.
    pub ratio: f64,
    /// What it must be.
    pub reach: f64,
    /// What would be better still.
    pub beyond: f64,
}

/// Everything of one run.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Record {
    /// On what it was measured ([`crate::machine`]).
    pub machine: BTreeMap<&'static str, String>,
    /// Times.
    pub rows: Vec<Row>,
    /// Everything else.
    pub figures: Vec<Figure>,
    /// The goals of the sections that ran.
    pub goals: Vec<Reached>,
}

impl Record {
    /// Adds the quantiles of `times`; nothing if there are none.
    pub fn times(&mut self, name: &str, variant: &str, pods: u32, times: &[Duration]) {
        if times.is_empty() {
            return;
        }
        self.rows.push(Row {
            name: name.to_owned(),
            variant: variant.to_owned(),
            pods,
            n: times.len(),
            p50_us: quantile_us(times, 50),
            p90_us: quantile_us(times, 90),
            p99_us: quantile_us(times, 99),
        });
    }

    /// Adds what is no time.
    pub fn figure(&mut self, name: &str, variant: &str, pods: u32, value: f64, unit: &'static str) {
        self.figures.push(Figure {
            name: name.to_owned(),
            variant: variant.to_owned(),
            pods,
            value,
            unit,
        });
    }

    /// Says what a goal came to. `name` is one of [`GOALS`]; another name is a mistake that the tests find.
    pub fn goal(&mut self, name: &'static str, ratio: f64) {
        let known = GOALS.iter().find(|goal| goal.name == name);
        debug_assert!(known.is_some(), "no goal is called {name}");
        if let Some(&Goal { reach, beyond, .. }) = known {
            self.goals.push(Reached {
                name,
                ratio,
                reach,
                beyond,
            });
        }
    }

    /// The median of a row, in microseconds.
    #[must_use]
    pub fn p50_us(&self, name: &str, variant: &str, pods: u32) -> Option<f64> {
        let wanted = |row: &&Row| row.name == name && row.variant == variant && row.pods == pods;
        self.rows.iter().find(wanted).map(|row| row.p50_us)
    }
}
