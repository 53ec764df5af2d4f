//! What is counted while a scenario runs, and the figures made of it at the end.

mod level;
mod oscillation;
mod waits;

use std::collections::BTreeMap;
use std::time::Duration;

use ipam::action::FailureKind;
use ipam::{Outcome, Timestamp, Verb};

use crate::ec2::Ec2;
use crate::run::{Calls, NodeRun, Row, Run, Sample, SubnetRun};
use crate::scenario::Scenario;
use level::{Level, Window};
use oscillation::Oscillation;

/// How many moments of a run are kept for plots.
const SAMPLES: u32 = 400;

/// Counts.
#[derive(Debug)]
pub struct Meter {
    window: Window,
    held: Level,
    used: Level,
    nodes: Vec<NodeMeter>,
    calls: BTreeMap<Verb, Calls>,
    turned: u64,
    failed_adds: u64,
    waits: Vec<Duration>,
    starved: u64,
    last_served: Option<Timestamp>,
    samples: Vec<Sample>,
}

#[derive(Clone, Debug, Default)]
struct NodeMeter {
    held: Level,
    used: Level,
    oscillation: Oscillation,
}

impl Meter {
    /// Counts nothing so far.
    pub fn new(scenario: &Scenario) -> Self {
        Self {
            window: Window {
                from: scenario.from,
                until: scenario.until,
            },
            held: Level::default(),
            used: Level::default(),
            nodes: vec![NodeMeter::default(); scenario.nodes.len()],
            calls: BTreeMap::new(),
            turned: 0,
            failed_adds: 0,
            waits: Vec::new(),
            starved: 0,
            last_served: None,
            samples: Vec::new(),
        }
    }

    /// Time passes: what stands is sampled at even distances. Answers whether a sample was due.
    pub fn pass(&mut self, now: Timestamp) -> bool {
        let before = self.samples.len();
        while let Some(at) = self.next_sample().filter(|at| *at <= now) {
            self.samples.push(Sample {
                at,
                held: self.held.value(),
                used: self.used.value(),
                calls: self.mutating(),
            });
        }
        self.samples.len() > before
    }

    /// Calls accepted that change something.
    fn mutating(&self) -> u64 {
        let mutating = self
            .calls
            .iter()
            .filter(|(verb, _)| **verb != Verb::Describe);
        mutating.map(|(_, calls)| calls.accepted).sum()
    }

    fn next_sample(&self) -> Option<Timestamp> {
        let n = u32::try_from(self.samples.len())
            .ok()
            .filter(|n| *n <= SAMPLES)?;
        let length = self.window.until.since(self.window.from);
        Some(
            self.window
                .from
                .after(length.mul_f64(f64::from(n) / f64::from(SAMPLES))),
        )
    }

    /// A node holds more, or less.
    pub fn held(&mut self, node: usize, by: i64, now: Timestamp) {
        if by == 0 {
            return;
        }
        self.held.change(by, now, self.window);
        let meter = &mut self.nodes[node];
        meter.held.change(by, now, self.window);
        let turned = meter.oscillation.changed(by, now);
        if self.window.has(now) {
            self.turned += turned;
        }
    }

    /// How many addresses all nodes hold now, and how many of them pods have.
    #[cfg(test)]
    pub fn levels(&self) -> (u32, u32) {
        (self.held.value(), self.used.value())
    }

    /// A pod has its address, after this wait. `counts` if it is one of those that are measured.
    pub fn served(&mut self, node: usize, waited: Duration, counts: bool, now: Timestamp) {
        self.used.change(1, now, self.window);
        self.nodes[node].used.change(1, now, self.window);
        if counts {
            self.waits.push(waited);
            self.last_served = Some(now);
        }
    }

    /// A pod has gone.
    pub fn gone(&mut self, node: usize, now: Timestamp) {
        self.used.change(-1, now, self.window);
        self.nodes[node].used.change(-1, now, self.window);
    }

    /// An ADD was answered with an error.
    pub fn refused_add(&mut self, now: Timestamp) {
        self.failed_adds += u64::from(self.window.has(now));
    }

    /// A pod never had an address, and had waited so long by the end.
    pub fn starved(&mut self, waited: Duration) {
        self.starved += 1;
        self.waits.push(waited);
    }

    /// EC2 answered a call.
    pub fn call(&mut self, verb: Verb, outcome: &Outcome, now: Timestamp) {
        if verb == Verb::Connect || !self.window.has(now) {
            return;
        }
        let calls = self.calls.entry(verb).or_default();
        match outcome {
            Outcome::Failed(failure) if failure.kind == FailureKind::Throttled => {
                calls.throttled += 1;
            }
            Outcome::Failed(_) => calls.refused += 1,
            _ => calls.accepted += 1,
        }
    }

    /// The figures. `booted` says of each node whether it ever did.
    pub fn finish(mut self, scenario: &Scenario, policy: &str, ec2: &Ec2, booted: &[bool]) -> Run {
        let until = self.window.until;
        self.pass(until);
        self.held.count(until, self.window);
        self.used.count(until, self.window);
        let nodes = (0..self.nodes.len())
            .map(|node| self.node(node, ec2, booted[node]))
            .collect();
        let subnets = scenario.subnets.iter().zip(ec2.subnets());
        let subnets = subnets.map(|(described, subnet)| SubnetRun {
            name: described.name.clone(),
            size: subnet.size(),
            fewest_free: subnet.fewest_free(),
            dry_at: subnet.dry_at().map(|at| at.since(Timestamp::default())),
            no_block_at: (subnet.no_block_at()).map(|at| at.since(Timestamp::default())),
        });
        Run {
            subnets: subnets.collect(),
            nodes,
            row: self.row(scenario, policy),
            samples: self.samples,
            calls: self.calls,
        }
    }

    fn node(&mut self, node: usize, ec2: &Ec2, booted: bool) -> NodeRun {
        let (window, meter) = (self.window, &mut self.nodes[node]);
        meter.held.count(window.until, window);
        meter.used.count(window.until, window);
        NodeRun {
            held: meter.held.average(window),
            held_at_end: meter.held.value(),
            peak_held: meter.held.peak(),
            used: meter.used.average(window),
            enis_at_end: ec2.enis(node, window.until),
            never_booted: !booted,
        }
    }

    fn row(&mut self, scenario: &Scenario, policy: &str) -> Row {
        let pods = self.waits.len().max(1) as f64;
        let per_1000 = |count: u64| count as f64 * 1000.0 / pods;
        let used = self.used.average(self.window);
        let served = self.last_served.unwrap_or(self.window.from);
        Row {
            workload: scenario.name.clone(),
            policy: policy.to_owned(),
            held_per_used: match used > 0.0 {
                true => self.held.average(self.window) / used,
                false => 0.0,
            },
            peak_held: self.held.peak(),
            calls_per_1000_pods: per_1000(self.mutating()),
            throttled: self.calls.values().map(|calls| calls.throttled).sum(),
            waited_share: waits::waited_share(&self.waits),
            wait_ms: waits::quantiles(&mut self.waits),
            failed_adds: self.failed_adds,
            starved: self.starved,
            oscillation_per_1000: per_1000(self.turned),
            served_s: (self.starved == 0).then(|| served.since(self.window.from).as_secs_f64()),
        }
    }
}
