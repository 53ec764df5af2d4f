//! Tombstones: what a DEL leaves when it met no daemon, for the daemon to replay. One file for each attachment holding
//! its [`DelRequest`] as JSON, named by the attachment, so that a repeated DEL changes nothing. Replaying is the daemon's.
//!
//! A name that begins with a dot is a file that is still being written, or one whose writer was killed.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use crate::contract::{AttachmentId, DelRequest};

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
pub fn write(dir: &Path, request: &DelRequest, invocation: &str) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    let temporary = dir.join(format!(".{invocation}"));
    let written = write_and_rename(dir, &temporary, &with_what_was_known(dir, request));
    if written.is_err() {
        // Best effort: the error that counts is the one that is returned.
        let _ = std::fs::remove_file(&temporary);
    }
    written
}

/// Takes a tombstone back once the daemon has answered; none being there is fine, it may have been quicker.
///
/// # Errors
/// Those of unlink(2), except that nothing is there.
pub fn remove(dir: &Path, id: &AttachmentId) -> io::Result<()> {
    match std::fs::remove_file(dir.join(file_name(id))) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// A DEL that is repeated may know less: after the first one the runtime has no `prevResult` any more. What that told is
/// kept.
fn with_what_was_known(dir: &Path, request: &DelRequest) -> DelRequest {
    let mut request = request.clone();
    if request.aws_node.is_empty() {
        let earlier = std::fs::read(dir.join(file_name(&request.id))).ok();
        let earlier = earlier.and_then(|bytes| serde_json::from_slice::<DelRequest>(&bytes).ok());
        request.aws_node = earlier.map(|earlier| earlier.aws_node).unwrap_or_default();
    }
    request
}

/// Contents before the name, name before the return: each is synced, else a crash leaves an empty or nameless file.
fn write_and_rename(dir: &Path, temporary: &Path, request: &DelRequest) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(temporary)?;
    file.write_all(&serde_json::to_vec(request)?)?;
    file.sync_all()?;
    std::fs::rename(temporary, dir.join(file_name(&request.id)))?;
    File::open(dir)?.sync_all()
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
        let request = DelRequest {
            id: id("aws-cni", "c0ffee", "eth0"),
            pod: None,
            aws_node: Vec::new(),
        };
        write(&dir, &request, "one").unwrap();
        write(&dir, &request, "two").unwrap();
        let files: Vec<_> = std::fs::read_dir(&dir)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        assert_eq!(files, [dir.join("aws-cni:c0ffee:eth0")]);
        let read: DelRequest = serde_json::from_slice(&std::fs::read(&files[0]).unwrap()).unwrap();
        assert_eq!(read, request);
        remove(&dir, &request.id).unwrap();
        remove(&dir, &request.id).unwrap();
        assert_eq!(std::fs::read_dir(&dir).unwrap().count(), 0);
    }

    #[test]
    fn a_failed_write_leaves_nothing_behind() {
        let home = tempfile::tempdir().unwrap();
        let request = DelRequest {
            id: id("aws-cni", &"c".repeat(300), "eth0"),
            pod: None,
            aws_node: Vec::new(),
        };
        assert!(write(home.path(), &request, "one").is_err());
        assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 0);
    }
}
