//! What one run of a case stands on: the plugin, a version, a mode, a host namespace, sandboxes, and calls as libcni
//! would make them. When the world ends, each attachment that it made is deleted and each sandbox removed, whatever came
//! of the case.

mod daemon;
mod killed;
mod life;
mod looks;
pub mod traces;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Context;
use serde_json::{Value, json};
use thiserror::Error;

pub use self::daemon::Disturbed;
use crate::answer::Answer;
use crate::call::{Call, Running};
use crate::case::{Finding, Mode, Verdict, skip};
use crate::netns::{Netns, output};
use crate::pod::Pod;
use crate::runtime::Runtime;
use crate::runtime::attachment::Attachment;
use crate::runtime::conflist::Version;
use crate::subject::{DIR, Subject};

/// `CNI_IFNAME` of a pod's first interface in all runtimes.
pub const IFNAME: &str = "eth0";

/// How long a DEL may take whose outcome nobody asks for.
const UNDO: Duration = Duration::from_secs(10);

/// One run of one case.
#[derive(Debug)]
pub struct World<'a> {
    subject: &'a Subject,
    version: Version,
    mode: Mode,
    host: Netns,
    dir: &'a Path,
    pods: Mutex<Vec<Arc<Pod>>>,
    owed: Mutex<Vec<Owed>>,
}

/// The plugin declares not to do a verb, and why: what needs it is skipped.
#[derive(Debug, Error)]
#[error("the plugin declines {0}: {1}")]
pub struct Declined(String, String);

/// An attachment for which ADD was called, and no DEL has succeeded.
#[derive(Debug)]
struct Owed {
    key: [OsString; 2],
    network: Value,
    undo: Call,
}

impl<'a> World<'a> {
    /// A world on `host`, whose plugins keep their files in `dir`.
    #[must_use]
    pub fn new(
        subject: &'a Subject,
        version: Version,
        mode: Mode,
        host: Netns,
        dir: &'a Path,
    ) -> Self {
        let (pods, owed) = (Mutex::default(), Mutex::default());
        Self {
            subject,
            version,
            mode,
            host,
            dir,
            pods,
            owed,
        }
    }

