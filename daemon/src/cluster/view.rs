//! What the API server has said so far: lists and changes in, the sight of the bound pods out. No I/O, no time.

use std::collections::BTreeMap;

use super::{BoundName, BoundPod, Change, Listed, Sight};

/// The bound pods as they were last shown.
#[derive(Debug, Default)]
pub(super) struct View {
    pods: BTreeMap<BoundName, BoundPod>,
    /// From which the next watch goes on; none before the first list, and after one that is too old.
    version: Option<String>,
    allocatable: Option<u32>,
    /// Whether this is not what was told last.
    changed: bool,
}

impl View {
    /// The whole state.
    pub(super) fn listed(&mut self, listed: Listed) {
        let named = |pod: BoundPod| (pod.name.clone(), pod);
        self.pods = listed.pods.into_iter().map(named).collect();
        self.version = Some(listed.version);
        self.changed = true;
    }

    /// How many pods the node may run, if that is known.
    pub(super) fn allocatable(&mut self, pods: Option<u32>) {
        self.changed |= self.allocatable != pods;
        self.allocatable = pods;
    }

    /// One change of it.
    pub(super) fn take(&mut self, change: Change, version: String) {
        self.version = Some(version);
        match change {
            Change::Bound(pod) => {
                if self.pods.get(&pod.name) != Some(&pod) {
                    self.pods.insert(pod.name.clone(), pod);
                    self.changed = true;
                }
            }
            Change::Gone(name) => self.changed |= self.pods.remove(&name).is_some(),
            Change::None => {}
        }
    }

    /// Where the next watch goes on, if it can.
    pub(super) fn version(&self) -> Option<&str> {
        self.version.as_deref()
    }

    /// Only a list can tell what is now.
    pub(super) fn expired(&mut self) {
        self.version = None;
    }

    /// Whether there is something to tell.
    pub(super) fn is_changed(&self) -> bool {
        self.changed
    }

    /// What is told.
    pub(super) fn tell(&mut self) -> Sight {
        self.changed = false;
        Sight {
            pods: Some(self.pods.values().cloned().collect()),
            allocatable: self.allocatable,
        }
    }
}
