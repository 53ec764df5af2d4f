//! A store in memory for tests: what was written, how long a write takes, and whether it fails.
#![allow(clippy::unwrap_used)]

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::watch;

use super::{Document, Store, StoreError, Take};
use crate::replace::ReplaceError;

/// Clones share everything.
#[derive(Clone, Debug)]
pub struct MemoryStore {
    state: Arc<Mutex<State>>,
    begun: Arc<watch::Sender<usize>>,
}

#[derive(Debug, Default)]
struct State {
    written: Vec<Vec<u8>>,
    takes: Duration,
    fails: Option<String>,
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self {
            state: Arc::default(),
            begun: Arc::new(watch::channel(0).0),
        }
    }
}

impl MemoryStore {
    /// From now on a write takes this long.
    pub fn take(&self, duration: Duration) {
        self.state.lock().unwrap().takes = duration;
    }

    /// From now on writes fail for this reason, or succeed again.
    pub fn fail(&self, reason: Option<&str>) {
        self.state.lock().unwrap().fails = reason.map(str::to_owned);
    }

    /// All documents, oldest first.
    pub fn written(&self) -> Vec<Vec<u8>> {
        self.state.lock().unwrap().written.clone()
    }

    /// Waits until so many writes have begun, the failed ones included.
    pub async fn begun(&self, writes: usize) {
        let mut begun = self.begun.subscribe();
        begun.wait_for(|begun| *begun >= writes).await.unwrap();
    }
}

/// Bytes as they are.
impl Document for Vec<u8> {
    fn parts(&self, take: Take<'_>) -> Result<(), StoreError> {
        take(&[self])
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn write(&self, document: Arc<dyn Document>) -> Result<(), StoreError> {
        self.begun.send_modify(|begun| *begun += 1);
        let takes = self.state.lock().unwrap().takes;
        tokio::time::sleep(takes).await;
        let mut state = self.state.lock().unwrap();
        if let Some(reason) = &state.fails {
            return Err(StoreError::File(ReplaceError {
                what: "write",
                path: "/memory".into(),
                source: io::Error::other(reason.clone()),
            }));
        }
        document.parts(&mut |parts| {
            state.written.push(parts.concat());
            Ok(())
        })
    }
}
