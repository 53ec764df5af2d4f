//! The daemon's share of an ADD or DEL, as its log says: waiting for an address, checkpoint, netlink, all of it.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use serde_json::Value;

use crate::section::Bench;

/// Fields of the line of a finished request, in milliseconds, and what the table calls them.
const PARTS: [(&str, &str); 4] = [
    ("wait_ms", "wait"),
    ("checkpoint_ms", "checkpoint"),
    ("netlink_ms", "netlink"),
    ("duration_ms", "all in the daemon"),
];

/// How long the log is now, to read on from there.
///
/// # Errors
/// There is none.
pub fn mark(log: &Path) -> anyhow::Result<u64> {
    let found = log.metadata().with_context(|| log.display().to_string())?;
    Ok(found.len())
}

/// Adds what the log says of the requests since `mark`.
///
/// # Errors
/// The log cannot be read.
pub fn record(
    bench: &mut Bench,
    log: &Path,
    mark: u64,
    suffix: &str,
    pods: u32,
) -> anyhow::Result<()> {
    let mut text = String::new();
    let mut file = File::open(log).with_context(|| log.display().to_string())?;
    file.seek(SeekFrom::Start(mark))?;
    file.read_to_string(&mut text)?;
    for verb in ["add", "del"] {
        let row = format!("{verb}{suffix} daemon");
        for (field, part) in PARTS {
            let times = times(&text, verb, field);
            bench.record.times(&row, part, pods, &times);
        }
    }
    Ok(())
}

fn times(log: &str, verb: &str, field: &str) -> Vec<Duration> {
    let lines = log
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok());
    let of_verb =
        lines.filter(|line: &Value| line["message"] == "cni request" && line["verb"] == verb);
    let ms = of_verb.filter_map(|line| line[field].as_f64());
    ms.map(|ms| Duration::from_secs_f64(ms.max(0.0) / 1e3))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_finished_requests_of_that_verb_count() {
        let log = r#"{"message":"cni request","verb":"add","result":"ok","netlink_ms":1.5}
not JSON
{"message":"cni request","verb":"del","result":"ok","netlink_ms":0.5}
{"message":"pool action","verb":"add","netlink_ms":9}
"#;
        assert_eq!(
            times(log, "add", "netlink_ms"),
            [Duration::from_micros(1500)]
        );
        assert_eq!(times(log, "add", "wait_ms"), []);
    }
}
