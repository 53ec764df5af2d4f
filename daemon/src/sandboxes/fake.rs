//! A stand-in for the runtime's files, which a test fills.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use super::{CacheError, Sandboxes};

/// The fake; clones are handles to the same state.
#[derive(Clone, Debug, Default)]
pub struct FakeSandboxes(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    results: BTreeSet<String>,
    namespaces: BTreeSet<String>,
    unreadable: bool,
}

impl FakeSandboxes {
    /// A runtime remembers an attachment, by the name of its file.
    pub fn cache(&self, name: &str) {
        self.state().results.insert(name.to_owned());
    }

    /// It forgets one.
    pub fn forget(&self, name: &str) {
        self.state().results.remove(name);
    }

    /// Whether the result cache cannot be read.
    pub fn set_unreadable(&self, unreadable: bool) {
        self.state().unreadable = unreadable;
    }

    /// There is a namespace at this path.
    pub fn add_netns(&self, path: &str) {
        self.state().namespaces.insert(path.to_owned());
    }

    /// There is none any more.
    pub fn remove_netns(&self, path: &str) {
        self.state().namespaces.remove(path);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Sandboxes for FakeSandboxes {
    async fn results(&self) -> Result<Vec<String>, CacheError> {
        let state = self.state();
        if state.unreadable {
            return Err(CacheError {
                path: "/var/lib/cni/results".into(),
                source: std::io::ErrorKind::NotFound.into(),
            });
        }
        Ok(state.results.iter().cloned().collect())
    }

    async fn has_netns(&self, path: &str) -> bool {
        self.state().namespaces.contains(path)
    }
}
