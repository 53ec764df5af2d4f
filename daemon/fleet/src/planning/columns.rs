//! Columns of text: the first to the left, the others to the right, no wider than what stands in them.

/// A table in the making.
#[derive(Debug)]
pub(super) struct Columns {
    rows: Vec<Vec<String>>,
}

impl Columns {
    /// A table with these heads.
    pub(super) fn new<'a>(heads: impl IntoIterator<Item = &'a str>) -> Self {
        Self {
            rows: vec![heads.into_iter().map(str::to_owned).collect()],
        }
    }

    /// Adds a row.
    pub(super) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// As text, a line a row.
    pub(super) fn render(&self) -> String {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        let line = |row: &Vec<String>| {
            let cells = row.iter().zip(&widths).enumerate();
            let cells: Vec<String> = cells
                .map(|(column, (cell, &width))| match column {
                    0 => format!("{cell:<width$}"),
                    _ => format!("{cell:>width$}"),
                })
                .collect();
            format!("{}\n", cells.join("  ").trim_end())
        };
        self.rows.iter().map(line).collect()
    }
}

/// `text` in lines of `width` at most, all but the first behind `indent` spaces, of which the first line has so many used up
/// already.
pub(super) fn wrap(text: &str, indent: usize, width: usize) -> String {
    let (mut wrapped, mut column) = (String::new(), indent);
    for word in text.split(' ') {
        let length = word.chars().count();
        if column > indent {
            if column + 1 + length > width {
                wrapped.push('\n');
                wrapped.push_str(&" ".repeat(indent));
                column = indent;
            } else {
                wrapped.push(' ');
                column += 1;
            }
        }
        wrapped.push_str(word);
        column += length;
    }
    wrapped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let mut columns = Columns::new(["policy", "held"]);
        columns.row(["berth".to_owned(), "1,000".to_owned()]);
        columns.row(["aws-default".to_owned(), "9".to_owned()]);
        assert_eq!(
            columns.render(),
            "policy        held\nberth        1,000\naws-default      9\n"
        );
    }

    #[test]
    fn words_are_not_broken() {
        assert_eq!(wrap("one two three", 2, 9), "one two\n  three");
        assert_eq!(wrap("unbreakable", 2, 5), "unbreakable");
    }
}
