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
/// ADDs and DELs of one batch: those of two contestants are over before the first reaper starts, 200 ms after a DEL.
const BATCH: usize = 24;
/// Until the links that DELs left are deleted, or the namespaces are gone.
pub const SETTLE: Duration = Duration::from_millis(400);

/// What one contestant took.
#[derive(Clone, Debug, Default)]
pub struct Times {
    /// Of each ADD.
    pub adds: Vec<Spent>,
    /// Of each DEL.
    pub dels: Vec<Spent>,
}

/// Who is compared.
pub struct Contest<'a> {
    contestants: &'a [&'a dyn Contestant],
    random: ChaCha8Rng,
}

/// A pod and whose it is.
type Entry = (usize, Pod);

impl<'a> Contest<'a> {
    /// A contest whose order is made from `seed`.
    #[must_use]
    pub fn of(contestants: &'a [&'a dyn Contestant], seed: u64) -> Self {
        let random = ChaCha8Rng::seed_from_u64(seed);
        Self {
            contestants,
            random,
        }
    }

    /// Lets each contestant add and delete `rounds` pods; the times are in the contestants' order.
    ///
    /// # Errors
    /// An ADD or DEL failed.
    pub fn hold(&mut self, rounds: usize) -> anyhow::Result<Vec<Times>> {
        let mut times = vec![Times::default(); self.contestants.len()];
        let batch = (BATCH / self.contestants.len()).max(1);
        let mut left = rounds;
        while left > 0 {
            let round = left.min(batch);
            left -= round;
            let mut entries = self.entries(round)?;
            sleep(SETTLE);
            on_a_thread_of_its_own(|| self.take_turns(&mut entries, &mut times))?;
            sleep(SETTLE);
        }
        Ok(times)
    }

    fn entries(&mut self, round: usize) -> anyhow::Result<Vec<Entry>> {
        let who = self.contestants.len();
        let entry = |index: usize| Ok((index % who, Pod::new()?));
        let mut entries = (0..who * round)
            .map(entry)
            .collect::<anyhow::Result<Vec<_>>>()?;
        entries.shuffle(&mut self.random);
        Ok(entries)
    }

    fn take_turns(&mut self, entries: &mut [Entry], times: &mut [Times]) -> anyhow::Result<()> {
        let at_turn = |who: usize| -> anyhow::Result<&dyn Contestant> {
            let contestant = self.contestants[who];
            enter(contestant.node())?;
            sleep(PACE);
            Ok(contestant)
        };
        for (who, pod) in entries.iter_mut() {
            let contestant = at_turn(*who)?;
            let spent = contestant
                .add(pod)
                .with_context(|| contestant.name().to_owned())?;
            times[*who].adds.push(spent);
        }
        entries.shuffle(&mut self.random);
        for (who, pod) in entries.iter_mut() {
            let contestant = at_turn(*who)?;
            let spent = contestant
                .del(pod)
                .with_context(|| contestant.name().to_owned())?;
            times[*who].dels.push(spent);
        }
        Ok(())
    }
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
            let added = contestant.add(&mut pod);
            added.with_context(|| contestant.name().to_owned())?;
            pods.push(pod);
        }
        Ok(pods)
    })
}

/// Deletes them again, one after another.
///
/// # Errors
/// One failed.
pub fn empty(contestant: &dyn Contestant, pods: &mut [Pod]) -> anyhow::Result<()> {
    on_a_thread_of_its_own(|| {
        enter(contestant.node())?;
        for pod in pods {
            let deleted = contestant.del(pod);
            deleted.with_context(|| contestant.name().to_owned())?;
        }
        Ok(())
    })
}
