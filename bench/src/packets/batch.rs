//! Many commands to the kernel in one process, and how many rules stand afterwards.

use std::io::Write;
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};
use e2e::netns::{Netns, output};
use serde_json::Value;

/// Runs `lines` through `ip -batch -` in `netns`; it stops at the first that fails.
///
/// # Errors
/// One failed; `ip` says which.
pub fn batch(netns: &Netns, lines: &str) -> anyhow::Result<()> {
    feed(netns.command("ip").args(["-batch", "-"]), lines)
}

/// Gives `input` to a program.
///
/// # Errors
/// It cannot be started, or failed; its words are included.
pub fn feed(command: &mut Command, input: &str) -> anyhow::Result<()> {
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let mut child = command
        .spawn()
        .with_context(|| format!("cannot start {command:?}"))?;
    let stdin = child.stdin.take();
    let written = stdin.map_or(Ok(()), |mut stdin| stdin.write_all(input.as_bytes()));
    let output = child.wait_with_output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command:?}: {}", said.trim());
    // One that ended well has read everything.
    Ok(written?)
}

/// How many rules stand: those that a packet's route is chosen by (`ip rule`), and those of netfilter.
///
/// # Errors
/// `ip` or `nft` failed.
pub fn count_rules(netns: &Netns) -> anyhow::Result<(usize, usize)> {
    let rules = netns.ip(&["-4", "rule", "show"])?.lines().count();
    let listed = output(netns.command("nft").args(["-j", "list", "ruleset"]))?;
    let listed: Value = serde_json::from_str(&listed)?;
    let objects = listed["nftables"].as_array().into_iter().flatten();
    let filters = objects.filter(|object| object.get("rule").is_some());
    Ok((rules, filters.count()))
}
