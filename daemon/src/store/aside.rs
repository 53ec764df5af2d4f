//! Moving a file that cannot be used out of the way, for a person to look at. Never deletes, never overwrites.

use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;

/// Names tried before giving up: more files of one second than that are not an accident.
const ATTEMPTS: u32 = 100;

/// Renames `path` to itself plus `suffix`, and `-1`, `-2`, ... if that exists. Returns the name it has now.
///
/// # Errors
/// Those of renameat2(2).
pub(crate) fn set_aside(path: &Path, suffix: &str) -> io::Result<PathBuf> {
    for attempt in 0..ATTEMPTS {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        if attempt > 0 {
            name.push(format!("-{attempt}"));
        }
        match renameat_with(CWD, path, CWD, &*name, RenameFlags::NOREPLACE) {
            Ok(()) => return Ok(name.into()),
            Err(Errno::EXIST) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_overwritten() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("ipam.json");
        for (text, name) in [("a", "ipam.json.bad"), ("b", "ipam.json.bad-1")] {
            std::fs::write(&path, text).unwrap();
            let aside = set_aside(&path, ".bad").unwrap();
            assert_eq!(aside, home.path().join(name));
            assert_eq!(std::fs::read_to_string(aside).unwrap(), text);
        }
        let first = std::fs::read_to_string(home.path().join("ipam.json.bad")).unwrap();
        assert_eq!(first, "a");
        assert!(!path.exists());
    }
}
