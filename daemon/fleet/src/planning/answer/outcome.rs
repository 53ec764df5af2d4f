//! What came of a plan under one policy.

use std::time::Duration;

use ipam::{Timestamp, Verb};

use super::super::cluster::{Cluster, Group};
use super::super::layout::filled;
use super::{CallsAnswer, Held, Moment, PolicyAnswer, SubnetOutcome};
use crate::policy::Policy;
use crate::run::{Run, Sample, SubnetRun};
use crate::scenario::Scenario;

/// The calls that change something, in the order of an address' life: reads have more room, and no policy is decided by them.
pub(super) const MUTATING: [Verb; 7] = [
    Verb::Assign,
    Verb::Create,
    Verb::Attach,
    Verb::Protect,
    Verb::Unassign,
    Verb::Detach,
    Verb::Delete,
];
/// What is held at the end is averaged over this share of the time that the cluster is watched: pools breathe.
const STEADY_SHARE: u32 = 4;

impl PolicyAnswer {
    /// What came of `scenario`, which is `cluster`'s, under `policy`, without words.
    pub(super) fn new(cluster: &Cluster, scenario: &Scenario, policy: Policy, run: Run) -> Self {
        let outcomes = run.subnets.iter().enumerate();
        let subnets: Vec<_> = outcomes
            .map(|(index, subnet)| outcome(scenario, index, subnet))
            .collect();
        let not_booted = run.nodes.iter().filter(|node| node.never_booted).count();
        let nodes_not_booted = u32::try_from(not_booted).unwrap_or(u32::MAX);
        Self {
            policy: policy.name().into_owned(),
            says: String::new(),
            fits: nodes_not_booted == 0 && run.row.starved == 0,
            held: held(cluster, &run),
            held_per_node_of_group: held_by_group(cluster, &run),
            subnets,
            nodes_not_booted,
            pods_starved: run.row.starved,
            failed_adds: run.row.failed_adds,
            wait_ms: run.row.wait_ms,
            waited_share: run.row.waited_share,
            calls: calls(&run),
            settled_calls_per_hour: settled_calls(cluster, &run),
            samples: run.samples,
        }
    }
}

fn outcome(scenario: &Scenario, index: usize, subnet: &SubnetRun) -> SubnetOutcome {
    SubnetOutcome {
        name: subnet.name.clone(),
        fewest_free: subnet.fewest_free,
        runs_dry: subnet.dry_at.map(|at| moment(scenario, index, at)),
        no_block: subnet.no_block_at.map(|at| moment(scenario, index, at)),
    }
}

fn moment(scenario: &Scenario, subnet: usize, at: Duration) -> Moment {
    let now = Timestamp::default().after(at);
    let here = |node: usize| scenario.nodes.get(node).is_some_and(|n| n.subnet == subnet);
    let nodes = scenario.nodes.iter().filter(|node| node.subnet == subnet);
    let pods = scenario.pods.iter().filter(|pod| here(pod.node));
    let joined = nodes.filter(|node| node.joins <= now).count();
    let first = scenario.nodes.first().map_or(now, |node| node.joins);
    Moment {
        after_seconds: now.since(first).as_secs_f64(),
        nodes: u32::try_from(joined).unwrap_or(u32::MAX),
        pods: u32::try_from(pods.filter(|pod| pod.bound <= now).count()).unwrap_or(u32::MAX),
    }
}

fn held(cluster: &Cluster, run: &Run) -> Held {
    let last = settled(cluster, run);
    let mean = |of: fn(&Sample) -> u32| {
        let sum: f64 = last.iter().map(|sample| f64::from(of(sample))).sum();
        tenths(sum / (last.len().max(1)) as f64)
    };
    let booted = run.nodes.iter().filter(|node| !node.never_booted).count();
    let steady = mean(|sample| sample.held);
    Held {
        steady,
        peak: run.row.peak_held,
        steady_per_node: tenths(steady / booted.max(1) as f64),
        used: mean(|sample| sample.used),
    }
}

fn held_by_group(cluster: &Cluster, run: &Run) -> Vec<f64> {
    let mut nodes = run.nodes.iter();
    let mut of = |group: &Group| {
        let booted = nodes.by_ref().take(group.count as usize);
        let booted: Vec<_> = booted.filter(|node| !node.never_booted).collect();
        let held: f64 = booted.iter().map(|node| f64::from(node.held_at_end)).sum();
        tenths(held / booted.len().max(1) as f64)
    };
    cluster.groups.iter().map(&mut of).collect()
}

/// The end of a run, when its pools have settled.
fn settled<'r>(cluster: &Cluster, run: &'r Run) -> Vec<&'r Sample> {
    let from = filled(cluster) + cluster.settle - cluster.settle / STEADY_SHARE;
    let from = Timestamp::default().after(from);
    let samples = run.samples.iter();
    samples.filter(|sample| sample.at >= from).collect()
}

fn settled_calls(cluster: &Cluster, run: &Run) -> f64 {
    let last = settled(cluster, run);
    let (Some(first), Some(last)) = (last.first(), last.last()) else {
        return 0.0;
    };
    let hours = last.at.since(first.at).as_secs_f64() / 3600.0;
    if hours > 0.0 {
        tenths((last.calls - first.calls) as f64 / hours)
    } else {
        0.0
    }
}

/// Digits beyond this say nothing, and make documents differ.
pub(super) fn tenths(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

fn calls(run: &Run) -> Vec<CallsAnswer> {
    let of = |verb: Verb| {
        let calls = run.calls.get(&verb).copied().unwrap_or_default();
        CallsAnswer {
            action: verb.ec2_action(),
            accepted: calls.accepted,
            throttled: calls.throttled,
            refused: calls.refused,
        }
    };
    MUTATING.map(of).to_vec()
}
