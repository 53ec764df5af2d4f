//! Quantiles of times.

use std::time::Duration;

/// Of `times` the one that `percent` of 100 do not exceed (nearest rank), in microseconds; zero for none.
#[must_use]
pub fn quantile_us(times: &[Duration], percent: usize) -> f64 {
    let mut times = times.to_vec();
    times.sort_unstable();
    let rank = (times.len() * percent).div_ceil(100).saturating_sub(1);
    times.get(rank).map_or(0.0, |time| time.as_secs_f64() * 1e6)
}

/// The median of `values`, the lower one of two; zero for none.
#[must_use]
pub fn median(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_unstable_by(f64::total_cmp);
    let middle = values.len().saturating_sub(1) / 2;
    values.get(middle).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_by_nearest_rank() {
        let times: Vec<Duration> = (1..=200).rev().map(Duration::from_micros).collect();
        assert!((quantile_us(&times, 50) - 100.0).abs() < 1e-6);
        assert!((quantile_us(&times, 99) - 198.0).abs() < 1e-6);
        assert!(quantile_us(&[], 50).abs() < 1e-6);
    }

    #[test]
    fn the_median_is_one_of_the_values() {
        assert!((median(&[3.0, 1.0, 2.0]) - 2.0).abs() < 1e-9);
        assert!((median(&[4.0, 1.0, 2.0, 3.0]) - 2.0).abs() < 1e-9);
        assert!(median(&[]).abs() < 1e-9);
    }
}
