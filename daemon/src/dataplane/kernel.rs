//! The adapter to the kernel. Threads that live in the network namespace in which they were started own the sockets; the
//! handle that others hold sends them what to do. Pods are worked on one after another by a thread that does nothing else
//! and waits for nothing but the kernel; the node has another, so that an ADD never waits for `nft`, and so have the reaper
//! and who listens to what the kernel tells.

use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process;
use std::sync::Arc;
use std::sync::mpsc as handover;
use std::thread;

use async_trait::async_trait;
use berth_cni::contract::AwsNodeLink;
use ipam::Mac;
use ipam::desired::check::ObservedAttachment;
use ipam::desired::{NodeDesired, PodDesired};
use tokio::runtime::Builder;
use tokio::sync::{mpsc, oneshot, watch as latest};

use super::netlink::{Home, Netlink, refused};
use super::nft::Nft;
use super::node::Node;
use super::notify::{self, Ears, Interest};
use super::pod::Pods;
use super::reaper::{self, Reaper};
use super::sysctl::Sysctls;
use super::{
    Changes, Dataplane, DataplaneError, ObservedPod, Parts, PodLinks, PodRemoval, StandingPod,
    Unfinished, watch,
};

/// Where things are that differ between a node and a container on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KernelConfig {
    /// The node's proc file system: `/proc`, or where a container has a writable one.
    pub proc_root: PathBuf,
    /// The `nft` program.
    pub nft: PathBuf,
    /// Room for the kernel's unread notifications, bytes. When it is too little everything is compared.
    pub queue: usize,
}

impl Default for KernelConfig {
    fn default() -> Self {
        Self {
            proc_root: "/proc".into(),
            nft: "nft".into(),
            // Some thousand of them: what a `iptables-restore` of a large cluster's rules makes at once.
            queue: 4 << 20,
        }
    }
}

/// A handle to the worker; the worker ends, after what it was already told, when the last one is dropped.
#[derive(Clone, Debug)]
pub struct KernelDataplane {
    pods: handover::Sender<PodRequest>,
    node: mpsc::UnboundedSender<NodeRequest>,
    /// What was heard and not taken yet: whoever takes it leaves nothing.
    raised: latest::Sender<Parts>,
    doubts: latest::Receiver<Parts>,
}

type Answer<T, E = DataplaneError> = oneshot::Sender<Result<T, E>>;

#[derive(Debug)]
enum PodRequest {
    Apply(Box<PodDesired>, Arc<OwnedFd>, Answer<PodLinks>),
    Remove(PodRemoval, Option<Arc<OwnedFd>>, Answer<()>),
    Observe(Answer<Vec<ObservedPod>>),
    ObserveOne(
        Box<PodDesired>,
        Option<u32>,
        Arc<OwnedFd>,
        Answer<ObservedAttachment>,
    ),
    WithoutLink(Vec<PodRemoval>, Answer<Vec<PodRemoval>>),
    RemoveAwsNode(AwsNodeLink, Answer<()>),
    Mend(Vec<StandingPod>, Answer<Changes, Unfinished>),
}

#[derive(Debug)]
enum NodeRequest {
    Mend(NodeDesired, Parts, Answer<Changes, Unfinished>),
    WaitLink(Mac, Answer<u32>),
}

impl KernelDataplane {
    /// Starts the worker in the calling thread's network namespace. Links that a predecessor left to its reaper are
    /// deleted.
    ///
    /// # Errors
    /// If a thread, a runtime or a netlink socket cannot be had.
    pub fn start(config: KernelConfig) -> Result<Self, DataplaneError> {
        let queue = config.queue;
        let (reaper, woken) = Reaper::new();
        let reaper_port = spawn_async("berth-reaper", host, async |netlink| {
            reaper::run(netlink, woken).await
        })?;
        let interest = latest::Sender::new(Interest::default());
        let watched = interest.subscribe();
        let (pods, pod_requests) = handover::channel();
        let (node, node_requests) = mpsc::unbounded_channel();
        let (sysctls, proc_root) = (Sysctls::new(config.proc_root.clone()), config.proc_root);
        let pods_port = spawn("berth-pods", move || {
            let host = Netlink::open()?;
            let port = host.port();
            let home = Home::open()?;
            let pods = Pods {
                host,
                home,
                sysctls,
                reaper,
            };
            Ok((move || serve_pods(&pods, &pod_requests), port))
        })?;
        let node_port = spawn_async("berth-node", host, async |host: Netlink| {
            let node = Node {
                host,
                sysctls: Sysctls::new(proc_root),
                nft: Nft::new(config.nft),
                interest,
            };
            serve_node(node, node_requests).await;
        })?;
        let (raised, doubts) = latest::channel(Parts::NONE);
        let own = vec![reaper_port, pods_port, node_port];
        let heard = raised.clone();
        let ears = move || Ok((Ears::open(queue)?, ()));
        spawn_async("berth-listen", ears, async move |ears| {
            notify::run(ears, own, watched, heard).await;
        })?;
        Ok(Self {
            pods,
            node,
            raised,
            doubts,
        })
    }

