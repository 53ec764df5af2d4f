//! A node as the tests see it: a namespace, a runtime with berth's chain, a `berthd` of its own, and pods.
//!
//! Nodes of one test share the machine's mount namespace: what would be /run/berth, /var/lib/cni and the checkpoint of
//! each lies in a directory of its own. The node's links are plugged in by the mock cloud, not here.

pub mod daemon;
pub mod http;
pub mod pod;
pub mod programs;
pub mod status;

use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use serde_json::{Value, json};

use self::daemon::Daemon;
use self::pod::Pod;
use self::programs::{BERTH_CNI, BERTHD, bin_dir, cni_path, find};
use self::status::Status;
use crate::machine::{Machine, hides};
use crate::netns::{Netns, output};
use crate::runtime::Runtime;
use crate::runtime::attachment::{Attachment, PortMapping, random_container_id};
use crate::runtime::conflist::{Conflist, Version};
use crate::runtime::outcome::Deleted;

/// The network's name: aws-node's, so that the runtimes' result caches survive a swap.
pub const NETWORK: &str = "aws-cni";

/// The namespace of Kubernetes that test pods are in.
pub const POD_NAMESPACE: &str = "demo";

/// Set to keep the directories of nodes, with their logs and checkpoints. A test that panics keeps them anyway.
pub const KEEP: &str = "BERTH_KEEP_NODES";

/// One node. All methods take `&self`: many threads may add and delete pods, another may kill the daemon.
#[derive(Debug)]
pub struct Node {
    netns: Netns,
    dir: PathBuf,
    runtime: Runtime,
    environment: Vec<(String, String)>,
    machine: Option<Machine>,
    daemon: Mutex<Option<Daemon>>,
}

impl Node {
    /// A node with berth's chain and no daemon yet. `environment` is added to what `berthd` gets, and wins.
    ///
    /// # Errors
    /// The namespace, the directory or the conflist cannot be made.
    pub fn create(label: &str, environment: &[(&str, &str)]) -> anyhow::Result<Self> {
        Self::build(label, environment, berth_chain)
    }

    /// A node whose runtime runs another chain: `plugins` makes it from the node's directory.
    ///
    /// # Errors
    /// As [`Node::create`].
    pub fn with_chain(label: &str, plugins: impl FnOnce(&Path) -> Value) -> anyhow::Result<Self> {
        Self::build(label, &[], plugins)
    }

    fn build(
        label: &str,
        environment: &[(&str, &str)],
        plugins: impl FnOnce(&Path) -> Value,
    ) -> anyhow::Result<Self> {
        let netns = Netns::unique(label)?;
        let dir = std::env::temp_dir().join(format!("berth-{}", netns.name()));
        fs::create_dir_all(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
        let list = json!({"name": NETWORK, "cniVersion": "1.0.0", "plugins": plugins(&dir)});
        let path = dir.join("05-berth.conflist");
        fs::write(&path, list.to_string())
            .with_context(|| format!("cannot write {}", path.display()))?;
        let runtime = Runtime::new(Conflist::load(&path)?, cni_path(), &dir.join("cni"));
        let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        Ok(Self {
            netns,
            dir,
            runtime,
            environment: environment.iter().map(owned).collect(),
            machine: None,
            daemon: Mutex::new(None),
        })
    }

    /// The node's namespace.
    #[must_use]
    pub fn netns(&self) -> &Netns {
        &self.netns
    }

    /// Gives the node processes and mounts of its own: a daemon that is started from now on runs in there, and what
    /// else is started in there ends with the node.
    ///
    /// # Errors
    /// As [`Machine::boot`]; or a machine would hide berth's programs or the node's files.
    pub fn boot(&mut self) -> anyhow::Result<&Machine> {
        for path in [&self.dir, &bin_dir()] {
            ensure!(!hides(path), "{} is hidden in a machine", path.display());
        }
        Ok(self.machine.insert(Machine::boot(&self.netns)?))
    }

    /// Ends all that runs on a node that was booted.
    pub fn halt(&mut self) {
        self.machine = None;
    }

    /// The node's processes and mounts, if it was booted.
    #[must_use]
    pub fn machine(&self) -> Option<&Machine> {
        self.machine.as_ref()
    }

    /// The directory with all that the node keeps.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The runtime that adds and deletes this node's pods.
    #[must_use]
    pub fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    /// Where the daemon listens.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        socket(&self.dir)
    }

    /// Where a DEL without a daemon leaves its note.
    #[must_use]
    pub fn tombstones(&self) -> PathBuf {
        tombstones(&self.dir)
    }

    /// Where the daemon keeps its state.
    #[must_use]
    pub fn checkpoint(&self) -> PathBuf {
        self.dir.join("ipam.json")
    }

