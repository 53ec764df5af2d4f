//! A container runtime as far as CNI goes: runs the plugins of a configuration list the way libcni does.
//!
//! ADD in order, each plugin with the result of the one before; DEL in reverse with the cached result. A list that
//! failed leaves no cache; CHECK, GC and STATUS are in `upkeep`. Like libcni it cleans nothing up by itself: the caller calls DEL after a failed ADD, as
//! containerd and CRI-O do, and removes the sandbox's namespace (the node of the `e2e` package does both).

pub mod attachment;
pub mod cache;
pub mod conflist;
pub mod convert;
pub mod failure;
pub mod invoke;
pub mod outcome;
mod upkeep;

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use self::attachment::Attachment;
use self::cache::ResultCache;
use self::conflist::{Conflist, PluginConf, Version};
use self::failure::{Cause, ChainFailure};
use self::invoke::Invocation;
use self::outcome::{AddResult, Added, Deleted, PluginTime, Verb};
use crate::netns::Netns;

/// How long a runtime lets each plugin of a chain take before it sends SIGKILL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// For one plugin's ADD. kubelet gives RunPodSandbox 4 minutes; nothing that works takes one.
    pub add: Duration,
    /// For one plugin's DEL; containerd gives a DEL after a failed ADD one minute for the whole chain.
    pub del: Duration,
    /// For one plugin's CHECK, GC or STATUS. containerd gives STATUS no limit at all.
    pub upkeep: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            add: Duration::from_secs(60),
            del: Duration::from_secs(60),
            upkeep: Duration::from_secs(60),
        }
    }
}

/// One runtime: a list, the plugins' directories, a result cache. It may be used by many threads at once; as the
/// specification asks of runtimes, the caller runs no two operations of one container in parallel.
#[derive(Clone, Debug)]
pub struct Runtime {
    conflist: Conflist,
    cni_path: Vec<PathBuf>,
    cache: ResultCache,
    /// What each plugin may take.
    pub timeouts: Timeouts,
}

impl Runtime {
    /// A runtime for `conflist` that finds plugins in `cni_path` and keeps results below `cache_dir`.
    #[must_use]
    pub fn new(conflist: Conflist, cni_path: Vec<PathBuf>, cache_dir: &Path) -> Self {
        Self {
            conflist,
            cni_path,
            cache: ResultCache::new(cache_dir),
            timeouts: Timeouts::default(),
        }
    }

    /// The list that is run.
    #[must_use]
    pub fn conflist(&self) -> &Conflist {
        &self.conflist
    }

    /// The results of finished ADDs.
    #[must_use]
    pub fn cache(&self) -> &ResultCache {
        &self.cache
    }

    /// ADD: every plugin in order inside `host`, the node's namespace; the last result is cached and returned.
    ///
    /// # Errors
    /// The first plugin that failed. Nothing is cached then, and earlier plugins are not undone.
    pub fn add(&self, host: &Netns, attachment: &Attachment) -> Result<Added, ChainFailure> {
        let mut previous: Option<AddResult> = None;
        let mut times = Vec::new();
        for plugin in self.conflist.plugins() {
            let stdin = self.stdin(plugin, attachment, previous.as_ref().map(AddResult::json));
            let ran = self.run(host, Verb::Add, plugin, attachment, &stdin)?;
            times.push(ran.time);
            let parsed = AddResult::parse(&ran.stdout, self.conflist.version());
            previous = Some(
                parsed
                    .map_err(|cause| self.failure(Verb::Add, plugin.kind(), cause, &ran.stderr))?,
            );
        }
        let result = previous.unwrap_or_else(|| AddResult::empty(self.conflist.version()));
        self.cache
            .store(&self.conflist, attachment, &result)
            .map_err(|error| self.cache_failure(Verb::Add, error))?;
        Ok(Added { result, times })
    }

