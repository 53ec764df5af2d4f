//! A daemon that does as the test says and remembers what it was asked. Its framing is written apart from the
//! plugin's, with rustix as in `berthd`, so that both ends are not wrong in the same way.

use std::io::{IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use berth_cni::contract::{
    Added, Ask, DelRequest, Failure, Outcome, PROTOCOL, Reply, Request, STOPPING,
};
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use tempfile::TempDir;

/// Where a daemon may listen: a directory of the test's own.
pub struct Place(TempDir);

impl Place {
    pub fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub fn socket(&self) -> PathBuf {
        self.0.path().join("berthd.sock")
    }

    pub fn tombstones(&self) -> PathBuf {
        self.0.path().join("berth/tombstones")
    }

    /// The file that says when a daemon was last alive.
    pub fn heartbeat(&self) -> PathBuf {
        self.0.path().join("berthd.alive")
    }

    /// The tombstones that lie there, with their file names.
    pub fn buried(&self) -> Vec<(String, DelRequest)> {
        let Ok(entries) = std::fs::read_dir(self.tombstones()) else {
            return Vec::new();
        };
        let read = |path: PathBuf| serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        entries
            .map(|entry| entry.unwrap())
            .map(|entry| (entry.file_name().into_string().unwrap(), read(entry.path())))
            .collect()
    }

    /// Starts a daemon that performs one act for each connection, the last one for all that follow.
    pub fn listen(&self, acts: Vec<Act>) -> Daemon {
        let listener = UnixListener::bind(self.socket()).unwrap();
        let (seen, stop) = (
            Arc::new(Mutex::new(Vec::new())),
            Arc::new(AtomicBool::new(false)),
        );
        let thread = std::thread::spawn({
            let (seen, stop) = (Arc::clone(&seen), Arc::clone(&stop));
            move || serve(&listener, acts, &seen, &stop)
        });
        Daemon {
            socket: self.socket(),
            seen,
            stop,
            thread: Some(thread),
        }
    }

    /// A daemon that gives every ADD [`added`], and the success of its verb to everything else.
    pub fn listen_well(&self) -> Daemon {
        self.listen(vec![Act::Obey])
    }
}

/// What the daemon does with one connection.
#[derive(Clone, Debug)]
pub enum Act {
    /// Answers as a daemon in order does.
    Obey,
    /// Answers with this.
    Answer(Outcome),
    /// Answers with these bytes, whatever they are.
    Say(Vec<u8>),
    /// Reads the request and closes the connection.
    Cut,
    /// Closes the connection without reading.
    Slam,
    /// Reads the request and says nothing until the plugin is gone.
    Hang,
    /// Reads the request and sends one byte after the other of an answer that takes half a minute.
    Drip,
}

/// One request as it arrived.
#[derive(Debug)]
pub struct Seen {
    pub request: Request,
    /// The descriptors that came on its first byte.
    pub descriptors: Vec<OwnedFd>,
}

/// A running daemon; it stops when dropped.
pub struct Daemon {
    socket: PathBuf,
    seen: Arc<Mutex<Vec<Seen>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Daemon {
    /// The requests so far.
    pub fn seen(&self) -> Vec<Seen> {
        std::mem::take(&mut self.seen.lock().unwrap())
    }

    /// The only request.
    pub fn only(&self) -> Seen {
        let mut seen = self.seen();
        assert_eq!(seen.len(), 1, "{seen:?}");
        seen.remove(0)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        let _ = UnixStream::connect(&self.socket);
        let ended = self.thread.take().unwrap().join();
        assert!(
            ended.is_ok() || std::thread::panicking(),
            "the test's daemon panicked"
        );
    }
}

/// An attachment as a daemon answers it.
pub fn added() -> Added {
    Added {
        address: [10, 0, 3, 7].into(),
        gateway: [169, 254, 1, 1].into(),
        host_ifname: "enib0bcafe1234".into(),
        host_mac: "0a:58:a9:fe:01:01".into(),
        pod_mac: "0a:58:0a:00:03:07".into(),
        mtu: 9001,
    }
}

/// A failure as a daemon answers it.
pub fn failure(code: u32, msg: &str, details: &str) -> Act {
    Act::Answer(Outcome::Failed(Failure {
        code,
        reason: "SubnetFull".into(),
        msg: msg.into(),
        details: details.into(),
    }))
}

/// What a daemon answers that is on its way out.
pub fn stopping() -> Act {
    Act::Answer(Outcome::Failed(Failure {
        code: 11,
        reason: STOPPING.into(),
        msg: "berthd is restarting".into(),
        details: String::new(),
    }))
}

/// One message as it stands on the wire.
pub fn framed(json: &[u8]) -> Vec<u8> {
    let mut frame = u32::try_from(json.len()).unwrap().to_be_bytes().to_vec();
    frame.extend_from_slice(json);
    frame
}

fn serve(listener: &UnixListener, acts: Vec<Act>, seen: &Mutex<Vec<Seen>>, stop: &AtomicBool) {
    let mut acts = acts.into_iter();
    let mut act = acts.next().unwrap();
    loop {
        let (stream, _) = listener.accept().unwrap();
        if stop.load(Ordering::SeqCst) {
            return;
        }
        perform(&act, stream, seen);
        act = acts.next().unwrap_or(act);
    }
}

/// What a daemon in order answers.
fn obeyed(ask: &Ask) -> Outcome {
    match ask {
        Ask::Add(_) => Outcome::Added(added()),
        Ask::Del(_) => Outcome::Deleted,
        Ask::Check(_) => Outcome::Checked,
        Ask::Gc(_) => Outcome::Collected,
        Ask::Status => Outcome::Ready,
        Ask::State | Ask::Explain => Outcome::State { state: ().into() },
    }
}

fn perform(act: &Act, mut stream: UnixStream, seen: &Mutex<Vec<Seen>>) {
    if matches!(act, Act::Slam) {
        return;
    }
    let request = receive(&mut stream);
    let outcome = match (act, &request.request.ask) {
        (Act::Obey, ask) => obeyed(ask),
        (Act::Answer(outcome), _) => outcome.clone(),
        _ => Outcome::Deleted,
    };
    seen.lock().unwrap().push(request);
    match act {
        Act::Obey | Act::Answer(_) => {
            let reply = Reply {
                protocol: PROTOCOL,
                outcome,
            };
            stream
                .write_all(&framed(&serde_json::to_vec(&reply).unwrap()))
                .unwrap();
        }
        Act::Say(bytes) => stream.write_all(bytes).unwrap(),
        Act::Hang => drop(stream.read(&mut [0])),
        Act::Drip => drip(&mut stream),
        Act::Cut | Act::Slam => {}
    }
}

/// Until the plugin is gone. Faster than a timer, so that there is always something to read.
fn drip(stream: &mut UnixStream) {
    for byte in framed(&vec![b' '; 1 << 20]) {
        if stream.write_all(&[byte]).is_err() {
            return;
        }
        let sent = Instant::now();
        while sent.elapsed() < Duration::from_micros(30) {
            std::thread::yield_now();
        }
    }
}

fn receive(stream: &mut UnixStream) -> Seen {
    let mut first = [0; 1];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(4))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let received = recvmsg(
        &*stream,
        &mut [IoSliceMut::new(&mut first)],
        &mut ancillary,
        RecvFlags::CMSG_CLOEXEC,
    )
    .unwrap();
    assert_eq!(received.bytes, 1);
    let rights = |message| match message {
        RecvAncillaryMessage::ScmRights(descriptors) => descriptors.collect::<Vec<OwnedFd>>(),
        _ => Vec::new(),
    };
    let descriptors = ancillary.drain().flat_map(rights).collect();
    let mut rest = [0; 3];
    stream.read_exact(&mut rest).unwrap();
    let length = u32::from_be_bytes([first[0], rest[0], rest[1], rest[2]]);
    let mut body = vec![0; length.try_into().unwrap()];
    stream.read_exact(&mut body).unwrap();
    Seen {
        request: serde_json::from_slice(&body).unwrap(),
        descriptors,
    }
}
