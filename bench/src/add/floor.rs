//! The floor as a contestant: `floor-daemon` on a node of its own, `floor-plugin` for each ADD and DEL; and once more with
//! a plugin that starts as berth's does.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use e2e::netns::Netns;
use e2e::node::programs::find;

use super::contestant::{Contestant, Pod, Spent};
use super::program::{Running, start};
use crate::report::FLOOR;

/// How long its daemon may take until it listens.
const PATIENCE: Duration = Duration::from_secs(10);

/// A running floor; dropping it ends its daemon, which leaves its links to the namespaces.
#[derive(Debug)]
pub struct Floor<'a> {
    node: &'a Netns,
    plugin: PathBuf,
    bare: PathBuf,
    socket: PathBuf,
    daemon: Child,
}

impl<'a> Floor<'a> {
    /// Starts the daemon on `node` with its socket in `dir`; pods get the addresses after `first`.
    ///
    /// # Errors
    /// The programs are not built, or the daemon does not listen.
    pub fn start(node: &'a Netns, dir: &Path, first: Ipv4Addr) -> anyhow::Result<Self> {
        // where berth's pods' routes are found, so that a pod of the floor can be reached as one of berth's
        node.ip(&["rule", "add", "priority", "512", "lookup", "20512"])?;
        let socket = dir.join("floor.sock");
        let mut command = Command::new(find("floor-daemon")?);
        command.arg(&socket).arg(first.to_string());
        let daemon = node.spawn(command.stdin(Stdio::null()))?;
        let (plugin, bare) = (find("floor-plugin")?, find("floor-bare")?);
        let floor = Self {
            node,
            plugin,
            bare,
            socket,
            daemon,
        };
        let deadline = Instant::now() + PATIENCE;
        while !floor.socket.exists() {
            ensure!(Instant::now() < deadline, "floor-daemon does not listen");
            sleep(Duration::from_millis(5));
        }
        Ok(floor)
    }

    /// The same, by the plugin without a C library.
    #[must_use]
    pub fn bare(&self) -> Bare<'_> {
        Bare(self)
    }

    fn begin(&self, plugin: &Path, verb: &str, pod: &Pod) -> anyhow::Result<Running> {
        let mut environment = pod.environment(verb, "");
        environment.push(("FLOOR_SOCKET", self.socket.display().to_string()));
        start(plugin, &environment, b"")
    }

    fn run(&self, plugin: &Path, verb: &str, pod: &Pod) -> anyhow::Result<Spent> {
        let ran = self.begin(plugin, verb, pod)?.finish();
        let ran = ran.with_context(|| format!("{verb} of the floor"))?;
        Ok(vec![("floor-plugin".to_owned(), ran.elapsed)])
    }
}

impl Contestant for Floor<'_> {
    fn name(&self) -> &str {
        FLOOR
    }

    fn node(&self) -> &Netns {
        self.node
    }

    fn add(&self, pod: &mut Pod) -> anyhow::Result<Spent> {
        self.run(&self.plugin, "ADD", pod)
    }

    fn del(&self, pod: &mut Pod) -> anyhow::Result<Spent> {
        self.run(&self.plugin, "DEL", pod)
    }

    fn start(&self, pod: &Pod) -> anyhow::Result<Running> {
        self.begin(&self.plugin, "ADD", pod)
    }
}

/// The floor by a plugin without a C library.
#[derive(Clone, Copy, Debug)]
pub struct Bare<'a>(&'a Floor<'a>);

impl Contestant for Bare<'_> {
    fn name(&self) -> &str {
        "floor, bare"
    }

    fn node(&self) -> &Netns {
        self.0.node
    }

    fn add(&self, pod: &mut Pod) -> anyhow::Result<Spent> {
        self.0.run(&self.0.bare, "ADD", pod)
    }

    fn del(&self, pod: &mut Pod) -> anyhow::Result<Spent> {
        self.0.run(&self.0.bare, "DEL", pod)
    }

    fn start(&self, pod: &Pod) -> anyhow::Result<Running> {
        self.0.begin(&self.0.bare, "ADD", pod)
    }
}

impl Drop for Floor<'_> {
    fn drop(&mut self) {
        // both fail only if it is gone already
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
    }
}
