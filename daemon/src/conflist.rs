//! The network configuration list that makes the runtime use berth: `05-berth.conflist`, the first by name, so that it
//! goes before `10-aws.conflist`. The daemon writes it once it can serve an ADD, since for the runtime a list means a
//! node that is ready; keeps it as it should be while it runs; and leaves it when it ends, since without a list the
//! runtime could not even delete pods. `document` says what is in it, `publish` puts it there, this file when.

mod document;
mod publish;

#[cfg(test)]
pub(crate) mod host;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::time::Duration;

use rustix::fs::inotify::WatchFlags;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tracing::{error, info, warn};

pub use document::{Change, NETWORK, NotOurs, PLUGIN, change, plugins};
pub use publish::{PublishError, Published, missing, other_lists, publish, read_ours};

use crate::inotify::Inotify;
use crate::readiness::Readiness;

/// The file's name.
pub const FILE: &str = "05-berth.conflist";
/// Where the runtimes of EKS nodes look for lists, as aws-node's container sees it.
pub const CONF_DIR: &str = "/host/etc/cni/net.d";
/// Where they look for plugins, as aws-node's container sees it.
pub const BIN_DIR: &str = "/host/opt/cni/bin";
/// When what failed is tried again, if nothing changes the directories earlier.
const RETRY: Duration = Duration::from_secs(30);
/// Between a change of the directories and the look at it: who writes a file in place is not done at its first byte, and
/// two programs that disagree about the file must not turn it over more often than this.
const SETTLE: Duration = Duration::from_secs(1);

/// A version of the CNI specification that the list can ask for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CniVersion {
    /// What the chained plugins of all distributions speak.
    #[default]
    V1_0_0,
    /// With STATUS and GC; all chained plugins must know it.
    V1_1_0,
}

/// What is in the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    /// BERTH_CNI_VERSION.
    pub version: CniVersion,
    /// Whether `portmap` serves hostPorts (BERTH_PORTMAP).
    pub portmap: bool,
    /// Whether `bandwidth` limits pods that ask for it (ENABLE_BANDWIDTH_PLUGIN).
    pub bandwidth: bool,
    /// Whether `tuning` switches IPv6 off in pods (DISABLE_POD_V6).
    pub disable_pod_v6: bool,
    /// Where the daemon listens, if not where the plugin looks anyway.
    pub socket: Option<PathBuf>,
    /// Where DELs without a daemon are left, if not where the plugin leaves them anyway.
    pub tombstones: Option<PathBuf>,
}

impl Default for Chain {
    fn default() -> Self {
        Self {
            version: CniVersion::default(),
            portmap: true,
            bandwidth: false,
            disable_pod_v6: false,
            socket: None,
            tombstones: None,
        }
    }
}

/// Where the list goes and what is in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConflistSettings {
    /// Whether the daemon writes it (BERTH_WRITE_CONFLIST).
    pub write: bool,
    /// The runtime's configuration directory (HOST_CNI_CONFDIR_PATH).
    pub conf_dir: PathBuf,
    /// The runtime's plugin directory (HOST_CNI_BIN_PATH).
    pub bin_dir: PathBuf,
    /// What is in it.
    pub chain: Chain,
}

impl ConflistSettings {
    /// The file.
    pub fn path(&self) -> PathBuf {
        self.conf_dir.join(FILE)
    }
}

/// Writes the list once the daemon is ready, and again whenever somebody has changed or removed it, until the actor
/// ends. What has come of it is told each time it changes, in words. Must be called inside a tokio runtime.
pub async fn keep(
    settings: ConflistSettings,
    mut readiness: watch::Receiver<Readiness>,
    tell: impl Fn(String),
) {
    if !settings.write {
        return tell("not written: BERTH_WRITE_CONFLIST=false".to_owned());
    }
    loop {
        let now = readiness.borrow_and_update().clone();
        if now == Readiness::Ready {
            break;
        }
        tell(format!("not written yet: {now}"));
        if readiness.changed().await.is_err() {
            return;
        }
    }
    keep_published(settings, tell).await;
}

async fn keep_published(settings: ConflistSettings, tell: impl Fn(String)) {
    let watch = Inotify::new();
    if let Err(error) = &watch {
        error!(%error, "the directory of the conflist cannot be watched; it is looked at each {RETRY:?}");
    }
    let mut told = None;
    loop {
        // First the watch, then the look: nothing happens in between.
        let watched = watch
            .as_ref()
            .ok()
            .filter(|watch| watched(watch, &settings));
        let outcome = publish_apart(&settings).await;
        let words = in_words(&settings, &outcome);
        if told.as_ref() != Some(&words) || matches!(&outcome, Ok(found) if found.written) {
            log(&outcome, &words);
            tell(words.clone());
            told = Some(words);
        }
        match watched {
            // Also without word from the kernel: an idle look costs less than a list that stays away.
            Some(watch) => drop(timeout(RETRY, watch.changed()).await),
            None => sleep(RETRY).await,
        }
        sleep(SETTLE).await;
    }
}

/// Watches both directories, those of them that are there.
fn watched(watch: &Inotify, settings: &ConflistSettings) -> bool {
    let what = WatchFlags::MOVE | WatchFlags::CLOSE_WRITE | WatchFlags::CREATE | WatchFlags::DELETE;
    let dirs = [&settings.conf_dir, &settings.bin_dir];
    dirs.map(|dir| watch.watch(dir, what).is_ok())
        .contains(&true)
}

/// The look and the write, on a thread that may wait for the disk.
async fn publish_apart(settings: &ConflistSettings) -> Result<Published, PublishError> {
    let settings = settings.clone();
    let done = tokio::task::spawn_blocking(move || publish(&settings)).await;
    // The task cannot panic, so it was cancelled: the runtime goes down, and nobody reads this.
    done.unwrap_or(Err(PublishError::Stopping))
}

fn in_words(settings: &ConflistSettings, outcome: &Result<Published, PublishError>) -> String {
    let path = settings.path();
    match outcome {
        Ok(Published {
            before: Some(other),
            ..
        }) => format!(
            "{} stands, but the runtime takes {other} instead, whose name sorts before: remove or rename that",
            path.display()
        ),
        Ok(_) => format!("{} stands", path.display()),
        Err(error) => format!("not written: {error}"),
    }
}

fn log(outcome: &Result<Published, PublishError>, words: &str) {
    match outcome {
        Ok(Published {
            before: None,
            written,
        }) => info!(written, conflist = words, "conflist"),
        Ok(Published { written, .. }) => warn!(written, conflist = words, "conflist"),
        Err(_) => error!(conflist = words, "conflist"),
    }
}
