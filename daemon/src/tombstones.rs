//! Replays the DELs that met no daemon: each is a file that the plugin left. Reads them at start and whenever the
//! directory changes, and removes each one once its DEL has succeeded. Writing them is the plugin's.

mod directory;

#[cfg(test)]
mod tests;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use berth_cni::contract::Outcome;
use tokio::time::timeout;

use crate::server::Service;
use directory::{Directory, Tombstone};

/// When a DEL that failed is tried again, if nothing changes the directory earlier.
const RETRY: Duration = Duration::from_secs(30);

/// The directory, watched.
#[derive(Debug)]
pub struct Tombstones {
    directory: Directory,
}

/// Why the directory cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("cannot {what} {}: {source}", path.display())]
pub struct TombstoneError {
    what: &'static str,
    path: PathBuf,
    source: io::Error,
}

impl Tombstones {
    /// Makes the directory, mode 0700, if it is missing, and watches it: what is left there from now on is seen. Must
    /// be called inside a tokio runtime.
    ///
    /// # Errors
    /// [`TombstoneError`].
    pub fn open(dir: &Path) -> Result<Self, TombstoneError> {
        Ok(Self {
            directory: Directory::open(dir)?,
        })
    }

    /// Replays what is there, then what comes, for ever. To be started once the daemon listens: a DEL that finds it
    /// listening leaves no tombstone. `waiting` is told after each look how many failed and will be tried again.
    ///
    /// # Errors
    /// The directory can no longer be made, read or watched.
    pub async fn run<S: Service>(
        self,
        service: Arc<S>,
        waiting: impl Fn(usize),
    ) -> Result<(), TombstoneError> {
        loop {
            let left = self.replay(&*service).await?;
            waiting(left);
            let changed = self.directory.changed();
            if left == 0 {
                changed.await?;
            } else if let Ok(changed) = timeout(RETRY, changed).await {
                changed?;
            }
        }
    }

    /// Replays what is there, one after another. Returns how many tombstones are to be tried again.
    async fn replay<S: Service>(&self, service: &S) -> Result<usize, TombstoneError> {
        let contents = self.directory.read().await?;
        let mut left = contents.unread;
        for Tombstone { path, request } in contents.tombstones {
            let id = &request.id;
            let (network, container_id, ifname) = (&id.network, &id.container_id, &id.ifname);
            tracing::info!(%network, %container_id, %ifname, "tombstone replayed");
            match service.del(request, None).await {
                Outcome::Failed(failure) => {
                    left += 1;
                    let reason = failure.reason;
                    tracing::warn!(path = %path.display(), reason, msg = failure.msg, "tombstone kept");
                }
                _ => directory::remove(&path),
            }
        }
        Ok(left)
    }
}
