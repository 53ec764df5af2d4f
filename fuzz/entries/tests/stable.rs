//! All entries on the toolchain that everything else is built with: every seed as it is, every finding of the past, and a
//! few thousand spoilt copies of them, the same ones each time. cargo-fuzz looks further (`make fuzz`).

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use berthd::actor::Persisted;
use berthd::store::checkpoint::Loaded;
use fuzz_entries::mutation::Mutator;
use fuzz_entries::{ENTRIES, Entry};
use ipam::Pool;

/// Spoilt copies of its seeds for each entry.
const COPIES: usize = 2000;
/// More than anything takes on a busy machine: an input of a few kilobytes has no business to.
const LIMIT: Duration = Duration::from_secs(10);
/// Bytes of memory that a few thousand small inputs may have taken at most.
const MEMORY: u64 = 512 << 20;

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../corpus")
}

fn seeds(name: &str) -> Vec<(String, Vec<u8>)> {
    let dir = corpus().join(name);
    let entries = fs::read_dir(&dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display()));
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let read = |path: PathBuf| (path.display().to_string(), fs::read(path).unwrap());
    paths.into_iter().map(read).collect()
}

/// Runs an entry on an input, and says which input it was if it panics.
fn run(entry: Entry, what: &str, data: &[u8]) {
    let started = Instant::now();
    let text = String::from_utf8_lossy(data);
    assert!(catch_unwind(|| entry(data)).is_ok(), "{what}: {text}");
    let took = started.elapsed();
    assert!(took < LIMIT, "{what}: {took:?}: {text}");
}

fn explore(name: &str) {
    let entry = ENTRIES.iter().find(|(known, _)| *known == name).unwrap().1;
    let seeds = seeds(name);
    for (path, data) in &seeds {
        run(entry, path, data);
    }
    let seeds: Vec<_> = seeds.into_iter().map(|(_, data)| data).collect();
    let mut mutator = Mutator::new(7);
    for number in 0..COPIES {
        run(entry, &format!("copy {number}"), &mutator.spoil(&seeds));
    }
    let peak = peak_memory();
    assert!(peak < MEMORY, "{peak} bytes");
}

/// The most that this process has held, in bytes.
fn peak_memory() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = peak.and_then(|peak| peak.trim().strip_suffix(" kB"));
    kilobytes.unwrap().parse::<u64>().unwrap() << 10
}

#[test]
fn stdin() {
    explore("stdin");
}

#[test]
fn environment() {
    explore("environment");
}

#[test]
fn prev_result() {
    explore("prev_result");
}

#[test]
fn request() {
    explore("request");
}

#[test]
fn reply() {
    explore("reply");
}

#[test]
fn checkpoint() {
    explore("checkpoint");
}

#[test]
fn conflist() {
    explore("conflist");
}

#[test]
fn imds() {
    explore("imds");
}

#[test]
fn ec2_error() {
    explore("ec2_error");
}

#[test]
fn every_entry_has_a_target_and_seeds() {
    let mut names: Vec<_> = ENTRIES.map(|(name, _)| name.to_owned()).into();
    names.sort();
    let listed = |dir: PathBuf| {
        let entries = fs::read_dir(dir)
            .unwrap()
            .map(|entry| entry.unwrap().path());
        let stem = |path: PathBuf| path.file_stem().unwrap().to_str().unwrap().to_owned();
        let mut names: Vec<_> = entries.map(stem).collect();
        names.sort();
        names
    };
    assert_eq!(listed(corpus()), names);
    assert_eq!(listed(corpus().join("../fuzz_targets")), names);
}

/// A state of another schema would be set aside, and nothing behind the parser would be tried any more.
#[test]
fn the_checkpoints_among_the_seeds_are_read() {
    for (path, data) in seeds("checkpoint") {
        if !path.contains("/ours-") {
            continue;
        }
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), data).unwrap();
        let loaded = Persisted::load(file.path()).unwrap();
        let Loaded::Ours { berth, .. } = loaded else {
            panic!("{path}: {loaded:?}");
        };
        Pool::try_from(berth.pool).unwrap();
    }
}
