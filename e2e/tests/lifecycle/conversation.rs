//! A TCP connection that stays open while something happens, and must go on afterwards.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use anyhow::{Context, ensure};
use e2e::netns::Netns;

/// What TCP takes to repeat itself after the way was cut for a second or two.
const PATIENCE: Duration = Duration::from_secs(15);

/// The client's end; the other one repeats each word until this one is closed.
pub struct Conversation {
    stream: TcpStream,
    /// Whom the other end speaks to.
    pub seen_as: Ipv4Addr,
}

impl Conversation {
    /// Opens one from `from` to `address`, which is in the namespace `to`.
    pub fn open(from: &Netns, to: &Netns, address: Ipv4Addr) -> anyhow::Result<Self> {
        let listener = to.run(|| TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)))??;
        let to = SocketAddr::from((address, listener.local_addr()?.port()));
        let answering = thread::spawn(move || -> anyhow::Result<Ipv4Addr> {
            let (stream, peer) = listener.accept()?;
            thread::spawn(move || echo(stream));
            let SocketAddr::V4(peer) = peer else {
                anyhow::bail!("{peer} is no IPv4 address")
            };
            Ok(*peer.ip())
        });
        let stream = from.run(|| TcpStream::connect_timeout(&to, PATIENCE))??;
        stream.set_read_timeout(Some(PATIENCE))?;
        let seen_as = answering.join().expect("the server panicked")?;
        Ok(Self { stream, seen_as })
    }

    /// Says something and waits until it comes back.
    pub fn goes_on(&mut self) -> anyhow::Result<()> {
        let mut heard = [0; 4];
        self.stream.write_all(b"word")?;
        let read = self.stream.read_exact(&mut heard);
        read.context("the connection does not go on")?;
        ensure!(&heard == b"word", "heard {heard:?}");
        Ok(())
    }
}

fn echo(mut stream: TcpStream) {
    let mut word = [0; 4];
    // Ends with the connection.
    while stream.read_exact(&mut word).is_ok() && stream.write_all(&word).is_ok() {}
}
