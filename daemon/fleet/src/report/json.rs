//! `fleet.json`: an array with an object for each workload and policy, then one for `mean8` of each policy. The fields are
//! those of [`Row`], and where they apply
//!
//! - `trace`: which trace was replayed, `synthetic` if it was made up;
//! - `spread`: lowest and highest figures, where there are several seeds ([`Spread`]). The others are the first seed's.

use serde::Serialize;

use super::Cell;
use super::means::mean8;
use super::spread::Spread;
use crate::run::Row;

/// An object of the array.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Record {
    /// The figures.
    #[serde(flatten)]
    pub row: Row,
    /// Which trace they are of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace: Option<String>,
    /// Of other seeds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spread: Option<Spread>,
}

/// What `fleet.json` says of `cells`.
pub fn records(cells: &[Cell]) -> Vec<Record> {
    let single = cells.iter().map(|cell| Record {
        row: cell.row().clone(),
        trace: cell.trace.clone(),
        spread: Spread::of(&cell.seeds),
    });
    let mut policies: Vec<&str> = Vec::new();
    for cell in cells {
        if !policies.contains(&cell.row().policy.as_str()) {
            policies.push(&cell.row().policy);
        }
    }
    let means = policies
        .into_iter()
        .filter_map(|policy| mean_of(cells, policy));
    single.chain(means).collect()
}

/// The mean of each seed, as one record.
fn mean_of(cells: &[Cell], policy: &str) -> Option<Record> {
    let seeds = cells.iter().map(|cell| cell.seeds.len()).min().unwrap_or(0);
    let means: Option<Vec<Row>> = (0..seeds)
        .map(|seed| {
            let rows: Vec<_> = cells
                .iter()
                .filter_map(|cell| cell.seeds.get(seed))
                .collect();
            mean8(&rows, policy)
        })
        .collect();
    let means = means?;
    Some(Record {
        row: means.first()?.clone(),
        trace: cells.iter().find_map(|cell| cell.trace.clone()),
        spread: Spread::of(&means),
    })
}

/// The text of `fleet.json`.
///
/// # Errors
///
/// None that these types have; serde cannot know.
pub fn text(records: &[Record]) -> Result<String, serde_json::Error> {
    serde_json::to_string_pretty(records).map(|text| text + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::tests::{cell, row};
    use crate::workloads::Workload;

    fn eight() -> Vec<Cell> {
        let cells = Workload::STEADY.iter().map(|workload| {
            let mut cell = cell(row(workload.name(), "berth", 1.25), 50);
            cell.trace = workload.replays().then(|| "synthetic".to_owned());
            cell.seeds.push(row(workload.name(), "berth", 1.5));
            cell
        });
        cells.collect()
    }

    #[test]
    fn rows_have_the_fields_that_are_documented_and_a_mean_follows() {
        let text = text(&records(&eight())).expect("JSON");
        let json: serde_json::Value = serde_json::from_str(&text).expect("an array");
        let row = &json[0];
        for field in [
            "workload",
            "policy",
            "held_per_used",
            "peak_held",
            "calls_per_1000_pods",
            "throttled",
            "waited_share",
            "failed_adds",
            "starved",
            "oscillation_per_1000",
            "served_s",
        ] {
            assert!(!row[field].is_null(), "{field} in {row}");
        }
        assert_eq!(row["wait_ms"]["p99"], 40.0);
        assert_eq!(
            (&row["trace"], &json[4].get("trace")),
            (&"synthetic".into(), &None)
        );
        assert_eq!(json.as_array().map(Vec::len), Some(9));
        let mean = &json[8];
        assert_eq!(
            (&mean["workload"], &mean["trace"]),
            (&"mean8".into(), &"synthetic".into())
        );
        assert_eq!(mean["spread"]["seeds"], 2);
        let held = mean["spread"]["held_per_used"][1]
            .as_f64()
            .expect("a number");
        assert!((held - 1.5).abs() < 1e-9, "{held}");
    }

    #[test]
    fn there_is_no_mean_of_less_than_eight() {
        assert_eq!(records(&eight()[..7]).len(), 7);
    }
}
