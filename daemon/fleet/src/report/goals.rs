//! What berth is measured against: for each goal what should be reached, what would be better still, and what came out.

use super::Cell;
use super::means::mean8;
use super::table::{Table, milliseconds, number, percent};
use crate::policy::Policy;
use crate::run::Row;
use crate::workloads::Workload;

/// A goal, and how it went.
#[derive(Clone, Debug)]
pub struct Goal {
    /// Of what.
    pub what: String,
    /// All of which must hold.
    pub bounds: Vec<Bound>,
}

/// A figure that should be low.
#[derive(Clone, Copy, Debug)]
pub struct Bound {
    /// How it is written.
    show: fn(f64) -> String,
    /// What came out; nothing if it was not run.
    measured: Option<f64>,
    reach: f64,
    beyond: f64,
}

/// How a goal went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// Better than asked for.
    Beyond,
    /// As asked for.
    Reached,
    /// Not.
    Missed,
    /// Nobody knows.
    NotRun,
}

impl Bound {
    fn new(show: fn(f64) -> String, measured: Option<f64>, reach: f64, beyond: f64) -> Self {
        Self {
            show,
            measured,
            reach,
            beyond,
        }
    }

    fn verdict(&self) -> Verdict {
        match self.measured {
            None => Verdict::NotRun,
            Some(value) if value <= self.beyond => Verdict::Beyond,
            Some(value) if value <= self.reach => Verdict::Reached,
            Some(_) => Verdict::Missed,
        }
    }
}

impl Goal {
    /// The worst of its bounds.
    pub fn verdict(&self) -> Verdict {
        let verdicts = self.bounds.iter().map(Bound::verdict);
        verdicts.max().unwrap_or(Verdict::NotRun)
    }

    fn written(&self, of: impl Fn(&Bound) -> String) -> String {
        self.bounds.iter().map(of).collect::<Vec<_>>().join("; ")
    }
}

/// The runs of berth, by workload.
struct Berth<'a>(Vec<&'a Cell>);

impl Berth<'_> {
    fn cell(&self, workload: Workload) -> Option<&Cell> {
        self.0
            .iter()
            .find(|cell| cell.row().workload == workload.name())
            .copied()
    }

    fn figure(&self, workload: Workload, field: fn(&Row) -> f64) -> Option<f64> {
        self.cell(workload).map(|cell| field(cell.row()))
    }

    /// Most addresses that a node holds at the end.
    fn most_on_a_node(&self, workload: Workload) -> Option<f64> {
        let nodes = self.cell(workload)?.run.nodes.iter();
        nodes
            .map(|node| f64::from(node.held_at_end))
            .reduce(f64::max)
    }
}

/// The goals, with what `cells` say of them.
pub fn goals(cells: &[Cell]) -> Vec<Goal> {
    let of_berth = |cell: &&Cell| cell.row().policy == Policy::Berth.name();
    let berth = Berth(cells.iter().filter(of_berth).collect());
    let mut goals = addresses(&berth);
    goals.extend(waits(&berth));
    goals
}

const HELD: fn(&Row) -> f64 = |row| row.held_per_used;
const CALLS: fn(&Row) -> f64 = |row| row.calls_per_1000_pods;
const P99: fn(&Row) -> f64 = |row| row.wait_ms.p99;
const STARVED: fn(&Row) -> f64 = |row| row.starved as f64;

fn addresses(berth: &Berth<'_>) -> Vec<Goal> {
    let ratio = |workload: Workload, held: [f64; 2], calls: [f64; 2]| {
        let figure = |field| berth.figure(workload, field);
        goal(
            &format!("{workload}: held/used; calls per 1,000 pods"),
            [
                Bound::new(number, figure(HELD), held[0], held[1]),
                Bound::new(number, figure(CALLS), calls[0], calls[1]),
            ],
        )
    };
    let rows: Vec<_> = berth.0.iter().map(|cell| cell.row()).collect();
    let mean = mean8(&rows, &Policy::Berth.name());
    let of_mean = |field: fn(&Row) -> f64| mean.as_ref().map(field);
    let waited = of_mean(|row| row.waited_share);
    let oscillation = of_mean(|row| row.oscillation_per_1000);
    let starved = berth.figure(Workload::Huge500, STARVED);
    vec![
        ratio(Workload::Dense, [1.25, 1.10], [100.0, 100.0]),
        ratio(Workload::Rolling, [1.25, 1.10], [100.0, 100.0]),
        ratio(Workload::Fold, [1.30, 1.15], [1000.0, 500.0]),
        ratio(Workload::Raw, [1.30, 1.15], [1000.0, 500.0]),
        goal(
            "mean8: held/used; calls; waited",
            [
                Bound::new(number, of_mean(HELD), 1.60, 1.45),
                Bound::new(number, of_mean(CALLS), 110.0, 100.0),
                Bound::new(percent, waited, 0.03, 0.01),
            ],
        ),
        goal(
            "huge500: most addresses on a node at the end; pods without one",
            [
                Bound::new(number, berth.most_on_a_node(Workload::Huge500), 2.0, 1.0),
                Bound::new(number, starved, 0.0, 0.0),
            ],
        ),
        goal(
            "mean8: oscillation per 1,000 pods",
            [Bound::new(number, oscillation, 30.0, 5.0)],
        ),
    ]
}

