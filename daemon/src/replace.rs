//! Replacing a file whole: temporary name in the same directory, fsync, rename, fsync of the directory. A crash at any
//! moment leaves the old content or the new one, and at most a temporary file, which the next write takes over. Who else
//! may write there at the same time is the caller's question: two would share the temporary name.

use std::fs::{File, OpenOptions};
use std::io::{self, IoSlice, Seek, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;

/// Why a file was not replaced.
#[derive(Debug, thiserror::Error)]
#[error("cannot {what} {}: {source}", path.display())]
pub struct ReplaceError {
    /// The step.
    pub what: &'static str,
    /// On what.
    pub path: PathBuf,
    /// Why.
    pub source: io::Error,
}

/// Where a file lies while it is written. The runtimes read no file of the configuration directory that ends like this
/// (libcni takes `.conf`, `.conflist` and `.json`).
pub fn temporary(path: &Path) -> PathBuf {
    path.with_added_extension("tmp")
}

/// Gives `path` this content and these permissions, whatever was there. A program that runs from the old file keeps it
/// (nothing is written into it, so there is no ETXTBSY), and whoever looks sees the old file or the new one, whole.
///
/// # Errors
/// Those of open(2), write(2), fsync(2) and rename(2); the old file is as it was.
pub fn replace(path: &Path, content: &[u8], mode: u32) -> Result<(), ReplaceError> {
    write_and(path, &[content], mode, |temporary| {
        std::fs::rename(temporary, path)
    })
}

/// The same for a file that is written often: the old one stays beside it under the temporary name, and the next content is
/// written over that, since most of a write's cost is memory that is taken for the new file and given back for the old one
/// (docs/performance.md). Who has the old one open for so long sees the next content come.
///
/// # Errors
/// As [`replace`].
pub fn alternate(path: &Path, parts: &[&[u8]], mode: u32) -> Result<(), ReplaceError> {
    write_and(path, parts, mode, |temporary| {
        match renameat_with(CWD, temporary, CWD, path, RenameFlags::EXCHANGE) {
            // Nothing is there yet, or the file system cannot do it.
            Err(Errno::NOENT | Errno::INVAL | Errno::NOSYS) => std::fs::rename(temporary, path),
            exchanged => Ok(exchanged?),
        }
    })
}

fn write_and(
    path: &Path,
    parts: &[&[u8]],
    mode: u32,
    put_in_place: impl FnOnce(&Path) -> io::Result<()>,
) -> Result<(), ReplaceError> {
    let temporary = temporary(path);
    let failed = |what, path: &Path| {
        let path = path.to_owned();
        move |source| ReplaceError { what, path, source }
    };
    write_synced(&temporary, parts, mode).map_err(failed("write", &temporary))?;
    put_in_place(&temporary).map_err(failed("replace", path))?;
    match path.parent() {
        Some(dir) => sync(dir),
        None => Ok(()),
    }
}

/// Removes what a killed writer of `path` left beside it.
///
/// # Errors
/// Those of unlink(2), but that there is nothing.
pub fn clear(path: &Path) -> Result<(), ReplaceError> {
    let temporary = temporary(path);
    match std::fs::remove_file(&temporary) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed.map_err(|source| ReplaceError {
            what: "remove",
            path: temporary,
            source,
        }),
    }
}

/// Makes what happened to the names in `dir` durable: without this a rename or a removal may be lost with the power.
///
/// # Errors
/// Those of fsync(2).
pub fn sync(dir: &Path) -> Result<(), ReplaceError> {
    let synced = File::open(dir).and_then(|dir| dir.sync_all());
    synced.map_err(|source| ReplaceError {
        what: "sync the directory",
        path: dir.to_owned(),
        source,
    })
}

fn write_synced(temporary: &Path, parts: &[&[u8]], mode: u32) -> io::Result<()> {
    // What is there, by a killed writer or the one before, is overwritten and not truncated first: its memory is used again.
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false).mode(mode);
    let mut file = options.open(temporary)?;
    // The umask and a file that was there have a say in `mode` above, not here.
    file.set_permissions(PermissionsExt::from_mode(mode))?;
    write_all(&mut file, parts)?;
    let length = file.stream_position()?;
    file.set_len(length)?;
    file.sync_all()
}

fn write_all(file: &mut File, parts: &[&[u8]]) -> io::Result<()> {
    let mut slices: Vec<_> = parts.iter().map(|part| IoSlice::new(part)).collect();
    let mut slices = slices.as_mut_slice();
    // What is empty at the front would be taken for a file that takes no more.
    IoSlice::advance_slices(&mut slices, 0);
    while !slices.is_empty() {
        match file.write_vectored(slices) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => IoSlice::advance_slices(&mut slices, written),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    #[test]
    fn the_new_content_has_its_own_permissions_and_nothing_is_left_beside_it() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("berth-cni");
        std::fs::write(
            temporary(&path),
            "what a crash left, longer than the new content",
        )
        .unwrap();
        replace(&path, b"program", 0o755).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"program");
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o755);
        assert_eq!(std::fs::read_dir(&home).unwrap().count(), 1);
    }

    #[test]
    fn two_files_take_turns() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("ipam.json");
        let inode = || std::fs::metadata(&path).unwrap().ino();
        let mut inodes = Vec::new();
        for content in ["first", "second, a longer one", "3", "fourth"] {
            let (begin, end) = content.as_bytes().split_at(content.len() / 2);
            alternate(&path, &[b"", begin, end, b""], 0o600).unwrap();
            assert_eq!(std::fs::read_to_string(&path).unwrap(), content);
            assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
            inodes.push(inode());
        }
        assert_eq!((inodes[0], inodes[1]), (inodes[2], inodes[3]));
        assert_ne!(inodes[0], inodes[1]);
        clear(&path).unwrap();
        assert_eq!(std::fs::read_dir(&home).unwrap().count(), 1);
    }

    #[test]
    fn a_failed_replacement_keeps_the_old_file_and_names_the_step() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("file");
        replace(&path, b"old", 0o600).unwrap();
        // Stands in the temporary file's place, as a full disk would; root may write past any mode.
        std::fs::create_dir(temporary(&path)).unwrap();
        let error = replace(&path, b"new", 0o600).unwrap_err();
        assert!(error.to_string().starts_with("cannot write "), "{error}");
        assert!(error.to_string().contains("file.tmp"), "{error}");
        assert_eq!(std::fs::read(&path).unwrap(), b"old");
    }
}
