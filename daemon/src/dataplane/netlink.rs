//! One rtnetlink socket in one network namespace: sending a request and reading its whole answer. What the requests say
//! is in the modules below, one per kind of object; which to send is decided elsewhere.

mod addresses;
mod links;
mod neighbours;
mod routes;
mod rules;

pub(super) use addresses::Address;
pub(super) use links::{Link, LinkChange, VethSpec};
pub(super) use routes::{MAIN_TABLE, Route};
pub(super) use rules::Rule;

use std::fmt::Display;
use std::io;
use std::os::fd::OwnedFd;
use std::thread;

use futures::{Stream, StreamExt};
use netlink_packet_core::{
    NLM_F_ACK, NLM_F_DUMP, NLM_F_DUMP_INTR, NLM_F_REQUEST, NetlinkMessage, NetlinkPayload,
};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_proto::sys::protocols::NETLINK_ROUTE;
use netlink_sys::{AsyncSocket, TokioSocket};
use nix::errno::Errno;
use nix::sched::{CloneFlags, setns};
use rtnetlink::Handle;

use super::DataplaneError;

/// How often a dump that the kernel calls inconsistent (something changed while it was read) is taken again.
const DUMP_ATTEMPTS: u32 = 8;

/// A handle to one socket; clones share it. The socket is closed when the last one is dropped.
#[derive(Clone)]
pub(super) struct Netlink {
    handle: Handle,
    port: u32,
}

impl Netlink {
    /// Opens a socket in the namespace of the calling thread, inside a runtime.
    pub(super) fn open() -> io::Result<Self> {
        socket().map(Self::on)
    }

    /// The number by which the kernel's notifications name this socket as the author of a change (`nlmsg_pid`).
    pub(super) fn port(&self) -> u32 {
        self.port
    }

    /// Opens a socket in the namespace behind `netns`. The one setns happens on a thread that ends with it, so that no
    /// thread that does anything else is ever in a pod's namespace.
    pub(super) fn open_in(netns: &OwnedFd) -> Result<Self, DataplaneError> {
        let runtime = tokio::runtime::Handle::current();
        let opened = thread::scope(|scope| {
            scope
                .spawn(|| {
                    setns(netns, CloneFlags::CLONE_NEWNET)?;
                    let _inside = runtime.enter();
                    socket()
                })
                .join()
        });
        opened
            .unwrap_or_else(|_| Err(io::Error::other("the opening thread failed")))
            .map(Self::on)
            .map_err(|source| DataplaneError::Netns { source })
    }

    fn on((socket, port): (TokioSocket, u32)) -> Self {
        let (mut connection, handle, _) = rtnetlink::from_socket(socket);
        // Without these a socket that died looks like an acknowledgment: both end the stream of replies.
        connection.set_forward_ack(true);
        connection.set_forward_done(true);
        tokio::spawn(connection);
        Self { handle, port }
    }

    /// Changes something; waits for the kernel's acknowledgment. `flags` are beyond `NLM_F_REQUEST` and `NLM_F_ACK`.
    async fn change(&self, message: RouteNetlinkMessage, flags: u16) -> io::Result<()> {
        let mut replies = self.send(message, NLM_F_ACK | flags)?;
        while let Some(reply) = replies.next().await {
            if let NetlinkPayload::Error(answer) = reply.payload {
                return match answer.code {
                    None => Ok(()),
                    Some(_) => Err(answer.to_io()),
                };
            }
        }
        Err(closed())
    }

    /// Asks for one object.
    async fn get(&self, message: RouteNetlinkMessage) -> io::Result<RouteNetlinkMessage> {
        let mut replies = self.send(message, 0)?;
        match replies.next().await.map(|reply| reply.payload) {
            Some(NetlinkPayload::InnerMessage(object)) => Ok(object),
            Some(NetlinkPayload::Error(answer)) => Err(answer.to_io()),
            _ => Err(closed()),
        }
    }

    /// Lists objects; `pick` keeps what is wanted of each.
    async fn dump<T>(
        &self,
        message: RouteNetlinkMessage,
        pick: impl Fn(RouteNetlinkMessage) -> Option<T>,
    ) -> io::Result<Vec<T>> {
        for _ in 0..DUMP_ATTEMPTS {
            if let Some(found) = self.dump_once(message.clone(), &pick).await? {
                return Ok(found);
            }
        }
        Err(Errno::EINTR.into())
    }

    /// One pass; `None` if the kernel says that it is inconsistent.
    async fn dump_once<T>(
        &self,
        message: RouteNetlinkMessage,
        pick: impl Fn(RouteNetlinkMessage) -> Option<T>,
    ) -> io::Result<Option<Vec<T>>> {
        let mut replies = self.send(message, NLM_F_DUMP)?;
        let mut found = Vec::new();
        let mut consistent = true;
        while let Some(reply) = replies.next().await {
            consistent &= reply.header.flags & NLM_F_DUMP_INTR == 0;
            match reply.payload {
                NetlinkPayload::InnerMessage(object) => found.extend(pick(object)),
                NetlinkPayload::Error(answer) => return Err(answer.to_io()),
                NetlinkPayload::Done(done) if done.code < 0 => {
                    return Err(io::Error::from_raw_os_error(-done.code));
                }
                NetlinkPayload::Done(_) => return Ok(consistent.then_some(found)),
                _ => {}
            }
        }
        Err(closed())
    }

    fn send(
        &self,
        message: RouteNetlinkMessage,
        flags: u16,
    ) -> io::Result<impl Stream<Item = NetlinkMessage<RouteNetlinkMessage>> + use<>> {
        let mut request = NetlinkMessage::from(message);
        request.header.flags = NLM_F_REQUEST | flags;
        self.handle.clone().request(request).map_err(|_| closed())
    }
}

/// Strict checking makes the kernel filter dumps by table and link instead of sending everything.
fn socket() -> io::Result<(TokioSocket, u32)> {
    let mut socket = TokioSocket::new(NETLINK_ROUTE)?;
    socket.socket_ref().set_netlink_get_strict_chk(true)?;
    let port = socket.socket_mut().bind_auto()?.port_number();
    Ok((socket, port))
}

fn closed() -> io::Error {
    io::Error::new(io::ErrorKind::BrokenPipe, "the netlink socket was closed")
}

/// The typed form of a refused step: the equal command, and what it was about.
pub(super) fn refused(
    step: &'static str,
    object: impl Display,
) -> impl FnOnce(io::Error) -> DataplaneError {
    move |source| DataplaneError::Netlink {
        step,
        object: object.to_string(),
        source,
    }
}

/// Whether the kernel said exactly this.
pub(super) fn is(error: &io::Error, errno: Errno) -> bool {
    error.raw_os_error() == Some(errno as i32)
}

/// Success also if what was to be removed is gone.
pub(super) fn gone_is_fine(result: io::Result<()>) -> io::Result<bool> {
    match result {
        Ok(()) => Ok(true),
        Err(error)
            if [
                Errno::ENODEV,
                Errno::ESRCH,
                Errno::ENOENT,
                Errno::EADDRNOTAVAIL,
            ]
            .into_iter()
            .any(|errno| is(&error, errno)) =>
        {
            Ok(false)
        }
        Err(error) => Err(error),
    }
}
