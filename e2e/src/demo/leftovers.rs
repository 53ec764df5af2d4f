//! The check that DEL leaves nothing: what a node has after its last pod is what it had before the first.
//!
//! One thing may be new: a secondary ENI that was attached for the pods and is kept in reserve for a while, with its
//! link, table, rules and chain. Nothing of a pod may be left, wherever it stands.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::ensure;

use super::world::World;
use crate::cluster::DAEMON_PATIENCE;
use crate::netns::snapshot::{Change, Snapshot};
use crate::node::status::EniStatus;

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
            let left = left_over(world, index, before)?;
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

/// The changes on a node that its secondary ENIs do not explain.
fn left_over(world: &World, index: usize, before: &Snapshot) -> anyhow::Result<Vec<Change>> {
    let member = &world.cluster.members[index];
    let mut changes = before.changes(&Snapshot::take(member.node.netns())?);
    for eni in member
        .node
        .status()?
        .enis
        .iter()
        .filter(|eni| eni.device_index != 0)
    {
        changes.retain(|change| !belongs_to(change, eni));
    }
    Ok(changes)
}

/// Whether `change` is one of the things that a secondary ENI brings: its link and address, its table and the rules
/// that lead there, its chain and its element in the map of veth groups.
fn belongs_to(change: &Change, eni: &EniStatus) -> bool {
    let Change::Added(section, line) = change else {
        return false;
    };
    let device = eni.device_index;
    let has = |word: &str| {
        line.split([' ', '"', '@', ',', '[', ']', '{', '}', ':'])
            .any(|part| part == word)
    };
    let link = format!("eth{device}");
    match section.as_str() {
        "link" | "address" | "route" | "route6" => has(&link),
        // aws-node's tables: device index + 1
        "rule" => {
            has(&(device + 1).to_string()) && (has("1537") || has(&eni.primary_address.to_string()))
        }
        _ => {
            section.starts_with("nft")
                && (section.ends_with(&format!(" eni{device}"))
                    || has(&format!("eni{device}"))
                    || has(&link))
        }
    }
}
