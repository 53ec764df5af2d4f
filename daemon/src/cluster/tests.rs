//! The watch against an API server in memory, under paused time: what is told when, and how often it is asked.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use super::fake::{FakeCluster, called, pod};
use super::watch::{BELIEVED, GATHER};
use super::*;
use crate::degraded::Degraded;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

struct Watched {
    api: FakeCluster,
    told: Arc<Mutex<Vec<(Instant, Sight)>>>,
    degraded: Degraded,
    task: JoinHandle<()>,
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Watched {
    fn start(api: FakeCluster) -> Self {
        let (told, degraded) = (Arc::new(Mutex::new(Vec::new())), Degraded::default());
        let teller = told.clone();
        let tell = move |sight| teller.lock().unwrap().push((Instant::now(), sight));
        let task = tokio::spawn(watch(Arc::new(api.clone()), tell, degraded.clone()));
        Self {
            api,
            told,
            degraded,
            task,
        }
    }

    /// After its first list, of two pods.
    async fn watching() -> Self {
        let api = FakeCluster::default();
        api.bind(pod("a"));
        api.bind(pod("b"));
        let it = Self::start(api);
        sleep(SECOND).await;
        assert_eq!(it.names(), Some(names(&["a", "b"])));
        it
    }

    fn last(&self) -> Sight {
        let told = self.told.lock().unwrap();
        told.last()
            .map(|(_, sight)| sight.clone())
            .unwrap_or_default()
    }

    /// Who is seen now.
    fn names(&self) -> Option<Vec<String>> {
        let pods = self.last().pods?;
        Some(pods.iter().map(|pod| pod.name.name.clone()).collect())
    }

    fn tellings(&self) -> usize {
        self.told.lock().unwrap().len()
    }

    fn is_degraded(&self) -> bool {
        !self.degraded.report().is_empty()
    }
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[tokio::test(start_paused = true)]
async fn a_pod_is_told_of_at_once_and_a_burst_is_one_piece_of_news() {
    let it = Watched::watching().await;
    let before = it.tellings();
    let bound = Instant::now();
    for n in 0..200 {
        it.api.bind(pod(&format!("burst-{n}")));
    }
    sleep(GATHER).await;
    assert_eq!(it.tellings(), before + 1);
    assert_eq!(it.told.lock().unwrap().last().unwrap().0, bound);
    assert_eq!(it.names().unwrap().len(), 202);
    // One after another they come at GATHER's pace at most.
    let before = it.tellings();
    for n in 0..200 {
        it.api.bind(pod(&format!("row-{n}")));
        sleep(Duration::from_millis(1)).await;
    }
    let tellings = it.tellings() - before;
    assert!((9..=11).contains(&tellings), "{tellings}");
    sleep(GATHER).await;
    assert_eq!(it.names().unwrap().len(), 402);
}

#[tokio::test(start_paused = true)]
async fn what_changes_nothing_is_not_told() {
    let it = Watched::watching().await;
    let before = it.tellings();
    it.api.bind(pod("a"));
    it.api.remove(&called("nobody"));
    sleep(60 * MINUTE).await;
    assert_eq!(it.tellings(), before);
    it.api.remove(&called("a"));
    sleep(SECOND).await;
    assert_eq!(it.names(), Some(names(&["b"])));
    // Each watch ended by itself after two and a half to five minutes, and none needed a list.
    let (lists, watches) = it.api.asked();
    assert_eq!(lists, 1);
    assert!((12..=26).contains(&watches), "{watches}");
    assert!(!it.is_degraded());
}

#[tokio::test(start_paused = true)]
async fn a_cut_watch_goes_on_where_it_was() {
    let it = Watched::watching().await;
    sleep(MINUTE).await;
    it.api.cut();
    it.api.remove(&called("a"));
    it.api.bind(pod("c"));
    sleep(2 * SECOND).await;
    assert_eq!(it.names(), Some(names(&["b", "c"])));
    assert_eq!(it.api.asked(), (1, 2));
    assert!(!it.is_degraded(), "once is no failure");
}

#[tokio::test(start_paused = true)]
async fn a_version_that_is_too_old_is_answered_by_a_list() {
    let it = Watched::watching().await;
    sleep(MINUTE).await;
    it.api.set_failing(Some(Kind::Unreachable));
    it.api.remove(&called("a"));
    it.api.bind(pod("c"));
    it.api.compact();
    sleep(5 * SECOND).await;
    it.api.set_failing(None);
    sleep(MINUTE).await;
    assert_eq!(it.names(), Some(names(&["b", "c"])));
    assert_eq!(it.api.asked().0, 2);
    assert!(!it.is_degraded());
}

#[tokio::test(start_paused = true)]
async fn after_nonsense_or_in_the_midst_of_a_watch_a_list_tells_what_is() {
    for kind in [Kind::Garbled, Kind::Expired] {
        let it = Watched::watching().await;
        sleep(MINUTE).await;
        it.api.cut_by(kind);
        it.api.bind(pod("c"));
        sleep(2 * SECOND).await;
        assert_eq!(it.api.asked().0, 2, "{kind:?}");
        assert_eq!(it.names(), Some(names(&["a", "b", "c"])));
        assert!(!it.is_degraded());
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_seen_ages_and_comes_back() {
    let it = Watched::watching().await;
    it.api.set_failing(Some(Kind::Unreachable));
    sleep(BELIEVED - 5 * SECOND).await;
    assert_eq!(it.names(), Some(names(&["a", "b"])));
    assert!(it.is_degraded());
    sleep(2 * MINUTE).await;
    assert_eq!(it.names(), None);
    it.api.set_failing(None);
    sleep(MINUTE).await;
    assert_eq!(it.names(), Some(names(&["a", "b"])));
    assert!(!it.is_degraded());
    assert_eq!(it.api.asked().0, 1, "the watch went on without a gap");
}

#[tokio::test(start_paused = true)]
async fn an_api_server_that_hangs_is_noticed_and_what_was_seen_ages() {
    let it = Watched::watching().await;
    it.api.set_hanging(true);
    sleep(10 * MINUTE).await;
    assert_eq!(it.names(), None);
    assert!(it.is_degraded());
    it.api.bind(pod("c"));
    it.api.set_hanging(false);
    sleep(2 * MINUTE).await;
    assert_eq!(it.names(), Some(names(&["a", "b", "c"])));
    assert!(!it.is_degraded());
}

#[tokio::test(start_paused = true)]
async fn one_that_is_away_from_the_start_is_asked_less_and_less() {
    let api = FakeCluster::default();
    api.set_failing(Some(Kind::Unreachable));
    let it = Watched::start(api);
    sleep(60 * MINUTE).await;
    let (lists, _) = it.api.asked();
    // Each 15 to 30 s.
    assert!((120..=250).contains(&lists), "{lists} lists in an hour");
    assert!(it.is_degraded());
    assert_eq!(it.tellings(), 0, "nothing was known, and nothing is");
    it.api.bind(pod("a"));
    it.api.set_failing(None);
    sleep(MINUTE).await;
    assert_eq!(it.names(), Some(names(&["a"])));
}

#[tokio::test(start_paused = true)]
async fn a_denial_is_told_at_once_and_asked_again_seldom() {
    let api = FakeCluster::default();
    api.set_failing(Some(Kind::Denied));
    let it = Watched::start(api);
    sleep(SECOND / 100).await;
    let told = it.degraded.report().pop().unwrap();
    assert_eq!(told.feature, "bound-pods");
    assert!(told.remedy.contains("ClusterRole"), "{told:?}");
    sleep(60 * MINUTE).await;
    let (lists, _) = it.api.asked();
    assert!((12..=40).contains(&lists), "{lists} lists in an hour");
}

#[tokio::test(start_paused = true)]
async fn a_busy_one_is_left_alone_for_as_long_as_it_asks() {
    let api = FakeCluster::default();
    api.set_failing(Some(Kind::Busy(Some(20 * SECOND))));
    let it = Watched::start(api);
    sleep(5 * MINUTE).await;
    let (lists, _) = it.api.asked();
    assert!((6..=14).contains(&lists), "{lists} lists in five minutes");
}

#[tokio::test(start_paused = true)]
async fn watches_that_end_at_once_are_no_busy_loop() {
    let api = FakeCluster::default();
    api.set_ending_at_once(true);
    let it = Watched::start(api);
    sleep(10 * MINUTE).await;
    let (lists, watches) = it.api.asked();
    assert_eq!(lists, 1);
    assert!((20..=60).contains(&watches), "{watches} in ten minutes");
}

#[tokio::test(start_paused = true)]
async fn versions_that_are_always_too_old_are_no_busy_loop() {
    let api = FakeCluster::default();
    api.set_forgetting(true);
    api.bind(pod("a"));
    let it = Watched::start(api);
    sleep(10 * MINUTE).await;
    let (lists, _) = it.api.asked();
    assert!((20..=60).contains(&lists), "{lists} lists in ten minutes");
    assert_eq!(it.names(), Some(names(&["a"])));
    assert!(it.is_degraded());
}

#[tokio::test(start_paused = true)]
async fn who_may_not_see_the_node_sees_pods_without_their_bound() {
    let api = FakeCluster::default();
    api.set_allocatable(Some(29));
    api.set_failing_node(Some(Kind::Denied));
    api.bind(pod("a"));
    let it = Watched::start(api.clone());
    sleep(SECOND).await;
    assert_eq!(it.last().allocatable, None);
    assert_eq!(it.names(), Some(names(&["a"])));
    assert!(it.is_degraded());
    api.set_failing_node(None);
    let other = Watched::start(api);
    sleep(SECOND).await;
    assert_eq!(other.last().allocatable, Some(29));
}
