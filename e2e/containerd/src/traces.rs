//! What a sandbox leaves its traces in: everything that must be without them when it is gone.

use std::collections::BTreeMap;
use std::fmt;

/// How many of a kind are spelt out.
const SHOWN: usize = 5;

/// Where a trace is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A sandbox in containerd's list.
    Known,
    /// A shim or a program of a container.
    Process,
    /// A root file system, /dev/shm or a namespace that is mounted.
    Mount,
    /// The name of a network namespace.
    Namespace,
    /// An entry in libcni's cache.
    Result,
    /// A control group.
    Cgroup,
    /// A link, address, route or rule of the node's network.
    Network,
    /// An attachment in berthd's state.
    Attachment,
    /// A note for berthd that a DEL did not find it.
    Tombstone,
}

/// The kinds that a running sandbox has, which are all but the last.
pub const OF_A_RUNNING_SANDBOX: [Kind; 8] = [
    Kind::Known,
    Kind::Process,
    Kind::Mount,
    Kind::Namespace,
    Kind::Result,
    Kind::Cgroup,
    Kind::Network,
    Kind::Attachment,
];

/// Traces by kind.
#[derive(Default)]
pub struct Traces(BTreeMap<Kind, Vec<String>>);

impl Traces {
    /// Adds what was found of a kind, if anything was.
    pub fn add(&mut self, kind: Kind, found: impl IntoIterator<Item = String>) {
        let found: Vec<String> = found.into_iter().collect();
        if !found.is_empty() {
            self.0.insert(kind, found);
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The kinds that there are.
    pub fn kinds(&self) -> Vec<Kind> {
        self.0.keys().copied().collect()
    }
}

impl fmt::Debug for Traces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |found: &Vec<String>| found[..found.len().min(SHOWN)].join("; ");
        let kinds = self.0.iter().map(|(kind, found)| (kind, shown(found)));
        f.debug_map().entries(kinds).finish()
    }
}
