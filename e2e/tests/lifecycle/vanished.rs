//! Files of the daemon that somebody removes or breaks while it runs: its socket, its run directory, tombstones.

use std::fs;

use anyhow::{Context, ensure};
use e2e::cluster::DAEMON_PATIENCE;
use e2e::node::pod::Pod;

use crate::fixture::{M5_LARGE, SOON, add_pods, answer, config, eventually, logged, start};

#[test]
fn a_removed_socket_and_removed_tombstones_come_back() -> anyhow::Result<()> {
    let Some(cluster) = start(config("nosocket"), M5_LARGE, 1, &[])? else {
        return Ok(());
    };
    let member = &cluster.members[0];
    let mut pods = add_pods(member, "old", 1)?;
    fs::remove_file(member.node.socket())?;
    // The plugin tries for some seconds, as after a restart.
    pods.push(member.node.add_pod("next", &[])?);
    fs::remove_dir_all(member.node.tombstones())?;
    fs::remove_file(member.node.socket())?;
    pods.push(member.node.add_pod("last", &[])?);
    answer(member, &pods)?;
    let warned = logged(&member.node, "WARN")?;
    ensure!(
        warned
            .iter()
            .any(|line| line.to_string().contains("took the socket away"))
    );
    // Its tombstones are read again as well: a DEL without a daemon is made up for by the next one.
    member.node.kill_daemon()?;
    let gone = pods.pop().context("three pods")?;
    let address = gone.address;
    member.node.del_pod(gone)?;
    member.node.start_daemon(DAEMON_PATIENCE)?;
    eventually("the DEL is made up for", SOON, || {
        let known = member.node.status()?.attachments;
        ensure!(
            known.iter().all(|known| known.address != address),
            "{known:?}"
        );
        Ok(())
    })?;
    answer(member, &pods)
}

#[test]
fn a_corrupt_tombstone_keeps_no_other_from_being_replayed() -> anyhow::Result<()> {
    let Some(cluster) = start(config("tombs"), M5_LARGE, 1, &[])? else {
        return Ok(());
    };
    let member = &cluster.members[0];
    let mut pods = add_pods(member, "pod", 2)?;
    let dead: Pod = pods.pop().context("two pods")?;
    member.node.kill_daemon()?;
    let address = dead.address;
    member.node.del_pod(dead)?;
    let tombstones = member.node.tombstones();
    fs::write(tombstones.join("0-first"), b"\x00\xffnot a request")?;
    fs::write(tombstones.join("zz-empty"), b"")?;
    fs::create_dir(tombstones.join("a-directory"))?;
    member.node.start_daemon(DAEMON_PATIENCE)?;
    eventually("the good one is replayed", SOON, || {
        let known = member.node.status()?.attachments;
        ensure!(
            known.iter().all(|known| known.address != address),
            "{known:?}"
        );
        let mut left = Vec::new();
        for entry in fs::read_dir(&tombstones)? {
            left.push(entry?.file_name().to_string_lossy().into_owned());
        }
        ensure!(
            left.len() == 3 && left.iter().all(|name| name.contains("~bad")),
            "{left:?}"
        );
        Ok(())
    })?;
    ensure!(
        logged(&member.node, "ERROR")?.len() == 3,
        "each is told once"
    );
    answer(member, &pods)
}
