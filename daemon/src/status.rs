//! `berthd status`: asks the daemon for its state and shows it to people, or as JSON to tools.

mod page;

#[cfg(test)]
mod tests;

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use berth_cni::contract::{Ask, Failure, Outcome, PROTOCOL, Reply, Request};
use berth_cni::frame::{Connection, FrameError};
use serde::Deserialize;

use crate::cli::StatusArgs;

/// How long the daemon may take to answer. It needs no one else for that.
const PATIENCE: Duration = Duration::from_secs(5);

/// Why there is no status.
#[derive(Debug, thiserror::Error)]
pub enum StatusError {
    /// Nobody listens.
    #[error(
        "no berthd answers on {}: is the berth pod of this node running (kubectl get pods -A -o wide), and is BERTH_SOCKET the same as its?",
        socket.display()
    )]
    Away {
        /// The socket.
        socket: PathBuf,
        /// Why.
        source: io::Error,
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
    /// The output cannot be written.
    #[error("cannot write the output: {0}")]
    Output(#[from] io::Error),
}

/// Runs `berthd status`.
///
/// # Errors
/// [`StatusError`]. A reader of the output that has had enough is no error.
pub fn run(args: &StatusArgs, out: &mut dyn Write) -> Result<(), StatusError> {
    let state = fetch(&args.socket)?;
    let text = if args.json {
        format!("{state:#}\n")
    } else {
        let report = serde_json::from_value(state);
        page::render(&report.map_err(|error| StatusError::Garbled(error.to_string()))?)
    };
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

/// The daemon's state as it sends it.
///
/// # Errors
/// [`StatusError`].
pub fn fetch(socket: &Path) -> Result<serde_json::Value, StatusError> {
    let connection = Connection::open(socket, Instant::now() + PATIENCE)
        .map_err(|error| unconnected(socket, error))?;
    let request = Request {
        protocol: PROTOCOL,
        invocation: format!("status-{}", std::process::id()),
        ask: Ask::State,
    };
    let body = connection
        .send(&request, None)
        .and_then(|()| connection.receive())
        .map_err(|error| lost(socket, error))?;
    decode(&body)
}

fn unconnected(socket: &Path, source: io::Error) -> StatusError {
    let socket = socket.to_owned();
    match source.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
            StatusError::Away { socket, source }
        }
        io::ErrorKind::PermissionDenied => StatusError::Denied { socket },
        _ => lost(&socket, source.into()),
    }
}

fn lost(socket: &Path, source: FrameError) -> StatusError {
    let socket = socket.to_owned();
    if source.is_timeout() {
        StatusError::Silent { socket }
    } else {
        StatusError::Exchange { socket, source }
    }
}

/// The protocol number is read first: the rest of another protocol's reply may look like anything.
fn decode(body: &[u8]) -> Result<serde_json::Value, StatusError> {
    #[derive(Deserialize)]
    struct Head {
        protocol: u32,
    }
    let garbled = |error: serde_json::Error| StatusError::Garbled(error.to_string());
    let head: Head = serde_json::from_slice(body).map_err(garbled)?;
    if head.protocol != PROTOCOL {
        return Err(StatusError::OtherProtocol {
            theirs: head.protocol,
        });
    }
    let reply: Reply = serde_json::from_slice(body).map_err(garbled)?;
    match reply.outcome {
        Outcome::State { state } => Ok(state),
        Outcome::Failed(failure) => Err(StatusError::Refused { failure }),
        Outcome::Added(_)
        | Outcome::Deleted
        | Outcome::Checked
        | Outcome::Collected
        | Outcome::Ready => Err(StatusError::Garbled(
            "it answers another question".to_owned(),
        )),
    }
}
