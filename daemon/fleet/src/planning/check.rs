//! Whether a request is possible. What is not is told with what to do; what is becomes a [`Cluster`].

mod groups;
mod subnets;
mod trace;

use std::time::Duration;

use super::catalogue::Catalogue;
use super::cluster::{Cluster, Group};
use super::nearest::nearest;
use super::problem::Problem;
use super::replay::Replay;
use super::request::Request;
use crate::policy::Policy;

/// More nodes than EKS supports in one cluster without asking (5,000, EKS best practices) are no plan for subnets.
const MOST_NODES: u64 = 5_000;
/// So many pods of a long plan with short lives still fit memory and patience.
const MOST_PODS: u64 = 1_000_000;
/// Seconds.
const DAY: u64 = 24 * 3600;
/// The longest plan.
const MOST_DAYS: u64 = 30;

/// The cluster; without meaning where there is a problem.
pub(super) fn check(
    request: Request,
    replay: Option<(Replay, Option<Group>)>,
    catalogue: &Catalogue,
    problems: &mut Vec<Problem>,
) -> Cluster {
    let (replay, of_trace) = replay.unzip();
    let of_trace = of_trace.flatten().filter(|_| request.groups.is_empty());
    // What could not be read has been told; that it is missing too says nothing more.
    if request.groups.is_empty() && of_trace.is_none() && !request.incomplete {
        problems.push(Problem::NoGroups);
    }
    if request.subnets.is_empty() && !request.incomplete {
        problems.push(Problem::NoSubnets);
    }
    let mut of_subnets = Vec::new();
    let subnets = subnets::check(&request.subnets, &mut of_subnets);
    let mut groups = Vec::new();
    for (index, asked) in request.groups.iter().enumerate() {
        let kind = groups::kind(asked, catalogue, problems);
        let places = groups::places(asked, &subnets, request.incomplete, problems);
        if replay.is_some() && (asked.pods > 0 || asked.life.is_some()) {
            let place = asked.place.clone();
            problems.push(Problem::TraceAndPods { place });
        }
        if let Some(kind) = kind {
            groups.push(groups::group(index, asked, kind, places, problems));
        }
    }
    groups.extend(of_trace.map(|group| Group {
        subnets: groups::everywhere(&subnets),
        ..group
    }));
    problems.append(&mut of_subnets);
    let mut cluster = Cluster {
        groups,
        subnets,
        join_every: request.join_every,
        settle: request.settle,
        seed: request.seed,
        others_calls: request.others_calls,
        policies: policies(&request.policies, problems),
        replay: None,
    };
    if !(0.0..1.0).contains(&cluster.others_calls) {
        problems.push(Problem::NoShare {
            value: cluster.others_calls.to_string(),
        });
    }
    // What is absurd already would be told twice.
    if problems.is_empty() {
        size_of(&cluster, problems);
    }
    if let Some(replay) = replay
        && problems.is_empty()
    {
        cluster.settle = replay.window.end - replay.window.start;
        cluster.replay = Some(replay);
        trace::check(&cluster, problems);
    }
    cluster
}

/// All if none is named; each once.
fn policies(names: &[String], problems: &mut Vec<Problem>) -> Vec<Policy> {
    if names.is_empty() {
        return Policy::ALL.to_vec();
    }
    let mut policies = Vec::new();
    for name in names {
        match Policy::named(name) {
            Some(policy) if !policies.contains(&policy) => policies.push(policy),
            Some(_) => {}
            None => problems.push(Problem::UnknownPolicy {
                name: name.clone(),
                nearest: nearest(
                    name,
                    Policy::ALL.map(Policy::name).iter().map(AsRef::as_ref),
                ),
                known: list(Policy::ALL.iter().map(ToString::to_string)),
            }),
        }
    }
    policies
}

/// Refuses what no machine simulates while somebody waits.
fn size_of(cluster: &Cluster, problems: &mut Vec<Problem>) {
    let nodes = cluster
        .groups
        .iter()
        .map(|group| u64::from(group.count))
        .sum();
    let long = |field, time: Duration| Problem::TooLong {
        field,
        value: format!("{}d", time.as_secs() / DAY),
        most: MOST_DAYS,
    };
    let most = Duration::from_secs(MOST_DAYS * DAY);
    if cluster.settle > most {
        problems.push(long("settle", cluster.settle));
    }
    let joining = cluster.join_every.as_secs().saturating_mul(nodes);
    if joining > most.as_secs() {
        problems.push(long("join-every", cluster.join_every));
    }
    let pods = cluster
        .groups
        .iter()
        .map(|group| pods(group, cluster))
        .sum();
    for (what, asked, most) in [("nodes", nodes, MOST_NODES), ("pods", pods, MOST_PODS)] {
        if asked > most {
            problems.push(Problem::TooLarge { what, asked, most });
        }
    }
}

/// Pods of a group over the whole plan, those that take a gone one's place among them.
fn pods(group: &Group, cluster: &Cluster) -> u64 {
    let lives = group.life.map_or(1, |life| {
        let joining = cluster.join_every.saturating_mul(group.count);
        let watched = (joining + cluster.settle).as_secs();
        1 + watched / life.as_secs().max(1)
    });
    u64::from(group.count) * (u64::from(group.daemonset) + u64::from(group.pods) * lives)
}

fn list(names: impl Iterator<Item = String>) -> String {
    names.collect::<Vec<_>>().join(", ")
}
