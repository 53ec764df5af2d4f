//! Sandboxes as kubelet asks for them: one, or many at once.

use std::net::Ipv4Addr;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use e2e::netns::Netns;
use e2e::probe::Patience;
use e2e::probe::sweep::{Leg, ping_all};
use serde_json::Value;

use crate::bed::Worker;
use crate::cri::messages::{
    ContainerConfig, ContainerMetadata, ImageSpec, LinuxContainerConfig, LinuxPodSandboxConfig,
    PodSandboxConfig, PodSandboxMetadata, PortMapping,
};
use crate::image::IMAGE;

/// Kubernetes' name for what a pod may receive, which the runtime hands to the plugin `bandwidth`.
pub const INGRESS: &str = "kubernetes.io/ingress-bandwidth";
/// And for what it may send.
pub const EGRESS: &str = "kubernetes.io/egress-bandwidth";

/// A sandbox that runs.
#[derive(Debug)]
pub struct Sandbox {
    /// containerd's name for it.
    pub id: String,
    /// Its address.
    pub address: Ipv4Addr,
    /// Its network.
    pub netns: Netns,
    /// How long RunPodSandbox took.
    pub took: Duration,
    config: PodSandboxConfig,
}

/// A pod `name` of `worker` without ports and limits.
#[must_use]
pub fn pod(worker: Worker<'_>, name: &str) -> PodSandboxConfig {
    static SERIAL: AtomicU32 = AtomicU32::new(0);
    let uid = format!("{name}-{}", SERIAL.fetch_add(1, Ordering::Relaxed));
    PodSandboxConfig {
        metadata: Some(PodSandboxMetadata {
            name: name.to_owned(),
            uid,
            namespace: "default".to_owned(),
            attempt: 0,
        }),
        hostname: name.to_owned(),
        linux: Some(LinuxPodSandboxConfig {
            cgroup_parent: format!("/{}", worker.cgroup()),
            security_context: None,
        }),
        ..PodSandboxConfig::default()
    }
}

/// A TCP port of the node that leads to one of the pod.
#[must_use]
pub fn port(host: u16, container: u16) -> PortMapping {
    PortMapping {
        container_port: container.into(),
        host_port: host.into(),
    }
}

impl Sandbox {
    /// RunPodSandbox, and what PodSandboxStatus then says.
    ///
    /// # Errors
    /// containerd refuses, or the sandbox has no network.
    pub fn run(worker: Worker<'_>, config: PodSandboxConfig) -> anyhow::Result<Self> {
        let started = Instant::now();
        let id = worker.cri().run(config.clone())?;
        let took = started.elapsed();
        let status = worker.cri().status(&id)?;
        let info: Value = serde_json::from_str(status.info.get("info").context("no info")?)?;
        let netns = namespace(&info).context("no network namespace")?;
        Ok(Self {
            address: address(worker, &id)?,
            netns: Netns::at(worker.machine()?.path(&netns))?,
            id,
            took,
            config,
        })
    }

    /// One sandbox for each of `configs`, all at once; all must come up, each with an address of its own.
    ///
    /// # Errors
    /// One did not come up, or shares an address.
    pub fn run_all(
        worker: Worker<'_>,
        configs: Vec<PodSandboxConfig>,
    ) -> anyhow::Result<Vec<Self>> {
        let results = at_once(configs, |config| Self::run(worker, config));
        let sandboxes = results.into_iter().collect::<anyhow::Result<Vec<_>>>()?;
        distinct(&sandboxes)?;
        Ok(sandboxes)
    }

    /// StopPodSandbox and RemovePodSandbox, as kubelet does for a pod that goes.
    ///
    /// # Errors
    /// containerd refuses.
    pub fn end(self, worker: Worker<'_>) -> anyhow::Result<()> {
        worker.cri().stop(&self.id)?;
        worker.cri().remove(&self.id)
    }

    /// The same for many, all at once.
    ///
    /// # Errors
    /// As [`Sandbox::end`].
    pub fn end_all(worker: Worker<'_>, sandboxes: Vec<Self>) -> anyhow::Result<()> {
        at_once(sandboxes, |sandbox| sandbox.end(worker))
            .into_iter()
            .collect()
    }

    /// Starts a container in it that runs a program of busybox, and returns its id.
    ///
    /// # Errors
    /// containerd refuses.
    pub fn container(
        &self,
        worker: Worker<'_>,
        name: &str,
        command: &[&str],
    ) -> anyhow::Result<String> {
        let config = program(name, command);
        worker.cri().start(&self.id, config, self.config.clone())
    }
}

/// A container `name` that runs a program of busybox.
#[must_use]
pub fn program(name: &str, command: &[&str]) -> ContainerConfig {
    let words = [&["/busybox"], command].concat();
    ContainerConfig {
        metadata: Some(ContainerMetadata {
            name: name.to_owned(),
        }),
        image: Some(ImageSpec {
            image: IMAGE.to_owned(),
        }),
        command: words.into_iter().map(str::to_owned).collect(),
        linux: Some(LinuxContainerConfig {}),
    }
}

/// The path of a sandbox's network namespace in the machine. /var/run is a link there, which would lead outside.
fn namespace(info: &Value) -> Option<String> {
    let namespaces = info["runtimeSpec"]["linux"]["namespaces"].as_array()?;
    let network = namespaces.iter().find(|one| one["type"] == "network")?;
    let path = network["path"].as_str()?;
    Some(path.replacen("/var/run/", "/run/", 1))
}

/// The address that containerd reports for a sandbox, which must be ready.
///
/// # Errors
/// It is not, or has none.
pub fn address(worker: Worker<'_>, id: &str) -> anyhow::Result<Ipv4Addr> {
    let status = worker.cri().status(id)?.status.context("no status")?;
    ensure!(status.state == 0, "sandbox {id} is not ready");
    let ip = status.network.context("no network")?.ip;
    ip.parse()
        .with_context(|| format!("sandbox {id} has the address {ip:?}"))
}

/// Whether each has an address of its own.
///
/// # Errors
/// Two share one.
pub fn distinct<'a>(sandboxes: impl IntoIterator<Item = &'a Sandbox>) -> anyhow::Result<()> {
    let mut addresses: Vec<_> = sandboxes.into_iter().map(|one| one.address).collect();
    addresses.sort();
    let all = addresses.len();
    addresses.dedup();
    ensure!(
        addresses.len() == all,
        "{all} sandboxes share {addresses:?}"
    );
    Ok(())
}

/// Pings between the node and each of its sandboxes, both ways.
///
/// # Errors
/// One does not answer.
pub fn answer<'a>(
    worker: Worker<'_>,
    sandboxes: impl IntoIterator<Item = &'a Sandbox>,
) -> anyhow::Result<()> {
    let node = worker.member.node.netns();
    let leg = |name, from, to| Leg { name, from, to };
    let both = |one: &'a Sandbox| {
        [
            leg("the node", node, one.address),
            leg("a sandbox", &one.netns, worker.address()),
        ]
    };
    let legs: Vec<_> = sandboxes.into_iter().flat_map(both).collect();
    ping_all(&legs, Patience::USUAL).map(drop)
}

/// Does something with each of many, a thread each.
pub fn at_once<T: Send, R: Send>(items: Vec<T>, work: impl Fn(T) -> R + Sync) -> Vec<R> {
    let work = &work;
    thread::scope(|scope| {
        let threads: Vec<_> = items
            .into_iter()
            .map(|item| scope.spawn(move || work(item)))
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|panic| resume_unwind(panic)))
            .collect()
    })
}
