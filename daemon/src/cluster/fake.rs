//! An API server in memory, which a test fills: it has a history of versions that can be compacted, it can lag, hang, fail
//! and cut its watches, and it counts what it is asked.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures::stream;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout_at};

use super::{BoundName, BoundPod, Change, Changes, Cluster, ClusterError, Kind, Listed, Versioned};

/// Between two bookmarks, as an API server sends them.
const BOOKMARK: Duration = Duration::from_secs(60);

/// A pod of the namespace `default` that has no address yet.
pub fn pod(name: &str) -> BoundPod {
    BoundPod {
        name: called(name),
        uid: format!("uid-{name}"),
        addresses: Vec::new(),
    }
}

/// Its name.
pub fn called(name: &str) -> BoundName {
    BoundName {
        namespace: "default".to_owned(),
        name: name.to_owned(),
    }
}

/// The fake; clones are handles to the same state.
#[derive(Clone, Debug, Default)]
pub struct FakeCluster(Arc<Mutex<State>>, watch::Sender<u64>);

#[derive(Debug, Default)]
struct State {
    /// What happened, and when; the version of an entry is its place, from 1.
    history: Vec<(Instant, Change)>,
    /// Versions below this are forgotten.
    oldest: usize,
    allocatable: Option<u32>,
    lag: Duration,
    failing: Option<Kind>,
    failing_node: Option<Kind>,
    hangs: bool,
    ends_at_once: bool,
    forgets: bool,
    /// Watches of an earlier epoch are cut.
    epoch: u64,
    /// How they end.
    cut_by: Option<Kind>,
    lists: usize,
    watches: usize,
}

impl FakeCluster {
    /// The scheduler binds a pod to the node.
    pub fn bind(&self, pod: BoundPod) {
        self.happen(Change::Bound(pod));
    }

    /// A pod goes, ends, or is told to end.
    pub fn remove(&self, name: &BoundName) {
        self.happen(Change::Gone(name.clone()));
    }

    /// `status.allocatable.pods` of the node.
    pub fn set_allocatable(&self, pods: Option<u32>) {
        self.state().allocatable = pods;
    }

    /// How far watches and lists lie behind.
    pub fn set_lag(&self, lag: Duration) {
        self.state().lag = lag;
    }

    /// Every question fails so, and what goes on is cut.
    pub fn set_failing(&self, kind: Option<Kind>) {
        self.state().failing = kind;
        self.cut();
    }

    /// Questions about the node fail so.
    pub fn set_failing_node(&self, kind: Option<Kind>) {
        self.state().failing_node = kind;
    }

    /// No question is answered any more, and watches say nothing.
    pub fn set_hanging(&self, hangs: bool) {
        self.state().hangs = hangs;
    }

    /// Watches end as soon as they have begun.
    pub fn set_ending_at_once(&self, ends: bool) {
        self.state().ends_at_once = ends;
    }

    /// Every version is too old at once.
    pub fn set_forgetting(&self, forgets: bool) {
        self.state().forgets = forgets;
    }

    /// The connections of all watches break.
    pub fn cut(&self) {
        self.cut_by(Kind::Unreachable);
    }

    /// All watches end so.
    pub fn cut_by(&self, kind: Kind) {
        {
            let mut state = self.state();
            state.epoch += 1;
            state.cut_by = Some(kind);
        }
        self.1.send_modify(|news| *news += 1);
    }

    /// The history up to now is forgotten: whoever goes on from before is told so.
    pub fn compact(&self) {
        let mut state = self.state();
        state.oldest = state.history.len() + 1;
        // The forgetting is itself younger than what anyone has seen.
        state.history.push((Instant::now(), Change::None));
    }

    /// How many lists and watches were asked for.
    pub fn asked(&self) -> (usize, usize) {
        let state = self.state();
        (state.lists, state.watches)
    }

