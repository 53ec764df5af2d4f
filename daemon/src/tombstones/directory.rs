//! The directory of tombstones: what is in it, and word of changes by inotify. Files that are no tombstone are set aside.

use std::fs::{DirBuilder, File};
use std::io::{self, Read};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use berth_cni::contract::{DelRequest, MAX_FRAME};
use rustix::fs::inotify::WatchFlags;

use super::TombstoneError;
use crate::inotify::Inotify;
use crate::store::set_aside;

/// What files that are no tombstone are renamed to. The plugin escapes `~`, so no tombstone's name ends like this.
const BROKEN: &str = "~bad";

/// A file of the directory.
#[derive(Debug)]
pub(super) struct Tombstone {
    /// Where it is.
    pub path: PathBuf,
    /// What it says.
    pub request: DelRequest,
}

/// What is in the directory.
#[derive(Debug, Default)]
pub(super) struct Contents {
    /// The tombstones, in the order of their names.
    pub tombstones: Vec<Tombstone>,
    /// How many could not be read just now.
    pub unread: usize,
}

/// The directory and the kernel's word of its changes.
#[derive(Debug)]
pub(super) struct Directory {
    path: PathBuf,
    inotify: Inotify,
}

impl Directory {
    pub(super) fn open(path: &Path) -> Result<Self, TombstoneError> {
        let inotify = Inotify::new().map_err(|source| failed("watch", path, source))?;
        let path = path.to_owned();
        let directory = Self { path, inotify };
        directory.watch()?;
        Ok(directory)
    }

    /// Makes the directory and watches it. Both change nothing if that is so already; if somebody removed the
    /// directory, the watch went with it.
    fn watch(&self) -> Result<(), TombstoneError> {
        let made = DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.path);
        made.map_err(|source| failed("make the directory", &self.path, source))?;
        self.inotify
            .watch(&self.path, WatchFlags::MOVED_TO | WatchFlags::CLOSE_WRITE)
            .map_err(|source| failed("watch", &self.path, source))
    }

    /// All that is there, after setting aside what is no tombstone.
    pub(super) async fn read(&self) -> Result<Contents, TombstoneError> {
        self.watch()?;
        let path = self.path.clone();
        let read = tokio::task::spawn_blocking(move || read_all(&path));
        let read = read
            .await
            .unwrap_or_else(|stopping| Err(io::Error::other(stopping)));
        read.map_err(|source| failed("read", &self.path, source))
    }

    /// Waits until something has changed since the last call. What it was does not matter: the directory is read whole.
    pub(super) async fn changed(&self) -> Result<(), TombstoneError> {
        let changed = self.inotify.changed().await;
        changed.map_err(|source| failed("watch", &self.path, source))
    }
}

/// Removes a tombstone. One that is gone already was taken back by the plugin.
pub(super) fn remove(path: &Path) {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::error!(path = %path.display(), %error, "cannot remove a tombstone");
        }
        _ => {}
    }
}

fn failed(what: &'static str, path: &Path, source: io::Error) -> TombstoneError {
    let path = path.to_owned();
    TombstoneError { what, path, source }
}

fn read_all(dir: &Path) -> io::Result<Contents> {
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        // With a dot: still being written, or its writer was killed.
        if !name.starts_with('.') && !name.contains(BROKEN) {
            paths.push(entry.path());
        }
    }
    // So that a replay can be told from the log.
    paths.sort();
    let mut contents = Contents::default();
    for path in paths {
        match decode(&path) {
            Ok(Ok(request)) => contents.tombstones.push(Tombstone { path, request }),
            Ok(Err(why)) => put_aside(&path, &why),
            // Taken back by the plugin since the directory was listed.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => {
                tracing::error!(path = %path.display(), %error, "cannot read a tombstone");
                contents.unread += 1;
            }
        }
    }
    Ok(contents)
}

fn put_aside(path: &Path, why: &str) {
    let path_shown = path.display();
    match set_aside(path, BROKEN) {
        Ok(aside) => {
            tracing::error!(path = %path_shown, why, aside = %aside.display(), "not a tombstone, set aside");
        }
        Err(error) => {
            tracing::error!(path = %path_shown, why, %error, "not a tombstone, cannot be set aside");
        }
    }
}

/// What a file says; the inner error is its content's, the outer one the file system's.
fn decode(path: &Path) -> io::Result<Result<DelRequest, String>> {
    // Opening a FIFO would wait for its writer.
    if !path.symlink_metadata()?.is_file() {
        return Ok(Err("is not a regular file".to_owned()));
    }
    let limit = u64::try_from(MAX_FRAME).unwrap_or(u64::MAX);
    let mut document = Vec::new();
    File::open(path)?.take(limit).read_to_end(&mut document)?;
    Ok(serde_json::from_slice(&document).map_err(|error| error.to_string()))
}