    /// What the daemon has printed, over all its lives.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.dir.join("berthd.log")
    }

    /// Starts `berthd run` and waits until it answers on its socket, `patience` at most.
    ///
    /// # Errors
    /// It runs already, is not built, ended, or did not listen in time; the end of its log is included.
    pub fn start_daemon(&self, patience: Duration) -> anyhow::Result<()> {
        let mut daemon = self.daemon();
        if daemon.is_some() {
            bail!("the daemon of {} runs already", self.netns.name());
        }
        let mut started = Daemon::start(
            |command| match &self.machine {
                Some(machine) => machine.spawn(command),
                None => self.netns.spawn(command),
            },
            &find(BERTHD)?,
            &self.daemon_environment(),
            &self.log(),
        )?;
        started.wait_until_listening(&self.socket(), patience)?;
        *daemon = Some(started);
        Ok(())
    }

    /// `kill -9`: what a crash or the kernel's memory killer does. Returns once the process is gone.
    ///
    /// # Errors
    /// There is none, or it had ended by itself, which no daemon should.
    pub fn kill_daemon(&self) -> anyhow::Result<()> {
        let daemon = self.daemon().take();
        daemon.context("no daemon runs")?.kill()
    }

    /// SIGTERM, as kubelet does, and waits for the end.
    ///
    /// # Errors
    /// There is none, or it did not end with status 0 within `patience` (it is killed then).
    pub fn stop_daemon(&self, patience: Duration) -> anyhow::Result<()> {
        let daemon = self.daemon().take();
        daemon.context("no daemon runs")?.terminate(patience)
    }

    /// Another runtime of this node for the same result cache: a list of berth alone, of this network and version.
    ///
    /// # Errors
    /// The version is not one that the runtime speaks.
    pub fn runtime_of(&self, network: &str, version: Version) -> anyhow::Result<Runtime> {
        let plugin = json!({"type": BERTH_CNI, "socket": self.socket(), "tombstones": tombstones(&self.dir)});
        let list = json!({"name": network, "cniVersion": version.as_str(), "plugins": [plugin]});
        let runtime = Runtime::new(
            Conflist::from_json(list)?,
            cni_path(),
            &self.dir.join("cni"),
        );
        Ok(runtime)
    }

    /// The process id of the daemon that runs.
    ///
    /// # Errors
    /// There is none.
    pub fn daemon_pid(&self) -> anyhow::Result<u32> {
        let daemon = self.daemon();
        Ok(daemon.as_ref().context("no daemon runs")?.pid())
    }

    /// SIGSTOP: a daemon that is there and does nothing, until [`Node::resume_daemon`].
    ///
    /// # Errors
    /// There is none.
    pub fn pause_daemon(&self) -> anyhow::Result<()> {
        self.daemon().as_ref().context("no daemon runs")?.pause()
    }

    /// SIGCONT.
    ///
    /// # Errors
    /// There is none.
    pub fn resume_daemon(&self) -> anyhow::Result<()> {
        self.daemon().as_ref().context("no daemon runs")?.resume()
    }

    /// What `berthd status --json` says.
    ///
    /// # Errors
    /// It failed, or the document lacks something.
    pub fn status(&self) -> anyhow::Result<Status> {
        let mut command = self.netns.command(&find(BERTHD)?.display().to_string());
        command
            .args(["status", "--json"])
            .env("BERTH_SOCKET", self.socket());
        serde_json::from_str(&output(&mut command)?)
            .context("berthd status --json is not what the tests know")
    }

    /// Makes a sandbox named `name` and runs the chain's ADD. When that fails the chain's DEL is run and the sandbox
    /// removed, as runtimes do; the ADD's failure is what is returned (a [`crate::runtime::failure::ChainFailure`]).
    ///
    /// # Errors
    /// ADD failed, or gave no address.
    pub fn add_pod(&self, name: &str, ports: &[PortMapping]) -> anyhow::Result<Pod> {
        let sandbox = Netns::unique(&format!("{}-{name}", self.netns.name()))?;
        let path = sandbox.path().to_owned();
        let attachment = Attachment::of_pod(POD_NAMESPACE, name, random_container_id()?, path);
        let attachment = attachment.with_ports(ports);
        let added = match self.runtime.add(&self.netns, &attachment) {
            Ok(added) => added,
            Err(failure) => {
                let undone = self.runtime.del(&self.netns, &attachment);
                let undone = undone
                    .map_or_else(|error| format!("and then {error}"), |_| "undone".to_owned());
                return Err(
                    anyhow::Error::new(failure).context(format!("ADD of {name} ({undone})"))
                );
            }
        };
        let address = added.result.pod_address();
        let address =
            address.with_context(|| format!("no address for {name} in {}", added.result.json()))?;
        Ok(Pod {
            name: name.to_owned(),
            netns: sandbox,
            attachment,
            address,
            added,
        })
    }

    /// Runs the chain's DEL for `pod` and removes its sandbox, even if DEL failed.
    ///
    /// # Errors
    /// A [`crate::runtime::failure::ChainFailure`].
    pub fn del_pod(&self, pod: Pod) -> anyhow::Result<Deleted> {
        let deleted = self.runtime.del(&self.netns, &pod.attachment);
        deleted.with_context(|| format!("DEL of {}", pod.name))
    }

    /// Lets `portmap` serve one pod that does not exist. Its first ADD on a node makes chains and rules that stay for
    /// good; after this, a comparison of before and after sees only what berth left.
    ///
    /// # Errors
    /// It failed.
    pub fn use_portmap_once(&self) -> anyhow::Result<()> {
        let plugin = json!({"type": "portmap", "snat": true, "capabilities": {"portMappings": true},
            "prevResult": {"cniVersion": "1.0.0", "ips": [{"address": "192.0.2.1/32"}]}});
        let list = json!({"name": "portmap-alone", "cniVersion": "1.0.0", "plugins": [plugin]});
        let runtime = Runtime::new(
            Conflist::from_json(list)?,
            cni_path(),
            &self.dir.join("portmap-alone"),
        );
        let nowhere = self.netns.path().to_owned();
        let attachment = Attachment::of_pod(POD_NAMESPACE, "none", random_container_id()?, nowhere);
        let attachment = attachment.with_ports(&[PortMapping {
            host: 1,
            container: 1,
        }]);
        runtime.add(&self.netns, &attachment)?;
        runtime.del(&self.netns, &attachment)?;
        Ok(())
    }

    fn daemon(&self) -> MutexGuard<'_, Option<Daemon>> {
        self.daemon.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets a variable for the daemons that are started from now on.
    pub fn set(&mut self, name: &str, value: &str) {
        self.environment.retain(|(key, _)| key != name);
        self.environment.push((name.to_owned(), value.to_owned()));
    }

    /// All that `berthd` gets from outside, so that no setting of the caller's shell changes a test.
    #[must_use]
    pub fn daemon_environment(&self) -> Vec<(String, String)> {
        let path = |path: PathBuf| path.display().to_string();
        let fixed = [
            ("PATH", std::env::var("PATH").unwrap_or_default()),
            ("BERTH_SOCKET", path(self.socket())),
            ("BERTH_TOMBSTONES", path(tombstones(&self.dir))),
            (
                "BERTH_CNI_RESULTS",
                path(self.runtime.cache().dir().to_owned()),
            ),
            ("AWS_VPC_K8S_CNI_BACKING_STORE", path(self.checkpoint())),
            ("AWS_ENDPOINT_URL_EC2", endpoint(EC2_ADDRESS)),
            ("AWS_EC2_METADATA_SERVICE_ENDPOINT", endpoint(IMDS_ADDRESS)),
            ("AWS_ACCESS_KEY_ID", "mock".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "mock".to_owned()),
            // The runtime of these nodes is given its list by hand; a test that wants the daemon's says so.
            ("BERTH_WRITE_CONFLIST", "false".to_owned()),
            ("BERTH_LOG", "info".to_owned()),
            // Most tests count the single addresses of an ENI; one that wants prefixes says so.
            ("ENABLE_PREFIX_DELEGATION", "false".to_owned()),
        ];
        let fixed = fixed
            .into_iter()
            .map(|(key, value)| (key.to_owned(), value));
        fixed.chain(self.environment.iter().cloned()).collect()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // the daemon first: it must not see its namespace go
        drop(self.daemon().take());
        drop(self.machine.take());
        if std::thread::panicking() || std::env::var_os(KEEP).is_some() {
            eprintln!(
                "the files of {} are kept in {}",
                self.netns.name(),
                self.dir.display()
            );
        } else if let Err(error) = fs::remove_dir_all(&self.dir) {
            eprintln!("cannot remove {}: {error}", self.dir.display());
        }
    }
}

/// Where the mock's instance metadata answers in every node, as in EC2.
const IMDS_ADDRESS: Ipv4Addr = Ipv4Addr::new(169, 254, 169, 254);
/// Where the mock's EC2 API answers in every node.
const EC2_ADDRESS: Ipv4Addr = Ipv4Addr::new(169, 254, 169, 253);

fn endpoint(address: Ipv4Addr) -> String {
    format!("http://{address}")
}

/// Not in the checkpoint's directory, as on a node: the daemon watches this one.
fn socket(dir: &Path) -> PathBuf {
    dir.join("run/berthd.sock")
}

fn tombstones(dir: &Path) -> PathBuf {
    dir.join("run/tombstones")
}

/// The chain that berth ships: itself, and `portmap` behind it.
fn berth_chain(dir: &Path) -> Value {
    json!([
        {"type": BERTH_CNI, "socket": socket(dir), "tombstones": tombstones(dir)},
        {"type": "portmap", "snat": true, "capabilities": {"portMappings": true}},
    ])
}
