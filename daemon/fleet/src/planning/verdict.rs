//! What came of a plan under one policy, in a sentence.

use super::answer::{PolicyAnswer, SubnetAnswer, SubnetOutcome};
use crate::policy::Policy;

use super::words::{count, duration, grouped, ordinal};

/// The sentence. `subnets` are the plan's, in the order of the outcomes; `nodes` and `pods` are how many there should be.
pub(super) fn says(answer: &PolicyAnswer, subnets: &[SubnetAnswer], nodes: u32) -> String {
    let mut parts: Vec<String> = (answer.subnets.iter())
        .filter_map(|subnet| shortage(answer, subnet))
        .collect();
    if answer.nodes_not_booted > 0 {
        let missing = grouped(answer.nodes_not_booted.into());
        let all = count(nodes.into(), "node");
        parts.push(format!("{missing} of {all} find no address to boot with"));
    }
    if answer.pods_starved > 0 {
        let verb = if answer.pods_starved == 1 {
            "has"
        } else {
            "have"
        };
        let starved = count(answer.pods_starved, "pod");
        parts.push(format!("{starved} {verb} no address at the end"));
    }
    if parts.is_empty() {
        return left(answer, subnets);
    }
    if answer.fits {
        parts.push("every pod is served in the end".to_owned());
    }
    parts.join("; ")
}

/// What a subnet could not give, if anything.
fn shortage(answer: &PolicyAnswer, subnet: &SubnetOutcome) -> Option<String> {
    let (name, free) = (&subnet.name, subnet.fewest_free);
    if let Some(moment) = subnet.runs_dry {
        let node = ordinal(moment.nodes.into());
        let after = duration(moment.after_seconds.round());
        return Some(match free {
            0 => format!("{name} runs dry with its {node} node, after {after}"),
            _ => format!(
                "{name} has fewer addresses than are asked for with its {node} node, after {after}"
            ),
        });
    }
    // A pool that takes single addresses instead lacks nothing.
    let moment = subnet.no_block.filter(|_| !answer.fits)?;
    let (node, free) = (ordinal(moment.nodes.into()), grouped(free.into()));
    let block = match answer.policy == Policy::GkeCidr.name() {
        true => "range for a node",
        false => "/28",
    };
    Some(format!(
        "{name} has no whole {block} left with its {node} node, though {free} addresses stay free"
    ))
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
