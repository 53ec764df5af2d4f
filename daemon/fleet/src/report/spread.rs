//! How far the figures of several seeds lie apart.

use serde::Serialize;

use crate::run::Row;

/// Lowest and highest figure.
pub type Range = [f64; 2];

/// The figures of several seeds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Spread {
    /// How many.
    pub seeds: usize,
    /// As in [`Row`], and so on.
    pub held_per_used: Range,
    /// Calls.
    pub calls_per_1000_pods: Range,
    /// Shares, 0 to 1.
    pub waited_share: Range,
    /// 99th percentiles, milliseconds.
    pub wait_p99_ms: Range,
    /// ADDs.
    pub failed_adds: Range,
    /// Pods.
    pub starved: Range,
    /// Seconds; nothing unless all pods were served with every seed.
    pub served_s: Option<Range>,
}

impl Spread {
    /// Of `rows`; nothing if there is only one.
    pub fn of(rows: &[Row]) -> Option<Self> {
        if rows.len() < 2 {
            return None;
        }
        let range = |field: fn(&Row) -> f64| ends(rows.iter().map(field));
        let served: Option<Vec<f64>> = rows.iter().map(|row| row.served_s).collect();
        Some(Self {
            seeds: rows.len(),
            held_per_used: range(|row| row.held_per_used),
            calls_per_1000_pods: range(|row| row.calls_per_1000_pods),
            waited_share: range(|row| row.waited_share),
            wait_p99_ms: range(|row| row.wait_ms.p99),
            failed_adds: range(|row| row.failed_adds as f64),
            starved: range(|row| row.starved as f64),
            served_s: served.map(|served| ends(served.into_iter())),
        })
    }
}

fn ends(values: impl Iterator<Item = f64> + Clone) -> Range {
    [
        values.clone().fold(f64::INFINITY, f64::min),
        values.fold(f64::NEG_INFINITY, f64::max),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::tests::row;

    #[test]
    fn a_spread_has_the_ends_of_all_seeds() {
        let mut rows = [1.3, 1.1, 1.2].map(|held| row("raw", "berth", held));
        assert_eq!(Spread::of(&rows[..1]), None);
        let spread = Spread::of(&rows).expect("three seeds");
        assert_eq!((spread.seeds, spread.held_per_used), (3, [1.1, 1.3]));
        assert_eq!(spread.served_s, Some([30.0, 30.0]));
        rows[1].served_s = None;
        assert_eq!(Spread::of(&rows).expect("three seeds").served_s, None);
    }
}
