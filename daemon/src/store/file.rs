//! The store that is a file, replaced whole each time.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;

use super::{Store, StoreError};
use crate::replace::{ReplaceError, replace};

/// The checkpoint is root's: it names every pod.
const MODE: u32 = 0o600;

/// One file. Its owner holds the [lock](crate::lock::Lock): two writers would share the temporary name.
#[derive(Clone, Debug)]
pub struct FileStore {
    path: PathBuf,
}

impl FileStore {
    /// A store at `path`, whose directory is made if it is missing.
    ///
    /// # Errors
    /// Those of mkdir(2).
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        if let Some(dir) = path.parent() {
            let made = DirBuilder::new().recursive(true).mode(0o755).create(dir);
            made.map_err(|source| ReplaceError {
                what: "make the directory",
                path: dir.into(),
                source,
            })?;
        }
        Ok(Self { path: path.into() })
    }
}

#[async_trait]
impl Store for FileStore {
    async fn write(&self, document: Arc<[u8]>) -> Result<(), StoreError> {
        let path = self.path.clone();
        let written = tokio::task::spawn_blocking(move || Ok(replace(&path, &document, MODE)?));
        // The task cannot panic, so it was cancelled: the runtime goes down.
        written.await.unwrap_or(Err(StoreError::Stopping))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::store::StoreHandle;
    use std::os::unix::fs::PermissionsExt;

    fn write(store: &FileStore, document: &[u8]) -> Result<(), StoreError> {
        Ok(replace(&store.path, document, MODE)?)
    }

    #[test]
    fn a_document_replaces_the_one_before_and_leaves_nothing_beside_it() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("aws-node/ipam.json");
        let store = FileStore::open(&path).unwrap();
        std::fs::write(path.with_added_extension("tmp"), "what a crash left").unwrap();
        write(&store, b"a longer first document").unwrap();
        write(&store, b"second").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"second");
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(
            std::fs::read_dir(path.parent().unwrap()).unwrap().count(),
            1
        );
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
