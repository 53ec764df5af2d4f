//! The contract's framing on a blocking unix socket: a big-endian `u32` length, then that many bytes of JSON, and a
//! namespace's descriptor on the first byte. Every step is bounded by one deadline. It does not look into messages.

use alloc::vec;
use alloc::vec::Vec;
use core::fmt;
use core::mem::MaybeUninit;
use core::time::Duration;

use rustix::fd::{BorrowedFd, OwnedFd};
use rustix::io::{Errno, IoSlice};
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{
    AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketAddrUnix,
    SocketFlags, SocketType, connect, send, sendmsg, socket_with,
};
use rustix::path::Arg;
use serde::Serialize;

use crate::cause::Cause;
use crate::clock::Instant;
use crate::contract::MAX_FRAME;
use crate::readable::wait;

/// Bytes of the length in front of each message.
const HEADER: usize = 4;

/// Room for an answer before it arrives: as much as that of an ADD needs, in one read.
const ROOM: usize = 1 << 10;

/// A connection to the daemon that ends by a deadline, whatever the other side does.
#[derive(Debug)]
pub struct Connection {
    socket: OwnedFd,
    deadline: Instant,
}

/// Why a message did not get through.
#[derive(Debug)]
pub enum FrameError {
    /// The message is larger than [`MAX_FRAME`]; its size in bytes.
    TooLarge(usize),
    /// The message has no JSON form.
    Unencodable(serde_json::Error),
    /// The socket failed, or was silent until the deadline.
    Socket(Cause),
    /// The other side ended the connection in the middle.
    Ended,
}

impl FrameError {
    /// Whether the deadline passed; the kernel says so with `EAGAIN`.
    pub fn is_timeout(&self) -> bool {
        matches!(self.errno(), Some(Errno::AGAIN | Errno::TIMEDOUT))
    }

    /// Whether the other side ended the connection before the message was through.
    pub fn is_cut(&self) -> bool {
        let cut = [Errno::PIPE, Errno::CONNRESET, Errno::NOTCONN];
        matches!(self, Self::Ended) || self.errno().is_some_and(|errno| cut.contains(&errno))
    }

    /// The kernel's error, if it is one.
    pub fn errno(&self) -> Option<Errno> {
        match self {
            Self::Socket(cause) => Some(cause.errno()),
            Self::TooLarge(_) | Self::Unencodable(_) | Self::Ended => None,
        }
    }
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge(bytes) => write!(
                f,
                "a message of {bytes} bytes is over the limit of {MAX_FRAME}"
            ),
            Self::Unencodable(error) => write!(f, "cannot encode the message: {error}"),
            Self::Socket(cause) => cause.fmt(f),
            Self::Ended => f.write_str("it ended before the message was through"),
        }
    }
}

impl core::error::Error for FrameError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::TooLarge(_) | Self::Ended => None,
            Self::Unencodable(error) => Some(error),
            Self::Socket(cause) => Some(cause),
        }
    }
}

impl From<Errno> for FrameError {
    fn from(errno: Errno) -> Self {
        Self::Socket(errno.into())
    }
}

impl From<Cause> for FrameError {
    fn from(cause: Cause) -> Self {
        Self::Socket(cause)
    }
}

impl Connection {
    /// Connects to the socket at `path`. The send timeout is set before, or connect(2) would wait for ever when a stopped
    /// daemon's backlog is full (unix(7), net/unix/af_unix.c `unix_stream_connect`).
    ///
    /// # Errors
    /// [`FrameError::Socket`] with connect(2)'s; a timeout once `deadline` has passed.
    pub fn open(path: impl Arg, deadline: Instant) -> Result<Self, FrameError> {
        let address = SocketAddrUnix::new(path)?;
        let socket = socket_with(
            AddressFamily::UNIX,
            SocketType::STREAM,
            SocketFlags::CLOEXEC,
            None,
        )?;
        let connection = Self::over(socket, deadline);
        connection.limit_sending()?;
        connect(&connection.socket, &address)?;
        Ok(connection)
    }

    /// A connection that somebody else has made.
    pub fn over(socket: OwnedFd, deadline: Instant) -> Self {
        Self { socket, deadline }
    }

