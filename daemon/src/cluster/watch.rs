//! Follows the pods bound to this node for ever: a list, then watches from where it ended, another list where only that can
//! tell. Decides how patient to be: every wait is bounded, failures wait longer and longer, and what was seen ages: after
//! some minutes without a word, pods that never asked hold no addresses any more.

use std::sync::Arc;
use std::time::Duration;

use futures::{FutureExt, StreamExt};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::pace::{Pace, random};
use super::view::View;
use super::{Changes, Cluster, ClusterError, Kind, Sight, Versioned};
use crate::degraded::{Degraded, Feature};

/// How long a list, or the beginning of a watch, may take.
const ANSWER: Duration = Duration::from_secs(30);
/// How long a watch may say nothing. API servers send a bookmark about each minute (Kubernetes API concepts, "Watch
/// bookmarks"): one that has said nothing for so long is not there, or cannot reach us.
const QUIET: Duration = Duration::from_secs(150);
/// How long a watch goes on, at least; up to twice as long, so that the nodes' watches do not end together. `kube` takes no
/// more than 294 s. A thousand nodes begin five a second.
const WATCH: Duration = Duration::from_secs(145);
/// How long what was seen is believed without another word. Pods ask within seconds of being bound, or wait for a volume or
/// an image, which seldom takes longer.
pub(super) const BELIEVED: Duration = Duration::from_secs(300);
/// Between two tellings: a burst of changes is one piece of news.
pub(super) const GATHER: Duration = Duration::from_millis(20);
/// How many changes are taken in for one telling.
const AT_ONCE: usize = 1024;

/// Watches until the daemon ends; tells what is seen when it changes.
pub async fn watch(cluster: Arc<dyn Cluster>, tell: impl Fn(Sight), degraded: Degraded) {
    let mut watcher = Watcher {
        cluster,
        tell,
        degraded,
        view: View::default(),
        pace: Pace::default(),
        unbounded: None,
        watching: None,
        heard: None,
        told: None,
    };
    loop {
        let ended = watcher.follow().await;
        let lasted = watcher.watching.take().map(|since| since.elapsed());
        let failures = watcher.pace.ended(lasted.unwrap_or_default());
        let kind = ended.as_ref().err().map(|error| error.kind);
        if let Err(error) = &ended {
            watcher.failed(error, failures);
        }
        watcher.rest(watcher.pace.wait(kind, random())).await;
    }
}

struct Watcher<T> {
    cluster: Arc<dyn Cluster>,
    tell: T,
    degraded: Degraded,
    view: View,
    pace: Pace,
    /// Why it is not known how many pods the node may run.
    unbounded: Option<ClusterError>,
    /// Since when this watch goes on.
    watching: Option<Instant>,
    /// When the API server last said anything; `None` while nothing is believed.
    heard: Option<Instant>,
    /// When something was told last.
    told: Option<Instant>,
}

impl<T: Fn(Sight)> Watcher<T> {
    /// A list, if it is needed, and a watch. A version that is too old is no failure but the API server's word for "list
    /// again"; two in a row are one.
    async fn follow(&mut self) -> Result<(), ClusterError> {
        if self.view.version().is_some() {
            match self.watch().await {
                Err(error) if error.kind == Kind::Expired => {}
                ended => return ended,
            }
        }
        self.list().await?;
        self.watch().await
    }

    async fn list(&mut self) -> Result<(), ClusterError> {
        self.watching = None;
        let listed = within(ANSWER, "list", self.cluster.list()).await?;
        self.heard = Some(Instant::now());
        self.view.listed(listed);
        self.tell();
        let node = within(ANSWER, "get", self.cluster.allocatable_pods()).await;
        self.view.allocatable(node.as_ref().ok().copied().flatten());
        // Pods without their number's bound are still worth knowing.
        self.unbounded = node.err();
        if self.view.is_changed() {
            self.tell();
        }
        Ok(())
    }

    async fn watch(&mut self) -> Result<(), ClusterError> {
        let version = self.view.version().unwrap_or_default().to_owned();
        let lasting = WATCH + WATCH.mul_f64(random());
        let watch = self.cluster.watch(&version, lasting);
        let mut changes = self.judged(within(ANSWER, "watch", watch).await)?;
        self.watching = Some(Instant::now());
        match &self.unbounded {
            None => self.degraded.clear(Feature::BoundPods),
            Some(error) => self.degrade(error),
        }
        loop {
            // The watch has begun, or something came.
            self.hear();
            let next = match timeout(QUIET, changes.next()).await {
                Ok(Some(next)) => next,
                Ok(None) => return Ok(()),
                Err(_) => {
                    // Whatever has swallowed the bookmarks may have swallowed changes.
                    self.view.expired();
                    return Err(silent("watch", QUIET));
                }
            };
            self.take(next)?;
            self.gather(&mut changes).await?;
        }
    }

    /// Takes in what belongs together and tells it.
    async fn gather(&mut self, changes: &mut Changes) -> Result<(), ClusterError> {
        if !self.view.is_changed() {
            return Ok(());
        }
        if let Some(told) = self.told {
            sleep_until(told + GATHER).await;
        }
        let mut ended = Ok(());
        for _ in 0..AT_ONCE {
            match changes.next().now_or_never() {
                Some(Some(next)) if ended.is_ok() => ended = self.take(next),
                _ => break,
            }
        }
        self.tell();
        ended
    }

    fn take(&mut self, next: Result<Versioned, ClusterError>) -> Result<(), ClusterError> {
        let (change, version) = self.judged(next)?;
        self.view.take(change, version);
        Ok(())
    }

    /// After a version that is too old, or an answer that makes no sense, only a list tells what is.
    fn judged<V>(&mut self, result: Result<V, ClusterError>) -> Result<V, ClusterError> {
        if let Err(error) = &result
            && matches!(error.kind, Kind::Expired | Kind::Garbled)
        {
            self.view.expired();
        }
        result
    }

    fn tell(&mut self) {
        self.told = Some(Instant::now());
        (self.tell)(self.view.tell());
    }

    /// The API server said something.
    fn hear(&mut self) {
        if self.heard.replace(Instant::now()).is_none() {
            // What aged is believed again: the watch went on from it without a gap.
            self.tell();
        }
    }

    /// A watch that breaks off once is no failure worth a word: API servers are replaced under their nodes.
    fn failed(&self, error: &ClusterError, failures: u32) {
        if failures > 1 || self.heard.is_none() || error.is_permanent() {
            self.degrade(error);
        }
    }

    fn degrade(&self, error: &ClusterError) {
        let message = format!("pods are not seen before their ADD: {error}");
        self.degraded
            .set(Feature::BoundPods, message, error.remedy());
    }

    /// Waits; what was seen may age meanwhile.
    async fn rest(&mut self, wait: Duration) {
        let until = Instant::now() + wait;
        if let Some(heard) = self.heard
            && heard + BELIEVED <= until
        {
            sleep_until(heard + BELIEVED).await;
            self.heard = None;
            self.told = Some(Instant::now());
            (self.tell)(Sight::default());
        }
        sleep(until.saturating_duration_since(Instant::now())).await;
    }
}

fn silent(what: &str, after: Duration) -> ClusterError {
    ClusterError {
        kind: Kind::Unreachable,
        message: format!(
            "{what}: no word from the API server for {} s",
            after.as_secs()
        ),
    }
}

async fn within<V>(
    patience: Duration,
    what: &str,
    asked: impl Future<Output = Result<V, ClusterError>>,
) -> Result<V, ClusterError> {
    match timeout(patience, asked).await {
        Ok(answer) => answer,
        Err(_) => Err(silent(what, patience)),
    }
}
