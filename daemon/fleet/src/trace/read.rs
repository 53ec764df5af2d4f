//! Reads a trace from the text of its two files. Whoever calls it has read the files.

use std::collections::BTreeMap;
use std::time::Duration;

use csv::{Reader, StringRecord, Trim};

use super::{Source, Trace, TracePod};

/// The text of a file, and what to call it.
#[derive(Clone, Copy, Debug)]
pub struct File<'a> {
    /// Its name, for errors.
    pub name: &'a str,
    /// What is in it.
    pub text: &'a str,
}

/// Why a trace cannot be read. Lines are counted from 1, the line with the columns' names included.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A column is missing.
    #[error(
        "{file}: no column `{column}`, only {found}; its first line must name the columns, {needed} among them"
    )]
    NoColumn {
        /// Where.
        file: String,
        /// Which.
        column: &'static str,
        /// Those that are there.
        found: String,
        /// Those that must be.
        needed: String,
    },
    /// A line is no CSV, or has more or fewer fields than the first one.
    #[error("{file}: not readable as CSV: {source}; mend or remove that line")]
    Csv {
        /// Where.
        file: String,
        /// What is wrong, and the line.
        source: csv::Error,
    },
    /// A field that must be a number is none.
    #[error(
        "{file}, line {line}, column `{column}`: `{value}` is not a number of {unit}, 0 or more"
    )]
    NotANumber {
        /// Where.
        file: String,
        /// Where in it.
        line: u64,
        /// Of which column.
        column: &'static str,
        /// What is there.
        value: String,
        /// What should be.
        unit: &'static str,
    },
    /// A pod goes before it comes.
    #[error(
        "{file}, line {line}: deletion_time {deleted} s is before scheduled_time {scheduled} s; \
         correct one of them, or leave scheduled_time empty if the pod never ran"
    )]
    Backwards {
        /// Where.
        file: String,
        /// Where in it.
        line: u64,
        /// When it comes, seconds.
        scheduled: f64,
        /// When it goes, seconds.
        deleted: f64,
    },
    /// Nothing to replay.
    #[error("{file}: no {what}; is it the right file?")]
    Empty {
        /// Where.
        file: String,
        /// What is missing.
        what: &'static str,
    },
}

const CPU: &str = "cpu_milli";
const SCHEDULED: &str = "scheduled_time";
const DELETED: &str = "deletion_time";
const MILLI: &str = "thousandths of a core";
const SECONDS: &str = "seconds";
/// Beyond it a time is a mistake: 3,000 years, so seconds since 1970 are none and nanoseconds are.
const MAX: f64 = 1e11;

impl Trace {
    /// Reads a trace from a file of pods and one of nodes. Of the pods' columns it needs `cpu_milli`, `scheduled_time` (empty
    /// for pods that never were) and `deletion_time` (empty for pods that outlived the trace), of the nodes' `cpu_milli`.
    ///
    /// # Errors
    ///
    /// Every [`Error`], for the first thing that is wrong.
    pub fn read(pods: File<'_>, nodes: File<'_>) -> Result<Self, Error> {
        let mut read = read_pods(pods)?;
        // Stable, so that equal times keep the file's order.
        read.sort_by_key(|pod| pod.scheduled);
        Ok(Self {
            source: Source::File(pods.name.to_owned()),
            pods: read,
            node_cpu_milli: usual_cpu(nodes)?,
        })
    }
}