    /// Sends a frame, with a descriptor on its first byte if there is one.
    ///
    /// # Errors
    /// [`FrameError::Socket`], which does not say how much of it arrived.
    pub fn send(&self, frame: &[u8], descriptor: Option<BorrowedFd<'_>>) -> Result<(), FrameError> {
        let mut sent = match descriptor {
            Some(descriptor) => self.send_first(frame, descriptor)?,
            None => 0,
        };
        while sent < frame.len() {
            self.limit_sending()?;
            match send(&self.socket, &frame[sent..], SendFlags::NOSIGNAL) {
                Err(Errno::INTR) => {}
                more => sent += more?,
            }
        }
        Ok(())
    }

    /// Receives one message's JSON, which is all that the other side sends.
    ///
    /// # Errors
    /// [`FrameError`]; a connection that ends early is cut, not short.
    pub fn receive(&self) -> Result<Vec<u8>, FrameError> {
        // Grown by what arrives, so that a wrong length costs nothing.
        let mut bytes = Vec::with_capacity(ROOM);
        let mut end = HEADER;
        while bytes.len() < end {
            self.read_more(&mut bytes)?;
            if let Some(header) = bytes.first_chunk() {
                let length = u32::from_be_bytes(*header);
                let expected = usize::try_from(length).unwrap_or(usize::MAX);
                if expected > MAX_FRAME {
                    return Err(FrameError::TooLarge(expected));
                }
                end = HEADER + expected;
            }
        }
        bytes.truncate(end);
        bytes.drain(..HEADER);
        Ok(bytes)
    }

    /// Appends what there is to read. It waits with poll(2), not in the read: who sleeps in there is also woken when the
    /// daemon takes the request off the socket (net/unix/af_unix.c `unix_write_space`), and then takes the processor from
    /// it, twice a request.
    fn read_more(&self, bytes: &mut Vec<u8>) -> Result<(), FrameError> {
        // Or a daemon that sends byte after byte would never be late.
        self.left()?;
        if !wait(&self.socket, self.deadline)? {
            return Err(Errno::TIMEDOUT.into());
        }
        let filled = bytes.len();
        bytes.resize(filled + filled.max(ROOM), 0);
        let read = rustix::io::read(&self.socket, &mut bytes[filled..]);
        bytes.truncate(filled + read.unwrap_or(0));
        match read {
            Ok(0) => Err(FrameError::Ended),
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }

    fn send_first(&self, frame: &[u8], descriptor: BorrowedFd<'_>) -> Result<usize, FrameError> {
        self.limit_sending()?;
        let descriptors = [descriptor];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut rights = SendAncillaryBuffer::new(&mut space);
        rights.push(SendAncillaryMessage::ScmRights(&descriptors));
        loop {
            let frame = [IoSlice::new(frame)];
            match sendmsg(&self.socket, &frame, &mut rights, SendFlags::NOSIGNAL) {
                Err(Errno::INTR) => {}
                sent => return Ok(sent?),
            }
        }
    }

    /// Has connect(2) and send(2) end at the deadline.
    fn limit_sending(&self) -> Result<(), FrameError> {
        Ok(set_socket_timeout(
            &self.socket,
            Timeout::Send,
            Some(self.left()?),
        )?)
    }

    /// The time left, never zero: a socket timeout of zero means none.
    fn left(&self) -> Result<Duration, FrameError> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            Err(Errno::TIMEDOUT.into())
        } else {
            Ok(left)
        }
    }
}

/// The bytes of one message.
///
/// # Errors
/// [`FrameError::TooLarge`] and [`FrameError::Unencodable`].
pub fn encode<T: Serialize>(message: &T) -> Result<Vec<u8>, FrameError> {
    let mut frame = vec![0; HEADER];
    frame.extend(serde_json::to_vec(message).map_err(FrameError::Unencodable)?);
    let length = frame.len() - HEADER;
    match u32::try_from(length) {
        Ok(header) if length <= MAX_FRAME => frame[..HEADER].copy_from_slice(&header.to_be_bytes()),
        _ => return Err(FrameError::TooLarge(length)),
    }
    Ok(frame)
}
