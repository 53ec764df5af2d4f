//! `ip`, run in the thread's namespace, without anything of the environment.

use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};

use nix::net::if_::if_nametoindex;
use serde_json::Value;

use crate::failure::Failure;

/// Where distributions put it; PATH is not to matter.
const PLACES: [&str; 4] = ["/usr/sbin/ip", "/sbin/ip", "/usr/bin/ip", "/bin/ip"];

/// Runs `ip ARGS` and returns what it printed.
pub fn ip(args: &[&str]) -> Result<String, Failure> {
    let mut command = Command::new(place());
    let output = command
        .args(args)
        .env_clear()
        .stdin(Stdio::null())
        .current_dir("/")
        .output()?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let stderr = String::from_utf8_lossy(&output.stderr);
    Err(Failure::new(101, format!("ip {}", args.join(" ")))
        .details(stderr.trim().replace('\n', " ")))
}

/// Runs commands of `ip` one after another, up to the first that fails.
pub fn batch(lines: &[String]) -> Result<(), Failure> {
    let mut command = Command::new(place());
    command.args(["-batch", "-"]).env_clear().current_dir("/");
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let mut child = command.spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all((lines.join("\n") + "\n").as_bytes())?;
    }
    let output = child.wait_with_output()?;
    if output.status.success() {
        return Ok(());
    }
    let stderr = String::from_utf8_lossy(&output.stderr);
    Err(Failure::new(101, "ip -batch").details(stderr.trim().replace('\n', " ")))
}

fn place() -> &'static str {
    let there = PLACES
        .iter()
        .find(|place| std::path::Path::new(place).exists());
    there.unwrap_or(&PLACES[0])
}

/// Runs `ip -json ARGS` and returns the entries.
pub fn json(args: &[&str]) -> Result<Vec<Value>, Failure> {
    let text = ip(&[&["-json"], args].concat())?;
    let entries: Vec<Value> = serde_json::from_str(&text).unwrap_or_default();
    Ok(entries
        .into_iter()
        .filter(|entry| entry.as_object().is_some_and(|o| !o.is_empty()))
        .collect())
}

/// The link `name` with its addresses.
pub fn link(name: &str) -> Result<Option<Value>, Failure> {
    Ok(json(&["addr", "show"])?
        .into_iter()
        .find(|link| link["ifname"] == name))
}

/// Whether there is a link `name`: by one system call, which is asked more often than anything else.
pub fn is_there(name: &str) -> bool {
    if_nametoindex(name).is_ok()
}

/// Whether there is a default route of the family of `dst`, in the files where the kernel lists routes.
pub fn has_default_like(dst: &str) -> bool {
    let list = |file: &str| {
        fs::read_to_string(format!("/proc/thread-self/net/{file}")).unwrap_or_default()
    };
    if dst.contains(':') {
        // destination, its length, and so on; the kernel's own that refuse everything are on lo
        let is_default = |line: &str| line.starts_with(&"0".repeat(32)) && !line.ends_with(" lo");
        list("ipv6_route").lines().any(is_default)
    } else {
        // Iface Destination Gateway Flags RefCnt Use Metric Mask
        let is_default = |line: &str| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            fields.get(1) == Some(&"00000000") && fields.get(7) == Some(&"00000000")
        };
        list("route").lines().any(is_default)
    }
}

/// Deletes the link `name`; none being there is fine.
pub fn delete(name: &str) -> Result<(), Failure> {
    if !is_there(name) {
        return Ok(());
    }
    match ip(&["link", "del", "dev", name]) {
        Err(error) if is_there(name) => Err(error),
        _ => Ok(()),
    }
}
