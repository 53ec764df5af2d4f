//! The runtime's memory of finished ADDs: one file an attachment, in libcni's place and form.
//!
//! `<dir>/results/<network>-<container id>-<ifname>`, directory 0700, file 0600. Other programs read these files
//! (the daemon does, to learn which sandboxes still exist), so the form is libcni's `cniCacheV1`, not one of ours.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::attachment::Attachment;
use super::conflist::Conflist;
use super::outcome::AddResult;

/// The result cache below one directory.
#[derive(Clone, Debug)]
pub struct ResultCache {
    results: PathBuf,
}

impl ResultCache {
    /// The cache below `dir` (libcni's default is /var/lib/cni).
    #[must_use]
    pub fn new(dir: &Path) -> Self {
        Self {
            results: dir.join("results"),
        }
    }

    /// The directory with the files.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.results
    }

    /// Where the result of `attachment` in the network of `conflist` is kept.
    #[must_use]
    pub fn path(&self, conflist: &Conflist, attachment: &Attachment) -> PathBuf {
        self.results.join(format!(
            "{}-{}-{}",
            conflist.name(),
            attachment.container_id,
            attachment.ifname
        ))
    }

    /// Keeps a result, as after an ADD.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn store(
        &self,
        conflist: &Conflist,
        attachment: &Attachment,
        result: &AddResult,
    ) -> io::Result<()> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.results)?;
        let document = json!({
            "kind": "cniCacheV1",
            "containerId": attachment.container_id,
            "config": base64(conflist.raw().to_string().as_bytes()),
            "ifName": attachment.ifname,
            "networkName": conflist.name(),
            "netns": attachment.netns.display().to_string(),
            "cniArgs": attachment.args,
            "capabilityArgs": attachment.capability_args,
            "result": result.json(),
        });
        let path = self.path(conflist, attachment);
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(path)?;
        file.write_all(document.to_string().as_bytes())
    }

    /// The cached result, if there is one that can be read and is of the list's version.
    pub(super) fn result(&self, conflist: &Conflist, attachment: &Attachment) -> Option<Value> {
        let text = fs::read_to_string(self.path(conflist, attachment)).ok()?;
        let mut document: Value = serde_json::from_str(&text).ok()?;
        if document["kind"] != "cniCacheV1" {
            return None;
        }
        let result = document["result"].take();
        (result["cniVersion"] == conflist.version().as_str()).then_some(result)
    }

    /// The attachments of the network of `conflist` that are cached. Files that cannot be read, or are no cache, are left
    /// out.
    pub(super) fn attachments(&self, conflist: &Conflist) -> Vec<Attachment> {
        let Ok(entries) = fs::read_dir(&self.results) else {
            return Vec::new();
        };
        let cached = |entry: io::Result<fs::DirEntry>| {
            let text = fs::read_to_string(entry.ok()?.path()).ok()?;
            let document: Value = serde_json::from_str(&text).ok()?;
            let text = |key: &str| document[key].as_str().map(str::to_owned);
            let ours =
                document["kind"] == "cniCacheV1" && document["networkName"] == conflist.name();
            ours.then_some(Attachment {
                container_id: text("containerId")?,
                ifname: text("ifName")?,
                netns: text("netns")?.into(),
                args: serde_json::from_value(document["cniArgs"].clone()).ok()?,
                capability_args: serde_json::from_value(document["capabilityArgs"].clone()).ok()?,
            })
        };
        entries.filter_map(cached).collect()
    }

    pub(super) fn remove(&self, conflist: &Conflist, attachment: &Attachment) -> io::Result<()> {
        match fs::remove_file(self.path(conflist, attachment)) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

/// RFC 4648 §4 with padding: how Go's JSON writes bytes.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let byte = |at: usize| u32::from(chunk.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for sextet in 0..4 {
            let index = (bits >> (18 - 6 * sextet) & 0x3f) as usize;
            text.push(if sextet > chunk.len() {
                '='
            } else {
                char::from(ALPHABET[index])
            });
        }
    }
    text
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::base64;

    #[test]
    fn base64_matches_the_vectors_of_rfc_4648() {
        let vectors = [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("foobar", "Zm9vYmFy"),
        ];
        for (plain, coded) in vectors {
            assert_eq!(base64(plain.as_bytes()), coded);
        }
    }
}
