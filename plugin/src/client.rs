//! Asks the daemon. One question, or one that is repeated until a restarting daemon answers it; what an answer or its
//! absence means to the runtime is said here once, in CNI codes.

use alloc::format;
use alloc::string::{String, ToString};
use core::fmt;
use core::time::Duration;

use rustix::fd::BorrowedFd;
use rustix::io::Errno;
use rustix::process::getpid;
use rustix::rand::{GetRandomFlags, getrandom};
use rustix::thread::nanosleep;

use crate::clock::Instant;
use crate::contract::{Ask, Outcome, PROTOCOL, Reply, Request, STOPPING, Unreadable, decode};
use crate::error::{Error, code};
use crate::frame::{Connection, FrameError, encode};

/// Between two attempts to reach a daemon that is away.
const RETRY_EVERY: Duration = Duration::from_millis(50);

/// How long a daemon may be away before an ADD, a CHECK or a GC gives up: a restart takes well under a second, and a pod that waits
/// longer is better served by the runtime's own retry.
const AWAY_LIMIT: Duration = Duration::from_secs(5);

/// The daemon, as one plugin process talks to it.
#[derive(Debug)]
pub(crate) struct Daemon {
    socket: String,
    deadline: Instant,
    invocation: String,
}

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum AskError {
    /// Nobody listens on the socket.
    Away { socket: String, source: FrameError },
    /// The connection ended before the answer; whether the request was carried out is open.
    Cut(FrameError),
    /// It is on its way out and did nothing.
    Stopping,
    /// The deadline passed without an answer.
    Silent,
    /// The socket cannot be used.
    Unusable { socket: String, source: FrameError },
    /// The daemon speaks another version of the contract.
    OtherProtocol { theirs: u32 },
    /// The answer cannot be understood.
    Garbled(String),
}

impl AskError {
    /// Whether there is no daemon to answer, now or any more: another one may be there in a moment.
    pub(crate) fn is_away(&self) -> bool {
        matches!(self, Self::Away { .. } | Self::Cut(_) | Self::Stopping)
    }
}

impl Daemon {
    /// The daemon behind `socket`, asked until `deadline`.
    pub(crate) fn new(socket: &str, deadline: Instant) -> Self {
        Self {
            socket: socket.into(),
            deadline,
            invocation: unique_name(),
        }
    }

    /// This process's name in every request.
    pub(crate) fn invocation(&self) -> &str {
        &self.invocation
    }

    /// Asks once.
    pub(crate) fn ask(&self, ask: Ask, netns: Option<BorrowedFd<'_>>) -> Result<Outcome, AskError> {
        self.exchange(&self.request(ask), netns)
    }

    /// Asks again while the daemon is away or falls away, always under the same name, so that it converges on what an
    /// earlier attempt began.
    pub(crate) fn ask_until_answered(
        &self,
        ask: Ask,
        netns: Option<BorrowedFd<'_>>,
    ) -> Result<Outcome, AskError> {
        let request = self.request(ask);
        let mut last_contact = Instant::now();
        loop {
            let lost = match self.exchange(&request, netns) {
                Err(lost) if lost.is_away() => lost,
                settled => return settled,
            };
            let now = Instant::now();
            if !matches!(lost, AskError::Away { .. }) {
                last_contact = now;
            }
            if now + RETRY_EVERY >= self.deadline.min(last_contact + AWAY_LIMIT) {
                return Err(lost);
            }
            pause();
        }
    }

    fn request(&self, ask: Ask) -> Request {
        Request {
            protocol: PROTOCOL,
            invocation: self.invocation.clone(),
            ask,
        }
    }

    fn exchange(
        &self,
        request: &Request,
        netns: Option<BorrowedFd<'_>>,
    ) -> Result<Outcome, AskError> {
        // Before the daemon is woken, which then finds it at once.
        let frame = encode(request).map_err(|error| self.lost(error))?;
        let connection = Connection::open(&self.socket, self.deadline)
            .map_err(|error| self.unconnected(error))?;
        let body = connection
            .send(&frame, netns)
            .and_then(|()| connection.receive())
            .map_err(|error| self.lost(error))?;
        outcome(&body)
    }

