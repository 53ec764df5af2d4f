//! The contract's framing on a blocking unix socket: a big-endian `u32` length, then that many bytes of JSON, and a
//! namespace's descriptor on the first byte. Every step is bounded by one deadline. It does not look into messages.

use std::fmt;
use std::io::{self, IoSlice, Read, Write};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::socket::{
    self, AddressFamily, ControlMessage, MsgFlags, SockFlag, SockType, UnixAddr,
};
use serde::Serialize;

use crate::contract::MAX_FRAME;
use crate::readable::wait;

/// Bytes of the length in front of each message.
const HEADER: usize = 4;

/// Room for an answer before it arrives: as much as that of an ADD needs, in one read.
const ROOM: usize = 1 << 10;

/// A connection to the daemon that ends by a deadline, whatever the other side does.
#[derive(Debug)]
pub struct Connection {
    stream: UnixStream,
    deadline: Instant,
}

/// Why a message did not get through.
#[derive(Debug)]
pub enum FrameError {
    /// The message is larger than [`MAX_FRAME`]; its size in bytes.
    TooLarge(usize),
    /// The message has no JSON form.
    Unencodable(serde_json::Error),
    /// The socket failed, ended, or was silent until the deadline.
    Socket(io::Error),
}

impl FrameError {
    /// Whether the deadline passed; the kernel says so with `EAGAIN`.
    pub fn is_timeout(&self) -> bool {
        use io::ErrorKind::{TimedOut, WouldBlock};
        matches!(self, Self::Socket(error) if matches!(error.kind(), WouldBlock | TimedOut))
    }

    /// Whether the other side ended the connection before the message was through.
    pub fn is_cut(&self) -> bool {
        use io::ErrorKind::{BrokenPipe, ConnectionReset, NotConnected, UnexpectedEof};
        matches!(self, Self::Socket(error) if matches!(error.kind(), BrokenPipe | ConnectionReset | NotConnected | UnexpectedEof))
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
            Self::Socket(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for FrameError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::TooLarge(_) => None,
            Self::Unencodable(error) => Some(error),
            Self::Socket(error) => Some(error),
        }
    }
}

impl From<io::Error> for FrameError {
    fn from(error: io::Error) -> Self {
        Self::Socket(error)
    }
}

impl Connection {
    /// Connects to the socket at `path`. Not by `UnixStream::connect`, which waits for ever when a stopped daemon's
    /// backlog is full: the send timeout has to be set first (unix(7), net/unix/af_unix.c `unix_stream_connect`).
    ///
    /// # Errors
    /// Those of connect(2); a timeout once `deadline` has passed.
    pub fn open(path: &Path, deadline: Instant) -> io::Result<Self> {
        let address = UnixAddr::new(path)?;
        let socket = socket::socket(
            AddressFamily::Unix,
            SockType::Stream,
            SockFlag::SOCK_CLOEXEC,
            None,
        )?;
        let connection = Self::over(UnixStream::from(socket), deadline);
        connection
            .stream
            .set_write_timeout(Some(connection.left()?))?;
        socket::connect(connection.stream.as_raw_fd(), &address)?;
        Ok(connection)
    }

    /// A connection that somebody else has made.
    pub fn over(stream: UnixStream, deadline: Instant) -> Self {
        Self { stream, deadline }
    }

    /// Sends a frame, with a descriptor on its first byte if there is one.
    ///
    /// # Errors
    /// [`FrameError::Socket`], which does not say how much of it arrived.
    pub fn send(&self, frame: &[u8], descriptor: Option<BorrowedFd<'_>>) -> Result<(), FrameError> {
        let sent = match descriptor {
            Some(descriptor) => self.send_first(frame, descriptor)?,
            None => 0,
        };
        Ok((&mut &*self).write_all(&frame[sent..])?)
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
    fn read_more(&self, bytes: &mut Vec<u8>) -> io::Result<()> {
        // Or a daemon that sends byte after byte would never be late.
        self.left()?;
        if !wait(&self.stream, self.deadline)? {
            return Err(io::ErrorKind::TimedOut.into());
        }
        let filled = bytes.len();
        bytes.resize(filled + filled.max(ROOM), 0);
        let read = (&self.stream).read(&mut bytes[filled..]);
        bytes.truncate(filled + read.as_ref().copied().unwrap_or(0));
        match read {
            Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
            Err(error) if error.kind() != io::ErrorKind::Interrupted => Err(error),
            _ => Ok(()),
        }
    }

    fn send_first(&self, frame: &[u8], descriptor: BorrowedFd<'_>) -> io::Result<usize> {
        self.stream.set_write_timeout(Some(self.left()?))?;
        let descriptors = [descriptor.as_raw_fd()];
        let rights = [ControlMessage::ScmRights(&descriptors)];
        loop {
            match socket::sendmsg::<()>(
                self.stream.as_raw_fd(),
                &[IoSlice::new(frame)],
                &rights,
                MsgFlags::MSG_NOSIGNAL,
                None,
            ) {
                Err(Errno::EINTR) => {}
                sent => return Ok(sent?),
            }
        }
    }

    /// The time left, never zero: a socket timeout of zero means none.
    fn left(&self) -> io::Result<Duration> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            Err(io::ErrorKind::TimedOut.into())
        } else {
            Ok(left)
        }
    }
}

impl Write for &Connection {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.stream.set_write_timeout(Some(self.left()?))?;
        (&self.stream).write(buffer)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The bytes of one message.
///
/// # Errors
/// [`FrameError::TooLarge`] and [`FrameError::Unencodable`].
pub fn encode<T: Serialize>(message: &T) -> Result<Vec<u8>, FrameError> {
    let mut frame = vec![0; HEADER];
    serde_json::to_writer(&mut frame, message).map_err(FrameError::Unencodable)?;
    let length = frame.len() - HEADER;
    match u32::try_from(length) {
        Ok(header) if length <= MAX_FRAME => frame[..HEADER].copy_from_slice(&header.to_be_bytes()),
        _ => return Err(FrameError::TooLarge(length)),
    }
    Ok(frame)
}
