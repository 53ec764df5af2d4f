//! The port to the kernel: links, addresses, routes, rules and the nftables table of this node and its pods.
//!
//! What should stand there is decided by `ipam::desired`; an implementation compares it with what it finds and changes
//! the difference, so that applying twice changes nothing.

mod changes;
#[cfg(test)]
pub mod fake;
mod kernel;
mod netlink;
mod nft;
mod node;
mod notify;
mod parts;
mod pod;
mod reaper;
mod sysctl;
mod watch;

pub use changes::{Change, Changes, Object, Unfinished};
pub use kernel::{KernelConfig, KernelDataplane};
pub use parts::{Part, Parts};

use std::net::Ipv4Addr;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use async_trait::async_trait;
use berth_cni::contract::AwsNodeLink;
use ipam::desired::check::ObservedAttachment;
use ipam::desired::{NodeDesired, PodDesired};
use ipam::{Mac, PodInterface};

/// The verbs of the kernel that the daemon uses.
#[async_trait]
pub trait Dataplane: Send + Sync {
    /// Makes the node look as desired: rules, ENI links with their tables, sysctls, the nftables table. Links that are
    /// not there are an error for their ENI only after everything else was applied.
    async fn apply_node(&self, desired: &NodeDesired) -> Result<Changes, Unfinished> {
        self.mend_node(desired, Parts::NODE).await
    }

    /// The same for some parts only. The nftables table is compared also when it should be another than was last seen to
    /// stand, and never without need: that takes a subprocess.
    async fn mend_node(&self, desired: &NodeDesired, parts: Parts) -> Result<Changes, Unfinished>;

    /// Waits until the kernel has told of a change, by somebody else, that puts parts of the layout in doubt; answers what
    /// came together since it was last asked. A hint: what is in doubt may stand as it should.
    ///
    /// # Errors
    /// Only when the dataplane has stopped.
    async fn doubted(&self) -> Result<Parts, DataplaneError>;

    /// Mends the host ends of pods that stand: state, group, MAC, alias, route. A pod whose link is gone, or waits for the
    /// reaper, is left alone; what is inside of a pod is not looked at.
    async fn mend_pods(&self, pods: Vec<StandingPod>) -> Result<Changes, Unfinished>;

    /// Waits, by netlink notification, for the link with this MAC; answers its index. The caller bounds the wait.
    async fn wait_link(&self, mac: Mac) -> Result<u32, DataplaneError>;

    /// Gives the pod its interface and the host its route. Repeating it converges on the same state. A link of ours
    /// that bears the wanted name but belongs to another attachment is set down, renamed and left to the reaper.
    ///
    /// # Errors
    /// [`DataplaneError::InterfaceExists`] if a link with the pod's ifname stands in the namespace, is not the one this
    /// attachment made, and does not wait for the reaper. After an error nothing of the attachment is left behind.
    async fn apply_pod(
        &self,
        desired: &PodDesired,
        netns: Arc<OwnedFd>,
    ) -> Result<PodLinks, DataplaneError>;

    /// Takes the pod's route away at once and leaves its link to the reaper, which deletes it within a second. Success
    /// if there is nothing (left) to remove. `netns` is needed only to take our address off an interface that another
    /// plugin made, and the rule of a second interface out of the pod.
    async fn remove_pod(
        &self,
        pod: &PodRemoval,
        netns: Option<Arc<OwnedFd>>,
    ) -> Result<(), DataplaneError>;

    /// The host ends of all pods that stand in the kernel now. A link that an ADD left half-made, because its daemon died,
    /// is no pod's and goes to the reaper.
    async fn observe_pods(&self) -> Result<Vec<ObservedPod>, DataplaneError>;

    /// All that one attachment has in the kernel. `host_ifindex` is where its link was when it was made. Changes nothing.
    async fn observe_attachment(
        &self,
        desired: &PodDesired,
        host_ifindex: Option<u32>,
        netns: Arc<OwnedFd>,
    ) -> Result<ObservedAttachment, DataplaneError>;

