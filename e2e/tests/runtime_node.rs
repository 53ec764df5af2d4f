//! The node fixture: pods come and go through a chain of Debian's plugins, and a daemon's process is looked after.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use e2e::netns::snapshot::Snapshot;
use e2e::netns::{Netns, require_netns};
use e2e::node::Node;
use e2e::node::daemon::Daemon;
use e2e::node::programs::DEBIAN_PLUGINS;
use e2e::probe::{Patience, ping};
use e2e::runtime::attachment::PortMapping;
use e2e::runtime::failure::ChainFailure;
use serde_json::{Value, json};

fn installed() -> anyhow::Result<bool> {
    if Path::new(DEBIAN_PLUGINS).join("portmap").is_file() {
        return require_netns();
    }
    anyhow::ensure!(
        std::env::var_os("CI").is_none(),
        "containernetworking-plugins is required when CI is set"
    );
    eprintln!("skipped: {DEBIAN_PLUGINS} is empty (apt-get install containernetworking-plugins)");
    Ok(false)
}

fn ptp(dir: &Path) -> Value {
    json!({"type": "ptp", "ipam": {"type": "host-local", "subnet": "10.72.0.0/24", "dataDir": dir.join("ipam")}})
}

/// As ptp leaves a host from its first pod on.
fn forwards(node: &Node) -> anyhow::Result<()> {
    node.netns().sysctl("net.ipv4.ip_forward", "1")
}

#[test]
fn pods_come_and_go() -> anyhow::Result<()> {
    if !installed()? {
        return Ok(());
    }
    let portmap = json!({"type": "portmap", "snat": true, "capabilities": {"portMappings": true}});
    let node = Node::with_chain("rtn", |dir| json!([ptp(dir), portmap]))?;
    node.use_portmap_once()?;
    forwards(&node)?;
    let before = Snapshot::take(node.netns())?;
    let first = node.add_pod("first", &[])?;
    let second = node.add_pod(
        "second",
        &[PortMapping {
            host: 30081,
            container: 80,
        }],
    )?;
    assert_ne!(first.address, second.address);
    ping::ping(node.netns(), first.address, Patience::USUAL)?;
    ping::ping(node.netns(), second.address, Patience::USUAL)?;
    let sandbox = first.netns.path().to_owned();
    node.del_pod(first)?;
    assert!(!sandbox.exists());
    node.del_pod(second)?;
    assert_eq!(before.changes(&Snapshot::take(node.netns())?), []);
    Ok(())
}

#[test]
fn an_add_that_failed_is_undone() -> anyhow::Result<()> {
    if !installed()? {
        return Ok(());
    }
    // no such sysctl: tuning fails ADD, and has nothing to do on DEL
    let tuning = json!({"type": "tuning", "sysctl": {"net.ipv4.no_such_setting": "1"}});
    let mut state = PathBuf::new();
    let node = Node::with_chain("rtn", |dir| {
        state = dir.to_owned();
        json!([ptp(dir), tuning])
    })?;
    forwards(&node)?;
    let before = Snapshot::take(node.netns())?;
    let error = node.add_pod("pod", &[]).expect_err("tuning fails");
    assert_eq!(
        error
            .downcast_ref::<ChainFailure>()
            .expect("the chain's failure")
            .plugin,
        "tuning"
    );
    assert!(error.to_string().contains("undone"), "{error:#}");
    let reserved = fs::read_dir(state.join("ipam/aws-cni"))?.flatten();
    let reserved = reserved.filter(|file| file.file_name().to_string_lossy().starts_with("10."));
    assert_eq!(reserved.count(), 0);
    assert_eq!(before.changes(&Snapshot::take(node.netns())?), []);
    drop(node);
    assert!(!state.exists());
    Ok(())
}

/// Starts a shell script in the place of berthd.
fn start(script: &str) -> anyhow::Result<(Netns, tempfile::TempDir, Daemon)> {
    let netns = Netns::unique("rtn-daemon")?;
    let dir = tempfile::tempdir()?;
    let binary = dir.path().join("berthd");
    fs::write(&binary, format!("#!/bin/sh\n{script}\n"))?;
    fs::set_permissions(&binary, fs::Permissions::from_mode(0o755))?;
    let environment = [("ONLY".to_owned(), "this".to_owned())];
    let daemon = Daemon::start(
        |command| netns.spawn(command),
        &binary,
        &environment,
        &dir.path().join("log"),
    )?;
    Ok((netns, dir, daemon))
}

#[test]
fn a_daemon_that_ends_early_is_quoted() -> anyhow::Result<()> {
    if !require_netns()? {
        return Ok(());
    }
    let (_netns, dir, mut daemon) = start("echo \"$1 $ONLY $HOME\"; echo broken >&2; exit 7")?;
    let error = daemon
        .wait_until_listening(&dir.path().join("no.sock"), Duration::from_secs(20))
        .unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("exit status: 7") && text.contains("run this \nbroken"),
        "{text}"
    );
    daemon.kill().expect_err("it has ended already");
    Ok(())
}

#[test]
fn a_daemon_is_stopped_or_killed_by_its_own_id() -> anyhow::Result<()> {
    if !require_netns()? {
        return Ok(());
    }
    let (_netns, dir, daemon) =
        start("trap 'echo bye; exit 0' TERM; echo up; while :; do sleep 0.05; done")?;
    while !fs::read_to_string(dir.path().join("log"))?.contains("up") {
        std::thread::sleep(Duration::from_millis(10));
    }
    daemon.terminate(Duration::from_secs(20))?;
    assert_eq!(fs::read_to_string(dir.path().join("log"))?, "up\nbye\n");
    let (_netns, _dir, daemon) = start("trap '' TERM; exec sleep 600")?;
    daemon.kill()?;
    Ok(())
}
