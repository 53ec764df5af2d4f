//! What asks the daemon on its socket, with descriptors or without.

use std::io::{IoSlice, Read};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use berth_cni::contract::{
    AddRequest, Ask, CheckRequest, DelRequest, GcRequest, Outcome, Reply, Request, decode,
};
use berthd::server::{Limits, Service, serve};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::runtime::{Builder, Runtime};

use crate::sample;
use crate::wire::Sent;

/// The longest text of a failure, in characters.
const LONGEST: usize = 1024;

/// These bytes instead of a plugin's. They are answered with one reply, a failure with a CNI code or the answer to what
/// was asked, unless nothing came at all; what was asked is what was sent; and no descriptor stays open.
pub fn request(data: &[u8]) {
    let sent = Sent::read(data);
    let (mut watched, held) = std::io::pipe().expect("a pipe");
    let service = Arc::new(Recorder::default());
    let replied = exchange(&sent, held.into(), Arc::clone(&service));
    // At its end only when every copy of `held` is closed.
    assert_eq!(watched.read(&mut [0]).expect("a pipe"), 0);
    let asked = service.asked.lock().expect("no panic").take();
    if sent.bytes.is_empty() {
        assert!(replied.is_empty() && asked.is_none());
        return;
    }
    let (length, body) = replied.split_first_chunk::<4>().expect("a reply");
    assert_eq!(u32::from_be_bytes(*length) as usize, body.len());
    let reply: Reply = decode(body).expect("the plugin understands the reply");
    let Some((ask, descriptors)) = asked else {
        return check_refusal(&reply.outcome);
    };
    assert_eq!(reply.outcome, sample::outcome(&ask));
    assert_eq!(descriptors, sent.descriptors);
    let request: Request = decode(sent.message().expect("all of it")).expect("it was served");
    assert_eq!(request.ask, ask);
}

fn check_refusal(outcome: &Outcome) {
    let Outcome::Failed(failure) = outcome else {
        panic!("nobody was asked, and the answer is {outcome:?}");
    };
    assert!(matches!(failure.code, 5 | 11 | 100), "{failure:?}");
    assert!(!failure.reason.is_empty() && !failure.msg.is_empty());
    for text in [&failure.msg, &failure.details] {
        let length = text.chars().count();
        assert!(length <= LONGEST, "a text of {length} characters");
    }
}

thread_local! {
    /// One for all inputs: to make it takes longer than to serve one.
    static RUNTIME: Runtime = Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
}

/// One connection to the daemon: sends, hangs up, and returns what comes back.
fn exchange(sent: &Sent, held: OwnedFd, service: Arc<Recorder>) -> Vec<u8> {
    let served_and_asked = async {
        let (ours, theirs) = UnixStream::pair().expect("a pair of sockets");
        let served = serve(theirs, service, Limits::default());
        tokio::join!(served, ask(ours, sent, held)).1
    };
    RUNTIME.with(|runtime| runtime.block_on(served_and_asked))
}

async fn ask(mut stream: UnixStream, sent: &Sent, held: OwnedFd) -> Vec<u8> {
    stream.writable().await.expect("a socket");
    let taken = send(&stream, sent, held);
    // The daemon may hang up before it has read all.
    let _ = stream.write_all(&sent.bytes[taken..]).await;
    let _ = stream.shutdown().await;
    let mut replied = Vec::new();
    // Reset when the daemon has not read all; what it said before that is there.
    let _ = stream.read_to_end(&mut replied).await;
    replied
}

/// Sends the first bytes with the descriptors; how many were taken.
fn send(stream: &UnixStream, sent: &Sent, held: OwnedFd) -> usize {
    let descriptors = vec![held.as_fd(); sent.descriptors];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(3))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() {
        assert!(control.push(SendAncillaryMessage::ScmRights(&descriptors)));
    }
    let first = IoSlice::new(&sent.bytes);
    sendmsg(stream, &[first], &mut control, SendFlags::NOSIGNAL).expect("an empty socket")
}

/// Answers well, and remembers what it was asked with how many descriptors.
#[derive(Default)]
struct Recorder {
    asked: Mutex<Option<(Ask, usize)>>,
}

impl Recorder {
    fn note(&self, ask: Ask, descriptors: usize) -> Outcome {
        let outcome = sample::outcome(&ask);
        let before = self
            .asked
            .lock()
            .expect("no panic")
            .replace((ask, descriptors));
        assert!(before.is_none(), "one request is served twice");
        outcome
    }
}

#[async_trait]
impl Service for Recorder {
    async fn add(&self, request: AddRequest, _invocation: String, _netns: OwnedFd) -> Outcome {
        self.note(Ask::Add(request), 1)
    }

    async fn del(&self, request: DelRequest, netns: Option<OwnedFd>) -> Outcome {
        self.note(Ask::Del(request), usize::from(netns.is_some()))
    }

    async fn check(&self, request: CheckRequest, _netns: OwnedFd) -> Outcome {
        self.note(Ask::Check(request), 1)
    }

    async fn gc(&self, request: GcRequest) -> Outcome {
        self.note(Ask::Gc(request), 0)
    }

    async fn status(&self) -> Outcome {
        self.note(Ask::Status, 0)
    }

    async fn state(&self) -> Outcome {
        self.note(Ask::State, 0)
    }

    async fn explain(&self) -> Outcome {
        self.note(Ask::Explain, 0)
    }
}
