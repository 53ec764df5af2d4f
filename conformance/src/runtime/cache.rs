//! The runtime's memory of finished ADDs: one file an attachment, in libcni's place and form.
//!
//! `<dir>/results/<network>-<container id>-<ifname>`, directory 0700, file 0600. Other programs read these files
//! (the daemon does, to learn which sandboxes still exist), so the form is libcni's `cniCacheV1`, not one of ours.

mod base64;

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::attachment::Attachment;
use super::conflist::Conflist;
use super::convert::convert;
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
            "config": base64::encode(conflist.raw().to_string().as_bytes()),
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

    /// The cached result in the list's version; `None` if there is none, or none that can be read or converted.
    pub(super) fn result(&self, conflist: &Conflist, attachment: &Attachment) -> Option<Value> {
        let document = self.document(conflist, attachment)?;
        convert(&document["result"], conflist.version())
    }

    /// The list as it was when the container was added: what CRI-O and podman delete by.
    #[must_use]
    pub fn list(&self, conflist: &Conflist, attachment: &Attachment) -> Option<Conflist> {
        let document = self.document(conflist, attachment)?;
        let text = base64::decode(document["config"].as_str()?)?;
        Conflist::from_json(serde_json::from_slice(&text).ok()?).ok()
    }

    fn document(&self, conflist: &Conflist, attachment: &Attachment) -> Option<Value> {
        let text = fs::read_to_string(self.path(conflist, attachment)).ok()?;
        let document: Value = serde_json::from_str(&text).ok()?;
        (document["kind"] == "cniCacheV1").then_some(document)
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
