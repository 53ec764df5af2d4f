//! UDP to a server that answers each datagram with the address it came from, and remembers who wrote.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket};
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::Context;
use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, SockaddrIn, bind, setsockopt, socket, sockopt,
};

use super::Patience;
use crate::netns::Netns;

/// How often a server looks whether it is to stop.
const STOP_CHECK: Duration = Duration::from_millis(50);

/// The longest "address:port".
const LONGEST: usize = 64;

/// What a client sends.
const QUESTION: &[u8] = b"who am i";

/// A UDP server inside a namespace; stops when dropped.
#[derive(Debug)]
pub struct Server {
    port: u16,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    stop: AtomicBool,
    seen: Mutex<BTreeSet<SocketAddr>>,
}

impl Server {
    /// Listens on `port` of every address of `netns`; port 0 takes a free one.
    ///
    /// # Errors
    /// The namespace cannot be entered or the port is taken.
    pub fn start(netns: &Netns, port: u16) -> anyhow::Result<Self> {
        let socket = netns
            .run(|| UdpSocket::bind((Ipv4Addr::UNSPECIFIED, port)))?
            .with_context(|| format!("cannot bind port {port} in {}", netns.name()))?;
        socket.set_read_timeout(Some(STOP_CHECK))?;
        let port = socket.local_addr()?.port();
        let shared = Arc::new(Shared::default());
        let of_thread = Arc::clone(&shared);
        let thread = thread::spawn(move || serve(&socket, &of_thread));
        Ok(Self {
            port,
            shared,
            thread: Some(thread),
        })
    }

    /// The port that it listens on.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Whether a datagram came from `source`.
    #[must_use]
    pub fn has_seen(&self, source: Ipv4Addr) -> bool {
        let seen = self
            .shared
            .seen
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        seen.iter().any(|peer| peer.ip() == source)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // a server that panicked has already failed its clients
            let _ = thread.join();
        }
    }
}

fn serve(socket: &UdpSocket, shared: &Shared) {
    let mut datagram = [0_u8; LONGEST];
    while !shared.stop.load(Ordering::Relaxed) {
        if let Ok((_, peer)) = socket.recv_from(&mut datagram) {
            shared
                .seen
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .insert(peer);
            // a lost answer is asked for again by the client
            let _ = socket.send_to(peer.to_string().as_bytes(), peer);
        }
    }
}

/// Sends datagrams from `from` to a [`Server`] at `to` until one is answered, and returns the address that the server
/// saw.
///
/// # Errors
/// No answer within `patience`.
pub fn ask(from: &Netns, to: SocketAddrV4, patience: Patience) -> anyhow::Result<SocketAddrV4> {
    let socket = from.run(|| UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)))??;
    patience
        .retry(|wait| {
            socket.set_read_timeout(Some(wait))?;
            socket.send_to(QUESTION, to)?;
            let mut answer = [0_u8; LONGEST];
            let length = socket.recv(&mut answer).context("no answer")?;
            Ok(String::from_utf8_lossy(&answer[..length]).parse()?)
        })
        .with_context(|| format!("udp from {} to {to}", from.name()))
}

/// Sends one datagram from `from` with the source address `source`, which need not be one of its own. Whether it
/// arrives, the [`Server`] knows; its answer goes to whoever has `source`.
///
/// # Errors
/// The kernel did not even send it.
pub fn send_as(from: &Netns, source: Ipv4Addr, to: SocketAddrV4) -> anyhow::Result<()> {
    let socket = from.run(|| foreign(source))??;
    socket
        .send_to(QUESTION, to)
        .with_context(|| format!("udp from {} as {source}", from.name()))?;
    Ok(())
}

/// A socket bound to an address that the namespace does not have: only a transparent one also routes from it.
fn foreign(source: Ipv4Addr) -> anyhow::Result<UdpSocket> {
    let socket: OwnedFd = socket(
        AddressFamily::Inet,
        SockType::Datagram,
        SockFlag::SOCK_CLOEXEC,
        None,
    )?;
    setsockopt(&socket, sockopt::IpTransparent, &true)?;
    bind(
        socket.as_raw_fd(),
        &SockaddrIn::from(SocketAddrV4::new(source, 0)),
    )?;
    Ok(UdpSocket::from(socket))
}
