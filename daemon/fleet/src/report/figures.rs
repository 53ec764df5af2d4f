//! The tables that `fleet` prints: the figures of each workload and policy by kind of workload, and the means.

use super::json::Record;
use super::means::MEAN8;
use super::spread::Range;
use super::table::{Table, grouped, milliseconds, number, percent};
use super::{Cell, json};
use crate::run::Row;
use crate::workloads::Workload;

/// Kinds of workloads, each a table. What is in none of them has the last one.
const GROUPS: [(&str, &[Workload]); 5] = [
    ("Steady clusters", &Workload::STEADY),
    (
        "One pod on each huge node",
        &[Workload::Huge60, Workload::Huge500],
    ),
    (
        "Nodes that join at once",
        &[
            Workload::Out150,
            Workload::Out150s,
            Workload::Out1000,
            Workload::Out1000d,
        ],
    ),
    ("Scarce addresses", &[Workload::Tight, Workload::Frag]),
    ("Others", &[]),
];

const COLUMNS: [&str; 15] = [
    "workload",
    "policy",
    "held/used",
    "peak held",
    "a node",
    "calls/1,000",
    "waited",
    "p50",
    "p99",
    "longest",
    "failed",
    "starved",
    "throttled",
    "oscill.",
    "served",
];

/// A table for each kind of workload that is in `cells`.
pub fn tables(cells: &[Cell]) -> Vec<Table> {
    let named = |cell: &Cell| cell.row().workload.parse::<Workload>();
    let tables = GROUPS.iter().filter_map(|(title, workloads)| {
        let of_them = |cell: &&Cell| match named(cell) {
            Ok(workload) => workloads.contains(&workload),
            Err(_) => workloads.is_empty(),
        };
        let of_them: Vec<_> = cells.iter().filter(of_them).collect();
        (!of_them.is_empty()).then(|| group(title, &of_them))
    });
    tables.collect()
}

fn group(title: &str, cells: &[&Cell]) -> Table {
    let mut table = Table::new(title, &COLUMNS, 2);
    let several = cells
        .iter()
        .any(|cell| cell.row().policy != cells[0].row().policy);
    let mut last = "";
    for cell in cells {
        let row = cell.row();
        if row.workload != last && several {
            table.rule();
        }
        table.line(line(
            cell,
            if row.workload == last {
                ""
            } else {
                &row.workload
            },
        ));
        last = &row.workload;
    }
    table
}

fn line(cell: &Cell, name: &str) -> Vec<String> {
    let row = cell.row();
    let synthetic = cell.trace.as_deref() == Some("synthetic") && !name.is_empty();
    let nodes = &cell.run.nodes;
    let a_node = nodes.iter().map(|node| node.held).sum::<f64>() / nodes.len() as f64;
    let served = row
        .served_s
        .map_or("never".to_owned(), |seconds| milliseconds(seconds * 1000.0));
    vec![
        format!("{name}{}", if synthetic { "*" } else { "" }),
        row.policy.clone(),
        ratio(row),
        grouped(row.peak_held.into()),
        number(a_node),
        number(row.calls_per_1000_pods),
        percent(row.waited_share),
        milliseconds(row.wait_ms.p50),
        milliseconds(row.wait_ms.p99),
        milliseconds(row.wait_ms.max),
        grouped(row.failed_adds),
        grouped(row.starved),
        grouped(row.throttled),
        number(row.oscillation_per_1000),
        served,
    ]
}

/// Held over used; a dash where no pod ever had an address.
pub fn ratio(row: &Row) -> String {
    if row.held_per_used > 0.0 {
        number(row.held_per_used)
    } else {
        "-".to_owned()
    }
}

/// The means of the eight steady workloads, by policy; nothing unless all were run.
pub fn means(records: &[Record]) -> Option<Table> {
    let columns = [
        "policy",
        "held/used",
        "calls/1,000",
        "waited",
        "worst p99",
        "failed",
        "starved",
        "oscill.",
    ];
    let mut table = Table::new("Means of the eight steady workloads (mean8)", &columns, 1);
    let means: Vec<&Row> = (records.iter())
        .map(|record| &record.row)
        .filter(|row| row.workload == MEAN8)
        .collect();
    for row in &means {
        table.line(vec![
            row.policy.clone(),
            number(row.held_per_used),
            number(row.calls_per_1000_pods),
            percent(row.waited_share),
            milliseconds(row.wait_ms.p99),
            grouped(row.failed_adds),
            grouped(row.starved),
            number(row.oscillation_per_1000),
        ]);
    }
    (!means.is_empty()).then_some(table)
}

