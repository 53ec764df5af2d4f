//! Where chance comes from: a stream of its own for each purpose and each thing, so that what one node draws never changes
//! what another one does. The generator (ChaCha8) and the distributions (libm) give the same numbers on every machine.

use std::time::Duration;

use rand::{RngExt, SeedableRng};
use rand_distr::{Distribution, LogNormal};

/// A stream of random numbers.
pub type Random = rand::rngs::ChaCha8Rng;

/// What a stream is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// How long a node's calls take.
    Calls = 1,
    /// When an ENI's link appears, and from when on EC2 knows the ENI everywhere.
    Interface = 2,
    /// Which addresses EC2 gives.
    Addresses = 3,
    /// Which addresses others have.
    Others = 4,
    /// When a runtime comes again after a refusal.
    Retry = 5,
    /// What a node's pool draws by itself.
    Node = 6,
    /// How long an instance waits for an address to boot with.
    Boot = 7,
    /// What a scenario is made of.
    Scenario = 8,
}

/// The stream for `purpose`, of the thing `index` and what is `part` of it.
pub fn stream(seed: u64, purpose: Purpose, index: usize, part: usize) -> Random {
    let mut key = [0; 32];
    let words = [seed, purpose as u64, index as u64, part as u64];
    for (bytes, word) in key.chunks_exact_mut(8).zip(words) {
        bytes.copy_from_slice(&word.to_le_bytes());
    }
    Random::from_seed(key)
}

/// A log-normal duration: what calls over a network take.
pub fn log_normal(random: &mut Random, median: Duration, sigma: f64) -> Duration {
    // Only a deviation that is no number has no distribution.
    LogNormal::new(0.0, sigma).map_or(median, |factor| median.mul_f64(factor.sample(random)))
}

/// A duration of `from` to `to`, all equally likely.
pub fn between(random: &mut Random, from: Duration, to: Duration) -> Duration {
    from + (to.saturating_sub(from)).mul_f64(random.random::<f64>())
}