    /// Those of `pods` that have neither a link nor a route any more; a link that waits for the reaper is none.
    async fn without_link(&self, pods: Vec<PodRemoval>) -> Result<Vec<PodRemoval>, DataplaneError>;

    /// Takes away the route and the rules that aws-node left of a pod, unless its address is another pod's by now. The link
    /// goes with the pod's namespace.
    async fn remove_aws_node(&self, link: &AwsNodeLink) -> Result<(), DataplaneError>;
}

/// The links of a pod that stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodLinks {
    /// Index of the host's end.
    pub host_ifindex: u32,
    /// Name of the host's end: the desired one, or that of the plugin which made the interface.
    pub host_ifname: String,
    /// MAC of the host's end.
    pub host_mac: Mac,
    /// MAC of the pod's end.
    pub pod_mac: Mac,
}

/// The host's end of a pod as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StandingPod {
    /// As the link was made, or found in a chain.
    pub interface: PodInterface,
    /// Its index, where known.
    pub ifindex: Option<u32>,
    /// Its alias; on a link that another plugin made, only if that gave it none.
    pub alias: String,
    /// Its MAC, of a link made by us.
    pub mac: Mac,
    /// Its group.
    pub group: u32,
    /// The pod's address.
    pub address: Ipv4Addr,
}

/// What to remove.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodRemoval {
    /// Finds the host's end.
    pub alias: String,
    /// Index of the host's end, where known; believed only if the alias agrees.
    pub host_ifindex: Option<u32>,
    /// Ours to delete, or only to leave.
    pub interface: PodInterface,
    /// Name of the pod's end.
    pub ifname: String,
    /// The pod's address.
    pub address: Ipv4Addr,
}

/// The host's end of a pod as the kernel has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObservedPod {
    /// Its index.
    pub ifindex: u32,
    /// Its name.
    pub name: String,
    /// Its alias, `berth:<container id>/<ifname>`.
    pub alias: String,
    /// Its group.
    pub group: u32,
    /// The address routed to it in the pod table, if any.
    pub address: Option<Ipv4Addr>,
}

/// The kernel refused, or is not as it must be.
#[derive(Debug, thiserror::Error)]
pub enum DataplaneError {
    /// A netlink request failed.
    #[error("{step} {object}: {source}")]
    Netlink {
        /// The equal `ip` command, without its object.
        step: &'static str,
        /// What it was about.
        object: String,
        /// The kernel's answer.
        source: std::io::Error,
    },
    /// The pod already has an interface of that name.
    #[error("interface {ifname} exists in the pod's network namespace")]
    InterfaceExists {
        /// Its name.
        ifname: String,
    },
    /// Chained behind a plugin that made no usable interface.
    #[error("interface {ifname} in the pod's network namespace {problem}")]
    UnusableInterface {
        /// Its name.
        ifname: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The pod's namespace cannot be entered.
    #[error("enter the pod's network namespace: {source}")]
    Netns {
        /// Why.
        source: std::io::Error,
    },
    /// An ENI's link is not on this machine.
    #[error("no link with MAC {mac}")]
    NoLink {
        /// The ENI's MAC.
        mac: Mac,
    },
    /// A sysctl cannot be written.
    #[error("write {value} to {path}: {source}")]
    Sysctl {
        /// The file.
        path: String,
        /// The value.
        value: String,
        /// Why.
        source: std::io::Error,
    },
    /// `nft` failed or said something that cannot be understood.
    #[error("nft {step}: {message}")]
    Nft {
        /// What it was to do.
        step: &'static str,
        /// What it said, one line.
        message: String,
    },
    /// The worker that owns the netlink sockets is gone; the daemon is stopping.
    #[error("the netlink worker has stopped")]
    Stopped,
}
