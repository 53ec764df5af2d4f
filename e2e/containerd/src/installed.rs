//! Whether this machine has what it takes. Nothing is installed here: `scripts/setup` does.

use std::path::Path;

use anyhow::bail;
use e2e::netns::require_netns;
use e2e::node::programs::DEBIAN_PLUGINS;

use crate::image::BUSYBOX;

/// What Debian's plugins of the chain are called; containerd itself runs `loopback` in each sandbox.
pub(crate) const PLUGINS: [&str; 3] = ["loopback", "portmap", "bandwidth"];

/// The programs of the packages containerd and runc.
const PROGRAMS: [&str; 4] = ["containerd", "containerd-shim-runc-v2", "ctr", "runc"];

/// Whether a [`crate::bed::Bed`] can be made here: `false` after printing why not.
///
/// # Errors
/// It cannot, and the environment variable `CI` is set.
pub fn available() -> anyhow::Result<bool> {
    Ok(require_netns()? && is_installed()?)
}

/// Whether containerd, runc, busybox and the plugins are there: `false` after printing what is missing.
fn is_installed() -> anyhow::Result<bool> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let in_path = |name: &str| std::env::split_paths(&path).any(|dir| dir.join(name).is_file());
    let mut missing: Vec<&str> = PROGRAMS.into_iter().filter(|name| !in_path(name)).collect();
    missing.extend(
        [BUSYBOX]
            .into_iter()
            .filter(|path| !Path::new(path).is_file()),
    );
    let is_missing = |name: &&str| !Path::new(DEBIAN_PLUGINS).join(name).is_file();
    missing.extend(PLUGINS.into_iter().filter(is_missing));
    if missing.is_empty() {
        return Ok(true);
    }
    let reason = format!("not installed: {} (scripts/setup)", missing.join(", "));
    if std::env::var_os("CI").is_some() {
        bail!("a container runtime is required when CI is set: {reason}");
    }
    eprintln!("skipped: {reason}");
    Ok(false)
}
