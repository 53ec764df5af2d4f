//! How long an answer takes through an idle node: over an open TCP connection, and to a ping.
//!
//! Both ends stay on one processor, so that the way is measured and not how long an idle processor takes to wake.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::ensure;
use e2e::netns::output;

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

/// Round trips of `count` pings, each sent once the one before was answered; to the microsecond, as ping(8) prints them.
///
/// # Errors
/// `ping` failed, or one was not answered.
pub fn ping(from: End<'_>, to: End<'_>, count: usize) -> anyhow::Result<Vec<Duration>> {
    let mut command = from.netns.command("ping");
    // -A: the next one as soon as the last one is answered
    command.args(["-n", "-A", "-w", "10", "-c", &count.to_string()]);
    command.arg(to.address.to_string());
    let pinging = move || {
        stay_on(Processor::First)?;
        output(&mut command)
    };
    let printed = thread::scope(|scope| scope.spawn(pinging).join());
    let printed = printed.map_err(|_| anyhow::anyhow!("ping's thread panicked"))??;
    let times: Vec<Duration> = printed.lines().filter_map(time_of).collect();
    ensure!(
        times.len() == count,
        "{} of {count} pings were answered",
        times.len()
    );
    Ok(times)
}

/// `64 bytes from 10.0.1.9: icmp_seq=1 ttl=63 time=0.021 ms`
fn time_of(line: &str) -> Option<Duration> {
    let milliseconds: f64 = line
        .split_once("time=")?
        .1
        .strip_suffix(" ms")?
        .parse()
        .ok()?;
    Some(Duration::from_secs_f64(milliseconds / 1e3))
}
