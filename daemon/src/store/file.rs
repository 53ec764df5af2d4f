//! The store that is a file: temporary name in the same directory, fsync, rename, fsync of the directory. A crash at
//! any moment leaves the old document or the new one, whole.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;

use super::{Store, StoreError};

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
            made.map_err(|source| StoreError::Io {
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
        let written = tokio::task::spawn_blocking(move || replace(&path, &document));
        // The task cannot panic, so it was cancelled: the runtime goes down.
        written.await.unwrap_or(Err(StoreError::Stopping))
    }
}

fn replace(path: &Path, document: &[u8]) -> Result<(), StoreError> {
    let temporary = path.with_added_extension("tmp");
    let failed = |what, path: &Path| {
        let path = path.to_owned();
        move |source| StoreError::Io { what, path, source }
    };
    write_synced(&temporary, document).map_err(failed("write", &temporary))?;
    std::fs::rename(&temporary, path).map_err(failed("replace", path))?;
    match path.parent() {
        // Without this the rename itself may be lost with the power.
        Some(dir) => File::open(dir)
            .and_then(|dir| dir.sync_all())
            .map_err(failed("sync the directory", dir)),
        None => Ok(()),
    }
}

fn write_synced(temporary: &Path, document: &[u8]) -> io::Result<()> {
    // What a killed daemon left there is overwritten.
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    let mut file = options.open(temporary)?;
    file.write_all(document)?;
    file.sync_all()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::store::StoreHandle;
    use std::os::unix::fs::PermissionsExt;

    fn write(store: &FileStore, document: &[u8]) -> Result<(), StoreError> {
        replace(&store.path, document)
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

    #[test]
    fn a_failed_write_keeps_the_old_document_and_names_the_file() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("ipam.json");
        let store = FileStore::open(&path).unwrap();
        write(&store, b"old").unwrap();
        // Stands in the temporary file's place, as a full disk would; root may write past any mode.
        std::fs::create_dir(path.with_added_extension("tmp")).unwrap();
        let error = write(&store, b"new").unwrap_err();
        assert!(error.to_string().contains("ipam.json.tmp"), "{error}");
        assert_eq!(std::fs::read(&path).unwrap(), b"old");
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
