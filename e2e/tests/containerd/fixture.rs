//! Nodes of the mock cloud with a `berthd` and a containerd each, and the question whether anything is left.

use std::fs;
use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use e2e::aftermath::{SOON, eventually, left_over};
use e2e::cluster::{Cluster, DAEMON_PATIENCE, Member};
use e2e::leftovers::{cgroups_below, reap, remove_cgroup};
use e2e::machine::Machine;
use e2e::mock::{CloudConfig, Latency};
use e2e::netns::require_netns;
use e2e::netns::snapshot::{Change, Snapshot};
use e2e::node::programs::{BERTH_CNI, BERTHD, DEBIAN_PLUGINS, bin_dir};
use serde_json::json;

use crate::cri::Cri;
use crate::daemon::{self, CNI_BIN, CNI_CONF, Containerd, RESULTS, SANDBOXES};
use crate::image::BUSYBOX;
use crate::traces::{Kind, Traces};

/// In front of all names of these tests: namespaces, directories, control groups.
pub const LABEL: &str = "cri";

/// What Debian's plugins of the chain are called; containerd itself runs `loopback` in each sandbox.
const PLUGINS: [&str; 3] = ["loopback", "portmap", "bandwidth"];

/// The programs of the packages containerd and runc.
const PROGRAMS: [&str; 4] = ["containerd", "containerd-shim-runc-v2", "ctr", "runc"];

/// The nodes of one test. Dropping it ends everything on them, whether the test passed or not.
pub struct Bed {
    hosts: Vec<Host>,
    cluster: Cluster,
}

/// What a node has beside what every node of the tests has.
struct Host {
    containerd: Mutex<Option<Containerd>>,
    cri: Cri,
    /// What it looked like before its first sandbox.
    before: Before,
}

struct Before {
    network: Snapshot,
    mounts: Vec<String>,
}

/// One node of a [`Bed`].
#[derive(Clone, Copy)]
pub struct Worker<'a> {
    /// The node as the other tests know it.
    pub member: &'a Member,
    host: &'a Host,
    cluster: &'a Cluster,
}

impl Bed {
    /// `count` nodes of a type, everything running; none where that is not to be had (and `CI` is not set).
    /// Addresses rest for a second only: the tests wait until they are back.
    pub fn start(name: &str, instance_type: &str, count: usize) -> anyhow::Result<Option<Self>> {
        if !available()? {
            return Ok(None);
        }
        for leftover in reap(LABEL)? {
            eprintln!("removed what an earlier test left: {leftover}");
        }
        let config = CloudConfig {
            name: format!("{LABEL}-{name}"),
            latency: Latency::flat(Duration::from_millis(20)),
            ..CloudConfig::fast()
        };
        // With a fixed level what is too much goes after a minute (`ipam::policy::Patience`), not after five or fifteen.
        let settings = [("IP_COOLDOWN_PERIOD", "1"), ("WARM_IP_TARGET", "2")];
        let mut cluster = Cluster::launch_with(config, instance_type, count, &settings)?;
        for member in &mut cluster.members {
            member.node.boot()?;
            member.node.use_portmap_once()?;
        }
        cluster.start_daemons()?;
        let mut bed = Self {
            hosts: Vec::new(),
            cluster,
        };
        for member in &bed.cluster.members {
            member.settled(bed.cluster.cloud(), DAEMON_PATIENCE)?;
            bed.hosts.push(Host::start(member)?);
        }
        Ok(Some(bed))
    }

    /// The node number `index`, from 0.
    pub fn worker(&self, index: usize) -> Worker<'_> {
        Worker {
            member: &self.cluster.members[index],
            host: &self.hosts[index],
            cluster: &self.cluster,
        }
    }

    /// The cloud and the nodes.
    pub fn cluster(&self) -> &Cluster {
        &self.cluster
    }
}

