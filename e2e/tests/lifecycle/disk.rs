//! The disk that the checkpoint lies on is full, read-only or gone: nothing is promised that is not written, and all is
//! well again with the disk.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail, ensure};
use e2e::cluster::{Cluster, DAEMON_PATIENCE};
use e2e::netns::output;
use e2e::netns::snapshot::Snapshot;

use crate::fixture::{
    M5_LARGE, SOON, add_pods, answer, config, del_pods, eventually, no_pods_left, refusal, start,
};

/// Ours: the state cannot be written.
const NOT_WRITTEN: u64 = 103;
/// The checkpoint's environment variable.
const STORE: &str = "AWS_VPC_K8S_CNI_BACKING_STORE";

/// A small file system of its own, gone when dropped.
struct Disk {
    home: tempfile::TempDir,
    layers: usize,
}

impl Disk {
    fn new() -> anyhow::Result<Self> {
        let home = tempfile::tempdir()?;
        let mut disk = Self { home, layers: 0 };
        disk.mount("size=256k")?;
        Ok(disk)
    }

    fn path(&self) -> &Path {
        self.home.path()
    }

    fn checkpoint(&self) -> PathBuf {
        self.path().join("state/ipam.json")
    }

    /// Another file system over it: what is opened by name from now on is there.
    fn mount(&mut self, options: &str) -> anyhow::Result<()> {
        let mut command = Command::new("mount");
        command.args(["-t", "tmpfs", "-o", options, "berth-test"]);
        output(command.arg(self.path()))?;
        self.layers += 1;
        Ok(())
    }

    fn unmount(&mut self) -> anyhow::Result<()> {
        output(Command::new("umount").arg("-l").arg(self.path()))?;
        self.layers -= 1;
        Ok(())
    }

    /// Takes all space, that of the last checkpoint but one too, which the next could be written over; answers what to remove
    /// to have it back.
    fn fill(&self) -> anyhow::Result<PathBuf> {
        let spare = self.checkpoint().with_added_extension("tmp");
        let path = self.path().join("ballast");
        let mut file = File::create(&path)?;
        // A daemon that has just started may write meanwhile, and have another spare then.
        for _ in 0..100 {
            for size in [4096, 1] {
                while file.write_all(&vec![0; size]).is_ok() {}
            }
            let spare = File::options().write(true).open(&spare)?;
            if spare.metadata()?.len() == 0 {
                return Ok(path);
            }
            spare.set_len(0)?;
        }
        bail!("{} is written again and again", spare.display())
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        while self.layers > 0 {
            if let Err(error) = self.unmount() {
                eprintln!("{error:#}");
                return;
            }
        }
    }
}

/// A node whose checkpoint is on a disk of its own; none where namespaces, and so mounts, are not to be had.
fn on_disk(name: &str) -> anyhow::Result<Option<(Cluster, Disk)>> {
    if !e2e::netns::require_netns()? {
        return Ok(None);
    }
    let disk = Disk::new()?;
    let path = disk.checkpoint().display().to_string();
    let settings = [(STORE, path.as_str()), ("BERTH_ADD_WAIT_SECONDS", "5")];
    let cluster = start(config(name), M5_LARGE, 1, &settings)?;
    Ok(cluster.map(|cluster| (cluster, disk)))
}

#[test]
fn a_full_disk_fails_adds_and_loses_nothing() -> anyhow::Result<()> {
    let Some((cluster, disk)) = on_disk("full-disk")? else {
        return Ok(());
    };
    let member = &cluster.members[0];
    let before = Snapshot::take(member.node.netns())?;
    let mut pods = add_pods(member, "pod", 3)?;
    member.settled(cluster.cloud(), DAEMON_PATIENCE)?;
    let standing = Snapshot::take(member.node.netns())?;
    let ballast = disk.fill()?;
    let error = refusal(member.node.add_pod("late", &[]))?;
    ensure!(error.code == NOT_WRITTEN, "{error}");
    ensure!(
        error.msg.contains("No space left") && error.details.contains(STORE),
        "{error}"
    );
    no_pods_left(&member.node, &standing, &[])?;
    answer(member, &pods)?;
    // A DEL says so too; the runtime comes again.
    let gone = pods.pop().context("three pods")?;
    let attachment = gone.attachment.clone();
    let refused = member
        .node
        .del_pod(gone)
        .err()
        .context("the DEL was promised")?;
    ensure!(
        format!("{refused:#}").contains("No space left"),
        "{refused:#}"
    );
    // What cannot be written now is not forgotten: a crash finds the state that was promised last.
    member.node.kill_daemon()?;
    fs::remove_file(ballast)?;
    member.node.start_daemon(DAEMON_PATIENCE)?;
    member
        .node
        .runtime()
        .del(member.node.netns(), &attachment)?;
    pods.push(member.node.add_pod("after", &[])?);
    answer(member, &pods)?;
    ensure!(member.node.status()?.attachments.len() == pods.len());
    let addresses: Vec<_> = pods.iter().map(|pod| pod.address).collect();
    del_pods(member, pods)?;
    no_pods_left(&member.node, &before, &addresses)?;
    member.settled(cluster.cloud(), DAEMON_PATIENCE).map(drop)
}

#[test]
fn a_full_disk_is_noticed_when_it_has_space_again() -> anyhow::Result<()> {
    let Some((cluster, disk)) = on_disk("space-again")? else {
        return Ok(());
    };
    let member = &cluster.members[0];
    let ballast = disk.fill()?;
    let error = refusal(member.node.add_pod("late", &[]))?;
    ensure!(error.code == NOT_WRITTEN, "{error}");
    fs::remove_file(ballast)?;
    let pod = eventually("ADD works", SOON, || member.node.add_pod("pod", &[]))?;
    answer(member, &[pod])?;
    member.settled(cluster.cloud(), DAEMON_PATIENCE)?;
    member.node.stop_daemon(DAEMON_PATIENCE)?;
    member.node.start_daemon(DAEMON_PATIENCE)?;
    ensure!(member.node.status()?.attachments.len() == 1);
    Ok(())
}

#[test]
fn a_read_only_disk_and_one_that_is_gone() -> anyhow::Result<()> {
    let Some((cluster, mut disk)) = on_disk("read-only")? else {
        return Ok(());
    };
    let member = &cluster.members[0];
    let mut pods = add_pods(member, "pod", 1)?;
    for (options, words) in [("ro", ""), ("size=256k", "No such file")] {
        disk.mount(options)?;
        let error = refusal(member.node.add_pod("late", &[]))?;
        ensure!(
            error.code == NOT_WRITTEN && error.msg.contains(words),
            "{options}: {error}"
        );
        disk.unmount()?;
        let name = format!("again-{}", pods.len());
        pods.push(eventually("ADD works", SOON, || {
            member.node.add_pod(&name, &[])
        })?);
        answer(member, &pods)?;
    }
    // A daemon that may not write at all says so instead of serving.
    member.node.stop_daemon(DAEMON_PATIENCE)?;
    disk.mount("ro")?;
    let refused = member
        .node
        .start_daemon(DAEMON_PATIENCE)
        .err()
        .context("it serves")?;
    ensure!(
        format!("{refused:#}").contains("Read-only file system"),
        "{refused:#}"
    );
    disk.unmount()?;
    member.node.start_daemon(DAEMON_PATIENCE)?;
    answer(member, &pods)
}
