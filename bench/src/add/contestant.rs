//! Who is measured: anything that attaches a sandbox to a node and detaches it again by running programs there.

use std::fs::File;
use std::net::Ipv4Addr;
use std::path::Path;
use std::thread;
use std::time::Duration;

use anyhow::Context;
use e2e::netns::Netns;
use e2e::runtime::attachment::{Attachment, random_container_id};
use nix::sched::{CloneFlags, setns};
use serde_json::Value;

use super::program::{Environment, Running};
use super::sandbox::Sandbox;

/// Whoever wants to be compared.
pub trait Contestant: Sync {
    /// For the table.
    fn name(&self) -> &str;

    /// The node that it works on.
    fn node(&self) -> &Netns;

    /// ADD, in the node's namespace: one time for each program, in the order they ran.
    ///
    /// # Errors
    /// One failed.
    fn add(&self, pod: &mut Pod) -> anyhow::Result<Spent>;

    /// DEL, in the node's namespace.
    ///
    /// # Errors
    /// One failed.
    fn del(&self, pod: &mut Pod) -> anyhow::Result<Spent>;

    /// Starts an ADD and does not wait for it, if the ADD is one program's work.
    ///
    /// # Errors
    /// It cannot be started, or several programs make the ADD.
    fn start(&self, pod: &Pod) -> anyhow::Result<Running>;
}

/// The names of the programs and how long each ran, from before it was started until it was gone.
pub type Spent = Vec<(String, Duration)>;

/// All of an ADD or DEL: what libcni does between two plugins is not in it.
#[must_use]
pub fn whole(spent: &Spent) -> Duration {
    spent.iter().map(|(_, time)| *time).sum()
}

/// A sandbox and what its ADD said.
#[derive(Debug)]
pub struct Pod {
    attachment: Attachment,
    /// The last plugin's result, for DEL.
    pub result: Option<Value>,
    _sandbox: Sandbox,
}

impl Pod {
    /// A sandbox that nothing is attached to.
    ///
    /// # Errors
    /// The kernel gives no namespace or no random number.
    pub fn new() -> anyhow::Result<Self> {
        let sandbox = Sandbox::new()?;
        let id = random_container_id()?;
        let path = sandbox.path().to_owned();
        let attachment = Attachment::of_pod("bench", &format!("pod-{}", &id[..12]), id, path);
        Ok(Self {
            attachment,
            result: None,
            _sandbox: sandbox,
        })
    }

    /// Its sandbox's namespace.
    #[must_use]
    pub fn netns(&self) -> &Path {
        &self.attachment.netns
    }

    /// The first address of its result.
    #[must_use]
    pub fn address(&self) -> Option<Ipv4Addr> {
        let address = self.result.as_ref()?["ips"][0]["address"].as_str()?;
        address.split('/').next()?.parse().ok()
    }

    /// What a runtime says to every plugin.
    #[must_use]
    pub fn environment(&self, verb: &str, cni_path: &str) -> Vec<(&'static str, String)> {
        let path = "/usr/sbin:/usr/bin:/sbin:/bin";
        let attachment = &self.attachment;
        let environment: &Environment = &[
            ("PATH", path.to_owned()),
            ("CNI_COMMAND", verb.to_owned()),
            ("CNI_CONTAINERID", attachment.container_id.clone()),
            ("CNI_NETNS", attachment.netns.display().to_string()),
            ("CNI_IFNAME", attachment.ifname.clone()),
            ("CNI_ARGS", attachment.cni_args()),
            ("CNI_PATH", cni_path.to_owned()),
        ];
        environment.to_vec()
    }
}

/// Runs `work` on a thread that may go from node to node; the caller's thread never moves.
///
/// # Errors
/// As `work`.
pub fn on_a_thread_of_its_own<T: Send>(
    work: impl FnOnce() -> anyhow::Result<T> + Send,
) -> anyhow::Result<T> {
    let done = thread::scope(|scope| scope.spawn(work).join());
    done.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// Puts the calling thread on a node. Only within [`on_a_thread_of_its_own`].
///
/// # Errors
/// The node is gone.
pub fn enter(node: &Netns) -> anyhow::Result<()> {
    let file = File::open(node.path()).with_context(|| format!("no node {}", node.name()))?;
    // nsenter --net=PATH
    Ok(setns(file, CloneFlags::CLONE_NEWNET)?)
}