    /// The plugin under test.
    #[must_use]
    pub fn subject(&self) -> &'a Subject {
        self.subject
    }

    /// The version of this run.
    #[must_use]
    pub fn version(&self) -> Version {
        self.version
    }

    /// The mode of this run.
    #[must_use]
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// The namespace in which plugins are run.
    #[must_use]
    pub fn host(&self) -> &Netns {
        &self.host
    }

    /// A path at which there is no namespace, and nothing else but what the plugin puts there.
    #[must_use]
    pub fn nowhere(&self) -> PathBuf {
        self.dir.join("nowhere")
    }

    /// The directory of the case.
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.dir
    }

    /// The first sandbox, made at the first call.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn pod(&self) -> anyhow::Result<Arc<Pod>> {
        let first = lock(&self.pods).first().cloned();
        first.map_or_else(|| self.another_pod(), Ok)
    }

    /// A further sandbox, in chained mode with what the plugins before leave in it.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn another_pod(&self) -> anyhow::Result<Arc<Pod>> {
        self.another_pod_with(IFNAME)
    }

    /// The same for an interface of another name.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn another_pod_with(&self, ifname: &str) -> anyhow::Result<Arc<Pod>> {
        let pod = Arc::new(self.made(ifname)?);
        lock(&self.pods).push(pod.clone());
        Ok(pod)
    }

    /// A further sandbox that the caller may remove before the world ends.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn loose_pod(&self) -> anyhow::Result<Pod> {
        self.made(IFNAME)
    }

    fn made(&self, ifname: &str) -> anyhow::Result<Pod> {
        let before = &self.subject.before;
        Ok(match self.mode {
            Mode::Creating => Pod::empty(ifname)?,
            Mode::Chained if before.is_empty() => {
                Pod::with_interface(ifname, &self.host, self.version)?
            }
            Mode::Chained => {
                let list = json!({"plugins": before});
                Pod::behind(ifname, &self.host, self.runtime(&list)?)?
            }
        })
    }

    /// A runtime for `list` in this run's version and with its network's name.
    ///
    /// # Errors
    /// It is no list.
    pub fn runtime(&self, list: &Value) -> anyhow::Result<Runtime> {
        self.runtime_in(list, self.version)
    }

    /// A runtime for `list` in another version, with the same result cache.
    ///
    /// # Errors
    /// It is no list.
    pub fn runtime_in(&self, list: &Value, version: Version) -> anyhow::Result<Runtime> {
        let conflist = self.subject.conflist(list, version, self.dir)?;
        Ok(Runtime::new(
            conflist,
            self.subject.cni_path.clone(),
            self.dir,
        ))
    }

    /// The call that libcni would make for the first sandbox: all variables set, the configuration in this version with
    /// `prevResult` where libcni passes one.
    ///
    /// # Errors
    /// The sandbox cannot be made.
    pub fn call(&self, verb: &str) -> anyhow::Result<Call> {
        let pod = self.pod()?;
        Ok(match verb {
            "ADD" | "DEL" | "CHECK" => self.call_for(verb, &pod),
            _ => self.call_for_nobody(verb),
        })
    }

    /// The call that libcni would make for `pod`; ADD's `prevResult` is the earlier plugins'. DEL's and CHECK's is what
    /// the case puts in ([`Call::set`]): here that of ADD.
    #[must_use]
    pub fn call_for(&self, verb: &str, pod: &Pod) -> Call {
        let previous = pod
            .previous
            .as_ref()
            .filter(|_| verb != "DEL" || self.version >= Version::V0_4_0);
        let call = self.call_with(verb, &pod.attachment);
        match previous {
            Some(previous) => call.set("prevResult", previous.clone()),
            None => call,
        }
    }

    /// The call that libcni would make where there is no container: all variables set, most of them empty.
    #[must_use]
    pub fn call_for_nobody(&self, verb: &str) -> Call {
        self.call_with(verb, &Attachment::nobody())
    }

    fn call_with(&self, verb: &str, attachment: &Attachment) -> Call {
        let path = std::env::join_paths(&self.subject.cni_path).unwrap_or_default();
        Call::bare(&self.subject.binary, verb)
            .env("CNI_CONTAINERID", &attachment.container_id)
            .env("CNI_NETNS", &attachment.netns)
            .env("CNI_IFNAME", &attachment.ifname)
            .env("CNI_ARGS", attachment.cni_args())
            .env("CNI_PATH", path)
            .with_config(self.subject.config(self.version, self.dir))
    }

    /// Makes the call on the host and waits for its end.
    ///
    /// # Errors
    /// The plugin cannot be started.
    pub fn run(&self, call: &Call) -> anyhow::Result<Answer> {
        let answer = self.start(call)?.finish()?;
        if call.verb == "DEL" && answer.succeeded() {
            let (key, network) = (key(call), call.config()["name"].clone());
            lock(&self.owed).retain(|owed| owed.key != key || owed.network != network);
        }
        Ok(answer)
    }

    /// Makes the call on the host and does not wait.
    ///
    /// # Errors
    /// The plugin cannot be started, or declares not to do that ([`Declined`]).
    pub fn start(&self, call: &Call) -> anyhow::Result<Running> {
        if let Some(reason) = self.subject.description.declines.get(&call.verb) {
            return Err(Declined(call.verb.clone(), reason.clone()).into());
        }
        if call.verb == "ADD" {
            self.owe(call);
        }
        call.start(&self.host)
    }

    /// ADD of the first sandbox, which must succeed; its result.
    ///
    /// # Errors
    /// It failed.
    pub fn add(&self) -> Result<Value, Finding> {
        let call = self.call("ADD")?;
        self.run(&call)?.result()
    }

    /// DEL of the first sandbox with `result`, which must succeed.
    ///
    /// # Errors
    /// It failed.
    pub fn del(&self, result: &Value) -> Verdict {
        let call = self.call_after("DEL", result)?;
        self.run(&call)?.success()
    }

    /// DEL or CHECK of the first sandbox with `result` as libcni passes it: not on DEL before 0.4.0.
    ///
    /// # Errors
    /// The sandbox cannot be made.
    pub fn call_after(&self, verb: &str, result: &Value) -> anyhow::Result<Call> {
        Ok(self.after(verb, &*self.pod()?, result))
    }

    /// DEL or CHECK of `pod` with `result` as libcni passes it.
    #[must_use]
    pub fn after(&self, verb: &str, pod: &Pod, result: &Value) -> Call {
        let call = self.call_for(verb, pod);
        if verb == "DEL" && self.version < Version::V0_4_0 {
            return call;
        }
        call.set("prevResult", result.clone())
    }

    /// What the plugin says that it holds, line by line in order (`held` of the description).
    ///
    /// # Errors
    /// Skips where nobody says how to ask; or the command failed.
    pub fn held(&self) -> Result<Vec<String>, Finding> {
        let Some(command) = &self.subject.description.held else {
            return skip("the description does not say how to see what the plugin holds");
        };
        let mut lines: Vec<String> = self.told(command)?.lines().map(str::to_owned).collect();
        lines.sort();
        Ok(lines)
    }

    /// Runs a command of the description on the host, with the case's directory put in.
    fn told(&self, command: &[String]) -> anyhow::Result<String> {
        let dir = self.dir.to_string_lossy();
        let placed: Vec<String> = command.iter().map(|part| part.replace(DIR, &dir)).collect();
        let (program, args) = placed.split_first().context("an empty command")?;
        self.host.run(|| output(Command::new(program).args(args)))?
    }

    fn owe(&self, call: &Call) {
        let plain = self.subject.config(self.version, self.dir);
        let network = call.config()["name"].clone();
        let named = if network.is_string() {
            network.clone()
        } else {
            plain["name"].clone()
        };
        let undo = call
            .clone()
            .asking("DEL")
            .with_config(plain)
            .set("name", named);
        lock(&self.owed).push(Owed {
            key: key(call),
            network,
            undo,
        });
    }
}

impl Drop for World<'_> {
    fn drop(&mut self) {
        let owed = std::mem::take(&mut *lock(&self.owed));
        for Owed { undo, .. } in owed {
            // what a plugin under test refuses here it has refused before, or it is no container's
            let undo = undo.uninterrupted().killed_after(UNDO);
            let _ = undo.start(&self.host).and_then(Running::finish);
        }
        // before the host, on which they may have links
        lock(&self.pods).clear();
    }
}

fn key(call: &Call) -> [OsString; 2] {
    ["CNI_CONTAINERID", "CNI_IFNAME"].map(|name| call.variable(name))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
