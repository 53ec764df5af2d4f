//! What can be wrong with a connection, and the CNI code of each in one place.

use std::io;
use std::time::Duration;

use berth_cni::contract::{Failure, PROTOCOL};

/// CNI code of a breach of the contract between plugin and daemon ("100 and up are plugin specific").
const PROTOCOL_BREACH: u32 = 100;
/// "Try again later" (CNI specification, "Error").
const TRY_AGAIN: u32 = 11;
/// CNI code of an I/O failure (spec "Error", 5).
const IO_FAILURE: u32 = 5;

/// Why a connection was not served.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The peer is neither root nor the daemon's own user.
    #[error("uid {uid} may not talk to berthd")]
    Forbidden {
        /// Of the peer (SO_PEERCRED).
        uid: u32,
    },
    /// The request did not arrive in time.
    #[error("the request was not complete after {limit:?}")]
    Slow {
        /// The time a client has.
        limit: Duration,
    },
    /// The client ended its request in the middle.
    #[error("the connection ended after {got} of the request's {want} bytes")]
    Cut {
        /// Bytes that arrived, of the header or of the body.
        got: usize,
        /// Bytes that the header or the body has.
        want: usize,
    },
    /// The length in front of the request cannot be right.
    #[error("a request of {length} bytes is not between 1 and {limit}")]
    Length {
        /// As sent, in bytes.
        length: usize,
        /// The largest allowed, in bytes.
        limit: usize,
    },
    /// The request is not the JSON that the contract describes.
    #[error("cannot understand the request: {0}")]
    Garbled(String),
    /// The plugin is of another release.
    #[error("the client speaks protocol {theirs} and berthd protocol {PROTOCOL}")]
    OtherProtocol {
        /// The client's number.
        theirs: u32,
    },
    /// The request came with the wrong number of descriptors.
    #[error("{verb} came with {got} descriptors, it needs {wanted}")]
    Descriptors {
        /// The request's verb.
        verb: &'static str,
        /// How many it needs, in words.
        wanted: &'static str,
        /// How many came.
        got: usize,
    },
    /// More descriptors than anybody needs; the kernel closed the rest (MSG_CTRUNC).
    #[error("the request came with more descriptors than can be taken")]
    TooManyDescriptors,
    /// The kernel could not give the descriptor to this process, which has as many as it may have.
    #[error("berthd has as many descriptors as it may have, the pod's namespace cannot be taken")]
    NoDescriptorLeft,
    /// Something came after the request.
    #[error("bytes came after the end of the request")]
    Trailing,
    /// The socket failed.
    #[error("the socket failed: {0}")]
    Socket(#[from] io::Error),
}

impl ServerError {
    /// What the client is told. The one mapping from this module's errors to CNI codes.
    pub fn failure(&self) -> Failure {
        let (code, reason, details) = match self {
            Self::Forbidden { .. } => (PROTOCOL_BREACH, "Forbidden", "run it as root"),
            Self::Slow { .. } => (PROTOCOL_BREACH, "RequestTimeout", ""),
            Self::Cut { .. } => (PROTOCOL_BREACH, "RequestCut", ""),
            Self::Length { .. } => (PROTOCOL_BREACH, "RequestLength", ""),
            Self::Garbled(_) => (PROTOCOL_BREACH, "RequestGarbled", SAME_RELEASE),
            Self::OtherProtocol { .. } => (PROTOCOL_BREACH, "OtherProtocol", SAME_RELEASE),
            Self::Descriptors { .. } => (PROTOCOL_BREACH, "Descriptors", SAME_RELEASE),
            Self::TooManyDescriptors => (PROTOCOL_BREACH, "Descriptors", SAME_RELEASE),
            Self::NoDescriptorLeft => (
                TRY_AGAIN,
                "NoDescriptorLeft",
                "raise LimitNOFILE of the container runtime",
            ),
            Self::Trailing => (PROTOCOL_BREACH, "TrailingBytes", SAME_RELEASE),
            Self::Socket(_) => (IO_FAILURE, "SocketFailed", ""),
        };
        Failure {
            code,
            reason: reason.to_owned(),
            msg: self.to_string(),
            details: details.to_owned(),
        }
    }
}

const SAME_RELEASE: &str = "install berth-cni and berthd from the same release";