fn read_pods(file: File<'_>) -> Result<Vec<TracePod>, Error> {
    let mut table = Table::open(file, &[CPU, SCHEDULED, DELETED])?;
    let mut pods = Vec::new();
    let mut endless = Vec::new();
    let mut last: f64 = 0.0;
    while let Some(row) = table.next()? {
        let Some(scheduled) = row.number(SCHEDULED, SECONDS)? else {
            continue;
        };
        let deleted = row.number(DELETED, SECONDS)?;
        if let Some(deleted) = deleted.filter(|deleted| *deleted < scheduled) {
            return Err(Error::Backwards {
                file: file.name.to_owned(),
                line: row.line,
                scheduled,
                deleted,
            });
        }
        if deleted.is_none() {
            endless.push(pods.len());
        }
        last = last.max(deleted.unwrap_or(scheduled));
        pods.push(TracePod {
            scheduled: Duration::from_secs_f64(scheduled),
            deleted: Duration::from_secs_f64(deleted.unwrap_or(scheduled)),
            cpu_milli: row.required(CPU, MILLI)?,
        });
    }
    for index in endless {
        pods[index].deleted = Duration::from_secs_f64(last);
    }
    if pods.is_empty() {
        return Err(empty(file, "pod that was ever scheduled"));
    }
    Ok(pods)
}

/// The CPU of most nodes; of the larger kind if two are as frequent.
fn usual_cpu(file: File<'_>) -> Result<f64, Error> {
    let mut table = Table::open(file, &[CPU])?;
    let mut kinds: BTreeMap<u64, u32> = BTreeMap::new();
    while let Some(row) = table.next()? {
        *kinds.entry(row.required(CPU, MILLI)? as u64).or_default() += 1;
    }
    let usual = kinds.into_iter().filter(|(cpu, _)| *cpu > 0);
    match usual.max_by_key(|(cpu, count)| (*count, *cpu)) {
        Some((cpu, _)) => Ok(cpu as f64),
        None => Err(empty(file, "node with a CPU")),
    }
}

fn empty(file: File<'_>, what: &'static str) -> Error {
    Error::Empty {
        file: file.name.to_owned(),
        what,
    }
}

/// A CSV file with named columns.
struct Table<'a> {
    file: &'a str,
    reader: Reader<&'a [u8]>,
    columns: BTreeMap<&'static str, usize>,
    record: StringRecord,
}

/// A line of it.
struct Row<'a> {
    file: &'a str,
    line: u64,
    columns: &'a BTreeMap<&'static str, usize>,
    record: &'a StringRecord,
}

impl<'a> Table<'a> {
    fn open(file: File<'a>, needed: &[&'static str]) -> Result<Self, Error> {
        let mut reader = csv::ReaderBuilder::new()
            .trim(Trim::All)
            .from_reader(file.text.as_bytes());
        let head = reader
            .headers()
            .map_err(|source| broken(file.name, source))?;
        let mut columns = BTreeMap::new();
        for column in needed {
            let Some(index) = head.iter().position(|name| name == *column) else {
                return Err(Error::NoColumn {
                    file: file.name.to_owned(),
                    column,
                    found: head.iter().collect::<Vec<_>>().join(", "),
                    needed: needed.join(", "),
                });
            };
            columns.insert(*column, index);
        }
        Ok(Self {
            file: file.name,
            reader,
            columns,
            record: StringRecord::new(),
        })
    }

    fn next(&mut self) -> Result<Option<Row<'_>>, Error> {
        let more = self.reader.read_record(&mut self.record);
        if !more.map_err(|source| broken(self.file, source))? {
            return Ok(None);
        }
        Ok(Some(Row {
            file: self.file,
            line: self.record.position().map_or(0, csv::Position::line),
            columns: &self.columns,
            record: &self.record,
        }))
    }
}

impl Row<'_> {
    /// The number of `column`; nothing if the field is empty.
    fn number(&self, column: &'static str, unit: &'static str) -> Result<Option<f64>, Error> {
        let index = self.columns.get(column);
        let value = index
            .and_then(|index| self.record.get(*index))
            .unwrap_or_default();
        if value.is_empty() {
            return Ok(None);
        }
        match value.parse() {
            Ok(number) if (0.0..=MAX).contains(&number) => Ok(Some(number)),
            _ => Err(self.not_a_number(column, value, unit)),
        }
    }

    fn required(&self, column: &'static str, unit: &'static str) -> Result<f64, Error> {
        self.number(column, unit)?
            .ok_or_else(|| self.not_a_number(column, "", unit))
    }

    fn not_a_number(&self, column: &'static str, value: &str, unit: &'static str) -> Error {
        Error::NotANumber {
            file: self.file.to_owned(),
            line: self.line,
            column,
            value: value.to_owned(),
            unit,
        }
    }
}

