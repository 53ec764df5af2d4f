//! At the socket: a client that behaves, and all the ways not to.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs::File;
use std::io::{IoSlice, Read, Write};
use std::mem::MaybeUninit;
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use berth_cni::contract::{
    AddRequest, Added, Ask, AttachmentId, DelRequest, Failure, Interface, Outcome, PROTOCOL, Reply,
    Request,
};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::{BindError, Limits, Listener, Service};

/// Longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// Answers ADD with what the descriptor reads as, DEL with whether it had one. A container named `wait` waits for
/// `go`, and says on `events` when it starts and when it is dropped.
struct Fake {
    events: mpsc::UnboundedSender<&'static str>,
    go: Notify,
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

    async fn state(&self) -> Outcome {
        Outcome::Deleted
    }
}

struct Served {
    path: PathBuf,
    home: tempfile::TempDir,
    fake: Arc<Fake>,
    events: mpsc::UnboundedReceiver<&'static str>,
    stop: watch::Sender<bool>,
    server: JoinHandle<()>,
}

fn serve(limits: Limits) -> Served {
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
    async fn connect(&self) -> UnixStream {
        UnixStream::connect(&self.path).await.unwrap()
    }

    /// A file that stands for a namespace: `Fake` answers with its text.
    fn namespace(&self, text: &str) -> File {
        let path = self.home.path().join("namespace");
        File::create(&path)
            .unwrap()
            .write_all(text.as_bytes())
            .unwrap();
        File::open(path).unwrap()
    }

    /// How many descriptors of this process are that file; the daemon under test lives in this process.
    fn open_namespaces(&self) -> usize {
        let namespace = self.home.path().join("namespace");
        std::fs::read_dir("/proc/self/fd")
            .unwrap()
            .filter_map(|entry| std::fs::read_link(entry.unwrap().path()).ok())
            .filter(|target| *target == namespace)
            .count()
    }

    /// Waits until only the test's own descriptor of that file is left.
    async fn only_the_tests_own_is_left(&self) {
        let settled = async {
            while self.open_namespaces() > 1 {
                tokio::task::yield_now().await;
            }
        };
        timeout(PATIENCE, settled).await.expect("descriptors leak");
    }
}

fn id(container_id: &str) -> AttachmentId {
    AttachmentId {
        network: "aws-cni".into(),
        container_id: container_id.into(),
        ifname: "eth0".into(),
    }
}

fn add(container_id: &str) -> Ask {
    Ask::Add(AddRequest {
        id: id(container_id),
        pod: None,
        netns: "/run/netns/x".into(),
        interface: Interface::Create,
        veth_prefix: None,
        mtu: None,
    })
}

fn del() -> Ask {
    Ask::Del(DelRequest {
        id: id("c"),
        pod: None,
    })
}

fn framed(body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len()).unwrap();
    [&length.to_be_bytes()[..], body].concat()
}

fn request(ask: Ask) -> Vec<u8> {
    let request = Request {
        protocol: PROTOCOL,
        invocation: "one".into(),
        ask,
    };
    framed(&serde_json::to_vec(&request).unwrap())
}

