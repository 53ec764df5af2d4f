//! What a person who plans subnets needs: groups of nodes and subnets in; out, per policy, what is held, when which subnet
//! runs dry, and what EC2 is asked. The simulator does the work; nothing here decides for a node.

mod answer;
mod catalogue;
mod check;
mod cluster;
mod columns;
mod drawing;
mod fields;
mod layout;
mod max_pods;
mod nearest;
mod page;
mod problem;
mod replay;
mod request;
mod verdict;
mod words;

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests;

pub use answer::{Answer, FORMAT, PolicyAnswer};
pub use catalogue::{Catalogue, InstanceType};
pub use cluster::{Cluster, Group, Subnet};
pub use drawing::drawing;
pub use max_pods::MaxPods;
pub use page::page;
pub use problem::{Problem, Problems};
pub use request::{JOIN_EVERY, SETTLE, Sources};

use replay::Replay;

use crate::engine::{Broken, Options, simulate};
use crate::policy::Policy;

/// Reads what is asked for, and says all that is wrong with it.
///
/// # Errors
/// [`Problems`]: everything that must be changed.
pub fn understand(sources: Sources<'_>, catalogue: &Catalogue) -> Result<Cluster, Problems> {
    let mut problems = Vec::new();
    let replay = sources
        .trace
        .map(|(pods, nodes)| Replay::read(pods, nodes, catalogue, &mut problems));
    let mut request = request::read(sources, &mut problems);
    request.incomplete |= replay.as_ref().is_some_and(Option::is_none);
    let cluster = check::check(request, replay.flatten(), catalogue, &mut problems);
    if problems.is_empty() {
        Ok(cluster)
    } else {
        Err(Problems(problems))
    }
}

/// Plays the cluster under each of its policies. `progress` is told now and then which policy it is at, and how much of all
/// is done (0 to 1).
///
/// # Errors
/// [`Broken`]: the simulator, or a pool in it, contradicted itself; a defect of berth's.
pub fn plan(cluster: &Cluster, progress: &dyn Fn(Policy, f64)) -> Result<Answer, Broken> {
    let scenario = layout::scenario(cluster);
    let mut answer = Answer::new(cluster);
    for (index, policy) in cluster.policies.iter().enumerate() {
        let tell = |done: f64| {
            let done = (index as f64 + done) / cluster.policies.len() as f64;
            progress(*policy, done);
        };
        let options = Options {
            seed: cluster.seed,
            others_calls: cluster.others_calls,
            progress: Some(&tell),
        };
        let run = simulate(&scenario, *policy, options)?;
        answer.add(cluster, &scenario, *policy, run);
    }
    Ok(answer)
}
