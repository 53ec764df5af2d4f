//! A small Kubernetes API server: pods and nodes, list and watch with field selectors, versions, bookmarks, and everything
//! that goes wrong with them. There is no scheduler, no kubelet and no controller: who holds it binds and deletes pods.
//!
//! `ApiServer` is the way in. `world` is what it knows (pure), `select` which objects a request is about, `watch` the
//! stream of changes, `api` the HTTP in front, `admin` the same for programs that cannot call functions, `faults` what is
//! to go wrong. It shares no code with what it tests; the real kubectl is its other client.

mod admin;
mod api;
mod faults;
mod select;
mod watch;
mod world;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use serde::Serialize;
use serde_json::Value;
use tokio::sync::watch as news;
use tokio::task::JoinSet;

pub use self::faults::{Fault, FaultKind, Garbage, Verb};
pub use self::world::PodSpec;

use self::faults::Faults;
use self::world::{Resource, World};
use crate::mock::Guarded;
use crate::netns::Netns;

/// Between two bookmarks of a quiet watch. Real ones send one about each minute.
const BOOKMARKS: Duration = Duration::from_secs(60);

/// One request, as it came in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Asked {
    /// `list`, `watch` or `get`.
    pub verb: Verb,
    /// `pods` or `nodes`.
    pub resource: String,
    /// The path and query.
    pub uri: String,
    /// The status that it was answered with.
    pub status: u16,
}

/// The state of the server; those who serve and those who hold it share it.
#[derive(Debug)]
struct Shared {
    world: Guarded<World>,
    faults: Guarded<Faults>,
    asked: Guarded<Vec<Asked>>,
    /// The bearer token that clients must show, if any.
    token: Option<String>,
    bookmarks: Duration,
    /// The newest version, and how often all watches were cut.
    news: news::Sender<(u64, u64)>,
}

/// An API server. Dropping it closes all its connections and its ports.
#[derive(Debug)]
pub struct ApiServer {
    shared: Arc<Shared>,
    listeners: Guarded<JoinSet<()>>,
}

impl Default for ApiServer {
    fn default() -> Self {
        Self::new(None, BOOKMARKS)
    }
}

impl ApiServer {
    /// A server without pods and nodes that listens nowhere yet. With a token, who does not show it is not known (401).
    #[must_use]
    pub fn new(token: Option<&str>, bookmarks: Duration) -> Self {
        let shared = Shared {
            world: Guarded::default(),
            faults: Guarded::default(),
            asked: Guarded::default(),
            token: token.map(str::to_owned),
            bookmarks,
            news: news::channel((0, 0)).0,
        };
        Self {
            shared: Arc::new(shared),
            listeners: Guarded::default(),
        }
    }

    /// Listens, on this machine or inside a node's namespace; answers the address. Must be called within a runtime.
    ///
    /// # Errors
    /// The address is taken, or the namespace cannot be entered.
    pub fn listen(&self, netns: Option<&Netns>, address: SocketAddr) -> io::Result<SocketAddr> {
        let open = || std::net::TcpListener::bind(address);
        let listener = match netns {
            Some(netns) => netns.run(open)??,
            None => open()?,
        };
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let router = Router::new()
            .merge(api::router(self.shared.clone()))
            .merge(admin::router(self.shared.clone()));
        self.listeners.lock().spawn(async move {
            if let Err(error) = axum::serve(listener, router).await {
                tracing::warn!(%error, "a listener of the API server ended");
            }
        });
        Ok(address)
    }

    /// A Node that may run so many pods.
    pub fn add_node(&self, name: &str, pods: u32) {
        self.shared
            .change(|world| world.put(Resource::Nodes, world::node(name, pods)));
    }

    /// The scheduler's decision: a pod that was not there before is bound to a node.
    pub fn bind(&self, pod: &PodSpec) {
        self.shared
            .change(|world| world.put(Resource::Pods, pod.object()));
    }

    /// Sets a field of a pod by its JSON pointer, for example `/status/phase`; whether there is such a pod.
    pub fn set(&self, namespace: &str, name: &str, pointer: &str, value: Value) -> bool {
        self.shared
            .change(|world| world.set(Resource::Pods, (namespace, name), pointer, value))
    }

    /// The pod is gone from etcd; whether it was there.
    pub fn delete(&self, namespace: &str, name: &str) -> bool {
        self.shared
            .change(|world| world.delete(Resource::Pods, namespace, name))
    }

    /// Something is to go wrong.
    pub fn fault(&self, fault: Fault) {
        self.shared.faults.lock().set(fault);
    }

    /// Nothing is to go wrong any more.
    pub fn clear_faults(&self) {
        self.shared.faults.lock().clear();
    }

    /// The connections of all watches break.
    pub fn disconnect(&self) {
        self.shared.news.send_modify(|(_, cuts)| *cuts += 1);
    }

    /// The history so far is forgotten, as etcd's compaction does every few minutes: watches that would begin in it get 410.
    pub fn compact(&self) {
        self.shared.change(World::compact);
    }

    /// What was asked so far.
    #[must_use]
    pub fn asked(&self) -> Vec<Asked> {
        self.shared.asked.lock().clone()
    }

    /// How often this was asked.
    #[must_use]
    pub fn count(&self, verb: Verb, resource: &str) -> usize {
        let asked = self.shared.asked.lock();
        let is_it = |asked: &&Asked| asked.verb == verb && asked.resource == resource;
        asked.iter().filter(is_it).count()
    }
}

impl Shared {
    /// Changes the world and tells the watches.
    fn change<T>(&self, change: impl FnOnce(&mut World) -> T) -> T {
        let mut world = self.world.lock();
        let result = change(&mut world);
        let version = world.version();
        self.news.send_modify(|(newest, _)| *newest = version);
        result
    }
}
