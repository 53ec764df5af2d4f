//! How long pods waited, and what of it is told.

use std::time::Duration;

use crate::run::Waits;

/// From here on a pod counts as one that waited: less is what an ADD takes anyway.
pub const WAITED: Duration = Duration::from_millis(50);

/// Their quantiles, each the wait that this share of the pods did not exceed (nearest rank).
pub fn quantiles(waits: &mut [Duration]) -> Waits {
    waits.sort_unstable();
    let rank = |share: f64| {
        let rank = (share * waits.len() as f64).ceil() as usize;
        waits.get(rank.max(1) - 1).copied().unwrap_or_default()
    };
    let ms = |wait: Duration| wait.as_secs_f64() * 1e3;
    Waits {
        p50: ms(rank(0.5)),
        p99: ms(rank(0.99)),
        max: ms(rank(1.0)),
    }
}

/// The share of them above [`WAITED`].
pub fn waited_share(waits: &[Duration]) -> f64 {
    match waits.len() {
        0 => 0.0,
        all => waits.iter().filter(|wait| **wait > WAITED).count() as f64 / all as f64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks() {
        let ms = |range: std::ops::RangeInclusive<u64>| -> Vec<Duration> {
            range.rev().map(Duration::from_millis).collect()
        };
        for (mut waits, p50, p99, max, share) in [
            (ms(1..=100), 50.0, 99.0, 100.0, 0.5),
            (ms(51..=51), 51.0, 51.0, 51.0, 1.0),
            (ms(50..=50), 50.0, 50.0, 50.0, 0.0),
            (ms(1..=200), 100.0, 198.0, 200.0, 0.75),
            (vec![], 0.0, 0.0, 0.0, 0.0),
        ] {
            let expected = Waits { p50, p99, max };
            assert_eq!(quantiles(&mut waits), expected);
            assert!((waited_share(&waits) - share).abs() < 1e-9);
        }
    }
}