fn send_with(stream: &UnixStream, bytes: &[u8], descriptors: &[BorrowedFd<'_>]) {
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

async fn reply(stream: &mut UnixStream) -> Outcome {
    let read = async {
        let mut body = vec![0; usize::try_from(stream.read_u32().await.unwrap()).unwrap()];
        stream.read_exact(&mut body).await.unwrap();
        let reply: Reply = serde_json::from_slice(&body).unwrap();
        assert_eq!(reply.protocol, PROTOCOL);
        reply.outcome
    };
    timeout(PATIENCE, read).await.expect("no reply")
}

async fn failure(stream: &mut UnixStream) -> Failure {
    match reply(stream).await {
        Outcome::Failed(failure) => failure,
        other => panic!("{other:?}"),
    }
}

async fn state(served: &Served) -> Outcome {
    let mut stream = served.connect().await;
    stream.write_all(&request(Ask::State)).await.unwrap();
    reply(&mut stream).await
}

#[tokio::test]
async fn an_add_is_served_with_its_descriptor_and_closes_it() {
    let served = serve(Limits::default());
    let namespace = served.namespace("the pod's");
    let mut stream = served.connect().await;
    send_with(&stream, &request(add("c")), &[namespace.as_fd()]);
    let Outcome::Added(added) = reply(&mut stream).await else {
        panic!()
    };
    assert_eq!(
        (&*added.host_ifname, &*added.host_mac),
        ("the pod's", "one")
    );
    assert_eq!(served.open_namespaces(), 1, "only the client's own");
}

#[tokio::test]
async fn a_request_may_come_a_byte_at_a_time() {
    let served = serve(Limits::default());
    let namespace = served.namespace("slow");
    let mut stream = served.connect().await;
    let bytes = request(add("c"));
    send_with(&stream, &bytes[..1], &[namespace.as_fd()]);
    for byte in &bytes[1..] {
        stream.write_all(&[*byte]).await.unwrap();
        tokio::task::yield_now().await;
    }
    assert!(matches!(reply(&mut stream).await, Outcome::Added(_)));
}

#[tokio::test]
async fn del_takes_one_descriptor_or_none() {
    let served = serve(Limits::default());
    let namespace = served.namespace("");
    for (descriptors, had) in [(vec![], false), (vec![namespace.as_fd()], true)] {
        let mut stream = served.connect().await;
        send_with(&stream, &request(del()), &descriptors);
        let Outcome::State { state } = reply(&mut stream).await else {
            panic!()
        };
        assert_eq!(state, serde_json::Value::Bool(had));
    }
}

#[tokio::test]
async fn missing_and_doubled_descriptors_are_refused_and_closed() {
    let served = serve(Limits::default());
    let namespace = served.namespace("");
    let fd = namespace.as_fd();
    for (ask, descriptors) in [
        (add("c"), vec![]),
        (add("c"), vec![fd, fd]),
        (add("c"), vec![fd; 8]),
        (del(), vec![fd, fd]),
        (Ask::State, vec![fd]),
    ] {
        let mut stream = served.connect().await;
        send_with(&stream, &request(ask), &descriptors);
        let failure = failure(&mut stream).await;
        assert_eq!((failure.code, &*failure.reason), (100, "Descriptors"));
        assert_eq!(stream.read(&mut [0]).await.unwrap_or(0), 0, "closed");
        assert_eq!(served.open_namespaces(), 1, "{failure:?}");
    }
}

#[tokio::test]
async fn a_descriptor_on_each_byte_is_refused_and_all_are_closed() {
    let served = serve(Limits::default());
    let namespace = served.namespace("");
    let mut stream = served.connect().await;
    for byte in &request(add("c"))[..4] {
        send_with(&stream, &[*byte], &[namespace.as_fd()]);
    }
    assert_eq!(failure(&mut stream).await.reason, "Descriptors");
    drop(stream);
    assert!(matches!(state(&served).await, Outcome::Deleted));
    served.only_the_tests_own_is_left().await;
}

#[tokio::test]
async fn nonsense_is_answered_with_what_is_wrong() {
    let served = serve(Limits::default());
    let unknown = br#"{"protocol":1,"invocation":"one","ask":{"verb":"dance"}}"#;
    let newer = br#"{"protocol":7,"ask":["in a way that nobody knows yet"]}"#;
    for (bytes, reason, word) in [
        (
            u32::MAX.to_be_bytes().to_vec(),
            "RequestLength",
            "4294967295",
        ),
        (vec![0; 4], "RequestLength", "0 bytes"),
        (framed(b"{\"protocol\":"), "RequestGarbled", "EOF"),
        (framed(&[0xff; 900]), "RequestGarbled", ""),
        (framed("[".repeat(100_000).as_bytes()), "RequestGarbled", ""),
        (framed(unknown), "RequestGarbled", "dance"),
        (framed(newer), "OtherProtocol", "protocol 7"),
    ] {
        let mut stream = served.connect().await;
        stream.write_all(&bytes).await.unwrap();
        let failure = failure(&mut stream).await;
        assert_eq!((failure.code, &*failure.reason), (100, reason));
        assert!(failure.msg.contains(word), "{failure:?}");
    }
    assert!(matches!(state(&served).await, Outcome::Deleted));
}

#[tokio::test]
async fn half_a_request_is_given_up_after_its_time() {
    let served = serve(Limits {
        transfer: Duration::from_millis(50),
        ..Limits::default()
    });
    for sent in [0, 2, 20] {
        let mut stream = served.connect().await;
        stream.write_all(&request(del())[..sent]).await.unwrap();
        assert_eq!(failure(&mut stream).await.reason, "RequestTimeout");
    }
}

#[tokio::test]
async fn a_client_that_leaves_early_harms_nobody() {
    let served = serve(Limits::default());
    let namespace = served.namespace("");
    for sent in [0, 2, 20] {
        let stream = served.connect().await;
        if sent > 0 {
            send_with(&stream, &request(add("c"))[..sent], &[namespace.as_fd()]);
        }
    }
    assert!(matches!(state(&served).await, Outcome::Deleted));
    served.only_the_tests_own_is_left().await;
}

#[tokio::test]
async fn the_request_is_dropped_when_its_client_goes() {
    let mut served = serve(Limits::default());
    let namespace = served.namespace("");
    let stream = served.connect().await;
    send_with(&stream, &request(add("wait")), &[namespace.as_fd()]);
    assert_eq!(served.events.recv().await, Some("waiting"));
    assert_eq!(served.open_namespaces(), 2, "the service holds one");
    drop(stream);
    let dropped = timeout(PATIENCE, served.events.recv()).await;
    assert_eq!(dropped.expect("not cancelled"), Some("dropped"));
}

#[tokio::test]
async fn bytes_after_the_request_end_it() {
    let mut served = serve(Limits::default());
    let namespace = served.namespace("");
    let mut stream = served.connect().await;
    send_with(&stream, &request(add("wait")), &[namespace.as_fd()]);
    assert_eq!(served.events.recv().await, Some("waiting"));
    send_with(&stream, b"!", &[namespace.as_fd()]);
    assert_eq!(failure(&mut stream).await.reason, "TrailingBytes");
    assert_eq!(served.events.recv().await, Some("dropped"));
    drop(stream);
    assert!(matches!(state(&served).await, Outcome::Deleted));
    served.only_the_tests_own_is_left().await;
}

#[tokio::test]
async fn idle_connections_do_not_stop_others() {
    let served = serve(Limits {
        transfer: PATIENCE,
        ..Limits::default()
    });
    let mut idle = Vec::new();
    for _ in 0..200 {
        idle.push(served.connect().await);
    }
    assert!(matches!(state(&served).await, Outcome::Deleted));
}

#[tokio::test]
async fn one_connection_too_many_waits_for_a_place() {
    let served = serve(Limits {
        connections: 2,
        transfer: PATIENCE,
        ..Limits::default()
    });
    let (first, _second) = (served.connect().await, served.connect().await);
    let mut third = served.connect().await;
    third.write_all(&request(Ask::State)).await.unwrap();
    let early = timeout(Duration::from_millis(50), third.readable()).await;
    assert!(early.is_err(), "answered although both places are taken");
    drop(first);
    assert!(matches!(reply(&mut third).await, Outcome::Deleted));
}

#[tokio::test]
async fn a_stop_ends_accepting_and_waits_for_what_is_served() {
    let mut served = serve(Limits::default());
    let namespace = served.namespace("finished");
    let mut stream = served.connect().await;
    send_with(&stream, &request(add("wait")), &[namespace.as_fd()]);
    assert_eq!(served.events.recv().await, Some("waiting"));
    served.stop.send(true).unwrap();
    while served.path.exists() {
        tokio::task::yield_now().await;
    }
    assert!(UnixStream::connect(&served.path).await.is_err());
    served.fake.go.notify_one();
    assert!(matches!(reply(&mut stream).await, Outcome::Added(_)));
    timeout(PATIENCE, served.server).await.unwrap().unwrap();
}

#[tokio::test]
async fn what_outlasts_the_grace_is_cut_off() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("berthd.sock");
    let listener = Listener::bind(&path).unwrap();
    let (events, mut seen) = mpsc::unbounded_channel();
    let go = Notify::new();
    let stop = Arc::new(Notify::new());
    let stopped = Arc::clone(&stop);
    let server = tokio::spawn(async move {
        let grace = Duration::from_millis(10);
        let fake = Arc::new(Fake { events, go });
        listener.serve(fake, stopped.notified(), grace).await;
    });
    let null = File::open("/dev/null").unwrap();
    let stream = UnixStream::connect(&path).await.unwrap();
    send_with(&stream, &request(add("wait")), &[null.as_fd()]);
    assert_eq!(seen.recv().await, Some("waiting"));
    stop.notify_one();
    timeout(PATIENCE, server).await.unwrap().unwrap();
    assert_eq!(seen.recv().await, Some("dropped"));
}

fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().permissions().mode() & 0o777
}

#[tokio::test]
async fn the_socket_is_private_and_replaces_only_a_dead_one() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("run/berthd.sock");
    let first = Listener::bind(&path).unwrap();
    assert_eq!((mode(path.parent().unwrap()), mode(&path)), (0o700, 0o600));
    assert!(matches!(
        Listener::bind(&path),
        Err(BindError::Taken { .. })
    ));
    drop(first);
    assert!(path.exists(), "left behind as by kill -9");
    let _second = Listener::bind(&path).unwrap();
    assert_eq!(
        std::fs::read_dir(path.parent().unwrap()).unwrap().count(),
        1
    );
}
