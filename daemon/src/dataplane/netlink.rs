//! One rtnetlink socket in one network namespace: sending a request and reading its whole answer. What the requests say
//! is in the modules below, one per kind of object; which to send is decided elsewhere.

mod addresses;
mod links;
mod made;
mod neighbours;
mod routes;
mod rules;

pub(super) use addresses::Address;
pub(super) use links::{Link, LinkChange, VethSpec};
pub(super) use routes::{MAIN_TABLE, Route};
pub(super) use rules::Rule;

use std::cell::Cell;
use std::fmt::Display;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError};

use netlink_packet_core::{
    NLM_F_ACK, NLM_F_DUMP, NLM_F_DUMP_INTR, NLM_F_ECHO, NLM_F_REQUEST, NetlinkDeserializable,
    NetlinkMessage, NetlinkPayload,
};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_sys::protocols::NETLINK_ROUTE;
use netlink_sys::{Socket, SocketAddr};
use nix::errno::Errno;
use nix::sched::{CloneFlags, setns};

use super::DataplaneError;

/// How often a dump that the kernel calls inconsistent (something changed while it was read) is taken again.
const DUMP_ATTEMPTS: u32 = 8;
/// Room for one datagram: the kernel's are at most 32 KiB (net/netlink/af_netlink.c, `netlink_dump`).
const DATAGRAM: usize = 64 << 10;

/// A reply, as far as who asked wants to understand it.
type Reply<T = RouteNetlinkMessage> = NetlinkMessage<T>;

/// A handle to one socket; clones share it. The socket is closed when the last one is dropped.
///
/// Its calls block, and not for the network: rtnetlink carries a request out inside of the send, so that the answer lies
/// there when that returns. What they wait for is the kernel's one lock.
#[derive(Clone)]
pub(super) struct Netlink {
    exchange: Arc<Mutex<Exchange>>,
    port: u32,
}

/// One request and its answer at a time.
struct Exchange {
    socket: Socket,
    sequence: u32,
    buffer: Vec<u8>,
}

impl Netlink {
    /// Opens a socket in the namespace of the calling thread. Strict checking makes the kernel filter dumps by table and
    /// link instead of sending everything.
    pub(super) fn open() -> io::Result<Self> {
        let mut socket = Socket::new(NETLINK_ROUTE)?;
        socket.set_netlink_get_strict_chk(true)?;
        socket.set_cap_ack(true)?;
        let port = socket.bind_auto()?.port_number();
        socket.connect(&SocketAddr::new(0, 0))?;
        let exchange = Exchange {
            socket,
            sequence: 0,
            buffer: Vec::with_capacity(DATAGRAM),
        };
        Ok(Self {
            exchange: Arc::new(Mutex::new(exchange)),
            port,
        })
    }

    /// The number by which the kernel's notifications name this socket as the author of a change (`nlmsg_pid`).
    pub(super) fn port(&self) -> u32 {
        self.port
    }

    /// Changes something; waits for the kernel's acknowledgment. `flags` are beyond `NLM_F_REQUEST` and `NLM_F_ACK`.
    fn change(&self, message: RouteNetlinkMessage, flags: u16) -> io::Result<()> {
        self.converse(
            message,
            NLM_F_ACK | flags,
            acknowledged::<RouteNetlinkMessage>,
        )
    }

    /// The same; answers what is understood of what was made, if the kernel tells (NLM_F_ECHO, for links from Linux 6.2
    /// on).
    fn make<M: NetlinkDeserializable>(
        &self,
        message: RouteNetlinkMessage,
        flags: u16,
    ) -> io::Result<Option<M>> {
        let mut made = None;
        self.converse(
            message,
            NLM_F_ACK | NLM_F_ECHO | flags,
            |reply: Reply<M>| match reply.payload {
                NetlinkPayload::InnerMessage(object) => {
                    made = Some(object);
                    None
                }
                _ => acknowledged(reply),
            },
        )?;
        Ok(made)
    }

    /// Asks for one object.
    fn get(&self, message: RouteNetlinkMessage) -> io::Result<RouteNetlinkMessage> {
        self.converse(message, 0, |reply: Reply| match reply.payload {
            NetlinkPayload::InnerMessage(object) => Some(Ok(object)),
            NetlinkPayload::Error(answer) => Some(Err(answer.to_io())),
            _ => None,
        })
    }

    /// Lists objects; `pick` keeps what is wanted of each.
    fn dump<T>(
        &self,
        message: RouteNetlinkMessage,
        pick: impl Fn(RouteNetlinkMessage) -> Option<T>,
    ) -> io::Result<Vec<T>> {
        for _ in 0..DUMP_ATTEMPTS {
            if let Some(found) = self.dump_once(message.clone(), &pick)? {
                return Ok(found);
            }
        }
        Err(Errno::EINTR.into())
    }

