//! ICMP echo by `ping`.

use std::net::Ipv4Addr;

use anyhow::{Context, bail};

use super::Patience;
use crate::netns::Netns;

/// Pings `to` from `from`.
///
/// # Errors
/// No answer within `patience`; what `ping` said is included.
pub fn ping(from: &Netns, to: Ipv4Addr, patience: Patience) -> anyhow::Result<()> {
    ping_as(from, None, to, patience)
}

/// Pings `to` from `from` with the source address `source`, which the namespace must have.
///
/// # Errors
/// As [`ping`].
pub fn ping_as(
    from: &Netns,
    source: Option<Ipv4Addr>,
    to: Ipv4Addr,
    patience: Patience,
) -> anyhow::Result<()> {
    patience.retry(|wait| {
        let mut command = from.command("ping");
        command
            .args(["-n", "-q", "-c1", "-W"])
            .arg(wait.as_secs().max(1).to_string());
        if let Some(source) = source {
            command.args(["-I", &source.to_string()]);
        }
        let output = command
            .arg(to.to_string())
            .output()
            .context("cannot start ping")?;
        match output.status.code() {
            Some(0) => Ok(()),
            // ping(8): 1 means that no reply came
            Some(1) => bail!("no answer"),
            _ => bail!("{}", String::from_utf8_lossy(&output.stderr).trim()),
        }
    })
}
