//! Tombstones: what a DEL leaves when it met no daemon, for the daemon to replay. One file for each attachment holding
//! its [`DelRequest`] as JSON, named by the attachment, so that a repeated DEL changes nothing. Replaying is the daemon's.
//!
//! A name that begins with a dot is a file that is still being written, or one whose writer was killed.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use rustix::buffer::spare_capacity;
use rustix::fd::OwnedFd;
use rustix::fs::{self, AtFlags, Mode, OFlags};
use rustix::io::Errno;

use crate::cause::Cause;
use crate::contract::{AttachmentId, DelRequest};
use crate::error::write_all;

/// Room for a tombstone that is read, which doubles when it is not enough.
const ROOM: usize = 4 << 10;

/// Name of the attachment's tombstone: its three parts in the order of [`AttachmentId`] with `:` between, bytes other
/// than ASCII letters, digits, `_`, `-` and `.` as `%XX`. Different attachments have different names, and none begins
/// with a dot.
pub fn file_name(id: &AttachmentId) -> String {
    let parts = [&id.network, &id.container_id, &id.ifname].map(|part| escape(part));
    parts.join(":")
}

/// Leaves a tombstone that survives a crash. `invocation` keeps two writers' temporary files apart.
///
/// # Errors
/// Those of the file system; a name of more than 255 bytes is one of them.
pub fn write(dir: &str, request: &DelRequest, invocation: &str) -> Result<(), Cause> {
    make_all(dir)?;
    let dir = open_dir(dir)?;
    let temporary = format!(".{invocation}");
    let written = write_and_rename(&dir, &temporary, &with_what_was_known(&dir, request));
    if written.is_err() {
        // Best effort: the error that counts is the one that is returned.
        let _ = fs::unlinkat(&dir, &temporary, AtFlags::empty());
    }
    Ok(written?)
}

/// Takes a tombstone back once the daemon has answered; none being there is fine, it may have been quicker.
///
/// # Errors
/// Those of unlink(2), except that nothing is there.
pub fn remove(dir: &str, id: &AttachmentId) -> Result<(), Cause> {
    match fs::unlink(format!("{dir}/{}", file_name(id))) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}

/// mkdir -p, for root alone.
fn make_all(dir: &str) -> Result<(), Errno> {
    let ends = dir
        .match_indices('/')
        .map(|(at, _)| at)
        .filter(|at| *at > 0);
    for end in ends.chain([dir.len()]) {
        match fs::mkdir(&dir[..end], Mode::RWXU) {
            // What cannot be made where it is needed, or is no directory, is found when it is opened.
            Ok(()) | Err(Errno::EXIST | Errno::ROFS | Errno::ACCESS) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

fn open_dir(dir: &str) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    fs::open(dir, flags, Mode::empty())
}

/// A DEL that is repeated may know less: after the first one the runtime has no `prevResult` any more. What that told is
/// kept.
fn with_what_was_known(dir: &OwnedFd, request: &DelRequest) -> DelRequest {
    let mut request = request.clone();
    if request.aws_node.is_empty() {
        let earlier = read(dir, &file_name(&request.id)).ok();
        let earlier = earlier.and_then(|bytes| serde_json::from_slice::<DelRequest>(&bytes).ok());
        request.aws_node = earlier.map(|earlier| earlier.aws_node).unwrap_or_default();
    }
    request
}

fn read(dir: &OwnedFd, name: &str) -> Result<Vec<u8>, Errno> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let file = fs::openat(dir, name, flags, Mode::empty())?;
    let mut bytes = Vec::new();
    loop {
        bytes.reserve(ROOM);
        if rustix::io::read(&file, spare_capacity(&mut bytes))? == 0 {
            return Ok(bytes);
        }
    }
}

/// Contents before the name, name before the return: each is synced, else a crash leaves an empty or nameless file.
fn write_and_rename(dir: &OwnedFd, temporary: &str, request: &DelRequest) -> Result<(), Errno> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    let file = fs::openat(dir, temporary, flags, Mode::RUSR | Mode::WUSR)?;
    // A request always has a JSON form: it was made of one.
    let contents = serde_json::to_vec(request).map_err(|_| Errno::INVAL)?;
    write_all(&file, &contents)?;
    fs::fsync(&file)?;
    fs::renameat(dir, temporary, dir, file_name(&request.id))?;
    fs::fsync(dir)
}

fn escape(part: &str) -> String {
    let mut escaped = String::with_capacity(part.len());
    for byte in part.bytes() {
        match byte {
            b'.' if escaped.is_empty() => escaped.push_str("%2E"),
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-' | b'.' => {
                escaped.push(char::from(byte))
            }
            other => escaped.push_str(&format!("%{other:02X}")),
        }
    }
    escaped
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::path::Path;

    use super::*;

    fn id(network: &str, container_id: &str, ifname: &str) -> AttachmentId {
        AttachmentId {
            network: network.into(),
            container_id: container_id.into(),
            ifname: ifname.into(),
        }
    }

    #[test]
    fn names_are_readable_and_tell_attachments_apart() {
        assert_eq!(
            file_name(&id("aws-cni", "c0ffee", "eth0")),
            "aws-cni:c0ffee:eth0"
        );
        assert_eq!(file_name(&id(".a", "é", "%/")), "%2Ea:%C3%A9:%25%2F");
        assert_ne!(
            file_name(&id("a", "b:c", "d")),
            file_name(&id("a:b", "c", "d"))
        );
        assert_ne!(
            file_name(&id("a", "%2E", "d")),
            file_name(&id("a", ".", "d"))
        );
    }

    #[test]
    fn a_tombstone_is_written_once_and_taken_back_once() {
        let home = tempfile::tempdir().unwrap();
        let dir = home.path().join("berth/tombstones");
        let dir = dir.to_str().unwrap();
        let request = DelRequest {
            id: id("aws-cni", "c0ffee", "eth0"),
            pod: None,
            aws_node: Vec::new(),
        };
        write(dir, &request, "one").unwrap();
        write(dir, &request, "two").unwrap();
        let files: Vec<_> = std::fs::read_dir(dir)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        assert_eq!(files, [Path::new(dir).join("aws-cni:c0ffee:eth0")]);
        let read: DelRequest = serde_json::from_slice(&std::fs::read(&files[0]).unwrap()).unwrap();
        assert_eq!(read, request);
        remove(dir, &request.id).unwrap();
        remove(dir, &request.id).unwrap();
        assert_eq!(std::fs::read_dir(dir).unwrap().count(), 0);
    }

    #[test]
    fn a_failed_write_leaves_nothing_behind() {
        let home = tempfile::tempdir().unwrap();
        let request = DelRequest {
            id: id("aws-cni", &"c".repeat(300), "eth0"),
            pod: None,
            aws_node: Vec::new(),
        };
        assert!(write(home.path().to_str().unwrap(), &request, "one").is_err());
        assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 0);
    }
}
