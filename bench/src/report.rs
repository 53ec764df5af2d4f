//! What was measured, for people: a table of times, one of other figures, one of goals; for a terminal or as Markdown.

pub mod picture;

use std::fmt::Write as _;

use crate::goals::{GOALS, Goal};
use crate::record::{Reached, Record, Row};

/// The contestant that the others are compared with.
pub const FLOOR: &str = "floor";

/// How a table is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Columns that stand below each other.
    Plain,
    /// A table of Markdown.
    Markdown,
}

/// All of them; without rows there is no table.
#[must_use]
pub fn tables(record: &Record, form: Form) -> String {
    let mut text = String::new();
    for (key, value) in &record.machine {
        // writing to a String does not fail
        let _ = match form {
            Form::Plain => writeln!(text, "{key:<8} {value}"),
            Form::Markdown => writeln!(text, "- {key}: {value}"),
        };
    }
    let head = [
        "time", "of", "pods", "n", "p50 ms", "p90 ms", "p99 ms", "/ floor",
    ];
    text += &table(
        form,
        &head,
        record.rows.iter().map(|row| times(record, row)).collect(),
    );
    let head = ["figure", "of", "pods", "value", "unit"];
    let figures = record.figures.iter().map(|figure| {
        let (name, variant) = (figure.name.clone(), figure.variant.clone());
        let value = short(figure.value);
        vec![
            name,
            variant,
            figure.pods.to_string(),
            value,
            figure.unit.to_owned(),
        ]
    });
    text += &table(form, &head, figures.collect());
    let head = ["goal", "what", "reached", "reach", "beyond", "verdict"];
    text + &table(
        form,
        &head,
        record.goals.iter().filter_map(verdict).collect(),
    )
}

fn times(record: &Record, row: &Row) -> Vec<String> {
    // to ten nanoseconds for what takes microseconds, such as a packet
    let digits = |us: f64| if us < 100.0 { 5 } else { 2 };
    let ms = |us: f64| format!("{:.*}", digits(us), us / 1e3);
    let floor = record.p50_us(&row.name, FLOOR, row.pods);
    let ratio = floor.map_or_else(String::new, |floor| format!("{:.2}", row.p50_us / floor));
    let (name, variant) = (row.name.clone(), row.variant.clone());
    let (pods, n) = (row.pods.to_string(), row.n.to_string());
    vec![
        name,
        variant,
        pods,
        n,
        ms(row.p50_us),
        ms(row.p90_us),
        ms(row.p99_us),
        ratio,
    ]
}

fn verdict(reached: &Reached) -> Option<Vec<String>> {
    let goal: &Goal = GOALS.iter().find(|goal| goal.name == reached.name)?;
    let verdict = if goal.holds(reached.ratio, goal.beyond) {
        "beyond"
    } else if goal.holds(reached.ratio, goal.reach) {
        "reached"
    } else {
        "missed"
    };
    let (name, what) = (goal.name.to_owned(), goal.what.to_owned());
    let [ratio, reach, beyond] = [reached.ratio, goal.reach, goal.beyond].map(short);
    Some(vec![name, what, ratio, reach, beyond, verdict.to_owned()])
}

/// Three digits that say something.
fn short(value: f64) -> String {
    let digits = match value.abs() {
        size if size >= 100.0 => 0,
        size if size >= 10.0 => 1,
        _ => 2,
    };
    format!("{value:.digits$}")
}

fn table(form: Form, head: &[&str], rows: Vec<Vec<String>>) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let head: Vec<String> = head.iter().map(|&name| name.to_owned()).collect();
    let width = |column: usize| {
        let cells = rows.iter().chain([&head]).filter_map(|row| row.get(column));
        cells
            .map(|cell| cell.chars().count())
            .max()
            .unwrap_or_default()
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    // What begins with a digit in the first row is a number, and stands to the right.
    let right = |column: usize| {
        let cell = rows.first().and_then(|row| row.get(column));
        cell.is_some_and(|cell| cell.starts_with(|c: char| c.is_ascii_digit()))
    };
    let line = |row: &[String]| {
        let cells = row
            .iter()
            .zip(&widths)
            .enumerate()
            .map(|(column, (cell, &width))| {
                if right(column) {
                    format!("{cell:>width$}")
                } else {
                    format!("{cell:<width$}")
                }
            });
        let cells: Vec<String> = cells.collect();
        match form {
            Form::Plain => cells.join("  ").trim_end().to_owned() + "\n",
            Form::Markdown => format!("| {} |\n", cells.join(" | ")),
        }
    };
    let mut text = String::from("\n") + &line(&head);
    if form == Form::Markdown {
        let rule = |(column, &width): (usize, &usize)| {
            let end = if right(column) { ":" } else { "-" };
            "-".repeat(width.max(2) - 1) + end
        };
        let rules: Vec<String> = widths.iter().enumerate().map(rule).collect();
        text += &format!("| {} |\n", rules.join(" | "));
    }
    rows.iter().fold(text, |text, row| text + &line(row))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn record() -> Record {
        let mut record = Record::default();
        record.times("add", FLOOR, 30, &[Duration::from_micros(1_000)]);
        record.times("add", "berth", 30, &[Duration::from_micros(1_250)]);
        record.times("miss", "berth", 0, &[Duration::from_micros(9_876)]);
        record.figure("rss", "berthd", 250, 14.25, "MiB");
        record.goal("add_over_floor", 1.25);
        record.goal("pps_500_over_0", 0.99);
        record.goal("ptp_over_add", 2.9);
        record
    }

    #[test]
    fn a_time_stands_beside_its_ratio_to_the_floor_of_as_many_pods() {
        let text = tables(&record(), Form::Plain);
        assert!(
            text.contains("add   berth    30  1    1.25    1.25    1.25     1.25\n"),
            "{text}"
        );
        assert!(
            text.contains("miss  berth     0  1    9.88    9.88    9.88\n"),
            "{text}"
        );
        assert!(
            text.contains("rss     berthd   250   14.2  MiB\n"),
            "{text}"
        );
    }

    #[test]
    fn each_goal_has_a_verdict() {
        let text = tables(&record(), Form::Plain);
        let verdict = |name: &str| {
            let line = text.lines().find(|line| line.starts_with(name));
            line.and_then(|line| line.split(' ').next_back())
                .map(str::to_owned)
        };
        assert_eq!(verdict("add_over_floor").as_deref(), Some("reached"));
        assert_eq!(verdict("pps_500_over_0").as_deref(), Some("beyond"));
        assert_eq!(verdict("ptp_over_add").as_deref(), Some("missed"));
    }

    #[test]
    fn markdown_has_rules_below_the_heads() {
        let text = tables(&record(), Form::Markdown);
        assert!(text.contains("\n| time | of    | pods |"), "{text}");
        assert!(text.contains("\n| ---- | ----- | ---: |"), "{text}");
    }
}