    fn unconnected(&self, source: FrameError) -> AskError {
        match source.errno() {
            Some(Errno::NOENT | Errno::CONNREFUSED) => AskError::Away {
                socket: self.socket.clone(),
                source,
            },
            _ => self.lost(source),
        }
    }

    fn lost(&self, source: FrameError) -> AskError {
        match source {
            source if source.is_timeout() => AskError::Silent,
            source if source.is_cut() => AskError::Cut(source),
            FrameError::TooLarge(_) => AskError::Garbled(source.to_string()),
            source => AskError::Unusable {
                socket: self.socket.clone(),
                source,
            },
        }
    }
}

/// Nothing announces that a socket is listened on again.
fn pause() {
    if let Ok(time) = RETRY_EVERY.try_into() {
        // Woken early, it asks early.
        let _ = nanosleep(&time);
    }
}

/// Reads a reply.
pub(crate) fn outcome(body: &[u8]) -> Result<Outcome, AskError> {
    let reply: Reply = decode(body)?;
    match reply.outcome {
        Outcome::Failed(failure) if failure.reason == STOPPING => Err(AskError::Stopping),
        outcome => Ok(outcome),
    }
}

impl From<Unreadable> for AskError {
    fn from(unreadable: Unreadable) -> Self {
        match unreadable {
            Unreadable::Garbled(error) => Self::Garbled(error.to_string()),
            Unreadable::OtherProtocol { theirs } => Self::OtherProtocol { theirs },
        }
    }
}

/// A name that no other process has: 128 bits as hex, unique and not secret. While the kernel has no randomness yet, which
/// is in a machine's first moments, the time and the process have to do.
fn unique_name() -> String {
    let mut bits = [0; 16];
    let name = match getrandom(&mut bits, GetRandomFlags::NONBLOCK) {
        Ok(16) => u128::from_be_bytes(bits),
        _ => Instant::now().nanoseconds() << 32 | u128::from(getpid().as_raw_pid().unsigned_abs()),
    };
    format!("{name:032x}")
}

impl fmt::Display for AskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Away { socket, source } => {
                write!(f, "berthd does not answer on {socket}: {source}")
            }
            Self::Cut(error) => write!(f, "berthd ended the connection without an answer: {error}"),
            Self::Stopping => write!(f, "berthd stops, and no other has come"),
            Self::Silent => write!(f, "berthd did not answer in time"),
            Self::Unusable { socket, source } => {
                write!(f, "cannot talk to berthd on {socket}: {source}")
            }
            Self::OtherProtocol { theirs } => write!(
                f,
                "berth-cni speaks protocol {PROTOCOL} and berthd protocol {theirs}"
            ),
            Self::Garbled(why) => write!(f, "cannot understand berthd's answer: {why}"),
        }
    }
}

impl From<AskError> for Error {
    fn from(error: AskError) -> Self {
        let (code, advice) = match error {
            AskError::Away { .. } | AskError::Cut(_) | AskError::Stopping => {
                (code::TRY_AGAIN, "is the berth pod of this node running?")
            }
            AskError::Silent => (
                code::TRY_AGAIN,
                "its log on this node says what it waits for",
            ),
            AskError::Unusable { .. } => (code::IO, ""),
            AskError::OtherProtocol { .. } => {
                (code::PROTOCOL, "install both from the same release")
            }
            AskError::Garbled(_) => (code::PROTOCOL, ""),
        };
        Self::new(code, error.to_string()).details(advice)
    }
}

/// The answer was one to another question: a bug on either side.
pub(crate) fn unexpected(outcome: Outcome, verb: &str) -> Error {
    match outcome {
        Outcome::Failed(failure) => failure.into(),
        Outcome::Added(_)
        | Outcome::Deleted
        | Outcome::Checked
        | Outcome::Collected
        | Outcome::Ready
        | Outcome::State { .. } => Error::new(
            code::PROTOCOL,
            format!("berthd answered {verb} with another verb's outcome"),
        ),
    }
}
