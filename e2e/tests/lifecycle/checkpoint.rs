//! The checkpoint is garbage, cut short or gone: the pods that live keep their addresses, and nobody else gets them.

use std::fs;

use anyhow::{Context, ensure};
use e2e::cluster::{DAEMON_PATIENCE, shared_address};
use e2e::netns::snapshot::Snapshot;
use e2e::node::Node;

use crate::fixture::{
    M5_LARGE, PER_ENI, add_pods, answer, config, del_pods, eventually, leg, logged, no_pods_left,
    start,
};
use crate::watch::Watch;

/// Enough for a second ENI, with room left on it.
const PODS: usize = PER_ENI + 2;

#[test]
fn corrupt_checkpoint_keeps_live_pods() -> anyhow::Result<()> {
    without_state("corrupt", true, |node| {
        node.kill_daemon()?;
        fs::write(node.checkpoint(), b"\x00\xff{\"version\": not a checkpoint")?;
        Ok(())
    })
}

#[test]
fn truncated_checkpoint_keeps_live_pods() -> anyhow::Result<()> {
    without_state("cut", true, |node| {
        node.stop_daemon(DAEMON_PATIENCE)?;
        let text = fs::read(node.checkpoint())?;
        fs::write(node.checkpoint(), &text[..text.len() / 2])?;
        Ok(())
    })
}

#[test]
fn removed_checkpoint_keeps_live_pods() -> anyhow::Result<()> {
    without_state("removed", false, |node| {
        node.kill_daemon()?;
        fs::remove_file(node.checkpoint())?;
        Ok(())
    })
}

/// Pods on both ENIs live through a daemon that starts without its state.
fn without_state(
    name: &str,
    is_corrupt: bool,
    lose: impl FnOnce(&Node) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let Some(cluster) = start(config(name), M5_LARGE, 2, &[])? else {
        return Ok(());
    };
    let [member, other] = &cluster.members[..] else {
        anyhow::bail!("two nodes were asked for")
    };
    let before = Snapshot::take(member.node.netns())?;
    let mut pods = add_pods(member, "old", PODS)?;
    let status = member.node.status()?;
    for pod in &pods {
        status.eni_of(pod.address).context("a pod without an ENI")?;
    }
    answer(member, &pods)?;
    let watch = Watch::start(pods.iter().map(|pod| leg(other.node.netns(), pod.address)))?;
    lose(&member.node)?;
    member.node.start_daemon(DAEMON_PATIENCE)?;
    eventually("the live pods are found", DAEMON_PATIENCE, || {
        let known = member.node.status()?.attachments;
        ensure!(known.len() == PODS, "the daemon knows {}", known.len());
        Ok(())
    })?;
    if is_corrupt {
        told_loudly(&member.node)?;
    }
    let new = add_pods(member, "new", 3)?;
    if let Some(address) = shared_address(pods.iter().chain(&new)) {
        anyhow::bail!("{address} is with an old pod and a new one");
    }
    member.settled(cluster.cloud(), DAEMON_PATIENCE)?;
    answer(member, &new)?;
    watch.finish()?;
    let status = member.node.status()?;
    for pod in &pods {
        let eni = status.eni_of(pod.address).context("an old pod is lost")?;
        ensure!(
            cluster.cloud().state().owner_of(pod.address).map(|e| &e.id) == Some(&eni.id),
            "{} is not on {}",
            pod.address,
            eni.id
        );
    }
    pods.extend(new);
    let addresses: Vec<_> = pods.iter().map(|pod| pod.address).collect();
    del_pods(member, pods)?;
    no_pods_left(&member.node, &before, &addresses)?;
    let left = member.node.status()?.attachments;
    ensure!(left.is_empty(), "attachments without pods: {left:?}");
    member.settled(cluster.cloud(), DAEMON_PATIENCE).map(drop)
}

/// An error in the log that names the file which the broken one was put aside as.
fn told_loudly(node: &Node) -> anyhow::Result<()> {
    let errors = logged(node, "ERROR")?;
    let error = errors
        .iter()
        .find(|line| line.to_string().contains("corrupt"));
    let error = error.with_context(|| format!("no error about it, only {errors:?}"))?;
    let dir = node.checkpoint();
    let dir = dir.parent().context("a directory")?;
    let mut beside = Vec::new();
    for entry in fs::read_dir(dir)? {
        beside.push(entry?.path().display().to_string());
    }
    let own = node.checkpoint().display().to_string();
    ensure!(
        beside
            .iter()
            .any(|path| *path != own && error.to_string().contains(path.as_str())),
        "{error} names none of {beside:?}"
    );
    Ok(())
}
