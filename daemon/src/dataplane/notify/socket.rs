//! A netlink socket that only listens: notifications of some multicast groups, message by message, and the news that some
//! were lost.

use std::io;

use netlink_packet_core::NetlinkBuffer;
use netlink_sys::{AsyncSocket, AsyncSocketExt, TokioSocket};
use nix::errno::Errno;
use nix::sys::socket::{setsockopt, sockopt::RcvBufForce};

use crate::dataplane::netlink::is;

/// The socket.
pub(super) struct Listener(TokioSocket);

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
        let mut socket = TokioSocket::new(protocol)?;
        socket.socket_mut().bind_auto()?;
        // Not permitted inside a user namespace; the usual queue will do.
        let _ = setsockopt(socket.socket_ref(), RcvBufForce, &queue);
        for group in groups {
            socket.socket_ref().add_membership(*group)?;
        }
        Ok(Self(socket))
    }

    /// Waits for the next notifications.
    pub(super) async fn next(&mut self) -> io::Result<Heard> {
        match self.0.recv_from_full().await {
            Ok((datagram, _)) => Ok(Heard::Messages(datagram)),
            Err(error) if is(&error, Errno::ENOBUFS) => Ok(Heard::Overrun),
            Err(error) => Err(error),
        }
    }
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
