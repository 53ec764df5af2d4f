//! What a section gets, and which there are.

use std::path::{self, PathBuf};
use std::str::FromStr;

use anyhow::Context;
use e2e::runtime::conflist::Conflist;
use indicatif::ProgressBar;

use crate::record::Record;
use crate::{add, cri, daemon, miss, packets};

/// A chain of somebody else's, to be measured beside ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// For the table.
    pub name: String,
    /// Its conflist; the binaries are looked for in `CNI_PATH` and in Debian's directory.
    pub conflist: PathBuf,
}

impl FromStr for Peer {
    type Err = anyhow::Error;

    /// `NAME=CONFLIST`
    fn from_str(text: &str) -> anyhow::Result<Self> {
        let (name, path) = text.split_once('=').context("not NAME=CONFLIST")?;
        let conflist = path::absolute(path)?;
        Conflist::load(&conflist)?;
        Ok(Self {
            name: name.to_owned(),
            conflist,
        })
    }
}

/// One run.
#[derive(Debug)]
pub struct Bench {
    /// Where what is measured goes.
    pub record: Record,
    /// Fewer repetitions and sizes: to see that it works, not for figures.
    pub quick: bool,
    /// Other chains.
    pub peers: Vec<Peer>,
    /// A directory on a disk; the temporary directory, where nodes keep their state, is in memory.
    pub disk: PathBuf,
    /// What the section says about where it is ([`ProgressBar::set_message`]).
    pub progress: ProgressBar,
}

/// One subject of the bench.
#[derive(Clone, Copy, Debug)]
pub struct Section {
    /// For `--only`.
    pub name: &'static str,
    /// What it measures.
    pub about: &'static str,
    /// Measures it.
    pub run: fn(&mut Bench) -> anyhow::Result<()>,
}

/// All of them, in the order they run.
pub const SECTIONS: &[Section] = &[
    add::SECTION,
    miss::SECTION,
    daemon::SECTION,
    cri::SECTION,
    packets::SECTION,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_has_a_name_and_a_list() {
        let failed = |text: &str| text.parse::<Peer>().map_err(|error| format!("{error:#}"));
        assert_eq!(failed("ptp"), Err("not NAME=CONFLIST".to_owned()));
        let missing = failed("ptp=/nowhere/x.conflist").err().unwrap_or_default();
        assert!(missing.contains("/nowhere/x.conflist"), "{missing}");
    }
}
