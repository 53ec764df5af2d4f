//! What a node's daemon serves by HTTP, as somebody on the node reads it.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, ensure};

use crate::netns::Netns;

/// Where the daemon serves its metrics.
pub const METRICS: u16 = 61678;

/// How long an answer may take, on a machine with much to do.
const PATIENCE: Duration = Duration::from_secs(15);

/// GET from within the node: status and body.
///
/// # Errors
/// Nobody listens, or what comes is no HTTP.
pub fn get(
    netns: &Netns,
    address: Ipv4Addr,
    port: u16,
    path: &str,
) -> anyhow::Result<(u16, String)> {
    let fetch = || -> anyhow::Result<String> {
        let mut stream = TcpStream::connect_timeout(&SocketAddr::from((address, port)), PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nHost: node\r\nConnection: close\r\n\r\n"
        )?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    };
    let answer = netns.run(fetch)??;
    let (head, body) = answer.split_once("\r\n\r\n").context("no HTTP")?;
    let status = head.split(' ').nth(1).context("no status")?.parse()?;
    Ok((status, body.to_owned()))
}

/// What `/metrics` on the node's address says.
///
/// # Errors
/// As [`get`], or another status than 200.
pub fn scrape(netns: &Netns, address: Ipv4Addr) -> anyhow::Result<String> {
    let (status, text) = get(netns, address, METRICS, "/metrics")?;
    ensure!(status == 200, "{status}: {text}");
    Ok(text)
}

/// One sample, by its name and labels as they are written; 0 if it is not there.
///
/// # Errors
/// It is no number.
pub fn sample(text: &str, series: &str) -> anyhow::Result<f64> {
    let value = |line: &str| {
        line.strip_prefix(series)?
            .strip_prefix(' ')
            .map(str::to_owned)
    };
    let found = text.lines().find_map(value);
    Ok(found.map_or(Ok(0.0), |value| value.parse())?)
}
