//! What a runtime asks besides ADD and DEL: CHECK of a container, GC and STATUS of a network; in libcni's order, with its
//! rules of which version has which verb, and what it keeps quiet about.

use serde_json::{Value, json};

use super::Runtime;
use super::attachment::Attachment;
use super::conflist::Version;
use super::failure::{Cause, ChainFailure};
use super::outcome::{PluginTime, Verb};
use crate::netns::Netns;

/// Both keys under which libcni names the attachments that stay (containernetworking/cni#1101).
const VALID_KEYS: [&str; 2] = ["cni.dev/valid-attachments", "cni.dev/attachments"];

impl Runtime {
    /// CHECK: every plugin in the order of ADD with the cached result.
    ///
    /// # Errors
    /// The first plugin that failed; a list older than 0.4.0, or no result in the cache.
    pub fn check(
        &self,
        host: &Netns,
        attachment: &Attachment,
    ) -> Result<Vec<PluginTime>, ChainFailure> {
        let refuse = |why| self.failure(Verb::Check, "none", Cause::Refused(why), "");
        if self.conflist.version() < Version::V0_4_0 {
            return Err(refuse("the list's version has no CHECK"));
        }
        if self.conflist.says("disableCheck") {
            return Ok(Vec::new());
        }
        let previous = self.cache.result(&self.conflist, attachment);
        let previous = previous.ok_or_else(|| refuse("no result is cached"))?;
        let plugins = self.conflist.plugins().iter();
        plugins
            .map(|plugin| {
                let stdin = self.stdin(plugin, attachment, Some(&previous));
                Ok(self
                    .run(host, Verb::Check, plugin, attachment, &stdin)?
                    .time)
            })
            .collect()
    }

    /// GC: a DEL for each cached attachment of this network that is not in `valid`, in any version; then, from 1.1.0 on, GC
    /// of every plugin with the list of what stays. One that fails does not stop the others.
    ///
    /// # Errors
    /// All failures.
    pub fn gc(&self, host: &Netns, valid: &[&Attachment]) -> Result<(), Vec<ChainFailure>> {
        self.collect(host, Some(valid))
    }

    /// GC by somebody who names nothing at all, as `cnitool gc` does: everything that is cached is deleted, and plugins find
    /// neither key.
    ///
    /// # Errors
    /// All failures.
    pub fn gc_without_list(&self, host: &Netns) -> Result<(), Vec<ChainFailure>> {
        self.collect(host, None)
    }

    fn collect(
        &self,
        host: &Netns,
        valid: Option<&[&Attachment]>,
    ) -> Result<(), Vec<ChainFailure>> {
        if self.conflist.says("disableGC") {
            return Ok(());
        }
        let stays = |cached: &Attachment| {
            let same = |valid: &&&Attachment| {
                (&valid.container_id, &valid.ifname) == (&cached.container_id, &cached.ifname)
            };
            valid.unwrap_or_default().iter().any(|valid| same(&valid))
        };
        let mut failures = Vec::new();
        for stale in self.cache.attachments(&self.conflist) {
            if !stays(&stale) {
                failures.extend(self.del(host, &stale).err());
            }
        }
        if self.conflist.version() >= Version::V1_1_0 {
            failures.extend(self.gc_plugins(host, valid));
        }
        if failures.is_empty() {
            Ok(())
        } else {
            Err(failures)
        }
    }

    fn gc_plugins(&self, host: &Netns, valid: Option<&[&Attachment]>) -> Vec<ChainFailure> {
        let entry = |attachment: &&Attachment| json!({"containerID": attachment.container_id, "ifname": attachment.ifname});
        let list = valid.map(|valid| match valid {
            // a slice of Go's that nobody filled is null
            [] => Value::Null,
            valid => valid.iter().map(entry).collect(),
        });
        let nobody = Attachment::nobody();
        let collect = |plugin| {
            let mut stdin = self.stdin(plugin, &nobody, None);
            if let Some(list) = &list {
                for key in VALID_KEYS {
                    stdin[key] = list.clone();
                }
            }
            self.run(host, Verb::Gc, plugin, &nobody, &stdin).err()
        };
        self.conflist.plugins().iter().filter_map(collect).collect()
    }

    /// STATUS: every plugin, from 1.1.0 on; before, nobody is asked and all is well.
    ///
    /// # Errors
    /// The first plugin that failed.
    pub fn status(&self, host: &Netns) -> Result<Vec<PluginTime>, ChainFailure> {
        if self.conflist.version() < Version::V1_1_0 {
            return Ok(Vec::new());
        }
        let nobody = Attachment::nobody();
        let plugins = self.conflist.plugins().iter();
        plugins
            .map(|plugin| {
                let stdin = self.stdin(plugin, &nobody, None);
                Ok(self.run(host, Verb::Status, plugin, &nobody, &stdin)?.time)
            })
            .collect()
    }
}