impl Drop for Bed {
    fn drop(&mut self) {
        self.hosts.clear();
        for member in &mut self.cluster.members {
            let group = cgroup(member).to_owned();
            // no daemon and nothing else runs after this
            let _ = member.node.kill_daemon();
            member.node.halt();
            if let Err(error) = remove_cgroup(&group) {
                eprintln!("cannot remove the control groups of {group}: {error}");
            }
        }
    }
}

impl Host {
    fn start(member: &Member) -> anyhow::Result<Self> {
        let machine = machine(member)?;
        install(member, machine)?;
        let cri = daemon::client(machine)?;
        let containerd = Containerd::start(machine, member.node.dir(), &cri)?;
        daemon::import_image(machine, member.node.dir())?;
        Ok(Self {
            containerd: Mutex::new(Some(containerd)),
            cri,
            before: Before {
                network: Snapshot::take(member.node.netns())?,
                mounts: machine.mounts()?,
            },
        })
    }

    fn containerd(&self) -> MutexGuard<'_, Option<Containerd>> {
        self.containerd
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl<'a> Worker<'a> {
    /// kubelet's way to containerd.
    pub fn cri(&self) -> &'a Cri {
        &self.host.cri
    }

    /// The control group below which its sandboxes have theirs.
    pub fn cgroup(&self) -> &'a str {
        cgroup(self.member)
    }

    /// Its processes and mounts.
    pub fn machine(&self) -> anyhow::Result<&'a Machine> {
        machine(self.member)
    }

    /// Ends containerd in the way of `end` and starts it again.
    pub fn restart_containerd(
        &self,
        end: fn(Containerd) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let mut containerd = self.host.containerd();
        end(containerd.take().context("no containerd runs")?)?;
        *containerd = Some(Containerd::start(
            self.machine()?,
            self.member.node.dir(),
            &self.host.cri,
        )?);
        Ok(())
    }

    /// Waits until nothing of a sandbox is left on the node, wherever it may have been, and nothing of one is known.
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

    /// Waits until EC2 has back all addresses but the reserve, and all ENIs but the node's own. They are given back
    /// after 60 s without use.
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

    /// The node's own address.
    pub fn address(&self) -> Ipv4Addr {
        self.member.address()
    }
}

/// The group has the node's name, by which the reaper finds it.
fn cgroup(member: &Member) -> &str {
    member.node.netns().name()
}

fn machine(member: &Member) -> anyhow::Result<&Machine> {
    member.node.machine().context("the node was not booted")
}

/// Puts the plugins and the list into the machine: berth's chain, and `bandwidth` behind it.
fn install(member: &Member, machine: &Machine) -> anyhow::Result<()> {
    let (bin, conf) = (machine.path(CNI_BIN), machine.path(CNI_CONF));
    for dir in [&bin, &conf, &machine.path(SANDBOXES)] {
        fs::create_dir_all(dir)?;
    }
    let copy = |from: &Path, name: &str| {
        let from = from.join(name);
        fs::copy(&from, bin.join(name)).with_context(|| format!("cannot copy {}", from.display()))
    };
    copy(&bin_dir(), BERTH_CNI)?;
    for plugin in PLUGINS {
        copy(Path::new(DEBIAN_PLUGINS), plugin)?;
    }
    let mut list = member.node.runtime().conflist().raw().clone();
    let plugins = list["plugins"].as_array_mut().context("no plugins")?;
    plugins.push(json!({"type": "bandwidth", "capabilities": {"bandwidth": true}}));
    Ok(fs::write(conf.join("05-berth.conflist"), list.to_string())?)
}

/// Whether these tests can run: `false` after printing why not.
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

/// The lines that are not in `before`.
fn beyond(before: &[String], mut now: Vec<String>) -> Vec<String> {
    now.retain(|line| !before.contains(line));
    now
}

/// What is in a directory; a missing one is empty.
pub fn names(dir: &Path) -> anyhow::Result<Vec<String>> {
    if !dir.exists() {
        return Ok(Vec::new());
    }
    let entries = fs::read_dir(dir).with_context(|| format!("cannot read {}", dir.display()))?;
    let names = entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
    names.collect()
}