fn broken(file: &str, source: csv::Error) -> Error {
    Error::Csv {
        file: file.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NODES: File<'_> = File {
        name: "nodes.csv",
        text: "sn,cpu_milli,memory_mib\na,32000,1\nb,96000,1\nc,96000,1\n",
    };

    fn read(pods: &str) -> Result<Trace, Error> {
        Trace::read(
            File {
                name: "pods.csv",
                text: pods,
            },
            NODES,
        )
    }

    fn error(pods: &str) -> String {
        read(pods).expect_err("should be refused").to_string()
    }

    #[test]
    fn columns_are_found_by_name_and_pods_that_never_ran_are_left_out() {
        let trace = read(
            "scheduled_time,name,deletion_time,cpu_milli\r\n50,late,60,2000\r\n,never,70,1000\r\n10.5, early ,20,500\r\n30,stays,,1\r\n",
        )
        .expect("a good trace");
        let seconds: Vec<_> = (trace.pods.iter())
            .map(|pod| (pod.scheduled.as_secs_f64(), pod.deleted.as_secs_f64()))
            .collect();
        assert_eq!(seconds, [(10.5, 20.0), (30.0, 60.0), (50.0, 60.0)]);
        assert_eq!(trace.node_cpu_milli, 96_000.0);
        assert_eq!(trace.source.name(), "pods.csv");
    }

    #[test]
    fn errors_name_file_line_and_column() {
        assert_eq!(
            error("name,cpu_milli,deletion_time\na,1,2\n"),
            "pods.csv: no column `scheduled_time`, only name, cpu_milli, deletion_time; \
             its first line must name the columns, cpu_milli, scheduled_time, deletion_time among them"
        );
        let head = "cpu_milli,scheduled_time,deletion_time\n1000,0,5\n";
        assert_eq!(
            error(&format!("{head}1000,soon,9\n")),
            "pods.csv, line 3, column `scheduled_time`: `soon` is not a number of seconds, 0 or more"
        );
        assert_eq!(
            error(&format!("{head},3,9\n")),
            "pods.csv, line 3, column `cpu_milli`: `` is not a number of thousandths of a core, 0 or more"
        );
        for bad in ["-1", "NaN", "inf", "1700000000000000000"] {
            assert!(
                error(&format!("{head}1,{bad},9\n")).contains("line 3, column `scheduled_time`")
            );
        }
        let backwards = error(&format!("{head}1,9,3\n"));
        assert!(backwards.starts_with("pods.csv, line 3: deletion_time 3 s is before"));
        let uneven = error(&format!("{head}1,9\n"));
        assert!(
            uneven.starts_with("pods.csv: not readable as CSV: "),
            "{uneven}"
        );
        assert!(uneven.contains("line: 3"), "{uneven}");
        assert!(error("cpu_milli,scheduled_time,deletion_time\n").contains("no pod that was ever"));
        assert!(error("").contains("no column `cpu_milli`"));
    }

    #[test]
    fn nodes_are_checked_too() {
        let pods = File {
            name: "pods.csv",
            text: "cpu_milli,scheduled_time,deletion_time\n1,1,2\n",
        };
        let refused = |text| {
            let nodes = File {
                name: "nodes.csv",
                text,
            };
            Trace::read(pods, nodes)
                .expect_err("should be refused")
                .to_string()
        };
        assert!(refused("sn,cpu\na,1\n").starts_with("nodes.csv: no column `cpu_milli`"));
        assert!(refused("cpu_milli\nmany\n").starts_with("nodes.csv, line 2, column `cpu_milli`"));
        assert!(refused("cpu_milli\n0\n").contains("no node with a CPU"));
    }
}
