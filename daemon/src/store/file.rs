//! The store that is a file, replaced whole each time. The one before stays beside it, to be written over.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::sync::{Arc, mpsc};
use std::thread;

use async_trait::async_trait;
use tokio::sync::oneshot;

use super::{Document, Store, StoreError};
use crate::replace::{ReplaceError, alternate};

/// The checkpoint is root's: it names every pod.
const MODE: u32 = 0o600;

/// One file, and the thread that writes it, which ends when nobody can order anything any more. The file's owner holds the
/// [lock](crate::lock::Lock): two writers would share the temporary name.
#[derive(Clone, Debug)]
pub struct FileStore {
    orders: mpsc::Sender<Order>,
}

type Written = oneshot::Sender<Result<(), StoreError>>;
type Order = (Arc<dyn Document>, Written);

impl FileStore {
    /// A store at `path`, whose directory is made if it is missing.
    ///
    /// # Errors
    /// Those of mkdir(2), and of the thread's start.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let failed = |what, path: &Path| {
            let path = path.to_owned();
            move |source| ReplaceError { what, path, source }
        };
        if let Some(dir) = path.parent() {
            let made = DirBuilder::new().recursive(true).mode(0o755).create(dir);
            made.map_err(failed("make the directory", dir))?;
        }
        let (orders, ordered) = mpsc::channel();
        let file = path.to_owned();
        let started = thread::Builder::new()
            .name("berth-store".to_owned())
            .spawn(move || write_each(&file, &ordered));
        started.map_err(failed("start the thread that writes", path))?;
        Ok(Self { orders })
    }
}

fn write_each(path: &Path, ordered: &mpsc::Receiver<Order>) {
    while let Ok((document, written)) = ordered.recv() {
        let replaced = document.parts(&mut |parts| Ok(alternate(path, parts, MODE)?));
        drop(document);
        // Whoever does not wait for it any more has a later one.
        let _ = written.send(replaced);
    }
}

#[async_trait]
impl Store for FileStore {
    async fn write(&self, document: Arc<dyn Document>) -> Result<(), StoreError> {
        let (written, answer) = oneshot::channel();
        self.orders
            .send((document, written))
            .map_err(|_| StoreError::Stopping)?;
        answer.await.unwrap_or(Err(StoreError::Stopping))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::store::StoreHandle;
    use std::os::unix::fs::PermissionsExt;

    fn write(path: &Path, document: &[u8]) {
        let (orders, ordered) = mpsc::channel();
        let (written, mut answer) = oneshot::channel();
        orders
            .send((Arc::new(document.to_vec()) as Arc<dyn Document>, written))
            .unwrap();
        drop(orders);
        write_each(path, &ordered);
        answer.try_recv().unwrap().unwrap();
    }

    #[test]
    fn a_document_replaces_the_one_before_which_stays_beside_it() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("aws-node/ipam.json");
        FileStore::open(&path).unwrap();
        std::fs::write(path.with_added_extension("tmp"), "what a crash left").unwrap();
        write(&path, b"a longer first document");
        write(&path, b"second");
        assert_eq!(std::fs::read(&path).unwrap(), b"second");
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        let spare = std::fs::read(path.with_added_extension("tmp")).unwrap();
        assert_eq!(spare, b"a longer first document");
    }

    #[tokio::test]
    async fn the_handle_reports_what_is_in_the_file() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("ipam.json");
        let handle = StoreHandle::start(FileStore::open(&path).unwrap());
        for seq in 1..=50 {
            handle.submit(seq, seq.to_string().into_bytes());
        }
        let mut durable = handle.durable();
        durable.wait_for(|durable| durable.seq == 50).await.unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"50");
    }
}
