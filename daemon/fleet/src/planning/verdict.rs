//! What came of a plan under one policy, in a sentence.

use super::answer::{Answer, PolicyAnswer, SubnetAnswer, SubnetOutcome};
use crate::policy::Policy;

use super::words::{count, duration, grouped, ordinal};

/// More would hide what they mean; the table has them all.
const MOST_SHORTAGES: usize = 2;

/// The sentence. `plan` is what was planned, and `pods` how many there were in its course.
pub(super) fn says(answer: &PolicyAnswer, plan: &Answer, pods: usize) -> String {
    let mut parts = shortages(answer);
    if answer.nodes_not_booted > 0 {
        let missing = grouped(answer.nodes_not_booted.into());
        let all = count(plan.cluster.nodes.into(), "node");
        let verb = plural(answer.nodes_not_booted.into(), "finds", "find");
        parts.push(format!("{missing} of {all} {verb} no address to boot with"));
    }
    if answer.pods_starved > 0 {
        let (starved, all) = (grouped(answer.pods_starved), count(pods as u64, "pod"));
        let verb = plural(answer.pods_starved, "gets", "get");
        parts.push(format!("{starved} of {all} {verb} no address"));
    }
    if parts.is_empty() {
        return left(answer, &plan.subnets);
    }
    if answer.fits {
        parts.push("every pod is served in the end".to_owned());
    }
    parts.join("; ")
}

fn plural(number: u64, one: &'static str, many: &'static str) -> &'static str {
    if number == 1 { one } else { many }
}

/// The subnets that could not give what was asked for, the first ones by name.
fn shortages(answer: &PolicyAnswer) -> Vec<String> {
    let mut short: Vec<_> = (answer.subnets.iter())
        .filter_map(|subnet| shortage(answer, subnet))
        .collect();
    short.sort_by(|(one, _), (other, _)| one.total_cmp(other));
    let more = short.len().saturating_sub(MOST_SHORTAGES);
    let told = short.into_iter().take(MOST_SHORTAGES);
    let mut told: Vec<String> = told.map(|(_, sentence)| sentence).collect();
    if more > 0 {
        told.push(format!("{} more are short", count(more as u64, "subnet")));
    }
    told
}

/// What a subnet could not give, if anything, and when, in seconds.
fn shortage(answer: &PolicyAnswer, subnet: &SubnetOutcome) -> Option<(f64, String)> {
    let (name, free) = (&subnet.name, subnet.fewest_free);
    if let Some(moment) = subnet.runs_dry {
        let node = ordinal(moment.nodes.into());
        let after = duration(moment.after_seconds.round());
        let told = match free {
            0 => format!("{name} runs dry with its {node} node, after {after}"),
            _ => format!(
                "{name} has fewer addresses than are asked for with its {node} node, after {after}"
            ),
        };
        return Some((moment.after_seconds, told));
    }
    // A pool that takes single addresses instead lacks nothing.
    let moment = subnet.no_block.filter(|_| !answer.fits)?;
    let (node, free) = (ordinal(moment.nodes.into()), grouped(free.into()));
    let block = match answer.policy == Policy::GkeCidr.name() {
        true => "range for a node",
        false => "/28",
    };
    let told = format!(
        "{name} has no whole {block} left with its {node} node, though {free} addresses stay free"
    );
    Some((moment.after_seconds, told))
}

/// How much is left where all went well.
fn left(answer: &PolicyAnswer, subnets: &[SubnetAnswer]) -> String {
    let sizes = subnets.iter().map(|subnet| subnet.size);
    let used = answer
        .subnets
        .iter()
        .zip(sizes)
        .filter(|(_, size)| *size > 0);
    let tightest = used.min_by_key(|(outcome, size)| {
        u64::from(outcome.fewest_free) * 1_000_000 / u64::from(*size)
    });
    let Some((outcome, size)) = tightest else {
        return "fits".to_owned();
    };
    let (free, size) = (grouped(outcome.fewest_free.into()), grouped(size.into()));
    let name = &outcome.name;
    match subnets.len() {
        1 => format!("fits: {free} of {size} addresses of {name} stay free"),
        _ => format!("fits: the fullest subnet, {name}, keeps {free} of {size} addresses free"),
    }
}
