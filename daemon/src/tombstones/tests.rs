//! Tombstones written by the plugin's own code, replayed against a service that records.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use berth_cni::contract::{AddRequest, AttachmentId, CheckRequest, DelRequest, Failure, GcRequest};
use berth_cni::tombstone;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::*;

/// Longer than anything here takes, [`RETRY`] on a paused clock included.
const PATIENCE: Duration = Duration::from_secs(4 * RETRY.as_secs());

/// Says which containers it was asked to delete; fails while `fails`.
struct Recorder {
    deleted: mpsc::UnboundedSender<String>,
    fails: AtomicBool,
}

#[async_trait]
impl Service for Recorder {
    async fn add(&self, _: AddRequest, _: String, _: OwnedFd) -> Outcome {
        panic!("a tombstone is a DEL")
    }

    async fn del(&self, request: DelRequest, netns: Option<OwnedFd>) -> Outcome {
        assert!(netns.is_none());
        self.deleted.send(request.id.container_id).unwrap();
        if self.fails.load(Ordering::SeqCst) {
            Outcome::Failed(Failure {
                code: 11,
                reason: "Test".into(),
                msg: "not now".into(),
                details: String::new(),
            })
        } else {
            Outcome::Deleted
        }
    }

    async fn check(&self, _: CheckRequest, _: OwnedFd) -> Outcome {
        panic!("a tombstone is a DEL")
    }

    async fn gc(&self, _: GcRequest) -> Outcome {
        panic!("a tombstone is a DEL")
    }

    async fn status(&self) -> Outcome {
        panic!("a tombstone is a DEL")
    }

    async fn state(&self) -> Outcome {
        panic!("a tombstone is a DEL")
    }

    async fn explain(&self) -> Outcome {
        panic!("a tombstone is a DEL")
    }
}

struct Replayed {
    home: tempfile::TempDir,
    deleted: mpsc::UnboundedReceiver<String>,
    service: Arc<Recorder>,
    task: Option<JoinHandle<Result<(), TombstoneError>>>,
}

impl Replayed {
    fn new() -> Self {
        let (sender, deleted) = mpsc::unbounded_channel();
        let service = Arc::new(Recorder {
            deleted: sender,
            fails: AtomicBool::new(false),
        });
        Self {
            home: tempfile::tempdir().unwrap(),
            deleted,
            service,
            task: None,
        }
    }

    fn dir(&self) -> PathBuf {
        self.home.path().join("berth/tombstones")
    }

    fn start(&mut self) {
        let tombstones = Tombstones::open(&self.dir()).unwrap();
        self.task = Some(tokio::spawn(
            tombstones.run(Arc::clone(&self.service), drop),
        ));
    }

    fn bury(&self, container_id: &str) {
        let id = AttachmentId {
            network: "aws-cni".into(),
            container_id: container_id.into(),
            ifname: "eth0".into(),
        };
        tombstone::write(
            self.dir().to_str().unwrap(),
            &DelRequest {
                id,
                pod: None,
                aws_node: Vec::new(),
            },
            "plugin",
        )
        .unwrap();
    }

    async fn deleted(&mut self) -> String {
        timeout(PATIENCE, self.deleted.recv())
            .await
            .unwrap()
            .unwrap()
    }

    fn names(&self) -> Vec<String> {
        let mut names: Vec<_> = std::fs::read_dir(self.dir())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    async fn left(&self, names: &[&str]) {
        let settled = async {
            while self.names() != names {
                tokio::task::yield_now().await;
            }
        };
        assert!(
            timeout(PATIENCE, settled).await.is_ok(),
            "{:?}",
            self.names()
        );
    }
}

#[tokio::test]
async fn what_is_there_and_what_comes_is_replayed_and_removed() {
    let mut replayed = Replayed::new();
    replayed.bury("one");
    replayed.bury("two");
    replayed.start();
    assert_eq!(replayed.deleted().await, "one");
    assert_eq!(replayed.deleted().await, "two");
    replayed.left(&[]).await;
    replayed.bury("three");
    assert_eq!(replayed.deleted().await, "three");
    replayed.left(&[]).await;
    assert!(replayed.deleted.try_recv().is_err(), "nothing twice");
}

#[tokio::test]
async fn the_directory_is_made_private_and_again_if_it_is_removed() {
    let mut replayed = Replayed::new();
    replayed.start();
    let mode = replayed.dir().metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
    std::fs::remove_dir(replayed.dir()).unwrap();
    let made = async {
        while !replayed.dir().exists() {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, made).await.unwrap();
    replayed.bury("late");
    assert_eq!(replayed.deleted().await, "late");
}

#[tokio::test]
async fn a_failed_del_keeps_its_tombstone_for_the_next_time() {
    let mut replayed = Replayed::new();
    replayed.service.fails.store(true, Ordering::SeqCst);
    replayed.bury("one");
    replayed.start();
    assert_eq!(replayed.deleted().await, "one");
    assert_eq!(replayed.names(), ["aws-cni:one:eth0"]);
    replayed.service.fails.store(false, Ordering::SeqCst);
    replayed.bury("two");
    assert_eq!(replayed.deleted().await, "one");
    assert_eq!(replayed.deleted().await, "two");
    replayed.left(&[]).await;
}

#[tokio::test]
async fn a_failed_del_is_tried_again_although_nothing_changes() {
    let mut replayed = Replayed::new();
    replayed.service.fails.store(true, Ordering::SeqCst);
    replayed.bury("one");
    replayed.start();
    assert_eq!(replayed.deleted().await, "one");
    replayed.service.fails.store(false, Ordering::SeqCst);
    // Only now: a paused clock runs ahead of the threads that read files.
    tokio::time::pause();
    assert_eq!(replayed.deleted().await, "one");
    tokio::time::resume();
    replayed.left(&[]).await;
}

#[tokio::test]
async fn what_is_no_tombstone_is_set_aside_and_stops_nothing() {
    let mut replayed = Replayed::new();
    replayed.bury("good");
    let dir = replayed.dir();
    std::fs::write(dir.join("a:broken"), "{").unwrap();
    std::fs::write(dir.join(".half-written"), "{").unwrap();
    std::fs::create_dir(dir.join("b:directory")).unwrap();
    let fifo = dir.join("c:fifo");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
    replayed.start();
    assert_eq!(replayed.deleted().await, "good");
    let left = [
        ".half-written",
        "a:broken~bad",
        "b:directory~bad",
        "c:fifo~bad",
    ];
    replayed.left(&left).await;
}
