//! What the pods that are there cost the next one: a full node and an empty one, in turns, so that whatever else the
//! machine does meets both.

use anyhow::bail;
use e2e::cluster::Member;

use super::chain::{BERTH, Chain};
use super::contest::{Contest, fill};
use super::stand::{launch, stock};
use super::walk::record;
use super::{LARGE, PREFIXES};
use crate::section::Bench;

/// Of the rows, behind `add` and `del`.
pub(super) const SUFFIX: &str = " growth";

/// Measures it with `pods` on the full node.
///
/// # Errors
/// An ADD or DEL failed.
pub fn measure(bench: &mut Bench, pods: u32, rounds: usize) -> anyhow::Result<()> {
    bench
        .progress
        .set_message(format!("{pods} pods beside none"));
    let mut cluster = launch(LARGE, 2, &[PREFIXES])?;
    let [Member { node: full, .. }, Member { node: empty, .. }] = &mut cluster.members[..] else {
        bail!("two nodes were asked for");
    };
    stock(full, pods)?;
    stock(empty, 0)?;
    let (full, empty) = (Chain::of_berth(full)?, Chain::of_berth(empty)?);
    let _pods = fill(&full, pods as usize)?;
    let times = Contest::of(&[&full, &empty], 0).hold(rounds)?;
    for (pods, times) in [pods, 0].into_iter().zip(&times) {
        record(bench, SUFFIX, BERTH, pods, times);
    }
    Ok(())
}
