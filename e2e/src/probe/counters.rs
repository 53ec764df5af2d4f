//! What a link has carried.

use anyhow::Context;
use serde_json::Value;

use crate::netns::Netns;

/// Packets through one link since it exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packets {
    /// Received by the link.
    pub rx: u64,
    /// Sent by the link.
    pub tx: u64,
}

/// Reads the counters of `link` in `netns`.
///
/// # Errors
/// There is no such link, or `ip` printed something else than counters.
pub fn packets(netns: &Netns, link: &str) -> anyhow::Result<Packets> {
    let text = netns.ip(&["-j", "-s", "link", "show", "dev", link])?;
    let links: Value = serde_json::from_str(&text).context("ip -j -s link printed no JSON")?;
    let count = |way: &str| links[0]["stats64"][way]["packets"].as_u64();
    match (count("rx"), count("tx")) {
        (Some(rx), Some(tx)) => Ok(Packets { rx, tx }),
        _ => anyhow::bail!("no counters of {link} in {}: {text}", netns.name()),
    }
}