fn waits(berth: &Berth<'_>) -> Vec<Goal> {
    let worst = |workloads: &[Workload], field| -> Option<f64> {
        let figures = workloads
            .iter()
            .map(|workload| berth.figure(*workload, field));
        figures
            .collect::<Option<Vec<_>>>()?
            .into_iter()
            .reduce(f64::max)
    };
    let but_burst = &Workload::STEADY[..7];
    let failed = worst(&Workload::STEADY, |row| row.failed_adds as f64);
    let scarce = |workload: Workload, reach, beyond| {
        goal(
            &format!("{workload}: starved; p99 wait"),
            [
                Bound::new(number, berth.figure(workload, STARVED), 0.0, 0.0),
                Bound::new(milliseconds, berth.figure(workload, P99), reach, beyond),
            ],
        )
    };
    let served = berth.figure(Workload::Out1000, |row| {
        row.served_s
            .map_or(f64::INFINITY, |seconds| seconds * 1000.0)
    });
    let out150 = berth.figure(Workload::Out150, P99);
    let steady = worst(but_burst, P99);
    let burst = berth.figure(Workload::Burst, P99);
    vec![
        goal(
            "p99 wait, worst of the steady ones but burst",
            [Bound::new(milliseconds, steady, 50.0, 50.0)],
        ),
        goal(
            "burst: p99 wait",
            [Bound::new(milliseconds, burst, 500.0, 50.0)],
        ),
        goal(
            "failed ADDs, most in a steady one",
            [Bound::new(number, failed, 0.0, 0.0)],
        ),
        scarce(Workload::Tight, 20_000.0, 6_000.0),
        scarce(Workload::Frag, 35_000.0, 10_000.0),
        goal(
            "out150: p99 wait",
            [Bound::new(milliseconds, out150, 75_000.0, 25_000.0)],
        ),
        goal(
            "out1000: all served after",
            [Bound::new(milliseconds, served, 240_000.0, 130_000.0)],
        ),
    ]
}

fn goal<const N: usize>(what: &str, bounds: [Bound; N]) -> Goal {
    Goal {
        what: what.to_owned(),
        bounds: bounds.to_vec(),
    }
}

/// The goals as a table.
pub fn table(goals: &[Goal]) -> Table {
    let mut table = Table::new(
        "How good berth is",
        &["goal", "reach", "beyond", "measured", "verdict"],
        1,
    );
    for goal in goals {
        let measured = |bound: &Bound| bound.measured.map_or("-".to_owned(), bound.show);
        let verdict = match goal.verdict() {
            Verdict::Beyond => "beyond",
            Verdict::Reached => "reached",
            Verdict::Missed => "MISSED",
            Verdict::NotRun => "not run",
        };
        table.line(vec![
            goal.what.clone(),
            goal.written(|bound| (bound.show)(bound.reach)),
            goal.written(|bound| (bound.show)(bound.beyond)),
            goal.written(measured),
            verdict.to_owned(),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::tests::{cell, row};

    fn verdict(row: Row, what: &str) -> Verdict {
        let goals = goals(&[cell(row, 10)]);
        let goal = goals.iter().find(|goal| goal.what.starts_with(what));
        goal.map_or(Verdict::NotRun, Goal::verdict)
    }

    #[test]
    fn all_bounds_of_a_goal_must_hold() {
        let mut dense = row("dense", "berth", 1.08);
        assert_eq!(verdict(dense.clone(), "dense"), Verdict::Beyond);
        dense.held_per_used = 1.2;
        assert_eq!(verdict(dense.clone(), "dense"), Verdict::Reached);
        dense.calls_per_1000_pods = 101.0;
        assert_eq!(verdict(dense.clone(), "dense"), Verdict::Missed);
        assert_eq!(verdict(dense, "rolling"), Verdict::NotRun);
    }

    #[test]
    fn only_berth_is_judged() {
        assert_eq!(
            verdict(row("dense", "aws-default", 1.0), "dense"),
            Verdict::NotRun
        );
    }

    #[test]
    fn what_is_never_served_is_missed() {
        let mut out = row("out1000", "berth", 1.0);
        assert_eq!(verdict(out.clone(), "out1000"), Verdict::Beyond);
        out.served_s = None;
        assert_eq!(verdict(out, "out1000"), Verdict::Missed);
    }

    #[test]
    fn the_table_shows_what_was_asked_for_and_what_came_out() {
        let text = table(&goals(&[cell(row("burst", "berth", 1.9), 10)])).to_string();
        let line = text.lines().find(|line| line.starts_with("burst"));
        let words: Vec<_> = (line.unwrap_or_default().split("  "))
            .map(str::trim)
            .filter(|word| !word.is_empty())
            .collect();
        assert_eq!(
            words,
            ["burst: p99 wait", "500 ms", "50 ms", "40 ms", "beyond"]
        );
    }
}
