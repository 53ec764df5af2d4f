//! The demo's figures: the document for machines (`target/demo.json`) and the table for people.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use serde::Serialize;

use super::progress::Check;
use crate::node::status::{Counts, Status};

/// `target/demo.json`.
#[derive(Clone, Debug, Serialize)]
pub struct Document {
    /// Nodes that ran.
    pub nodes: usize,
    /// Pods that ran on all of them together.
    pub pods: usize,
    /// Every check.
    pub checks: Vec<Check>,
    /// Secondary addresses that EC2 had given while all pods ran.
    pub held: u32,
    /// Of these, with a pod.
    pub used: u32,
    /// Calls to EC2 by action.
    pub ec2_calls: BTreeMap<String, u64>,
    /// How long `berth-cni` ADD took.
    pub add_ms: Percentiles,
    /// How long `berth-cni` DEL took.
    pub del_ms: Percentiles,
}

/// Two percentiles in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Percentiles {
    /// Half took no longer.
    pub p50: f64,
    /// 99 of 100 took no longer.
    pub p99: f64,
}

impl Percentiles {
    /// Of `times` by nearest rank, to a tenth of a millisecond; zero for none.
    #[must_use]
    pub fn of(times: &[Duration]) -> Self {
        let mut times = times.to_vec();
        times.sort();
        let rank = |percent: usize| {
            let rank = (times.len() * percent).div_ceil(100).saturating_sub(1);
            let ms = times.get(rank).map_or(0.0, |time| time.as_secs_f64() * 1e3);
            (ms * 10.0).round() / 10.0
        };
        Self {
            p50: rank(50),
            p99: rank(99),
        }
    }
}

/// What the daemon of a node said.
#[derive(Clone, Debug)]
pub struct NamedStatus {
    /// Name of the node in the demo.
    pub node: String,
    /// Its words.
    pub status: Status,
}

impl NamedStatus {
    /// A sum over nodes.
    pub fn total(nodes: &[Self], count: impl Fn(&Counts) -> u32) -> u32 {
        nodes
            .iter()
            .map(|named| count(&named.status.addresses))
            .sum()
    }
}

/// The ENIs of all nodes and what they hold.
#[must_use]
pub fn eni_table(nodes: &[NamedStatus]) -> String {
    let mut table = format!("\n{:<10} {:<24} {:>6} ", "node", "ENI", "device");
    let _ = writeln!(
        table,
        "{:>6} {:>6} {:>8} {:>6}",
        "held", "used", "cooling", "free"
    );
    let mut row = |node: &str, eni: &str, device: &str, counts: &Counts| {
        let Counts {
            held,
            used,
            cooling,
            free,
        } = counts;
        // writing to a String does not fail
        let _ = writeln!(
            table,
            "{node:<10} {eni:<24} {device:>6} {held:>6} {used:>6} {cooling:>8} {free:>6}"
        );
    };
    for NamedStatus { node: name, status } in nodes {
        for eni in &status.enis {
            row(name, &eni.id, &eni.device_index.to_string(), &eni.addresses);
        }
        row(name, "all", "", &status.addresses);
    }
    table
}

/// Calls and times of `document`, and how many checks held.
#[must_use]
pub fn summary(document: &Document) -> String {
    let mut text = String::from("\nEC2 calls\n");
    for (action, count) in &document.ec2_calls {
        let _ = writeln!(text, "  {action:<36} {count:>5}");
    }
    let times = [
        ("ADD", document.add_ms, "   (waiting for EC2 included)"),
        ("DEL", document.del_ms, ""),
    ];
    for (verb, Percentiles { p50, p99 }, note) in times {
        let _ = writeln!(
            text,
            "berth-cni {verb}   p50 {p50:>7.1} ms   p99 {p99:>7.1} ms{note}"
        );
    }
    let held = document.checks.iter().filter(|check| check.ok).count();
    let _ = writeln!(text, "\n{held} of {} checks held", document.checks.len());
    text
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_by_nearest_rank() {
        let times: Vec<Duration> = (1..=200).rev().map(Duration::from_millis).collect();
        assert_eq!(
            Percentiles::of(&times),
            Percentiles {
                p50: 100.0,
                p99: 198.0
            }
        );
        assert_eq!(
            Percentiles::of(&times[..1]),
            Percentiles {
                p50: 200.0,
                p99: 200.0
            }
        );
        assert_eq!(Percentiles::of(&[]), Percentiles::default());
    }
}
