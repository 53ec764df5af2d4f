//! How others speak to the actor. A request whose caller goes away tells the actor so.

use std::os::fd::OwnedFd;
use std::time::Duration;

use async_trait::async_trait;
use berth_cni::contract::{AddRequest, CheckRequest, DelRequest, GcRequest, Outcome};
use ipam::Subnet;
use tokio::sync::{mpsc, oneshot, watch};

use super::add::AddJob;
use super::check::CheckJob;
use super::del::DelJob;
use super::failure;
use super::gc::GcJob;
use crate::cluster::Sight;
use crate::explanation::{Explanation, Scene};
use crate::metrics::Metrics;
use crate::node::NodeFacts;
use crate::readiness::Readiness;
use crate::report::Report;
use crate::server::Service;

/// What the actor is told.
pub(super) enum Command {
    Add(AddJob),
    Del(DelJob),
    Check(CheckJob),
    Gc(GcJob),
    /// The client of an ADD has gone: its job says so itself, this only wakes the actor.
    Left,
    Report(oneshot::Sender<Report>),
    /// What an explanation is made from, once the node is known.
    Explain(oneshot::Sender<Option<Scene>>),
    /// How full the subnet is, if EC2 tells.
    Subnet(Option<Subnet>),
    /// How the conflist stands.
    Conflist(String),
    /// What the API server shows, or that it does not.
    Seen(Sight),
    Stop,
}

/// Speaks to the actor.
#[derive(Clone)]
pub struct Handle {
    commands: mpsc::UnboundedSender<Command>,
    metrics: Metrics,
    told: Told,
}

/// What the actor tells those who watch it.
#[derive(Clone)]
pub(super) struct Told {
    pub node: watch::Receiver<Option<NodeFacts>>,
    pub readiness: watch::Receiver<Readiness>,
    pub concerned: watch::Receiver<bool>,
}

/// The actor has stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the daemon is stopping")]
pub struct Stopped;

impl Handle {
    pub(super) fn new(
        commands: mpsc::UnboundedSender<Command>,
        metrics: Metrics,
        told: Told,
    ) -> Self {
        Self {
            commands,
            metrics,
            told,
        }
    }

    /// Who this node is, once that is known.
    pub fn node(&self) -> watch::Receiver<Option<NodeFacts>> {
        self.told.node.clone()
    }

    /// Whether an ADD can be served, now and from now on.
    pub fn readiness(&self) -> watch::Receiver<Readiness> {
        self.told.readiness.clone()
    }

    /// Whether it matters to this node how full its subnet is: it needs addresses, or could give some.
    pub fn concerned(&self) -> watch::Receiver<bool> {
        self.told.concerned.clone()
    }

    /// Says how full the subnet is; `None` where EC2 does not say.
    pub fn subnet(&self, subnet: Option<Subnet>) {
        // An actor that is gone plans nothing any more.
        let _ = self.commands.send(Command::Subnet(subnet));
    }

    /// Says how the conflist stands, for the report.
    pub fn conflist(&self, words: String) {
        // An actor that is gone reports nothing any more.
        let _ = self.commands.send(Command::Conflist(words));
    }

    /// Says which pods the API server shows bound to this node.
    pub fn seen(&self, sight: Sight) {
        // An actor that is gone plans nothing any more.
        let _ = self.commands.send(Command::Seen(sight));
    }

    /// Tells the actor to finish what it has begun and stop.
    pub fn stop(&self) {
        // An actor that is gone has stopped.
        let _ = self.commands.send(Command::Stop);
    }

    /// Asks for something that goes on also when its client has gone.
    async fn ask(&self, command: impl FnOnce(oneshot::Sender<Outcome>) -> Command) -> Outcome {
        let (reply, answer) = oneshot::channel();
        if self.commands.send(command(reply)).is_err() {
            return failure::stopping();
        }
        answer.await.unwrap_or_else(|_| failure::stopping())
    }

    /// The daemon's state.
    ///
    /// # Errors
    /// When the actor has stopped.
    pub async fn report(&self) -> Result<Report, Stopped> {
        let (reply, answer) = oneshot::channel();
        self.commands
            .send(Command::Report(reply))
            .map_err(|_| Stopped)?;
        answer.await.map_err(|_| Stopped)
    }

    /// Why the node holds what it holds, and what comes next; `None` while it does not know itself. Worked out beside the
    /// actor, which goes on serving pods.
    ///
    /// # Errors
    /// When the actor has stopped.
    pub async fn explanation(&self) -> Result<Option<Explanation>, Stopped> {
        let (reply, answer) = oneshot::channel();
        self.commands
            .send(Command::Explain(reply))
            .map_err(|_| Stopped)?;
        let Some(scene) = answer.await.map_err(|_| Stopped)? else {
            return Ok(None);
        };
        let explained = tokio::task::spawn_blocking(move || scene.explain()).await;
        explained.map(Some).map_err(|_| Stopped)
    }
}

/// Tells the actor when the future that holds it is dropped before its answer came.
struct Leaving<'a> {
    commands: &'a mpsc::UnboundedSender<Command>,
    answered: bool,
}

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        if !self.answered {
            let _ = self.commands.send(Command::Left);
        }
    }
}

#[async_trait]
impl Service for Handle {
    fn answered(&self, verb: &'static str, result: &str, took: Duration) {
        self.metrics.cni_request(verb, result, took);
    }

    async fn add(&self, request: AddRequest, invocation: String, netns: OwnedFd) -> Outcome {
        let (reply, answer) = oneshot::channel();
        let job = AddJob::new(request, invocation, netns, reply);
        if self.commands.send(Command::Add(job)).is_err() {
            return failure::stopping();
        }
        let mut leaving = Leaving {
            commands: &self.commands,
            answered: false,
        };
        let outcome = answer.await.unwrap_or_else(|_| failure::stopping());
        leaving.answered = true;
        outcome
    }

    async fn del(&self, request: DelRequest, netns: Option<OwnedFd>) -> Outcome {
        self.ask(|reply| Command::Del(DelJob::new(request, netns, reply)))
            .await
    }

    async fn check(&self, request: CheckRequest, netns: OwnedFd) -> Outcome {
        self.ask(|reply| {
            Command::Check(CheckJob {
                request,
                netns,
                reply,
            })
        })
        .await
    }

    async fn gc(&self, request: GcRequest) -> Outcome {
        self.ask(|reply| Command::Gc(GcJob { request, reply }))
            .await
    }

    /// Without a question to the actor: one that has much to do takes ADDs all the same.
    async fn status(&self) -> Outcome {
        if self.commands.is_closed() {
            failure::stopping()
        } else {
            Outcome::Ready
        }
    }

    async fn state(&self) -> Outcome {
        match self.report().await.map(serde_json::to_value) {
            Ok(Ok(state)) => Outcome::State { state },
            Ok(Err(_)) | Err(Stopped) => failure::stopping(),
        }
    }

    async fn explain(&self) -> Outcome {
        match self.explanation().await.map(serde_json::to_value) {
            Ok(Ok(state)) => Outcome::State { state },
            Ok(Err(_)) | Err(Stopped) => failure::stopping(),
        }
    }
}
