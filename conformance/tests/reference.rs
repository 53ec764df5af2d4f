//! The suite against plugins that others wrote: Debian's, whose known departures are listed with their reasons. What they
//! do besides must pass, and what is listed must fail, or the suite or the list is wrong.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;
use std::process::Command;

use anyhow::ensure;
use conformance::netns::require_netns;

const PLUGINS: &str = "/usr/lib/cni";
/// Cases at once: much of one is waiting for the kernel.
const JOBS: &str = "6";

fn try_plugin(plugin: &str, conf: &str, description: &str, mode: &str) -> anyhow::Result<()> {
    let binary = Path::new(PLUGINS).join(plugin);
    if !binary.is_file() {
        ensure!(
            std::env::var_os("CI").is_none(),
            "containernetworking-plugins is required when CI is set"
        );
        eprintln!(
            "skipped: no {} (apt-get install containernetworking-plugins)",
            binary.display()
        );
        return Ok(());
    }
    if !require_netns()? {
        return Ok(());
    }
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("reference");
    let output = Command::new(env!("CARGO_BIN_EXE_conformance"))
        .arg("run")
        .arg("--plugin")
        .arg(&binary)
        .arg("--conf")
        .arg(data.join(conf))
        .arg("--description")
        .arg(data.join(description))
        .arg("--expect")
        .arg(data.join(format!("{plugin}.expected.json")))
        .args(["--mode", mode, "--jobs", JOBS])
        .output()?;
    let printed = String::from_utf8_lossy(&output.stdout);
    let said = String::from_utf8_lossy(&output.stderr);
    // what failed, and the sums: the report has them last
    let from = printed.find("\nFAIL").unwrap_or_default();
    ensure!(
        output.status.success(),
        "{said}\n{plugin}: {}{}",
        output.status,
        &printed[from..]
    );
    Ok(())
}

#[test]
fn ptp() -> anyhow::Result<()> {
    try_plugin("ptp", "ptp.conf", "host-local.json", "creating")
}

#[test]
fn bridge() -> anyhow::Result<()> {
    try_plugin("bridge", "bridge.conf", "host-local.json", "creating")
}

#[test]
fn portmap() -> anyhow::Result<()> {
    try_plugin("portmap", "portmap.conflist", "behind-ptp.json", "chained")
}

#[test]
fn tuning() -> anyhow::Result<()> {
    try_plugin("tuning", "tuning.conflist", "behind-ptp.json", "chained")
}

#[test]
fn bandwidth() -> anyhow::Result<()> {
    try_plugin(
        "bandwidth",
        "bandwidth.conflist",
        "behind-ptp.json",
        "chained",
    )
}
