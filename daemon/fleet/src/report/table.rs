//! Tables for a terminal: the first column to the left, numbers to the right, a rule below the head.

use std::fmt;

/// A table in the making.
#[derive(Clone, Debug, Default)]
pub struct Table {
    title: String,
    lines: Vec<Line>,
    columns: usize,
    /// How many columns, from the left, hold words.
    words: usize,
}

#[derive(Clone, Debug)]
enum Line {
    Cells(Vec<String>),
    Rule,
}

impl Table {
    /// A table of these columns, the first `words` of which hold words.
    pub fn new(title: &str, columns: &[&str], words: usize) -> Self {
        let head = columns.iter().map(|name| (*name).to_owned()).collect();
        Self {
            title: title.to_owned(),
            lines: vec![Line::Cells(head), Line::Rule],
            columns: columns.len(),
            words,
        }
    }

    /// Adds a line.
    pub fn line(&mut self, cells: Vec<String>) {
        self.lines.push(Line::Cells(cells));
    }

    /// Adds a rule, unless there is one.
    pub fn rule(&mut self) {
        if !matches!(self.lines.last(), Some(Line::Rule)) {
            self.lines.push(Line::Rule);
        }
    }

    fn width(&self, column: usize) -> usize {
        let cells = self.lines.iter().filter_map(|line| match line {
            Line::Cells(cells) => cells.get(column),
            Line::Rule => None,
        });
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let widths: Vec<_> = (0..self.columns).map(|column| self.width(column)).collect();
        if !self.title.is_empty() {
            writeln!(f, "{}", self.title)?;
        }
        for line in &self.lines {
            let mut text = String::new();
            for (column, width) in widths.iter().copied().enumerate() {
                let gap = if column == 0 { "" } else { "  " };
                let cell = match line {
                    Line::Cells(cells) => cells.get(column).map_or("", String::as_str),
                    Line::Rule => &"-".repeat(width),
                };
                text += &if column < self.words {
                    format!("{gap}{cell:<width$}")
                } else {
                    format!("{gap}{cell:>width$}")
                };
            }
            writeln!(f, "{}", text.trim_end())?;
        }
        Ok(())
    }
}

/// A ratio or another number: three figures, without needless ones.
pub fn number(value: f64) -> String {
    match value.abs() {
        _ if !value.is_finite() => "-".to_owned(),
        0.0 => "0".to_owned(),
        ..10.0 => format!("{value:.2}"),
        ..100.0 => format!("{value:.1}"),
        _ => grouped(value.round() as u64),
    }
}

/// A whole number, in groups of three.
pub fn grouped(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A wait.
pub fn milliseconds(value: f64) -> String {
    match value {
        ..0.5 => "0".to_owned(),
        ..1000.0 => format!("{value:.0} ms"),
        ..100_000.0 => format!("{:.1} s", value / 1000.0),
        _ => format!("{} s", grouped((value / 1000.0).round() as u64)),
    }
}

/// A share, as per cent.
pub fn percent(share: f64) -> String {
    match share * 100.0 {
        0.0 => "0 %".to_owned(),
        ..10.0 => format!("{:.2} %", share * 100.0),
        percent => format!("{percent:.0} %"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let mut table = Table::new("T", &["name", "n"], 1);
        table.line(vec!["a".to_owned(), "1,000".to_owned()]);
        table.rule();
        table.line(vec!["longer".to_owned(), "2".to_owned()]);
        let lines = [
            "T",
            "name        n",
            "------  -----",
            "a       1,000",
            "------  -----",
            "longer      2",
            "",
        ];
        assert_eq!(table.to_string(), lines.join("\n"));
    }

    #[test]
    fn numbers_have_three_figures() {
        let texts = [0.0, 0.004, 1.234, 12.34, 123.4, 1_234_567.0].map(number);
        assert_eq!(texts, ["0", "0.00", "1.23", "12.3", "123", "1,234,567"]);
        assert_eq!(number(f64::NAN), "-");
        let waits = [0.0, 49.7, 999.0, 12_345.0, 2_382_000.0].map(milliseconds);
        assert_eq!(waits, ["0", "50 ms", "999 ms", "12.3 s", "2,382 s"]);
        assert_eq!([0.0, 0.0281, 0.96].map(percent), ["0 %", "2.81 %", "96 %"]);
    }
}
