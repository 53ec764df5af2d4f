//! Asks this node's daemon one question over its root-only socket, and says in words why there is no answer. What the
//! answer means is the asker's.

#[cfg(test)]
mod tests;

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use berth_cni::clock::Instant;
use berth_cni::contract::{Ask, Failure, Outcome, PROTOCOL, Reply, Request, Unreadable, decode};
use berth_cni::frame::{Connection, FrameError, encode};
use rustix::io::Errno;

/// How long the daemon may take to answer. It needs no one else for that.
const PATIENCE: Duration = Duration::from_secs(5);

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody listens.
    #[error(
        "no berthd answers on {}: is the berth pod of this node running (kubectl get pods -A -o wide), and is BERTH_SOCKET the same as its?",
        socket.display()
    )]
    Away {
        /// The socket.
        socket: PathBuf,
        /// Why.
        source: FrameError,
    },
    /// The socket is root's.
    #[error("may not use {}: run it as root", socket.display())]
    Denied {
        /// The socket.
        socket: PathBuf,
    },
    /// Nothing came in time.
    #[error("berthd listens on {} and did not answer within {PATIENCE:?}: see its log", socket.display())]
    Silent {
        /// The socket.
        socket: PathBuf,
    },
    /// The exchange failed.
    #[error("cannot talk to berthd on {}: {source}", socket.display())]
    Exchange {
        /// The socket.
        socket: PathBuf,
        /// Why.
        source: FrameError,
    },
    /// The daemon is of another release.
    #[error(
        "this berthd speaks protocol {PROTOCOL} and the running one protocol {theirs}: use the running one's own binary"
    )]
    OtherProtocol {
        /// The running daemon's number.
        theirs: u32,
    },
    /// The daemon said no.
    #[error("berthd refused: {}", failure.msg)]
    Refused {
        /// Its words.
        failure: Failure,
    },
    /// The answer is not what was asked for.
    #[error("cannot understand berthd's answer ({0}); --json shows it as it is, if it is JSON")]
    Garbled(String),
    /// The daemon does not know its node yet.
    #[error("berthd does not know its node yet: `berthd status` says what it met")]
    Unidentified,
    /// Nothing is called so.
    #[error(
        "no pod, address, prefix or ENI of this node is called {0}: `berthd explain` names them all"
    )]
    Unheard(String),
    /// The output cannot be written.
    #[error("cannot write the output: {0}")]
    Output(#[from] io::Error),
}

/// Writes what people or tools read. A reader that has had enough is no error.
///
/// # Errors
/// [`ClientError::Output`].
pub fn write(out: &mut dyn Write, text: &str) -> Result<(), ClientError> {
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

/// The document that answers `ask`, as the daemon sends it.
///
/// # Errors
/// [`ClientError`].
pub fn fetch(socket: &Path, ask: Ask) -> Result<serde_json::Value, ClientError> {
    let connection = Connection::open(socket, Instant::now() + PATIENCE)
        .map_err(|error| unconnected(socket, error))?;
    let request = Request {
        protocol: PROTOCOL,
        invocation: format!("berthd-{}", std::process::id()),
        ask,
    };
    let frame = encode(&request).map_err(|error| lost(socket, error))?;
    let body = connection
        .send(&frame, None)
        .and_then(|()| connection.receive())
        .map_err(|error| lost(socket, error))?;
    state(&body)
}

fn unconnected(socket: &Path, source: FrameError) -> ClientError {
    let away = socket.to_owned();
    match source.errno() {
        Some(Errno::NOENT | Errno::CONNREFUSED) => ClientError::Away {
            socket: away,
            source,
        },
        Some(Errno::ACCESS | Errno::PERM) => ClientError::Denied { socket: away },
        _ => lost(socket, source),
    }
}

fn lost(socket: &Path, source: FrameError) -> ClientError {
    let socket = socket.to_owned();
    if source.is_timeout() {
        ClientError::Silent { socket }
    } else {
        ClientError::Exchange { socket, source }
    }
}

impl From<Unreadable> for ClientError {
    fn from(unreadable: Unreadable) -> Self {
        match unreadable {
            Unreadable::Garbled(error) => Self::Garbled(error.to_string()),
            Unreadable::OtherProtocol { theirs } => Self::OtherProtocol { theirs },
        }
    }
}

fn state(body: &[u8]) -> Result<serde_json::Value, ClientError> {
    let reply: Reply = decode(body)?;
    match reply.outcome {
        Outcome::State { state } => Ok(state),
        Outcome::Failed(failure) => Err(ClientError::Refused { failure }),
        Outcome::Added(_)
        | Outcome::Deleted
        | Outcome::Checked
        | Outcome::Collected
        | Outcome::Ready => Err(ClientError::Garbled(
            "it answers another question".to_owned(),
        )),
    }
}
