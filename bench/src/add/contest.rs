//! A contest: every contestant adds and deletes as many pods as the others, in random order, a few milliseconds apart.
//! First all ADDs of a batch, then all DELs, then time for the links that DELs leave behind: deleting one holds the
//! kernel's lock for all links for 20 ms, in whatever namespace.

use std::thread::sleep;
use std::time::Duration;

use anyhow::Context;
use rand::seq::SliceRandom;
use rand::{SeedableRng, rngs::ChaCha8Rng};

use super::contestant::{Contestant, Pod, Spent, enter, on_a_thread_of_its_own};

/// Before each ADD and DEL.
const PACE: Duration = Duration::from_millis(3);
/// ADDs and DELs of a batch: the DELs of floor and berth are over before the first reaper starts (200 ms).
const BATCH: usize = 12;
/// After the DELs: 200 ms until links are deleted, the deletion, and the end of the namespaces.
const SETTLE: Duration = Duration::from_millis(500);

/// What one contestant took.
#[derive(Clone, Debug, Default)]
pub struct Times {
    /// Of each ADD.
    pub adds: Vec<Spent>,
    /// Of each DEL.
    pub dels: Vec<Spent>,
}

/// Lets each of `contestants` add and delete `rounds` pods; the times are in their order.
///
/// # Errors
/// One failed.
pub fn hold(
    contestants: &[&dyn Contestant],
    rounds: usize,
    seed: u64,
) -> anyhow::Result<Vec<Times>> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut times = vec![Times::default(); contestants.len()];
    let mut left = rounds;
    while left > 0 {
        let round = left.min(BATCH);
        left -= round;
        let mut order: Vec<usize> = (0..contestants.len() * round)
            .map(|i| i % contestants.len())
            .collect();
        order.shuffle(&mut random);
        let mut pods = Vec::new();
        for &who in &order {
            pods.push((who, Pod::new()?));
        }
        sleep(SETTLE);
        on_a_thread_of_its_own(|| {
            for (who, pod) in &mut pods {
                let contestant = contestants[*who];
                enter(contestant.node())?;
                sleep(PACE);
                let spent = contestant
                    .add(pod)
                    .with_context(|| contestant.name().to_owned())?;
                times[*who].adds.push(spent);
            }
            pods.shuffle(&mut random);
            for (who, pod) in &mut pods {
                let contestant = contestants[*who];
                enter(contestant.node())?;
                sleep(PACE);
                let spent = contestant
                    .del(pod)
                    .with_context(|| contestant.name().to_owned())?;
                times[*who].dels.push(spent);
            }
            Ok(())
        })?;
        sleep(SETTLE);
        drop(pods);
    }
    Ok(times)
}

/// Adds `count` pods one after another, which stay.
///
/// # Errors
/// One failed.
pub fn fill(contestant: &dyn Contestant, count: usize) -> anyhow::Result<Vec<Pod>> {
    on_a_thread_of_its_own(|| {
        let mut pods = Vec::new();
        for _ in 0..count {
            let mut pod = Pod::new()?;
            enter(contestant.node())?;
            contestant
                .add(&mut pod)
                .with_context(|| contestant.name().to_owned())?;
            pods.push(pod);
        }
        Ok(pods)
    })
}
