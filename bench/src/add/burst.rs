//! Thirty ADDs at once: started one right after the other, as a runtime does for the pods of a node that has just come up,
//! and timed until the last one's program is gone.

use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use e2e::cluster::Member;

use super::chain::Chain;
use super::contest::SETTLE;
use super::contestant::{Contestant, Pod, enter, on_a_thread_of_its_own};
use super::floor::Floor;
use super::stand::{FLOOR_PODS, launch, stock};
use super::{LARGE, PREFIXES};
use crate::quantiles::median;
use crate::section::Bench;

/// How many at once.
const AT_ONCE: usize = 30;
/// Of the rows: until the last one was done.
pub const NAME: &str = "burst30";
/// Of the figures behind the picture: until so many were done.
const DONE: &str = "burst30 done";

/// Lets floor and berth have `rounds` bursts each, in turns, and adds rows and figures.
///
/// # Errors
/// An ADD or DEL failed.
pub fn measure(bench: &mut Bench, rounds: usize) -> anyhow::Result<()> {
    let mut cluster = launch(LARGE, 2, &[PREFIXES])?;
    let [Member { node, .. }, Member { node: bare, .. }] = &mut cluster.members[..] else {
        bail!("two nodes were asked for");
    };
    stock(node, 0)?;
    let floor = Floor::start(bare.netns(), bare.dir(), FLOOR_PODS)?;
    let berth = Chain::of_berth(node)?;
    let contestants: [&dyn Contestant; 2] = [&floor, &berth];
    let mut bursts = [Vec::new(), Vec::new()];
    for round in 0..rounds {
        let said = format!("{AT_ONCE} at once, round {} of {rounds}", round + 1);
        bench.progress.set_message(said);
        // who is first in one round is second in the next
        for turn in [0, 1] {
            let who = (turn + round) % 2;
            bursts[who].push(burst(contestants[who])?);
        }
    }
    for (contestant, bursts) in contestants.iter().zip(bursts) {
        record(bench, contestant.name(), &bursts);
    }
    Ok(())
}

fn record(bench: &mut Bench, who: &str, bursts: &[Vec<Duration>]) {
    let last: Vec<Duration> = bursts
        .iter()
        .filter_map(|burst| burst.last().copied())
        .collect();
    bench.record.times(NAME, who, 0, &last);
    for count in [1, 5, 10, 15, 20, 25, AT_ONCE] {
        let done = bursts.iter().filter_map(|burst| burst.get(count - 1));
        let done: Vec<f64> = done.map(|done| done.as_secs_f64() * 1e3).collect();
        bench
            .record
            .figure(DONE, who, count as u32, median(&done), "ms");
    }
}

/// One burst: when each ADD was done, the first one first. The pods are deleted again.
fn burst(contestant: &dyn Contestant) -> anyhow::Result<Vec<Duration>> {
    let mut pods = (0..AT_ONCE)
        .map(|_| Pod::new())
        .collect::<anyhow::Result<Vec<_>>>()?;
    sleep(SETTLE);
    let done = on_a_thread_of_its_own(|| {
        enter(contestant.node())?;
        let begun = Instant::now();
        let mut running = Vec::new();
        for pod in &pods {
            running.push(contestant.start(pod)?);
        }
        let mut done = Vec::new();
        for running in running {
            running
                .finish()
                .with_context(|| contestant.name().to_owned())?;
            done.push(begun.elapsed());
        }
        for pod in &mut pods {
            contestant
                .del(pod)
                .with_context(|| contestant.name().to_owned())?;
        }
        Ok(done)
    })?;
    sleep(SETTLE);
    Ok(done)
}