    /// Asks the worker for pods.
    async fn of_pods<T, E: From<DataplaneError>>(
        &self,
        request: impl FnOnce(Answer<T, E>) -> PodRequest,
    ) -> Result<T, E> {
        answered(|answer| self.pods.send(request(answer)).is_ok()).await
    }

    /// Asks the worker for the node.
    async fn of_node<T, E: From<DataplaneError>>(
        &self,
        request: impl FnOnce(Answer<T, E>) -> NodeRequest,
    ) -> Result<T, E> {
        answered(|answer| self.node.send(request(answer)).is_ok()).await
    }
}

/// What a worker answers to what `send` sends it, if it is there.
async fn answered<T, E: From<DataplaneError>>(
    send: impl FnOnce(Answer<T, E>) -> bool,
) -> Result<T, E> {
    let (answer, answered) = oneshot::channel();
    if !send(answer) {
        return Err(DataplaneError::Stopped.into());
    }
    let stopped = |_| Err(DataplaneError::Stopped.into());
    answered.await.unwrap_or_else(stopped)
}

#[async_trait]
impl Dataplane for KernelDataplane {
    async fn mend_node(&self, desired: &NodeDesired, parts: Parts) -> Result<Changes, Unfinished> {
        let desired = desired.clone();
        self.of_node(|answer| NodeRequest::Mend(desired, parts, answer))
            .await
    }

    async fn mend_pods(&self, pods: Vec<StandingPod>) -> Result<Changes, Unfinished> {
        self.of_pods(|answer| PodRequest::Mend(pods, answer)).await
    }

    async fn doubted(&self) -> Result<Parts, DataplaneError> {
        let mut doubts = self.doubts.clone();
        let raised = doubts.wait_for(|doubts| !doubts.is_empty()).await;
        raised.map_err(|_| DataplaneError::Stopped)?;
        Ok(self.raised.send_replace(Parts::NONE))
    }

    async fn wait_link(&self, mac: Mac) -> Result<u32, DataplaneError> {
        self.of_node(|answer| NodeRequest::WaitLink(mac, answer))
            .await
    }

    async fn apply_pod(
        &self,
        desired: &PodDesired,
        netns: Arc<OwnedFd>,
    ) -> Result<PodLinks, DataplaneError> {
        let desired = Box::new(desired.clone());
        self.of_pods(|answer| PodRequest::Apply(desired, netns, answer))
            .await
    }

    async fn remove_pod(
        &self,
        pod: &PodRemoval,
        netns: Option<Arc<OwnedFd>>,
    ) -> Result<(), DataplaneError> {
        let pod = pod.clone();
        self.of_pods(|answer| PodRequest::Remove(pod, netns, answer))
            .await
    }

    async fn observe_pods(&self) -> Result<Vec<ObservedPod>, DataplaneError> {
        self.of_pods(PodRequest::Observe).await
    }

    async fn observe_attachment(
        &self,
        desired: &PodDesired,
        host_ifindex: Option<u32>,
        netns: Arc<OwnedFd>,
    ) -> Result<ObservedAttachment, DataplaneError> {
        let desired = Box::new(desired.clone());
        self.of_pods(|answer| PodRequest::ObserveOne(desired, host_ifindex, netns, answer))
            .await
    }

    async fn without_link(&self, pods: Vec<PodRemoval>) -> Result<Vec<PodRemoval>, DataplaneError> {
        self.of_pods(|answer| PodRequest::WithoutLink(pods, answer))
            .await
    }

    async fn remove_aws_node(&self, link: &AwsNodeLink) -> Result<(), DataplaneError> {
        let link = link.clone();
        self.of_pods(|answer| PodRequest::RemoveAwsNode(link, answer))
            .await
    }
}

/// The socket of a worker, and its port.
fn host() -> io::Result<(Netlink, u32)> {
    let netlink = Netlink::open()?;
    let port = netlink.port();
    Ok((netlink, port))
}

