//! How long an answer takes through an idle node: over an open TCP connection, and to a ping.
//!
//! Both ends stay on one processor, so that the way is measured and not how long an idle processor takes to wake.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use nix::sys::socket::{AddressFamily, SockFlag, SockProtocol, SockType, socket};

use super::flood::PAYLOAD;
use super::path::{End, Processor, stay_on};

/// What an answer may take at most before the path counts as broken.
const BROKEN: Duration = Duration::from_secs(5);

/// Round trips of `count` requests over one TCP connection to a server at `to`; each is 64 bytes, and so is its answer.
///
/// # Errors
/// No connection, or it broke.
pub fn tcp(from: End<'_>, to: End<'_>, count: usize) -> anyhow::Result<Vec<Duration>> {
    let listener = to.netns.run(|| TcpListener::bind(to.at(0)))??;
    let address = listener.local_addr()?;
    let client = from
        .netns
        .run(|| TcpStream::connect_timeout(&address, BROKEN))??;
    // does not wait: the connection stands
    let (server, _) = listener.accept()?;
    for stream in [&client, &server] {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(BROKEN))?;
    }
    thread::scope(|scope| {
        let echoing = scope.spawn(move || echo(server, count));
        let asking = scope.spawn(move || ask(client, count));
        let panicked = |_| anyhow::anyhow!("an end of the connection panicked");
        let asked = asking.join().map_err(panicked)?;
        echoing.join().map_err(panicked)?.and(asked)
    })
}

fn ask(mut stream: TcpStream, count: usize) -> anyhow::Result<Vec<Duration>> {
    stay_on(Processor::First)?;
    let mut message = [0_u8; PAYLOAD];
    let mut times = Vec::with_capacity(count);
    for _ in 0..count {
        let start = Instant::now();
        stream.write_all(&message)?;
        stream.read_exact(&mut message)?;
        times.push(start.elapsed());
    }
    Ok(times)
}

fn echo(mut stream: TcpStream, count: usize) -> anyhow::Result<()> {
    stay_on(Processor::First)?;
    let mut message = [0_u8; PAYLOAD];
    for _ in 0..count {
        stream.read_exact(&mut message)?;
        stream.write_all(&message)?;
    }
    Ok(())
}

/// Round trips of `count` pings, each sent once the one before was answered. `ping` itself prints whole microseconds.
///
/// # Errors
/// The caller may not open raw sockets, or one was not answered.
pub fn ping(from: End<'_>, to: End<'_>, count: usize) -> anyhow::Result<Vec<Duration>> {
    let raw = || {
        let icmp = Some(SockProtocol::Icmp);
        socket(
            AddressFamily::Inet,
            SockType::Raw,
            SockFlag::SOCK_CLOEXEC,
            icmp,
        )
    };
    // Whatever the socket is of, these calls are connect(2), send(2) and recv(2); the port means nothing.
    let socket = UdpSocket::from(from.netns.run(raw)?.context("socket(SOCK_RAW)")?);
    socket.connect(to.at(0))?;
    socket.set_read_timeout(Some(BROKEN))?;
    thread::scope(|scope| {
        let pinging = scope.spawn(|| {
            stay_on(Processor::First)?;
            (0..count)
                .map(|number| echo_request(&socket, number))
                .collect()
        });
        pinging
            .join()
            .map_err(|_| anyhow::anyhow!("a ping panicked"))?
    })
}

/// RFC 792: type, code, checksum, identifier, sequence number.
fn echo_request(socket: &UdpSocket, number: usize) -> anyhow::Result<Duration> {
    const REQUEST: u8 = 8;
    let sequence = u16::try_from(number)?.to_be_bytes();
    let mut message = [0_u8; 8 + PAYLOAD];
    message[0] = REQUEST;
    message[6..8].copy_from_slice(&sequence);
    let checksum = checksum(&message).to_be_bytes();
    message[2..4].copy_from_slice(&checksum);
    let start = Instant::now();
    socket.send(&message)?;
    // with the IP header in front
    let mut packet = [0_u8; 20 + 8 + PAYLOAD];
    loop {
        let length = socket.recv(&mut packet)?;
        let elapsed = start.elapsed();
        // 0: an echo reply; the code, which is 0 as well, and the sequence number
        if length == packet.len() && packet[20..22] == [0, 0] && packet[26..28] == sequence {
            return Ok(elapsed);
        }
        ensure!(elapsed < BROKEN, "no answer to ping {number}");
    }
}

/// RFC 1071.
fn checksum(message: &[u8]) -> u16 {
    let words = message.chunks(2);
    let sum: u32 = words
        .map(|word| u32::from(word[0]) << 8 | word.get(1).map_or(0, |low| u32::from(*low)))
        .sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    !u16::try_from((folded & 0xffff) + (folded >> 16)).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::checksum;

    #[test]
    fn the_checksum_of_a_message_with_its_checksum_is_zero() {
        // the example of RFC 1071, section 3
        let words = [0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7];
        assert_eq!(checksum(&words), !0xddf2);
        assert_eq!(
            checksum(&[&words[..], &(!0xddf2_u16).to_be_bytes()].concat()),
            0
        );
    }
}
