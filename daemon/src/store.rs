//! Writing the newest snapshot of the daemon's state to disk: one write in flight, and what arrives meanwhile goes into
//! the next (group commit). Each snapshot has a sequence number; who waits for one watches [`Durable`]. What is in a
//! snapshot is `checkpoint`'s, where it goes is the [`Store`]'s.

mod aside;
pub mod checkpoint;
#[cfg(test)]
pub mod fake;
mod file;
pub mod seen;

use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::watch;

use crate::replace::ReplaceError;
use checkpoint::CheckpointError;

pub(crate) use aside::set_aside;
pub use file::FileStore;

/// A place for one document that survives the daemon.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// Replaces the document. After `Ok` it is there whatever happens; after an error either the old or the new one is.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn write(&self, document: Arc<dyn Document>) -> Result<(), StoreError>;
}

/// What is to be written, which becomes bytes only when its turn has come: many a snapshot is overtaken before.
pub trait Document: Send + Sync + 'static {
    /// Hands its bytes over, in parts that belong one behind the other.
    ///
    /// # Errors
    /// [`CheckpointError::Encode`], and those of `take`.
    fn parts(&self, take: Take<'_>) -> Result<(), StoreError>;
}

/// Takes the parts of a document.
pub type Take<'a> = &'a mut dyn FnMut(&[&[u8]]) -> Result<(), StoreError>;

/// Why a document was not written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The file system said no.
    #[error(transparent)]
    File(#[from] ReplaceError),
    /// There is nothing to write.
    #[error(transparent)]
    Document(#[from] CheckpointError),
    /// The write was given up because the daemon stops.
    #[error("the daemon stops")]
    Stopping,
}

/// How far the disk is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Durable {
    /// The newest sequence number on disk; 0 before the first write.
    pub seq: u64,
    /// The newest write that failed: its sequence number, and why in words. Nothing repeats it; it stays here when a
    /// later one succeeds, which then holds all that it would have.
    pub failed: Option<(u64, String)>,
}

/// The writer's inbox; clones share it. The writer ends when the last one is dropped, after the last snapshot.
#[derive(Clone)]
pub struct StoreHandle {
    newest: Arc<watch::Sender<Snapshot>>,
    durable: watch::Receiver<Durable>,
}

#[derive(Clone)]
struct Snapshot {
    seq: u64,
    /// None only before the first one.
    document: Option<Arc<dyn Document>>,
}

impl StoreHandle {
    /// Starts the writer. Must be called inside a tokio runtime.
    pub fn start(store: impl Store) -> Self {
        let nothing = Snapshot {
            seq: 0,
            document: None,
        };
        let (newest, inbox) = watch::channel(nothing);
        let (progress, durable) = watch::channel(Durable::default());
        tokio::spawn(write_newest(store, inbox, progress));
        Self {
            newest: Arc::new(newest),
            durable,
        }
    }

    /// Has a snapshot written. It replaces any older one whose write has not begun; one that is not newer than the
    /// last is ignored. Numbers begin at 1.
    pub fn submit(&self, seq: u64, document: impl Document) {
        self.newest.send_if_modified(|newest| {
            let newer = seq > newest.seq;
            if newer {
                *newest = Snapshot {
                    seq,
                    document: Some(Arc::new(document)),
                };
            }
            newer
        });
    }

    /// How far the disk is, now and later.
    pub fn durable(&self) -> watch::Receiver<Durable> {
        self.durable.clone()
    }
}

async fn write_newest(
    store: impl Store,
    mut inbox: watch::Receiver<Snapshot>,
    progress: watch::Sender<Durable>,
) {
    while inbox.changed().await.is_ok() {
        let Snapshot { seq, document } = inbox.borrow_and_update().clone();
        let Some(document) = document else {
            continue;
        };
        match store.write(document).await {
            Ok(()) => progress.send_modify(|durable| durable.seq = seq),
            Err(error) => {
                tracing::error!(seq, %error, "checkpoint not written");
                progress.send_modify(|durable| durable.failed = Some((seq, error.to_string())));
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::time::Duration;

    use super::fake::MemoryStore;
    use super::*;

    const WRITE: Duration = Duration::from_millis(10);

    async fn until(handle: &StoreHandle, done: impl FnMut(&Durable) -> bool) -> Durable {
        handle.durable().wait_for(done).await.unwrap().clone()
    }

    #[tokio::test(start_paused = true)]
    async fn what_arrives_during_a_write_goes_into_the_next() {
        let disk = MemoryStore::default();
        disk.take(WRITE);
        let handle = StoreHandle::start(disk.clone());
        handle.submit(1, b"one".to_vec());
        disk.begun(1).await;
        for seq in 2..=100 {
            handle.submit(seq, seq.to_string().into_bytes());
        }
        until(&handle, |durable| durable.seq == 100).await;
        assert_eq!(disk.written(), [b"one".to_vec(), b"100".to_vec()]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_number_is_durable_only_after_its_write() {
        let disk = MemoryStore::default();
        disk.take(WRITE);
        let handle = StoreHandle::start(disk.clone());
        handle.submit(1, b"one".to_vec());
        disk.begun(1).await;
        assert_eq!(*handle.durable().borrow(), Durable::default());
        until(&handle, |durable| durable.seq == 1).await;
        assert_eq!(disk.written().len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_failed_write_says_so_and_the_next_one_is_tried() {
        let disk = MemoryStore::default();
        disk.fail(Some("disk full"));
        let handle = StoreHandle::start(disk.clone());
        handle.submit(1, b"one".to_vec());
        let durable = until(&handle, |durable| durable.failed.is_some()).await;
        let (seq, why) = durable.failed.unwrap();
        assert_eq!((durable.seq, seq), (0, 1));
        assert!(why.contains("disk full"), "{why}");
        disk.fail(None);
        handle.submit(2, b"two".to_vec());
        let durable = until(&handle, |durable| durable.seq == 2).await;
        assert_eq!(durable.failed, Some((1, why)));
    }

    #[tokio::test(start_paused = true)]
    async fn an_older_snapshot_never_replaces_a_newer_one() {
        let disk = MemoryStore::default();
        let handle = StoreHandle::start(disk.clone());
        handle.submit(2, b"two".to_vec());
        handle.submit(1, b"one".to_vec());
        until(&handle, |durable| durable.seq == 2).await;
        handle.submit(2, b"again".to_vec());
        handle.submit(3, b"three".to_vec());
        until(&handle, |durable| durable.seq == 3).await;
        assert_eq!(disk.written(), [b"two".to_vec(), b"three".to_vec()]);
    }

    #[tokio::test(start_paused = true)]
    async fn the_last_snapshot_is_written_after_the_last_handle_is_gone() {
        let disk = MemoryStore::default();
        disk.take(WRITE);
        let handle = StoreHandle::start(disk.clone());
        let mut durable = handle.durable();
        handle.submit(7, b"last".to_vec());
        drop(handle);
        durable.wait_for(|durable| durable.seq == 7).await.unwrap();
        assert_eq!(disk.written(), [b"last".to_vec()]);
    }
}
