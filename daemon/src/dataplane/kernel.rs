//! The adapter to the kernel. One thread with a runtime of its own lives in the network namespace in which it was started
//! and owns the sockets; the handle that others hold sends it what to do. Pods are worked on one after another, and so is
//! the node beside them, so that an ADD never waits for `nft`.

use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::mpsc as handover;
use std::thread;

use async_trait::async_trait;
use berth_cni::contract::AwsNodeLink;
use ipam::Mac;
use ipam::desired::check::ObservedAttachment;
use ipam::desired::{NodeDesired, PodDesired};
use tokio::runtime::Builder;
use tokio::sync::{mpsc, oneshot};

use super::netlink::{Netlink, refused};
use super::nft::Nft;
use super::node::Node;
use super::pod::Pods;
use super::reaper::{self, Reaper};
use super::sysctl::Sysctls;
use super::{Changes, Dataplane, DataplaneError, ObservedPod, PodLinks, PodRemoval, watch};

/// Where things are that differ between a node and a container on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KernelConfig {
    /// The node's proc file system: `/proc`, or where a container has a writable one.
    pub proc_root: PathBuf,
    /// The `nft` program.
    pub nft: PathBuf,
}

impl Default for KernelConfig {
    fn default() -> Self {
        Self {
            proc_root: "/proc".into(),
            nft: "nft".into(),
        }
    }
}

/// A handle to the worker; the worker ends, after what it was already told, when the last one is dropped.
#[derive(Clone, Debug)]
pub struct KernelDataplane {
    pods: mpsc::UnboundedSender<PodRequest>,
    node: mpsc::UnboundedSender<NodeRequest>,
}

type Answer<T> = oneshot::Sender<Result<T, DataplaneError>>;

#[derive(Debug)]
enum PodRequest {
    Apply(Box<PodDesired>, OwnedFd, Answer<PodLinks>),
    Remove(PodRemoval, Option<OwnedFd>, Answer<()>),
    Observe(Answer<Vec<ObservedPod>>),
    ObserveOne(
        Box<PodDesired>,
        Option<u32>,
        OwnedFd,
        Answer<ObservedAttachment>,
    ),
    WithoutLink(Vec<PodRemoval>, Answer<Vec<PodRemoval>>),
    RemoveAwsNode(AwsNodeLink, Answer<()>),
}

#[derive(Debug)]
enum NodeRequest {
    Apply(NodeDesired, Answer<Changes>),
    WaitLink(Mac, Answer<u32>),
}

impl KernelDataplane {
    /// Starts the worker in the calling thread's network namespace. Links that a predecessor left to its reaper are
    /// deleted.
    ///
    /// # Errors
    /// If a thread, a runtime or a netlink socket cannot be had.
    pub fn start(config: KernelConfig) -> Result<Self, DataplaneError> {
        let (reaper, woken) = Reaper::new();
        spawn("berth-reaper", async |netlink| {
            reaper::run(netlink, woken).await
        })?;
        let (pods, pod_requests) = mpsc::unbounded_channel();
        let (node, node_requests) = mpsc::unbounded_channel();
        spawn("berth-netlink", async |host: Netlink| {
            let sysctls = Sysctls::new(config.proc_root);
            let pods = Pods {
                host: host.clone(),
                sysctls: sysctls.clone(),
                reaper,
            };
            let node = Node {
                host,
                sysctls,
                nft: Nft::new(config.nft),
            };
            tokio::join!(
                serve_pods(&pods, pod_requests),
                serve_node(&node, node_requests)
            );
        })?;
        Ok(Self { pods, node })
    }

    async fn ask<R, T>(
        requests: &mpsc::UnboundedSender<R>,
        request: impl FnOnce(Answer<T>) -> R,
    ) -> Result<T, DataplaneError> {
        let (answer, answered) = oneshot::channel();
        requests
            .send(request(answer))
            .map_err(|_| DataplaneError::Stopped)?;
        answered.await.unwrap_or(Err(DataplaneError::Stopped))
    }
}

#[async_trait]
impl Dataplane for KernelDataplane {
    async fn apply_node(&self, desired: &NodeDesired) -> Result<Changes, DataplaneError> {
        let desired = desired.clone();
        Self::ask(&self.node, |answer| NodeRequest::Apply(desired, answer)).await
    }

    async fn wait_link(&self, mac: Mac) -> Result<u32, DataplaneError> {
        Self::ask(&self.node, |answer| NodeRequest::WaitLink(mac, answer)).await
    }

