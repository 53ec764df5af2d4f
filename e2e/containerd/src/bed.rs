//! Nodes of the mock cloud with a `berthd` and a containerd each.

use std::fs;
use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Context;
use e2e::cluster::{Cluster, DAEMON_PATIENCE, Member};
use e2e::leftovers::{reap, remove_cgroup};
use e2e::machine::Machine;
use e2e::mock::{CloudConfig, Latency};
use e2e::netns::snapshot::Snapshot;
use e2e::node::programs::{BERTH_CNI, DEBIAN_PLUGINS, bin_dir};
use serde_json::{Value, json};

use crate::cri::Cri;
use crate::daemon::{self, CNI_BIN, CNI_CONF, Containerd, SANDBOXES, list_dir};
use crate::installed::{PLUGINS, available};

/// The label of the tests' beds.
pub const LABEL: &str = "cri";

/// The nodes of one test. Dropping it ends everything on them, whether the test passed or not.
#[derive(Debug)]
pub struct Bed {
    hosts: Vec<Host>,
    cluster: Cluster,
}

/// What a bed is made of.
#[derive(Debug)]
pub struct Spec<'a> {
    /// In front of all names of these nodes: namespaces, directories, control groups. What an earlier run under it left
    /// is removed.
    pub label: &'a str,
    /// The cloud; the label comes in front of its name.
    pub config: CloudConfig,
    /// The nodes' type, such as `m5.large`.
    pub instance_type: &'a str,
    /// How many nodes.
    pub count: usize,
    /// For `berthd`, over those that every node of the tests has.
    pub settings: &'a [(&'a str, &'a str)],
    /// Other networks than the default one, which is berth's chain and `bandwidth` behind it.
    pub networks: &'a [Network],
}

/// A network of its own for sandboxes that ask for a runtime handler, as pods do by a RuntimeClass. Its plugins are
/// looked for where the default network's are.
#[derive(Clone, Debug)]
pub struct Network {
    /// The handler's name.
    pub handler: &'static str,
    /// The configuration list.
    pub list: Value,
}

/// What a node has beside what every node of the tests has.
#[derive(Debug)]
pub(crate) struct Host {
    containerd: Mutex<Option<Containerd>>,
    cri: Cri,
    handlers: Vec<&'static str>,
    /// What it looked like before its first sandbox.
    pub(crate) before: Before,
}

#[derive(Debug)]
pub(crate) struct Before {
    pub(crate) network: Snapshot,
    pub(crate) mounts: Vec<String>,
}

/// One node of a [`Bed`].
#[derive(Clone, Copy, Debug)]
pub struct Worker<'a> {
    /// The node as the other tests know it.
    pub member: &'a Member,
    pub(crate) host: &'a Host,
    pub(crate) cluster: &'a Cluster,
}

impl Bed {
    /// `count` nodes of a type, everything running; none where that is not to be had (and `CI` is not set).
    /// EC2 is quick, and addresses rest for a second only: the tests wait until they are back.
    ///
    /// # Errors
    /// As [`Bed::of`].
    pub fn start(name: &str, instance_type: &str, count: usize) -> anyhow::Result<Option<Self>> {
        Self::of(Spec {
            label: LABEL,
            config: CloudConfig {
                name: name.to_owned(),
                latency: Latency::flat(Duration::from_millis(20)),
                ..CloudConfig::fast()
            },
            instance_type,
            count,
            // With a fixed level what is too much goes after a minute (`ipam::policy::Patience`), not after five or
            // fifteen.
            settings: &[("IP_COOLDOWN_PERIOD", "1"), ("WARM_IP_TARGET", "2")],
            networks: &[],
        })
    }

    /// Nodes as `spec` has them, everything running; none where that is not to be had (and `CI` is not set).
    ///
    /// # Errors
    /// Something of them cannot be made or does not come up.
    pub fn of(spec: Spec<'_>) -> anyhow::Result<Option<Self>> {
        if !available()? {
            return Ok(None);
        }
        for leftover in reap(spec.label)? {
            eprintln!("removed what an earlier test left: {leftover}");
        }
        let config = CloudConfig {
            name: format!("{}-{}", spec.label, spec.config.name),
            ..spec.config
        };
        let (kind, count, settings) = (spec.instance_type, spec.count, spec.settings);
        let mut cluster = Cluster::launch_with(config, kind, count, settings)?;
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
            bed.hosts.push(Host::start(member, spec.networks)?);
        }
        Ok(Some(bed))
    }

    /// The node number `index`, from 0.
    #[must_use]
    pub fn worker(&self, index: usize) -> Worker<'_> {
        Worker {
            member: &self.cluster.members[index],
            host: &self.hosts[index],
            cluster: &self.cluster,
        }
    }

    /// The cloud and the nodes.
    #[must_use]
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
    fn start(member: &Member, networks: &[Network]) -> anyhow::Result<Self> {
        let machine = machine(member)?;
        install(member, machine)?;
        for network in networks {
            write_list(&machine.path(&list_dir(network.handler)), &network.list)?;
        }
        let handlers: Vec<_> = networks.iter().map(|network| network.handler).collect();
        let cri = daemon::client(machine)?;
        let containerd = Containerd::start(machine, member.node.dir(), &handlers, &cri)?;
        daemon::import_image(machine, member.node.dir())?;
        Ok(Self {
            containerd: Mutex::new(Some(containerd)),
            cri,
            handlers,
            before: Before {
                network: Snapshot::take(member.node.netns())?,
                mounts: machine.mounts()?,
            },
        })
    }

    pub(crate) fn containerd(&self) -> MutexGuard<'_, Option<Containerd>> {
        self.containerd
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl<'a> Worker<'a> {
    /// kubelet's way to containerd.
    #[must_use]
    pub fn cri(&self) -> &'a Cri {
        &self.host.cri
    }

    /// The control group below which its sandboxes have theirs.
    #[must_use]
    pub fn cgroup(&self) -> &'a str {
        cgroup(self.member)
    }

    /// Its processes and mounts.
    ///
    /// # Errors
    /// It has ended.
    pub fn machine(&self) -> anyhow::Result<&'a Machine> {
        machine(self.member)
    }

    /// Ends containerd in the way of `end` and starts it again.
    ///
    /// # Errors
    /// It had ended by itself, or one of both failed.
    pub fn restart_containerd(
        &self,
        end: fn(Containerd) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let mut containerd = self.host.containerd();
        end(containerd.take().context("no containerd runs")?)?;
        *containerd = Some(Containerd::start(
            self.machine()?,
            self.member.node.dir(),
            &self.host.handlers,
            &self.host.cri,
        )?);
        Ok(())
    }

    /// The node's own address.
    #[must_use]
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
    let bin = machine.path(CNI_BIN);
    for dir in [&bin, &machine.path(SANDBOXES)] {
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
    write_list(&machine.path(CNI_CONF), &list)
}

fn write_list(dir: &Path, list: &Value) -> anyhow::Result<()> {
    fs::create_dir_all(dir)?;
    Ok(fs::write(dir.join("05.conflist"), list.to_string())?)
}
