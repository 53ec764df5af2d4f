//! What must be there before anything is measured; otherwise what to do about it.

use std::path::PathBuf;

use bench::section::Peer;
use e2e::node::programs::{BERTH_CNI, BERTHD, DEBIAN_PLUGINS, bin_dir};
use nix::unistd::geteuid;

use super::cli::Cli;

/// Of berth, and of the floor.
const PROGRAMS: [&str; 5] = [
    BERTHD,
    BERTH_CNI,
    "floor-daemon",
    "floor-plugin",
    "floor-bare",
];
/// Of Debian's package containernetworking-plugins.
const PLUGINS: [&str; 3] = ["ptp", "host-local", "portmap"];

/// Why nothing can be measured.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Missing {
    /// Namespaces and links are made.
    #[error("only root may make network namespaces: run this as root")]
    Root,
    /// Something of ours is not there.
    #[error("not built: {}: run `make bench`, or set BERTH_BIN_DIR", .0.join(", "))]
    Programs(Vec<String>),
    /// Something to compare with is not there.
    #[error("no plugin {} in {DEBIAN_PLUGINS}: run `make setup`, or install containernetworking-plugins", .0.join(", "))]
    Plugins(Vec<String>),
    /// A peer cannot be read.
    #[error("--peer {0}")]
    Peer(String),
}

/// Checks all of it.
///
/// # Errors
/// The first that is missing.
pub fn check(cli: &Cli) -> Result<(), Missing> {
    if !geteuid().is_root() {
        return Err(Missing::Root);
    }
    let missing = absent(bin_dir(), &PROGRAMS);
    if !missing.is_empty() {
        return Err(Missing::Programs(missing));
    }
    let missing = absent(PathBuf::from(DEBIAN_PLUGINS), &PLUGINS);
    if !missing.is_empty() {
        return Err(Missing::Plugins(missing));
    }
    for peer in &cli.peer {
        let read: Result<Peer, _> = peer.parse();
        read.map_err(|error| Missing::Peer(format!("{peer}: {error:#}")))?;
    }
    Ok(())
}

fn absent(directory: PathBuf, programs: &[&str]) -> Vec<String> {
    let paths = programs.iter().map(|program| directory.join(program));
    let absent = paths.filter(|path| !path.is_file());
    absent.map(|path| path.display().to_string()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_named_with_its_path() {
        let absent = absent(PathBuf::from("/nowhere"), &["a", "b"]);
        assert_eq!(absent, ["/nowhere/a", "/nowhere/b"]);
        let said = Missing::Programs(absent).to_string();
        assert!(said.contains("/nowhere/a, /nowhere/b") && said.contains("make bench"));
    }
}