/// Runs on a thread of its own what `open` makes there, in the calling thread's namespace, which a new thread inherits;
/// answers what is to be known of it here.
fn spawn<T: Send + 'static, W: FnOnce()>(
    name: &str,
    open: impl FnOnce() -> io::Result<(W, T)> + Send + 'static,
) -> Result<T, DataplaneError> {
    let (ready, readied) = handover::channel();
    let body = move || {
        let _vital = Vital;
        match open() {
            Ok((work, known)) => {
                // Whoever started it waits for this.
                let _ = ready.send(Ok(known));
                work();
            }
            Err(error) => drop(ready.send(Err(error))),
        }
    };
    let started = thread::Builder::new().name(name.to_owned()).spawn(body);
    started
        .and_then(|_| {
            let died = |_| io::Error::other("the thread ended");
            readied.recv().map_err(died).flatten()
        })
        .map_err(refused("start the thread", name))
}

/// Ends the daemon when its thread panics, which is a bug. Without the worker each ADD would fail until somebody looks;
/// so whoever supervises the daemon starts it again, and the checkpoint has the state.
struct Vital;

impl Drop for Vital {
    fn drop(&mut self) {
        if thread::panicking() {
            process::abort();
        }
    }
}

/// The same for work that waits: it gets a runtime, and what `open` opens inside of that.
fn spawn_async<S: 'static, T: Send + 'static, F>(
    name: &str,
    open: impl FnOnce() -> io::Result<(S, T)> + Send + 'static,
    work: impl FnOnce(S) -> F + Send + 'static,
) -> Result<T, DataplaneError>
where
    F: Future<Output = ()>,
{
    spawn(name, move || {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let (socket, known) = {
            let _inside = runtime.enter();
            open()?
        };
        Ok((move || runtime.block_on(work(socket)), known))
    })
}

fn serve_pods(pods: &Pods, requests: &handover::Receiver<PodRequest>) {
    while let Ok(request) = requests.recv() {
        match pods.home.regain() {
            Ok(()) => request.carry_out(pods),
            Err(error) => {
                tracing::error!(%error, "the thread that wires pods is in a pod's network namespace");
                request.refuse(error);
            }
        }
    }
}

impl PodRequest {
    // An answer that nobody waits for any more is no reason to stop: its effect is undone by a later request.
    fn carry_out(self, pods: &Pods) {
        match self {
            Self::Apply(_, _, answer) if answer.is_closed() => {}
            Self::Apply(desired, netns, answer) => {
                let _ = answer.send(pods.apply(&desired, &netns));
            }
            Self::Remove(pod, netns, answer) => {
                let _ = answer.send(pods.remove(&pod, netns.as_deref()));
            }
            Self::Observe(answer) => {
                let _ = answer.send(pods.observe());
            }
            Self::ObserveOne(desired, host_ifindex, netns, answer) => {
                let observed = pods.observe_attachment(&desired, host_ifindex, &netns);
                let _ = answer.send(observed);
            }
            Self::WithoutLink(asked, answer) => {
                let _ = answer.send(pods.without_link(asked));
            }
            Self::RemoveAwsNode(link, answer) => {
                let _ = answer.send(pods.remove_aws_node(&link));
            }
            Self::Mend(standing, answer) => {
                let _ = answer.send(pods.mend(&standing));
            }
        }
    }

    /// Answers that it is not done.
    fn refuse(self, error: DataplaneError) {
        match self {
            Self::Apply(_, _, answer) => drop(answer.send(Err(error))),
            Self::Remove(_, _, answer) | Self::RemoveAwsNode(_, answer) => {
                drop(answer.send(Err(error)));
            }
            Self::Observe(answer) => drop(answer.send(Err(error))),
            Self::ObserveOne(_, _, _, answer) => drop(answer.send(Err(error))),
            Self::WithoutLink(_, answer) => drop(answer.send(Err(error))),
            Self::Mend(_, answer) => drop(answer.send(Err(error.into()))),
        }
    }
}

async fn serve_node(mut node: Node, mut requests: mpsc::UnboundedReceiver<NodeRequest>) {
    while let Some(request) = requests.recv().await {
        match request {
            NodeRequest::Mend(desired, parts, answer) => {
                let _ = answer.send(node.mend(&desired, parts).await);
            }
            NodeRequest::WaitLink(mac, answer) => {
                tokio::spawn(watch::answer(node.host.clone(), mac, answer));
            }
        }
    }
}

#[cfg(test)]
mod tests;
