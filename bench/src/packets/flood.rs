//! Small datagrams one way, as fast as one thread can send them, and how many of them arrived.
//!
//! A veth hands a packet to the softirq of the sending processor, so each `send` carries its datagram through all
//! namespaces into the receiver's queue before it returns: nothing is dropped on the way, and the sender's time is the
//! packet's. The receiver polls on another processor; one that slept would have the sender pay for waking it.

use std::io::ErrorKind;
use std::net::UdpSocket;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use nix::sys::socket::{setsockopt, sockopt};

use super::path::{End, Processor, stay_on};

/// Bytes of payload of each datagram.
pub const PAYLOAD: usize = 64;
/// How many are sent between two looks at the clock.
const BATCH: u64 = 64;
/// For some 20,000 datagrams: what comes while the receiver is not scheduled for some 30 ms.
const RECEIVE_BUFFER: usize = 16 << 20;

/// What one flood came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flood {
    /// Datagrams that were read.
    pub received: u64,
    /// How long they were sent.
    pub elapsed: Duration,
}

impl Flood {
    /// The time that one received datagram took.
    #[must_use]
    pub fn each(&self) -> Duration {
        self.elapsed.div_f64(self.received.max(1) as f64)
    }
}

/// Sends from one end to the other for `lasting`.
///
/// # Errors
/// A socket cannot be made, or nothing arrived.
pub fn flood(from: End<'_>, to: End<'_>, lasting: Duration) -> anyhow::Result<Flood> {
    let receiver = to.netns.run(|| UdpSocket::bind(to.at(0)))??;
    receiver.set_nonblocking(true)?;
    // needs CAP_NET_ADMIN; the limit for everybody else is the machine's, which is not ours to change
    setsockopt(&receiver, sockopt::RcvBufForce, &RECEIVE_BUFFER).context("SO_RCVBUFFORCE")?;
    let port = receiver.local_addr()?.port();
    let sender = from.netns.run(|| UdpSocket::bind(from.at(0)))??;
    sender.connect(to.at(port))?;
    let sent_all = AtomicBool::new(false);
    let (elapsed, received) = thread::scope(|scope| {
        let receiving = scope.spawn(|| receive(&receiver, &sent_all));
        let sending = scope.spawn(|| {
            let elapsed = send(&sender, lasting);
            sent_all.store(true, Ordering::Release);
            elapsed
        });
        let panicked = |_| anyhow::anyhow!("a thread of the flood panicked");
        let elapsed = sending.join().map_err(panicked)??;
        anyhow::Ok((elapsed, receiving.join().map_err(panicked)??))
    })?;
    ensure!(received > 0, "nothing sent to {} arrived", to.at(port));
    Ok(Flood { received, elapsed })
}

fn send(socket: &UdpSocket, lasting: Duration) -> anyhow::Result<Duration> {
    stay_on(Processor::First)?;
    let datagram = [0_u8; PAYLOAD];
    let start = Instant::now();
    while start.elapsed() < lasting {
        for _ in 0..BATCH {
            socket.send(&datagram)?;
        }
    }
    Ok(start.elapsed())
}

/// Reads until the sender has stopped and nothing is left.
fn receive(socket: &UdpSocket, sent_all: &AtomicBool) -> anyhow::Result<u64> {
    stay_on(Processor::Last)?;
    let mut datagram = [0_u8; PAYLOAD];
    let mut received = 0;
    loop {
        let last_look = sent_all.load(Ordering::Acquire);
        match socket.recv(&mut datagram) {
            Ok(_) => received += 1,
            Err(error) if error.kind() != ErrorKind::WouldBlock => return Err(error.into()),
            Err(_) if last_look => return Ok(received),
            Err(_) => std::hint::spin_loop(),
        }
    }
}
