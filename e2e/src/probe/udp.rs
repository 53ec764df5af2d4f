//! UDP to a server that answers each datagram with the address it came from.

use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::Context;

use super::Patience;
use crate::netns::Netns;

/// How often a server looks whether it is to stop.
const STOP_CHECK: Duration = Duration::from_millis(50);

/// The longest "address:port".
const LONGEST: usize = 64;

/// A UDP server inside a namespace; stops when dropped.
#[derive(Debug)]
pub struct Server {
    port: u16,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
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
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || serve(&socket, &stopped));
        Ok(Self {
            port,
            stop,
            thread: Some(thread),
        })
    }

    /// The port that it listens on.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // a server that panicked has already failed its clients
            let _ = thread.join();
        }
    }
}

fn serve(socket: &UdpSocket, stop: &AtomicBool) {
    let mut datagram = [0_u8; LONGEST];
    while !stop.load(Ordering::Relaxed) {
        if let Ok((_, peer)) = socket.recv_from(&mut datagram) {
            // a lost answer is asked for again by the client
            let _ = socket.send_to(peer.to_string().as_bytes(), peer);
        }
    }
}

/// Sends a datagram from `from` to a [`Server`] at `to` and returns the address that the server saw.
///
/// # Errors
/// No answer within `patience`.
pub fn ask(from: &Netns, to: SocketAddrV4, patience: Patience) -> anyhow::Result<SocketAddrV4> {
    let socket = from.run(|| UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)))??;
    socket.connect(to)?;
    patience
        .retry(|wait| {
            socket.set_read_timeout(Some(wait))?;
            socket.send(b"who am i")?;
            let mut answer = [0_u8; LONGEST];
            let length = socket.recv(&mut answer)?;
            Ok(String::from_utf8_lossy(&answer[..length]).parse()?)
        })
        .with_context(|| format!("udp from {} to {to}", from.name()))
}
