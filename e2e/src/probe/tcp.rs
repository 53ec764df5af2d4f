//! TCP to a server that tells each client which address it saw.

use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, SockaddrIn, bind, connect, setsockopt, socket, sockopt,
};
use nix::sys::time::{TimeVal, TimeValLike};

use super::Patience;
use crate::netns::Netns;

/// How often a server looks whether it is to stop.
const STOP_CHECK: Duration = Duration::from_millis(20);

/// What a client asks with; the server repeats it in front of the client's address.
const QUESTION: &str = "who am i";

/// A TCP server inside a namespace; stops when dropped.
#[derive(Debug)]
pub struct Server {
    address: SocketAddrV4,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Listens on `port` of every address of `netns`; port 0 takes a free one.
    ///
    /// # Errors
    /// The namespace cannot be entered or the port is taken.
    pub fn start(netns: &Netns, port: u16) -> anyhow::Result<Self> {
        let listener = netns
            .run(|| TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)))?
            .with_context(|| format!("cannot listen on port {port} in {}", netns.name()))?;
        listener.set_nonblocking(true)?;
        let SocketAddr::V4(address) = listener.local_addr()? else {
            anyhow::bail!("the listener has no IPv4 address");
        };
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || serve(&listener, &stopped));
        Ok(Self {
            address,
            stop,
            thread: Some(thread),
        })
    }

    /// The port that it listens on.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.address.port()
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

fn serve(listener: &TcpListener, stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        match listener.accept() {
            Ok((stream, peer)) => {
                // the client sees a failure as its own: nobody else is to be told
                thread::spawn(move || answer(stream, peer));
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => thread::sleep(STOP_CHECK),
            Err(_) => thread::sleep(STOP_CHECK),
        }
    }
}

fn answer(mut stream: TcpStream, peer: SocketAddr) -> std::io::Result<()> {
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(Patience::USUAL.wait))?;
    let mut question = String::new();
    BufReader::new(stream.try_clone()?).read_line(&mut question)?;
    stream.write_all(format!("{} {peer}\n", question.trim_end()).as_bytes())
}

/// Connects from `from` to a [`Server`] at `to` and returns the address that the server saw.
///
/// # Errors
/// No connection or no proper answer within `patience`.
pub fn ask(from: &Netns, to: SocketAddrV4, patience: Patience) -> anyhow::Result<SocketAddrV4> {
    ask_as(from, None, to, patience)
}

/// As [`ask`] with the source address `source`, which the namespace must have.
///
/// # Errors
/// As [`ask`].
pub fn ask_as(
    from: &Netns,
    source: Option<Ipv4Addr>,
    to: SocketAddrV4,
    patience: Patience,
) -> anyhow::Result<SocketAddrV4> {
    patience
        .retry(|wait| from.run(|| attempt(source, to, wait))?)
        .with_context(|| format!("tcp from {} to {to}", from.name()))
}

fn attempt(
    source: Option<Ipv4Addr>,
    to: SocketAddrV4,
    wait: Duration,
) -> anyhow::Result<SocketAddrV4> {
    let socket = socket(
        AddressFamily::Inet,
        SockType::Stream,
        SockFlag::SOCK_CLOEXEC,
        None,
    )?;
    // connect(2) keeps the send timeout
    let limit = TimeVal::milliseconds(i64::try_from(wait.as_millis())?);
    setsockopt(&socket, sockopt::SendTimeout, &limit)?;
    if let Some(source) = source {
        bind(
            socket.as_raw_fd(),
            &SockaddrIn::from(SocketAddrV4::new(source, 0)),
        )?;
    }
    match connect(socket.as_raw_fd(), &SockaddrIn::from(to)) {
        // how connect(2) says that the send timeout has passed
        Err(Errno::EINPROGRESS) => bail!("no answer to connect within {wait:?}"),
        connected => connected.context("connect")?,
    }
    let mut stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(wait))?;
    stream
        .write_all(format!("{QUESTION}\n").as_bytes())
        .context("send")?;
    let mut line = String::new();
    BufReader::new(stream)
        .read_line(&mut line)
        .context("receive")?;
    let seen = line.strip_prefix(QUESTION).map(str::trim);
    ensure!(
        seen.is_some_and(|seen| !seen.is_empty()),
        "the server answered {line:?}"
    );
    seen.unwrap_or_default()
        .parse()
        .with_context(|| format!("the server answered {line:?}"))
}
