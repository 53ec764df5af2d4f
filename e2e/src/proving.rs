//! A proving ground: berth on nodes of the mock cloud, set up so that the conformance suite, which knows nothing of
//! berth, can be pointed at them.
//!
//! The suite is told where the plugin is, which lists it stands in, in which namespaces to run it, and by which commands
//! the daemons are stopped and paused; those reach the nodes through [`remote`].

pub mod remote;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use anyhow::Context;
use serde_json::{Value, json};

use self::remote::Remote;
use crate::cluster::{Cluster, DAEMON_PATIENCE, Member};
use crate::mock::CloudConfig;
use crate::netns::NETNS_DIR;
use crate::node::programs::{BERTH_CNI, find};
use crate::node::{NETWORK, Node};

/// 8 ENIs with 30 addresses each: room for a case that attaches fifty pods at once.
const INSTANCE_TYPE: &str = "m5.4xlarge";

/// Cases at once: each needs a node for itself, since it looks at all of it and may stop its daemon.
const NODES: usize = 4;

/// What stands for a node's name in what the suite is given.
const HOST: &str = "@host@";

/// The suite's program.
const CONFORMANCE: &str = "conformance";

/// The nodes with their daemons, and the files that the suite is given, on the first of them. Its drop ends all of it.
#[derive(Debug)]
pub struct Ground {
    /// For each node.
    remotes: Vec<Remote>,
    cluster: Cluster,
}

impl Ground {
    /// Launches the nodes and starts their daemons. `program` is the one that [`remote::tell`] is called by: `program tell
    /// SOCKET WHAT`. `plugins` has the other plugins of berth's lists.
    ///
    /// # Errors
    /// Namespaces cannot be made, or something is not built.
    pub fn prepare(program: &Path, plugins: &Path) -> anyhow::Result<Self> {
        let config = CloudConfig {
            name: "prove".to_owned(),
            ..CloudConfig::fast()
        };
        // Cases come so fast that addresses which rest would need more ENIs than a node has.
        let settings = [("IP_COOLDOWN_PERIOD", "0")];
        let cluster = Cluster::launch_with(config, INSTANCE_TYPE, NODES, &settings)?;
        for member in &cluster.members {
            member.node.use_portmap_once()?;
        }
        cluster.start_daemons()?;
        let mut remotes = Vec::new();
        for member in &cluster.members {
            member.settled(cluster.cloud(), DAEMON_PATIENCE)?;
            remotes.push(Remote::listen(&socket(&member.node))?);
        }
        let node = &first_of(&cluster)?.node;
        write(node, "first.conflist", &first(node))?;
        write(node, "alone.conflist", &alone(node))?;
        write(node, "behind.conflist", &behind(node))?;
        write(
            node,
            "description.json",
            &description(node, program, plugins),
        )?;
        Ok(Self { remotes, cluster })
    }

    /// Runs the suite with `arguments` besides its own and returns its exit status.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn run(&self, arguments: &[String]) -> anyhow::Result<i32> {
        let node = &first_of(&self.cluster)?.node;
        let file = |name: &str| node.dir().join(name);
        let mut command = Command::new(find(CONFORMANCE)?);
        command
            .arg("run")
            .arg("--plugin")
            .arg(find(BERTH_CNI)?)
            .arg("--conf")
            .arg(file("first.conflist"))
            .arg("--list")
            .arg(file("alone.conflist"))
            .arg("--list")
            .arg(file("behind.conflist"))
            .arg("--description")
            .arg(file("description.json"))
            .args(arguments);
        for member in &self.cluster.members {
            let host = Path::new(NETNS_DIR).join(member.node.netns().name());
            command.arg("--host").arg(host);
        }
        let mut suite = command.spawn().context("cannot start the suite")?;
        let ended = AtomicBool::new(false);
        let status = thread::scope(|scope| {
            for (remote, member) in self.remotes.iter().zip(&self.cluster.members) {
                scope.spawn(|| remote.serve(&member.node, &ended));
            }
            let status = suite.wait();
            ended.store(true, Ordering::Relaxed);
            status
        })?;
        Ok(status.code().unwrap_or(1))
    }
}

fn first_of(cluster: &Cluster) -> anyhow::Result<&Member> {
    cluster.members.first().context("a node")
}

fn socket(node: &Node) -> PathBuf {
    node.dir().join("remote.sock")
}

fn write(node: &Node, name: &str, document: &Value) -> anyhow::Result<()> {
    let path = node.dir().join(name);
    // each node's files lie in a directory that has its name
    let text = document.to_string().replace(node.netns().name(), HOST);
    fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
}

fn list(plugins: Value) -> Value {
    json!({"name": NETWORK, "cniVersion": "1.0.0", "plugins": plugins})
}

fn berth(node: &Node) -> Value {
    json!({"type": BERTH_CNI, "socket": node.socket(), "tombstones": node.tombstones()})
}

fn alone(node: &Node) -> Value {
    list(json!([berth(node)]))
}

/// berth in front of what nodes commonly have behind their network's plugin.
fn first(node: &Node) -> Value {
    list(json!([
        berth(node),
        {"type": "portmap", "snat": true, "capabilities": {"portMappings": true}},
        // 100 Mbit/s with bursts of as much
        {"type": "bandwidth", "ingressRate": 100_000_000, "ingressBurst": 100_000_000,
            "egressRate": 100_000_000, "egressBurst": 100_000_000, "capabilities": {"bandwidth": true}},
        {"type": "tuning", "sysctl": {"net.ipv4.conf.all.log_martians": "1"}},
    ]))
}

/// berth behind a plugin that makes the interface, and one that changes it.
fn behind(node: &Node) -> Value {
    let mut list = list(json!([
        {"type": "ptp", "ipMasq": false, "ipam": {"type": "host-local", "subnet": "192.168.77.0/24",
            "routes": [{"dst": "0.0.0.0/0"}], "dataDir": node.dir().join("host-local")}},
        {"type": "tuning", "sysctl": {"net.ipv4.conf.all.log_martians": "1"}},
        berth(node),
        {"type": "portmap", "snat": true, "capabilities": {"portMappings": true}},
    ]));
    // ptp's CHECK takes every address on the interface for its own and misses a route to a later plugin's
    list["disableCheck"] = json!(true);
    list
}

fn description(node: &Node, program: &Path, plugins: &Path) -> Value {
    let tell = |what: &str| json!([program, "tell", socket(node), what]);
    json!({
        "modes": ["creating", "chained"],
        "cni_path": [plugins],
        "daemon": {"stop": tell("stop"), "start": tell("start"), "pause": tell("pause"), "resume": tell("resume")},
        "held": tell("held"),
        "malformed": [{"mtu": "much"}, {"mtu": 1}, {"vethPrefix": "toolong"}, {"socket": "not/absolute"}],
    })
}
