//! The check that DEL leaves nothing: what a node has after its last pod is what it had before the first.
//!
//! One thing may be new: a secondary ENI that was attached for the pods and is kept in reserve for a while, with its
//! link, table, rules and chain. Nothing of a pod may be left, wherever it stands.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::ensure;

use super::world::World;
use crate::aftermath::left_over;
use crate::cluster::DAEMON_PATIENCE;
use crate::netns::snapshot::{Change, Snapshot};

/// DEL answers before the link is gone; the reaper has 1 s. A busy machine gets more.
const REAPED_WITHIN: Duration = Duration::from_secs(5);

/// What the nodes looked like before the first pod.
pub(super) struct Before(Vec<Snapshot>);

impl Before {
    /// Looks at all nodes once their daemons have set them up.
    pub(super) fn take(world: &World) -> anyhow::Result<Self> {
        let members = world.cluster.members.iter();
        for member in members.clone() {
            member.settled(world.cluster.cloud(), DAEMON_PATIENCE)?;
        }
        Ok(Self(
            members
                .map(|member| Snapshot::take(member.node.netns()))
                .collect::<anyhow::Result<_>>()?,
        ))
    }
}

/// Deletes all pods and compares the nodes with `before`.
pub(super) fn delete_all(world: &mut World, before: &Before) -> anyhow::Result<String> {
    let pods = world.delete(|_| true)?;
    let deadline = Instant::now() + REAPED_WITHIN;
    let mut lines = 0;
    for (index, before) in before.0.iter().enumerate() {
        let left = loop {
            let left = left_over(&world.cluster.members[index].node, before)?;
            if left.is_empty() || Instant::now() > deadline {
                break left;
            }
            thread::sleep(Duration::from_millis(100));
        };
        let shown: Vec<String> = left.iter().take(5).map(Change::to_string).collect();
        ensure!(
            left.is_empty(),
            "node-{} differs in {} lines: {}",
            index + 1,
            left.len(),
            shown.join("; ")
        );
        lines += before.lines();
    }
    Ok(format!(
        "{pods} pods deleted; links, addresses, routes, rules, nft as before ({lines} lines), but for ENIs in reserve"
    ))
}
