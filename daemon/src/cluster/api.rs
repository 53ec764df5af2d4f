//! The adapter on the `kube` crate, which brings the connection: where the API server is, TLS, credentials that renew
//! themselves. What is asked and read is here: three requests, of which only the fields are decoded that are used. `kube`'s own
//! watcher is not used, since it keeps to itself what ageing needs: bookmarks, and that a watch was taken up again.

mod answer;
mod connection;
mod decode;
mod lines;

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures::{StreamExt, stream};
use http_body_util::BodyExt;
use kube::Client;
use kube::api::{ListParams, WatchParams};
use kube::core::Request;

use super::{Changes, Cluster, ClusterError, Kind, Listed, Versioned};
use crate::settings::ClusterSettings;
use lines::Lines;

const PODS: &str = "/api/v1/pods";
const NODES: &str = "/api/v1/nodes";
/// From the API server's memory, however old: as kubelet lists its pods. Anything else makes etcd read all pods of the
/// cluster for each node that starts (Kubernetes API concepts, "Resource versions").
const ANY_VERSION: &str = "0";

/// The API server. Connected to when it is first asked something, and anew when it does not know us any more.
#[derive(Debug)]
pub struct ApiServer {
    settings: ClusterSettings,
    /// No state but a connection pool; cloned out, never held while waiting.
    client: Mutex<Option<Connected>>,
}

#[derive(Clone)]
struct Connected(Client);

impl std::fmt::Debug for Connected {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Connected")
    }
}

impl ApiServer {
    /// Whom the settings name. Nothing is asked yet.
    pub fn new(settings: ClusterSettings) -> Self {
        Self {
            settings,
            client: Mutex::new(None),
        }
    }

    fn node(&self) -> Result<&str, ClusterError> {
        self.settings.node.as_deref().ok_or(ClusterError {
            kind: Kind::Unconfigured,
            message: "MY_NODE_NAME is not set".to_owned(),
        })
    }

    async fn client(&self) -> Result<Client, ClusterError> {
        let held = |client: &Mutex<Option<Connected>>| {
            client
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .clone()
        };
        if let Some(Connected(client)) = held(&self.client) {
            return Ok(client);
        }
        let client = connection::connect(&self.settings).await?;
        self.keep(Some(Connected(client.clone())));
        Ok(client)
    }

    fn keep(&self, client: Option<Connected>) {
        *self.client.lock().unwrap_or_else(PoisonError::into_inner) = client;
    }

    /// The body of a good answer, as it comes.
    async fn ask(
        &self,
        what: &'static str,
        request: Result<axum::http::Request<Vec<u8>>, kube::core::request::Error>,
    ) -> Result<kube::client::Body, ClusterError> {
        let request = request.map_err(|error| ClusterError {
            kind: Kind::Unconfigured,
            message: format!("{what}: {error}"),
        })?;
        let client = self.client().await?;
        let answered = client.send(request.map(kube::client::Body::from)).await;
        let answer = match answered {
            Ok(response) => answer::judge(what, response).await,
            Err(error) => Err(answer::unsent(what, &error)),
        };
        // Credentials in a file may be others by now.
        if matches!(&answer, Err(error) if error.kind == Kind::Unauthorized) {
            self.keep(None);
        }
        answer
    }
}

#[async_trait]
impl Cluster for ApiServer {
    async fn list(&self) -> Result<Listed, ClusterError> {
        let node = self.node()?;
        let params = ListParams::default()
            .fields(&format!("spec.nodeName={node}"))
            .at(ANY_VERSION);
        let what = "list of pods";
        let body = self.ask(what, Request::new(PODS).list(&params)).await?;
        decode::pods(&answer::whole(what, body).await?, node)
    }

    async fn watch(&self, version: &str, within: Duration) -> Result<Changes, ClusterError> {
        let node = self.node()?.to_owned();
        let seconds = u32::try_from(within.as_secs()).unwrap_or(u32::MAX);
        let params = WatchParams::default()
            .fields(&format!("spec.nodeName={node}"))
            .timeout(seconds);
        let what = "watch of pods";
        let request = Request::new(PODS).watch(&params, version);
        let body = self.ask(what, request).await?;
        let lines = Lines::new(body.into_data_stream());
        let changes = stream::unfold((lines, node), |(mut lines, node)| async move {
            let next = next(&mut lines, &node).await?;
            Some((next, (lines, node)))
        });
        Ok(changes.boxed())
    }

    async fn allocatable_pods(&self) -> Result<Option<u32>, ClusterError> {
        let what = "get of the node";
        let params = kube::api::GetParams::at(ANY_VERSION);
        let request = Request::new(NODES).get(self.node()?, &params);
        let body = self.ask(what, request).await?;
        decode::allocatable(&answer::whole(what, body).await?)
    }
}

/// The next change that the watch tells.
async fn next<S, B, E>(lines: &mut Lines<S>, node: &str) -> Option<Result<Versioned, ClusterError>>
where
    S: futures::Stream<Item = Result<B, E>> + Unpin,
    B: AsRef<[u8]>,
    E: std::error::Error + 'static,
{
    let line = lines.next().await?;
    Some(line.and_then(|line| decode::change(&line, node)))
}