/// How far seeds lie apart; nothing if there is only one.
pub fn spreads(records: &[Record]) -> Option<Table> {
    let columns = [
        "workload",
        "policy",
        "held/used",
        "calls/1,000",
        "waited",
        "p99",
        "failed",
        "starved",
        "served",
    ];
    let spreads = records
        .iter()
        .filter_map(|record| Some((&record.row, record.spread.as_ref()?)));
    let seeds = spreads.clone().map(|(_, spread)| spread.seeds).max()?;
    let mut table = Table::new(&format!("Lowest and highest of {seeds} seeds"), &columns, 2);
    for (row, spread) in spreads {
        let served = spread
            .served_s
            .map(|served| served.map(|seconds| seconds * 1000.0));
        table.line(vec![
            row.workload.clone(),
            row.policy.clone(),
            range(spread.held_per_used, number),
            range(spread.calls_per_1000_pods, number),
            range(spread.waited_share, percent),
            range(spread.wait_p99_ms, milliseconds),
            range(spread.failed_adds, number),
            range(spread.starved, number),
            served.map_or("-".to_owned(), |served| range(served, milliseconds)),
        ]);
    }
    Some(table)
}

fn range(range: Range, show: fn(f64) -> String) -> String {
    let [lowest, highest] = range.map(show);
    if lowest == highest {
        lowest
    } else {
        format!("{lowest} - {highest}")
    }
}

/// What must be known of the figures, in sentences.
pub fn remarks(cells: &[Cell]) -> String {
    let mut text = String::from(
        "held: secondaries, 16 a prefix, primaries of extra ENIs; used: addresses of running pods; both averaged over time.\n\
         a node: held, averaged over time and nodes. calls: accepted ones that change something. waited: more than 50 ms.\n",
    );
    if cells
        .iter()
        .any(|cell| cell.trace.as_deref() == Some("synthetic"))
    {
        text += "* SYNTHETIC: these replay a made-up trace in the shape of the real one, not the real one \
                 (--trace FILE --nodes FILE).\n";
    }
    text
}

/// Everything about `cells` that is printed, but for the goals.
pub fn all(cells: &[Cell]) -> String {
    let records = json::records(cells);
    let tables = tables(cells)
        .into_iter()
        .chain(means(&records))
        .chain(spreads(&records));
    let mut text: String = tables.map(|table| format!("{table}\n")).collect();
    text += &remarks(cells);
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::tests::{cell, row};

    #[test]
    fn each_kind_of_workload_has_its_table_and_a_synthetic_trace_is_said_aloud() {
        let mut raw = cell(row("raw", "berth", 1.2), 10);
        raw.trace = Some("synthetic".to_owned());
        let cells = [
            raw,
            cell(row("raw", "aws-default", 15.9), 10),
            cell(row("frag", "berth", 1.2), 10),
            cell(row("mine", "berth", 1.2), 10),
        ];
        let text = all(&cells);
        for said in [
            "Steady clusters\n",
            "\nraw*      berth",
            "\n          aws-default",
            "Scarce addresses\n",
            "Others\n",
            "\nmine",
            "SYNTHETIC",
        ] {
            assert!(text.contains(said), "{said:?} in\n{text}");
        }
        assert!(!text.contains("mean8"), "{text}");
        assert!(!text.contains("seeds"), "{text}");
        assert!(!all(&cells[1..]).contains("SYNTHETIC"));
    }

    #[test]
    fn several_seeds_show_how_far_they_lie_apart() {
        let mut raw = cell(row("raw", "berth", 1.2), 10);
        raw.seeds.push(row("raw", "berth", 1.3));
        let text = all(&[raw]);
        assert!(
            text.contains("of 2 seeds") && text.contains("1.20 - 1.30"),
            "{text}"
        );
    }
}
