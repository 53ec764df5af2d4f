//! A plan as a picture: what each policy holds over time, against what the subnets have.

use super::answer::{Answer, PolicyAnswer, SubnetAnswer};
use super::words::{count, grouped};
use crate::report::picture::{Error, Limit, Line, Picture};

/// More would not fit into a line.
const MOST_SUBNETS: usize = 4;

/// The picture as an SVG document.
///
/// # Errors
/// [`Error`] if the plotting library fails.
pub fn drawing(answer: &Answer) -> Result<String, Error> {
    let line = |policy: &PolicyAnswer| {
        format!(
            "{} {:.1} a node",
            policy.policy, policy.held.steady_per_node
        )
    };
    let lines = answer.policies.iter().map(|policy| Line {
        name: line(policy),
        samples: &policy.samples,
    });
    let picture = Picture {
        title: format!(
            "Addresses held by {}",
            count(answer.cluster.nodes.into(), "node")
        ),
        subtitle: subnets(answer),
        lines: lines.collect(),
        limit: Some(Limit {
            name: "in the subnets".to_owned(),
            addresses: answer.subnets.iter().map(|subnet| subnet.size).sum(),
        }),
    };
    picture.svg()
}

fn subnets(answer: &Answer) -> String {
    let told = |subnet: &SubnetAnswer| {
        format!("{}: {} addresses", subnet.name, grouped(subnet.size.into()))
    };
    let mut told: Vec<String> = answer.subnets.iter().take(MOST_SUBNETS).map(told).collect();
    let more = answer.subnets.len().saturating_sub(MOST_SUBNETS);
    if more > 0 {
        told.push(format!("{more} more"));
    }
    told.join(", ")
}
