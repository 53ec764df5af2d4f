//! Whether anything is left of sandboxes that have gone: on the node, in the daemons, at EC2.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, ensure};
use e2e::aftermath::{SOON, eventually, left_over};
use e2e::cluster::DAEMON_PATIENCE;
use e2e::leftovers::cgroups_below;
use e2e::netns::snapshot::Change;
use e2e::node::programs::BERTHD;

use crate::bed::Worker;
use crate::daemon::{Containerd, RESULTS, SANDBOXES};
use crate::traces::{Kind, Traces};

impl Worker<'_> {
    /// Waits until nothing of a sandbox is left on the node, wherever it may have been, and nothing of one is known.
    ///
    /// # Errors
    /// Something is left, or EC2 holds something else than the daemon says.
    pub fn nothing_left(&self) -> anyhow::Result<()> {
        eventually("nothing left", SOON, || {
            let traces = self.traces()?;
            ensure!(traces.is_empty(), "{traces:?}");
            Ok(())
        })?;
        let cloud = self.cluster.cloud();
        self.member.settled(cloud, DAEMON_PATIENCE).map(drop)
    }

    /// What there is of sandboxes on the node, by kind.
    ///
    /// # Errors
    /// Something cannot be looked at.
    pub fn traces(&self) -> anyhow::Result<Traces> {
        let machine = self.machine()?;
        let node = &self.member.node;
        let before = &self.host.before;
        let paths = cgroups_below(self.cgroup())?;
        let changes = left_over(node, &before.network)?;
        let attachments = node.status()?.attachments;
        let mut traces = Traces::default();
        traces.add(Kind::Known, self.cri().sandboxes()?);
        traces.add(Kind::Process, self.strangers()?);
        traces.add(Kind::Mount, beyond(&before.mounts, machine.mounts()?));
        traces.add(Kind::Namespace, names(&machine.path(SANDBOXES))?);
        traces.add(Kind::Result, names(&machine.path(RESULTS))?);
        traces.add(
            Kind::Cgroup,
            paths.iter().map(|path| path.display().to_string()),
        );
        traces.add(Kind::Network, changes.iter().map(Change::to_string));
        traces.add(
            Kind::Attachment,
            attachments.into_iter().map(|one| one.container_id),
        );
        traces.add(Kind::Tombstone, names(&node.tombstones())?);
        Ok(traces)
    }

    /// What runs beside the two daemons.
    fn strangers(&self) -> anyhow::Result<Vec<String>> {
        let containerd = self.host.containerd().as_ref().map(Containerd::pid);
        let mut processes = self.machine()?.processes()?;
        processes.retain(|process| {
            let is_berthd = process.command.ends_with(&format!("{BERTHD} run"));
            !is_berthd && Some(process.pid) != containerd
        });
        Ok(processes
            .into_iter()
            .map(|process| process.command)
            .collect())
    }

    /// Waits until EC2 has back all addresses but the reserve of [`crate::bed::Bed::start`], and all ENIs but the
    /// node's own. They are given back after 60 s without use.
    ///
    /// # Errors
    /// EC2 still holds more after two minutes.
    pub fn given_back(&self) -> anyhow::Result<()> {
        const WITHIN: Duration = Duration::from_secs(120);
        /// The level that is kept free.
        const RESERVE: usize = 2;
        let cloud = self.cluster.cloud();
        eventually("the addresses are given back", WITHIN, || {
            let held = self.member.holdings(cloud).len();
            ensure!(held <= RESERVE, "EC2 still holds {held} for the node");
            let enis = cloud.enis_of(&self.member.instance.instance_id).len();
            ensure!(enis == 1, "{enis} ENIs are attached");
            Ok(())
        })
    }
}

/// The lines that are not in `before`.
fn beyond(before: &[String], mut now: Vec<String>) -> Vec<String> {
    now.retain(|line| !before.contains(line));
    now
}

/// What is in a directory; a missing one is empty.
///
/// # Errors
/// It cannot be read.
pub fn names(dir: &Path) -> anyhow::Result<Vec<String>> {
    if !dir.exists() {
        return Ok(Vec::new());
    }
    let entries = fs::read_dir(dir).with_context(|| format!("cannot read {}", dir.display()))?;
    let names = entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
    names.collect()
}