    fn happen(&self, change: Change) {
        self.state().history.push((Instant::now(), change));
        self.1.send_modify(|news| *news += 1);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn answer(&self) -> Result<(), ClusterError> {
        let (failing, hangs) = {
            let state = self.state();
            (state.failing, state.hangs)
        };
        match failing {
            _ if hangs => std::future::pending().await,
            Some(kind) => Err(error(kind)),
            None => Ok(()),
        }
    }
}

impl State {
    /// How many entries a reader sees now.
    fn seen(&self) -> usize {
        let seen = |(at, _): &&(Instant, Change)| *at + self.lag <= Instant::now();
        self.history.iter().take_while(seen).count()
    }

    fn pods(&self) -> Vec<BoundPod> {
        let mut pods: Vec<BoundPod> = Vec::new();
        for (_, change) in &self.history[..self.seen()] {
            match change {
                Change::Bound(pod) => {
                    pods.retain(|other| other.name != pod.name);
                    pods.push(pod.clone());
                }
                Change::Gone(name) => pods.retain(|other| other.name != *name),
                Change::None => {}
            }
        }
        pods
    }
}

fn error(kind: Kind) -> ClusterError {
    ClusterError {
        kind,
        message: format!("{kind:?}"),
    }
}

/// A watch that goes on.
struct Watching {
    cluster: FakeCluster,
    news: watch::Receiver<u64>,
    /// How many entries it has told.
    told: usize,
    epoch: u64,
    until: Instant,
    broken: bool,
}

impl Watching {
    async fn next(&mut self) -> Option<Result<Versioned, ClusterError>> {
        let bookmark = Instant::now() + BOOKMARK;
        loop {
            if self.broken || Instant::now() >= self.until {
                return None;
            }
            let (hangs, due) = {
                let state = self.cluster.state();
                if state.epoch != self.epoch {
                    self.broken = true;
                    return Some(Err(error(state.cut_by.unwrap_or(Kind::Unreachable))));
                }
                let next = state.history.get(self.told);
                match next.map(|(at, change)| (*at + state.lag, change)) {
                    Some((due, change)) if due <= Instant::now() && !state.hangs => {
                        self.told += 1;
                        return Some(Ok((change.clone(), self.told.to_string())));
                    }
                    Some((due, _)) => (state.hangs, Some(due)),
                    None => (state.hangs, None),
                }
            };
            if hangs {
                let _ = self.news.changed().await;
            } else if let Some(due) = due {
                sleep_until(due.min(self.until)).await;
            } else {
                let _ = timeout_at(bookmark.min(self.until), self.news.changed()).await;
                if Instant::now() >= bookmark {
                    return Some(Ok((Change::None, self.told.to_string())));
                }
            }
        }
    }
}

#[async_trait]
impl Cluster for FakeCluster {
    async fn list(&self) -> Result<Listed, ClusterError> {
        self.state().lists += 1;
        self.answer().await?;
        let state = self.state();
        Ok(Listed {
            pods: state.pods(),
            version: state.seen().to_string(),
        })
    }

    async fn watch(&self, version: &str, within: Duration) -> Result<Changes, ClusterError> {
        self.state().watches += 1;
        self.answer().await?;
        let told: usize = version.parse().map_err(|_| error(Kind::Garbled))?;
        let state = self.state();
        if told < state.oldest || state.forgets {
            return Err(error(Kind::Expired));
        }
        let watching = Watching {
            cluster: self.clone(),
            news: self.1.subscribe(),
            told,
            epoch: state.epoch,
            until: Instant::now() + within,
            broken: state.ends_at_once,
        };
        let next = |mut watching: Watching| async move {
            let next = watching.next().await?;
            Some((next, watching))
        };
        Ok(Box::pin(stream::unfold(watching, next)))
    }

    async fn allocatable_pods(&self) -> Result<Option<u32>, ClusterError> {
        self.answer().await?;
        let state = self.state();
        match state.failing_node {
            Some(kind) => Err(error(kind)),
            None => Ok(state.allocatable),
        }
    }
}
