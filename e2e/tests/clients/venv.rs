//! The Python environment with the clients that others wrote: `scripts/clients` makes it.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, bail};

/// The environment's python; none where it cannot be made (no network) and `CI` is not set.
pub fn python() -> anyhow::Result<Option<PathBuf>> {
    let script = root().join("scripts/clients");
    // what it says while it installs goes to the test's own output
    let made = Command::new(&script)
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("run {}", script.display()))?;
    if made.status.success() {
        let path = String::from_utf8(made.stdout)?;
        return Ok(Some(PathBuf::from(path.trim())));
    }
    if std::env::var_os("CI").is_some() {
        bail!(
            "{} failed ({}), and CI is set",
            script.display(),
            made.status
        );
    }
    eprintln!(
        "skipped: {} failed ({}): is there a network?",
        script.display(),
        made.status
    );
    Ok(None)
}

/// The repository.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// A script of ours.
pub fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("clients")
        .join(name)
}

/// Runs a program to its end with credentials that name nobody, and no other settings of the caller's for AWS.
pub fn credentials(command: &mut Command) -> &mut Command {
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("AWS_") {
            command.env_remove(name);
        }
    }
    command
        .env("AWS_ACCESS_KEY_ID", "mock")
        .env("AWS_SECRET_ACCESS_KEY", "mock")
        .env("AWS_REGION", "us-west-2")
        .env("AWS_DEFAULT_REGION", "us-west-2")
}
