//! The one image of the tests, made here: a static busybox in a `docker save` archive, which `ctr images import` reads.
//!
//! It serves as pause image too: its entry point sleeps. Nothing is pulled.

use std::fs::{self, File};
use std::path::Path;

use anyhow::Context;
use serde_json::json;
use sha2::{Digest, Sha256};

/// Name and tag. A host that no registry has: a pull would fail, so the tests see that none is tried.
pub const IMAGE: &str = "berth.invalid/busybox:1";

/// Debian's busybox-static.
pub const BUSYBOX: &str = "/bin/busybox";

/// Writes the archive to `path`.
///
/// # Errors
/// busybox is not there, or the archive cannot be written.
pub fn write(path: &Path) -> anyhow::Result<()> {
    let busybox = fs::read(BUSYBOX).with_context(|| format!("cannot read {BUSYBOX}"))?;
    let layer = layer(&busybox)?;
    let config = json!({
        "architecture": if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" },
        "os": "linux",
        "config": {"Entrypoint": ["/busybox", "sleep", "2147483647"], "Env": ["PATH=/"]},
        "rootfs": {"type": "layers", "diff_ids": [format!("sha256:{}", hex(&layer))]},
    })
    .to_string();
    let config_name = format!("{}.json", hex(config.as_bytes()));
    let manifest = json!([
        {"Config": config_name, "RepoTags": [IMAGE], "Layers": ["layer.tar"]}
    ])
    .to_string();
    let mut archive = tar::Builder::new(File::create(path)?);
    for (name, content) in [
        (config_name.as_str(), config.as_bytes()),
        ("layer.tar", &layer),
        ("manifest.json", manifest.as_bytes()),
    ] {
        append(&mut archive, name, 0o644, content)?;
    }
    archive.into_inner()?.sync_all()?;
    Ok(())
}

/// A root file system with nothing but busybox and the directories that runc mounts on.
fn layer(busybox: &[u8]) -> anyhow::Result<Vec<u8>> {
    let mut layer = tar::Builder::new(Vec::new());
    for name in ["dev", "etc", "proc", "sys", "tmp"] {
        let mut header = tar::Header::new_ustar();
        header.set_entry_type(tar::EntryType::Directory);
        header.set_mode(0o755);
        header.set_size(0);
        layer.append_data(&mut header, name, &[][..])?;
    }
    append(&mut layer, "busybox", 0o755, busybox)?;
    Ok(layer.into_inner()?)
}

fn append<W: std::io::Write>(
    archive: &mut tar::Builder<W>,
    name: &str,
    mode: u32,
    content: &[u8],
) -> anyhow::Result<()> {
    let mut header = tar::Header::new_ustar();
    header.set_mode(mode);
    header.set_size(content.len().try_into()?);
    Ok(archive.append_data(&mut header, name, content)?)
}

fn hex(content: &[u8]) -> String {
    let digest = Sha256::digest(content);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}
