//! What a killed test leaves, found by the process id in its names and removed: namespaces, control groups, files.
//!
//! Only names that begin with a given label and bear the id of a process that is gone. Directories that a failed test
//! has kept on purpose, and said so, stay. Processes and mounts are not looked for: those that would stay run in a
//! [`crate::machine::Machine`], which ends with the test.

use std::ffi::OsStr;
use std::fmt;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;

use crate::netns::{NETNS_DIR, output};

/// Where the kernel's control groups are mounted (cgroups(7)); version 1 has a hierarchy in each directory of it.
const CGROUPS: &str = "/sys/fs/cgroup";

/// In front of a node's name in the name of its directory.
const NODE_DIR: &str = "berth-";

/// A group whose last process has just been killed is busy for a moment: it is tried again for ten seconds.
const ATTEMPTS: u32 = 500;
const PAUSE: Duration = Duration::from_millis(20);

/// Removes what tests with names `label-...` left whose process is gone, and says so. Errors are returned together;
/// what can be removed is.
///
/// # Errors
/// Something cannot be looked at or removed.
pub fn reap(label: &str) -> anyhow::Result<Vec<String>> {
    let found = find(label, |pid| !Path::new("/proc").join(pid).exists())?;
    let mut reaped = Vec::new();
    let mut errors = Vec::new();
    for leftover in found {
        match leftover.remove() {
            Ok(()) => reaped.push(leftover.to_string()),
            // another test has found it at the same time
            Err(_) if !leftover.exists() => {}
            Err(error) => errors.push(format!("{leftover}: {error:#}")),
        }
    }
    anyhow::ensure!(errors.is_empty(), "cannot remove {}", errors.join("; "));
    Ok(reaped)
}

/// What the process `pid` has under names `label-...`, dead or alive.
///
/// # Errors
/// Something cannot be looked at.
pub fn of_process(label: &str, pid: u32) -> anyhow::Result<Vec<String>> {
    let found = find(label, |other| other == pid.to_string())?;
    Ok(found.iter().map(Leftover::to_string).collect())
}

/// Removes the control group `name` and those in it, in every hierarchy. No process may be left in them.
///
/// # Errors
/// One cannot be removed.
pub fn remove_cgroup(name: &str) -> io::Result<()> {
    for hierarchy in hierarchies()? {
        let path = hierarchy.join(name);
        if path.is_dir() {
            remove_group(&path)?;
        }
    }
    Ok(())
}

/// The control groups right below the group `name`, in any hierarchy.
///
/// # Errors
/// The hierarchies cannot be read.
pub fn cgroups_below(name: &str) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for hierarchy in hierarchies()? {
        found.extend(subdirectories(&hierarchy.join(name))?);
    }
    Ok(found)
}

enum Leftover {
    /// A namespace, and the directory of the node that it was. A directory alone is one that was to be kept.
    Netns(String),
    Cgroup(PathBuf),
}

impl Leftover {
    fn exists(&self) -> bool {
        match self {
            Self::Netns(name) => Path::new(NETNS_DIR).join(name).exists(),
            Self::Cgroup(path) => path.exists(),
        }
    }

    fn remove(&self) -> anyhow::Result<()> {
        match self {
            Self::Netns(name) => {
                match fs::remove_dir_all(std::env::temp_dir().join(format!("{NODE_DIR}{name}"))) {
                    Err(error) if error.kind() != ErrorKind::NotFound => return Err(error.into()),
                    _ => {}
                }
                // ip netns del NAME
                output(Command::new("ip").args(["netns", "del", name])).map(drop)
            }
            Self::Cgroup(path) => Ok(remove_group(path)?),
        }
    }
}

impl fmt::Display for Leftover {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Netns(name) => write!(f, "namespace {name}"),
            Self::Cgroup(path) => write!(f, "control group {}", path.display()),
        }
    }
}

fn find(label: &str, chosen: impl Fn(&str) -> bool) -> io::Result<Vec<Leftover>> {
    let is_one = |path: &PathBuf| {
        let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
        is_of(name, label).is_some_and(&chosen)
    };
    let named = |path: PathBuf| {
        let name = path.file_name().unwrap_or_default();
        Leftover::Netns(name.to_string_lossy().into_owned())
    };
    let namespaces = entries(Path::new(NETNS_DIR))?;
    let mut found: Vec<_> = namespaces.into_iter().filter(is_one).map(named).collect();
    for hierarchy in hierarchies()? {
        let groups = subdirectories(&hierarchy)?;
        found.extend(groups.into_iter().filter(is_one).map(Leftover::Cgroup));
    }
    Ok(found)
}

/// The process id in `name`, its first part that is a number, if it begins with `label`.
fn is_of<'a>(name: &'a str, label: &str) -> Option<&'a str> {
    let rest = name.strip_prefix(label)?.strip_prefix('-')?;
    rest.split('-')
        .find(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()))
}

fn hierarchies() -> io::Result<Vec<PathBuf>> {
    let mut all = subdirectories(Path::new(CGROUPS))?;
    all.push(PathBuf::from(CGROUPS));
    Ok(all)
}

fn subdirectories(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths = entries(dir)?;
    paths.retain(|path| path.is_dir() && !path.is_symlink());
    Ok(paths)
}

/// What is in `dir`; nothing if it is not there.
fn entries(dir: &Path) -> io::Result<Vec<PathBuf>> {
    match fs::read_dir(dir) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        entries => entries?.map(|entry| Ok(entry?.path())).collect(),
    }
}

fn remove_group(path: &Path) -> io::Result<()> {
    for child in subdirectories(path)? {
        remove_group(&child)?;
    }
    let mut left = ATTEMPTS;
    loop {
        // rmdir PATH: the files in it are the kernel's
        match fs::remove_dir(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            Err(error) if error.kind() == ErrorKind::ResourceBusy && left > 0 => {
                left -= 1;
                thread::sleep(PAUSE);
            }
            result => return result,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::is_of;

    #[test]
    fn the_process_id_is_found_in_names_of_nodes_and_of_the_mock() {
        let cases = [
            ("cri-burst-n1-4711-0", Some("4711")),
            ("cri-burst-4711-0-inet", Some("4711")),
            ("cri-n1", None),
            ("cricket-n1-4711-0", None),
            ("other-n1-4711-0", None),
        ];
        for (name, pid) in cases {
            assert_eq!(is_of(name, "cri"), pid, "{name}");
        }
    }
}
