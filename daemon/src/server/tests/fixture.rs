//! A served socket, a service that does as it is told, and a client that sends what it likes.

use std::fs::File;
use std::io::{IoSlice, Read, Write};
use std::mem::MaybeUninit;
use std::net::Ipv4Addr;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use berth_cni::contract::{
    AddRequest, Added, Ask, AttachmentId, CheckRequest, DelRequest, Failure, GcRequest, Interface,
    Outcome, PROTOCOL, Reply, Request,
};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::server::{Limits, Listener, Service};

/// Longer than anything here takes on a busy machine.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// Answers ADD with what the descriptor reads as, DEL with whether it had one. A container named `wait` waits for
/// `go`, and says on `events` when it starts and when it is dropped.
pub(super) struct Fake {
    pub(super) events: mpsc::UnboundedSender<&'static str>,
    pub(super) go: Notify,
}

struct SaysWhenDropped(mpsc::UnboundedSender<&'static str>);

impl Drop for SaysWhenDropped {
    fn drop(&mut self) {
        let _ = self.0.send("dropped");
    }
}

#[async_trait]
impl Service for Fake {
    async fn add(&self, request: AddRequest, invocation: String, netns: OwnedFd) -> Outcome {
        if request.id.container_id == "wait" {
            let _guard = SaysWhenDropped(self.events.clone());
            self.events.send("waiting").unwrap();
            self.go.notified().await;
        }
        let flags = rustix::io::fcntl_getfd(&netns).unwrap();
        assert!(
            flags.contains(rustix::io::FdFlags::CLOEXEC),
            "nft would inherit it"
        );
        let mut text = String::new();
        File::from(netns).read_to_string(&mut text).unwrap();
        Outcome::Added(Added {
            address: Ipv4Addr::new(10, 0, 0, 9),
            gateway: Ipv4Addr::new(169, 254, 1, 1),
            host_ifname: text,
            host_mac: invocation,
            pod_mac: String::new(),
            mtu: 9001,
        })
    }

    async fn del(&self, _: DelRequest, netns: Option<OwnedFd>) -> Outcome {
        Outcome::State {
            state: netns.is_some().into(),
        }
    }

    async fn check(&self, _: CheckRequest, _: OwnedFd) -> Outcome {
        Outcome::Checked
    }

    async fn gc(&self, _: GcRequest) -> Outcome {
        Outcome::Collected
    }

    async fn status(&self) -> Outcome {
        Outcome::Ready
    }

    async fn state(&self) -> Outcome {
        Outcome::Deleted
    }

    async fn explain(&self) -> Outcome {
        Outcome::Deleted
    }
}

pub(super) struct Served {
    pub(super) path: PathBuf,
    pub(super) home: tempfile::TempDir,
    pub(super) fake: Arc<Fake>,
    pub(super) events: mpsc::UnboundedReceiver<&'static str>,
    pub(super) stop: watch::Sender<bool>,
    pub(super) server: JoinHandle<()>,
}

pub(super) fn serve(limits: Limits) -> Served {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("run/berthd.sock");
    let listener = Listener::bind_with(&path, limits).unwrap();
    let (sender, events) = mpsc::unbounded_channel();
    let (stop, mut stopped) = watch::channel(false);
    let fake = Arc::new(Fake {
        events: sender,
        go: Notify::new(),
    });
    let service = Arc::clone(&fake);
    let server = tokio::spawn(async move {
        let stopped = async move {
            let _ = stopped.wait_for(|stop| *stop).await;
        };
        listener.serve(service, stopped, PATIENCE).await;
    });
    Served {
        path,
        home,
        fake,
        events,
        stop,
        server,
    }
}

impl Served {
    pub(super) async fn connect(&self) -> UnixStream {
        UnixStream::connect(&self.path).await.unwrap()
    }

    /// A file that stands for a namespace: `Fake` answers with its text.
    pub(super) fn namespace(&self, text: &str) -> File {
        let path = self.home.path().join("namespace");
        File::create(&path)
            .unwrap()
            .write_all(text.as_bytes())
            .unwrap();
        File::open(path).unwrap()
    }

    /// How many descriptors of this process are that file; the daemon under test lives in this process.
    pub(super) fn open_namespaces(&self) -> usize {
        let namespace = self.home.path().join("namespace");
        std::fs::read_dir("/proc/self/fd")
            .unwrap()
            .filter_map(|entry| std::fs::read_link(entry.unwrap().path()).ok())
            .filter(|target| *target == namespace)
            .count()
    }

    /// Waits until only the test's own descriptor of that file is left.
    pub(super) async fn only_the_tests_own_is_left(&self) {
        let settled = async {
            while self.open_namespaces() > 1 {
                tokio::task::yield_now().await;
            }
        };
        timeout(PATIENCE, settled).await.expect("descriptors leak");
    }
}

pub(super) fn id(container_id: &str) -> AttachmentId {
    AttachmentId {
        network: "aws-cni".into(),
        container_id: container_id.into(),
        ifname: "eth0".into(),
    }
}

pub(super) fn add(container_id: &str) -> Ask {
    Ask::Add(AddRequest {
        id: id(container_id),
        pod: None,
        netns: "/run/netns/x".into(),
        interface: Interface::Create,
        veth_prefix: None,
        mtu: None,
    })
}

pub(super) fn del() -> Ask {
    Ask::Del(DelRequest {
        id: id("c"),
        pod: None,
        aws_node: Vec::new(),
    })
}

pub(super) fn framed(body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len()).unwrap();
    [&length.to_be_bytes()[..], body].concat()
}

pub(super) fn request(ask: Ask) -> Vec<u8> {
    let request = Request {
        protocol: PROTOCOL,
        invocation: "one".into(),
        ask,
    };
    framed(&serde_json::to_vec(&request).unwrap())
}

pub(super) fn send_with(stream: &UnixStream, bytes: &[u8], descriptors: &[BorrowedFd<'_>]) {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(8))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() {
        assert!(control.push(SendAncillaryMessage::ScmRights(descriptors)));
    }
    let sent = sendmsg(
        stream,
        &[IoSlice::new(bytes)],
        &mut control,
        SendFlags::NOSIGNAL,
    );
    assert_eq!(sent.unwrap(), bytes.len());
}

pub(super) async fn reply(stream: &mut UnixStream) -> Outcome {
    let read = async {
        let mut body = vec![0; usize::try_from(stream.read_u32().await.unwrap()).unwrap()];
        stream.read_exact(&mut body).await.unwrap();
        let reply: Reply = serde_json::from_slice(&body).unwrap();
        assert_eq!(reply.protocol, PROTOCOL);
        reply.outcome
    };
    timeout(PATIENCE, read).await.expect("no reply")
}

pub(super) async fn failure(stream: &mut UnixStream) -> Failure {
    match reply(stream).await {
        Outcome::Failed(failure) => failure,
        other => panic!("{other:?}"),
    }
}

pub(super) async fn state(served: &Served) -> Outcome {
    let mut stream = served.connect().await;
    stream.write_all(&request(Ask::State)).await.unwrap();
    reply(&mut stream).await
}
