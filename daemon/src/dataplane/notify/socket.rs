//! A netlink socket that only listens: notifications of some multicast groups, message by message, and the news that some
//! were lost.

use std::io;

use netlink_packet_core::NetlinkBuffer;
use netlink_sys::Socket;
use nix::errno::Errno;
use nix::sys::socket::{setsockopt, sockopt::RcvBufForce};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::dataplane::netlink::is;

/// The socket.
pub(super) struct Listener(AsyncFd<Socket>);

/// What arrived in one read.
pub(super) enum Heard {
    /// Messages; see [`messages`].
    Messages(Vec<u8>),
    /// The queue was full: some notifications were lost, and nobody knows which.
    Overrun,
}

/// One notification.
pub(super) struct Message<'a> {
    /// `nlmsg_type`.
    pub(super) kind: u16,
    /// The socket whose request it tells of; 0 if the kernel does not say.
    pub(super) author: u32,
    /// What follows the header.
    pub(super) payload: &'a [u8],
}

impl Listener {
    /// Listens to groups of a protocol, in the namespace of the calling thread, inside a runtime.
    pub(super) fn open(protocol: isize, groups: &[u32], queue: usize) -> io::Result<Self> {
        let mut socket = Socket::new(protocol)?;
        socket.set_non_blocking(true)?;
        socket.bind_auto()?;
        // Not permitted inside a user namespace; the usual queue will do.
        let _ = setsockopt(&socket, RcvBufForce, &queue);
        for group in groups {
            socket.add_membership(*group)?;
        }
        Ok(Self(register(socket)?))
    }

    /// Waits until there is something to [`take`](Self::take).
    pub(super) async fn heard(&self) -> io::Result<()> {
        self.0.readable().await.map(drop)
    }

    /// What has arrived and was not taken yet, a datagram at a time; `None` at its end.
    pub(super) fn take(&self) -> io::Result<Option<Heard>> {
        let received = self.0.try_io(Interest::READABLE, Socket::recv_from_full);
        match received {
            Ok((datagram, _)) => Ok(Some(Heard::Messages(datagram))),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(error) if is(&error, Errno::ENOBUFS) => Ok(Some(Heard::Overrun)),
            Err(error) => Err(error),
        }
    }
}

#[expect(
    deprecated,
    reason = "the replacement is unsafe, for the sake of types that give up their descriptor; a socket does not"
)]
fn register(socket: Socket) -> io::Result<AsyncFd<Socket>> {
    AsyncFd::with_interest(socket, Interest::READABLE)
}

/// The messages of a datagram. What cannot be read ends it.
pub(super) fn messages(datagram: &[u8]) -> impl Iterator<Item = Message<'_>> {
    let mut rest = datagram;
    std::iter::from_fn(move || {
        let message = NetlinkBuffer::new_checked(rest).ok()?;
        let aligned = (message.length() as usize).next_multiple_of(4);
        rest = rest.get(aligned..).unwrap_or_default();
        Some(Message {
            kind: message.message_type(),
            author: message.port_number(),
            payload: message.payload(),
        })
    })
}
