//! The unix socket that the CNI plugin, `berthd status` and `berthd explain` talk to: who may connect, how long they may take, how many
//! at once, and what happens when one leaves. What a request means is the [`Service`]'s; the bytes are `frame`'s.

mod connection;
mod error;
mod frame;
mod listener;
mod place;

#[cfg(test)]
mod tests;

use std::os::fd::OwnedFd;
use std::time::Duration;

use async_trait::async_trait;
use berth_cni::contract::{AddRequest, CheckRequest, DelRequest, GcRequest, MAX_FRAME, Outcome};

pub use connection::serve;
pub use error::ServerError;
pub use listener::Listener;
pub use place::BindError;

/// What answers requests. Dropping one of these futures is the cancellation: the client has gone and nobody will read
/// the answer.
#[async_trait]
pub trait Service: Send + Sync + 'static {
    /// Makes an attachment. `invocation` names the plugin process that asks, `netns` is the pod's network namespace.
    async fn add(&self, request: AddRequest, invocation: String, netns: OwnedFd) -> Outcome;

    /// Undoes an attachment; `netns` is absent when the namespace no longer exists.
    async fn del(&self, request: DelRequest, netns: Option<OwnedFd>) -> Outcome;

    /// Compares an attachment with what stands, and changes nothing.
    async fn check(&self, request: CheckRequest, netns: OwnedFd) -> Outcome;

    /// Undoes the attachments of a network that are not named.
    async fn gc(&self, request: GcRequest) -> Outcome;

    /// Whether ADDs are taken.
    async fn status(&self) -> Outcome;

    /// A request of the plugin was answered, or its client went away: `result` is `ok`, `cancelled`, or the reason's
    /// name. For whoever counts them.
    fn answered(&self, _verb: &'static str, _result: &str, _took: Duration) {}

    /// The daemon's state.
    async fn state(&self) -> Outcome;

    /// Why the node holds what it holds, and what comes next.
    async fn explain(&self) -> Outcome;
}

/// What one client may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections served at once; one more waits in the kernel's backlog.
    pub connections: usize,
    /// How long a client may take to send its request, and again to read the reply.
    pub transfer: Duration,
    /// The largest request, in bytes.
    pub frame: usize,
}

impl Default for Limits {
    /// A node has at most a few hundred pods, so 1,024 plugin processes at once are a fault; 2 s and 8 MiB are the
    /// contract's (docs/architecture.md).
    fn default() -> Self {
        Self {
            connections: 1024,
            transfer: Duration::from_secs(2),
            frame: MAX_FRAME,
        }
    }
}