    /// One pass; `None` if the kernel says that it is inconsistent.
    fn dump_once<T>(
        &self,
        message: RouteNetlinkMessage,
        pick: impl Fn(RouteNetlinkMessage) -> Option<T>,
    ) -> io::Result<Option<Vec<T>>> {
        let mut found = Vec::new();
        let mut consistent = true;
        self.converse(message, NLM_F_DUMP, |reply: Reply| {
            consistent &= reply.header.flags & NLM_F_DUMP_INTR == 0;
            match reply.payload {
                NetlinkPayload::InnerMessage(object) => found.extend(pick(object)),
                NetlinkPayload::Error(answer) => return Some(Err(answer.to_io())),
                NetlinkPayload::Done(done) if done.code < 0 => {
                    return Some(Err(io::Error::from_raw_os_error(-done.code)));
                }
                NetlinkPayload::Done(_) => return Some(Ok(())),
                _ => {}
            }
            None
        })?;
        Ok(consistent.then_some(found))
    }

    /// Sends a request and hands its replies to `take` until that says what came of it.
    fn converse<M: NetlinkDeserializable, T>(
        &self,
        message: RouteNetlinkMessage,
        flags: u16,
        take: impl FnMut(Reply<M>) -> Option<io::Result<T>>,
    ) -> io::Result<T> {
        let mut request = NetlinkMessage::from(message);
        request.header.flags = NLM_F_REQUEST | flags;
        let mut exchange = self.exchange.lock().unwrap_or_else(PoisonError::into_inner);
        exchange.send(request)?;
        exchange.replies(take)
    }
}

impl Exchange {
    fn send(&mut self, mut request: NetlinkMessage<RouteNetlinkMessage>) -> io::Result<()> {
        self.sequence = self.sequence.wrapping_add(1);
        request.header.sequence_number = self.sequence;
        request.finalize();
        self.buffer.clear();
        self.buffer.resize(request.buffer_len(), 0);
        request.serialize(&mut self.buffer);
        uninterrupted(|| self.socket.send(&self.buffer, 0)).map(drop)
    }

    fn replies<M: NetlinkDeserializable, T>(
        &mut self,
        mut take: impl FnMut(Reply<M>) -> Option<io::Result<T>>,
    ) -> io::Result<T> {
        loop {
            self.buffer.clear();
            let length = uninterrupted(|| self.socket.recv(&mut self.buffer, 0))?;
            if length > self.buffer.len() {
                return Err(Errno::EMSGSIZE.into());
            }
            let mut rest = self.buffer.as_slice();
            while !rest.is_empty() {
                let reply = Reply::<M>::deserialize(rest).map_err(io::Error::other)?;
                let aligned = (reply.header.length as usize).next_multiple_of(4);
                rest = rest.get(aligned..).unwrap_or_default();
                // The rest of an answer that nobody wanted to the end.
                if reply.header.sequence_number != self.sequence {
                    continue;
                }
                if let Some(came_of_it) = take(reply) {
                    return came_of_it;
                }
            }
        }
    }
}

/// A thread's way into other namespaces and back into its own.
pub(super) struct Home {
    own: File,
    lost: Cell<bool>,
}

impl Home {
    /// That of the calling thread, which is then the only one to use it.
    pub(super) fn open() -> io::Result<Self> {
        Ok(Self {
            own: File::open("/proc/thread-self/ns/net")?,
            lost: Cell::new(false),
        })
    }

    /// Opens a socket in the namespace behind `netns`; the thread is there for as long as that takes. A thread of its own
    /// for it made an ADD 0.1 ms longer.
    pub(super) fn open_in(&self, netns: &OwnedFd) -> Result<Netlink, DataplaneError> {
        let refused = |source| DataplaneError::Netns { source };
        setns(netns, CloneFlags::CLONE_NEWNET).map_err(|errno| refused(errno.into()))?;
        self.lost.set(true);
        let opened = Netlink::open();
        self.regain()?;
        opened.map_err(refused)
    }

    /// Brings the thread back from a pod that it could not leave, which only a kernel without memory does to it. What the
    /// thread did before that would happen in the pod.
    pub(super) fn regain(&self) -> Result<(), DataplaneError> {
        if self.lost.get() {
            let back = setns(&self.own, CloneFlags::CLONE_NEWNET);
            let refused = refused("nsenter --net", "the node's network namespace");
            back.map_err(|errno| refused(errno.into()))?;
            self.lost.set(false);
        }
        Ok(())
    }

    /// One whose way back leads nowhere.
    #[cfg(test)]
    pub(super) fn open_without_return() -> io::Result<Self> {
        Ok(Self {
            own: File::open("/dev/null")?,
            lost: Cell::new(false),
        })
    }

    /// Mends [`Self::open_without_return`]: the way back leads to `own`.
    #[cfg(test)]
    pub(super) fn set_return(&mut self, own: File) {
        self.own = own;
    }
}

fn acknowledged<M>(reply: Reply<M>) -> Option<io::Result<()>> {
    match reply.payload {
        NetlinkPayload::Error(answer) => Some(match answer.code {
            None => Ok(()),
            Some(_) => Err(answer.to_io()),
        }),
        _ => None,
    }
}

/// Repeats what a signal interrupted.
fn uninterrupted<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            done => return done,
        }
    }
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