    async fn apply_pod(
        &self,
        desired: &PodDesired,
        netns: OwnedFd,
    ) -> Result<PodLinks, DataplaneError> {
        let desired = Box::new(desired.clone());
        Self::ask(&self.pods, |answer| {
            PodRequest::Apply(desired, netns, answer)
        })
        .await
    }

    async fn remove_pod(
        &self,
        pod: &PodRemoval,
        netns: Option<OwnedFd>,
    ) -> Result<(), DataplaneError> {
        let pod = pod.clone();
        Self::ask(&self.pods, |answer| PodRequest::Remove(pod, netns, answer)).await
    }

    async fn observe_pods(&self) -> Result<Vec<ObservedPod>, DataplaneError> {
        Self::ask(&self.pods, PodRequest::Observe).await
    }

    async fn observe_attachment(
        &self,
        desired: &PodDesired,
        host_ifindex: Option<u32>,
        netns: OwnedFd,
    ) -> Result<ObservedAttachment, DataplaneError> {
        let desired = Box::new(desired.clone());
        Self::ask(&self.pods, |answer| {
            PodRequest::ObserveOne(desired, host_ifindex, netns, answer)
        })
        .await
    }

    async fn without_link(&self, pods: Vec<PodRemoval>) -> Result<Vec<PodRemoval>, DataplaneError> {
        Self::ask(&self.pods, |answer| PodRequest::WithoutLink(pods, answer)).await
    }

    async fn remove_aws_node(&self, link: &AwsNodeLink) -> Result<(), DataplaneError> {
        let link = link.clone();
        Self::ask(&self.pods, |answer| PodRequest::RemoveAwsNode(link, answer)).await
    }
}

/// Runs `work` on a thread of its own with a socket in the calling thread's namespace, which a new thread inherits.
fn spawn<F>(
    name: &str,
    work: impl FnOnce(Netlink) -> F + Send + 'static,
) -> Result<(), DataplaneError>
where
    F: Future<Output = ()>,
{
    let (ready, readied) = handover::channel();
    let body = move || {
        let opened = Builder::new_current_thread().enable_all().build();
        let opened = opened.and_then(|runtime| {
            let _inside = runtime.enter();
            Netlink::open().map(|netlink| (netlink, runtime))
        });
        let _ = match opened {
            Ok((netlink, runtime)) => {
                let told = ready.send(Ok(()));
                runtime.block_on(work(netlink));
                told
            }
            Err(error) => ready.send(Err(error)),
        };
    };
    let started = thread::Builder::new().name(name.to_owned()).spawn(body);
    started
        .and_then(|_| {
            let died = |_| io::Error::other("the thread ended");
            readied.recv().map_err(died).flatten()
        })
        .map_err(refused("start the thread", name))
}

async fn serve_pods(pods: &Pods, mut requests: mpsc::UnboundedReceiver<PodRequest>) {
    while let Some(request) = requests.recv().await {
        // An answer that nobody waits for any more is no reason to stop: its effect is undone by a later request.
        match request {
            PodRequest::Apply(_, _, answer) if answer.is_closed() => {}
            PodRequest::Apply(desired, netns, answer) => {
                let _ = answer.send(pods.apply(&desired, &netns).await);
            }
            PodRequest::Remove(pod, netns, answer) => {
                let _ = answer.send(pods.remove(&pod, netns.as_ref()).await);
            }
            PodRequest::Observe(answer) => {
                let _ = answer.send(pods.observe().await);
            }
            PodRequest::ObserveOne(desired, host_ifindex, netns, answer) => {
                let observed = pods.observe_attachment(&desired, host_ifindex, &netns);
                let _ = answer.send(observed.await);
            }
            PodRequest::WithoutLink(asked, answer) => {
                let _ = answer.send(pods.without_link(asked).await);
            }
            PodRequest::RemoveAwsNode(link, answer) => {
                let _ = answer.send(pods.remove_aws_node(&link).await);
            }
        }
    }
}

async fn serve_node(node: &Node, mut requests: mpsc::UnboundedReceiver<NodeRequest>) {
    while let Some(request) = requests.recv().await {
        match request {
            NodeRequest::Apply(desired, answer) => {
                let _ = answer.send(node.apply(&desired).await);
            }
            NodeRequest::WaitLink(mac, answer) => {
                tokio::spawn(watch::answer(node.host.clone(), mac, answer));
            }
        }
    }
}
