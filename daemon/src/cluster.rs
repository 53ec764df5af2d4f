//! The port to Kubernetes: which pods are bound to this node and need an address of it, in our own types. Only foresight
//! comes from here: a pod's address is asked for when the scheduler has chosen the node, before its ADD arrives. Nothing
//! waits for an answer, and everything works without one.
//!
//! [`watch`] is who asks and how often; the adapter on the `kube` crate is `api`.

mod api;
#[cfg(test)]
pub(crate) mod fake;
mod pace;
#[cfg(test)]
mod tests;
mod view;
mod watch;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::stream::BoxStream;

pub use api::ApiServer;
pub use watch::watch;

/// A pod that is bound to this node, has a network of its own, and has neither ended nor been told to end.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct BoundPod {
    /// Which pod.
    pub name: BoundName,
    /// As the runtime tells it to the plugin: of a static pod that is not the uid of its mirror in the API.
    pub uid: String,
    /// The addresses that its kubelet has reported.
    pub addresses: Vec<IpAddr>,
}

/// A pod's namespace and name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BoundName {
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
}

/// What a list answers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listed {
    /// All bound pods.
    pub pods: Vec<BoundPod>,
    /// The version of that state, from which a watch goes on.
    pub version: String,
}

/// What a watch tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// The pod is bound, or has changed.
    Bound(BoundPod),
    /// The pod needs no address any more: it is gone, has ended or is to end.
    Gone(BoundName),
    /// Nothing, but the API server is there.
    None,
}

/// A change, and the version from which the next watch goes on.
pub type Versioned = (Change, String);

/// The changes as they come; ends when the API server ends it, which is no failure.
pub type Changes = BoxStream<'static, Result<Versioned, ClusterError>>;

/// The API server, as far as this node asks it.
#[async_trait]
pub trait Cluster: Send + Sync {
    /// All pods that are bound to this node now, as far as they need addresses.
    ///
    /// # Errors
    /// [`ClusterError`].
    async fn list(&self) -> Result<Listed, ClusterError>;

    /// What changes after `version`, for so long at most.
    ///
    /// # Errors
    /// [`ClusterError`]; [`Kind::Expired`] when only a list can tell.
    async fn watch(&self, version: &str, within: Duration) -> Result<Changes, ClusterError>;

    /// How many pods the node may run (`status.allocatable.pods` of the Node), if it says.
    ///
    /// # Errors
    /// [`ClusterError`].
    async fn allocatable_pods(&self) -> Result<Option<u32>, ClusterError>;
}

/// What is known of the pods bound to this node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sight {
    /// The pods; `None` while the API server does not say, or has not for too long.
    pub pods: Option<Arc<[BoundPod]>>,
    /// How many pods the node may run, where that is known.
    pub allocatable: Option<u32>,
}

/// What went wrong, as far as it matters for what to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It is not known whom to ask, or about which node.
    Unconfigured,
    /// 401: it does not know us.
    Unauthorized,
    /// 403: it does not let us.
    Denied,
    /// 429 and 503: it has too much to do, and may say for how long.
    Busy(Option<Duration>),
    /// 410: the version is too old.
    Expired,
    /// No answer.
    Unreachable,
    /// An answer that is none.
    Garbled,
}

/// Why the API server did not say.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ClusterError {
    /// What to do about it.
    pub kind: Kind,
    /// What happened, one line.
    pub message: String,
}

impl ClusterError {
    /// Whether another try will end in the same unless somebody changes something.
    pub fn is_permanent(&self) -> bool {
        matches!(
            self.kind,
            Kind::Unconfigured | Kind::Unauthorized | Kind::Denied
        )
    }

    /// What to do, one line.
    pub fn remedy(&self) -> &'static str {
        match self.kind {
            Kind::Unconfigured => {
                "set MY_NODE_NAME and run in a pod with a service account, or set KUBECONFIG; or do without foresight"
            }
            Kind::Unauthorized => {
                "check the service account's token, or the credentials in KUBECONFIG"
            }
            Kind::Denied => {
                "apply the ClusterRole of berth's manifests (get, list, watch of pods and nodes), or do without foresight"
            }
            Kind::Busy(_) => "nothing to do: it is asked less often",
            Kind::Expired | Kind::Unreachable | Kind::Garbled => {
                "nothing to do if the API server is away: it is asked again"
            }
        }
    }
}
