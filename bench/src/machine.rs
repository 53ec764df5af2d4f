//! The machine that was measured on, in words.

use std::collections::BTreeMap;
use std::fs;

/// What `target/bench.json` says about it: figures mean nothing without.
#[must_use]
pub fn describe() -> BTreeMap<&'static str, String> {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let of = |text: &str, key: &str| {
        let line = text.lines().find(|line| line.starts_with(key));
        let value = line.and_then(|line| line.split_once(':'));
        value.map_or_else(String::new, |(_, value)| value.trim().to_owned())
    };
    let (cpu, memory) = (read("/proc/cpuinfo"), read("/proc/meminfo"));
    let cpus = cpu.lines().filter(|line| line.starts_with("processor"));
    BTreeMap::from([
        (
            "kernel",
            read("/proc/sys/kernel/osrelease").trim().to_owned(),
        ),
        ("cpu", of(&cpu, "model name")),
        ("cpus", cpus.count().to_string()),
        ("memory", of(&memory, "MemTotal")),
        ("load", read("/proc/loadavg").trim().to_owned()),
    ])
}