    /// DEL: every plugin in reverse order, from 0.4.0 on with the cached result, converted if the list's version was
    /// changed. A missing, unreadable or inconvertible cache entry is no error: the plugins are called without `prevResult`. The entry goes once all succeeded.
    ///
    /// # Errors
    /// The first plugin that failed; those before it in the list were not called.
    pub fn del(&self, host: &Netns, attachment: &Attachment) -> Result<Deleted, ChainFailure> {
        let previous = if self.conflist.version() >= Version::V0_4_0 {
            self.cache.result(&self.conflist, attachment)
        } else {
            None
        };
        let mut times = Vec::new();
        for plugin in self.conflist.plugins().iter().rev() {
            let stdin = self.stdin(plugin, attachment, previous.as_ref());
            times.push(self.run(host, Verb::Del, plugin, attachment, &stdin)?.time);
        }
        self.cache
            .remove(&self.conflist, attachment)
            .map_err(|error| self.cache_failure(Verb::Del, error))?;
        Ok(Deleted { times })
    }

    /// DEL by the list that was cached at the ADD, as CRI-O and podman do; by the runtime's own where none is cached.
    ///
    /// # Errors
    /// As [`Runtime::del`].
    pub fn del_as_added(
        &self,
        host: &Netns,
        attachment: &Attachment,
    ) -> Result<Deleted, ChainFailure> {
        let cached = self.cache.list(&self.conflist, attachment);
        let conflist = cached.unwrap_or_else(|| self.conflist.clone());
        Self {
            conflist,
            ..self.clone()
        }
        .del(host, attachment)
    }

    /// What a plugin reads: its own entry with the list's name and version, `prevResult` if there is one, and those
    /// capabilities that the entry declares and the attachment supplies.
    fn stdin(
        &self,
        plugin: &PluginConf,
        attachment: &Attachment,
        previous: Option<&Value>,
    ) -> Value {
        let mut conf = plugin.entry().clone();
        conf.insert("name".to_owned(), self.conflist.name().into());
        conf.insert(
            "cniVersion".to_owned(),
            self.conflist.version().as_str().into(),
        );
        if let Some(previous) = previous {
            conf.insert("prevResult".to_owned(), previous.clone());
        }
        let offered = attachment.capability_args.iter();
        let wanted = offered.filter(|(capability, _)| plugin.declares(capability));
        let runtime_config: serde_json::Map<_, _> = wanted
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        if !runtime_config.is_empty() {
            conf.insert("runtimeConfig".to_owned(), runtime_config.into());
        }
        Value::Object(conf)
    }

    fn run(
        &self,
        host: &Netns,
        verb: Verb,
        plugin: &PluginConf,
        attachment: &Attachment,
        stdin: &Value,
    ) -> Result<Ran, ChainFailure> {
        let invocation = Invocation {
            verb,
            kind: plugin.kind(),
            cni_path: &self.cni_path,
            attachment,
            stdin,
            timeout: match verb {
                Verb::Add => self.timeouts.add,
                Verb::Del => self.timeouts.del,
                Verb::Check | Verb::Gc | Verb::Status => self.timeouts.upkeep,
            },
        };
        let exit = invocation
            .run(host)
            .map_err(|cause| self.failure(verb, plugin.kind(), cause, ""))?;
        if let Some(cause) = Cause::of_exit(&exit) {
            return Err(self.failure(verb, plugin.kind(), cause, &exit.stderr));
        }
        let time = PluginTime {
            plugin: plugin.kind().to_owned(),
            elapsed: exit.elapsed,
        };
        Ok(Ran {
            stdout: exit.stdout,
            stderr: exit.stderr,
            time,
        })
    }

    fn cache_failure(&self, verb: Verb, error: std::io::Error) -> ChainFailure {
        let what = "result cache";
        self.failure(verb, "none", Cause::Runtime { what, error }, "")
    }

    fn failure(&self, verb: Verb, plugin: &str, cause: Cause, stderr: &str) -> ChainFailure {
        ChainFailure {
            verb,
            plugin: plugin.to_owned(),
            network: self.conflist.name().to_owned(),
            cause: Box::new(cause),
            stderr: stderr.to_owned(),
        }
    }
}

/// A plugin that succeeded.
struct Ran {
    stdout: String,
    stderr: String,
    time: PluginTime,
}
