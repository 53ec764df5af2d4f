//! What a section gets, and which there are.

use std::path::PathBuf;

use indicatif::ProgressBar;

use crate::record::Record;
use crate::{add, cri, daemon, miss};

/// A chain of somebody else's, to be measured beside ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// For the table.
    pub name: String,
    /// Its conflist; the binaries are looked for in `CNI_PATH` and in Debian's directory.
    pub conflist: PathBuf,
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
pub const SECTIONS: &[Section] = &[add::SECTION, miss::SECTION, daemon::SECTION, cri::SECTION];
