//! HTTP for those who watch the node: `/metrics`, `/livez` and `/readyz` on its address, and `/v1/enis` on the loopback as
//! aws-node has it. It starts when the node's address is known. A port that is taken or an address that is away is told
//! (`degraded`) and tried again, and never ends the daemon. Whatever may not be public stays on the unix socket.

mod bounded;
mod enis;
#[cfg(test)]
mod tests;

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tracing::info;

use crate::actor::{Handle, Stopped};
use crate::degraded::{Degraded, Feature};
use crate::metrics::Metrics;
use crate::node::NodeFacts;
use crate::report::Report;
use crate::settings::{HttpSettings, WatchersAddress};
use bounded::{Bounded, Bounds};

/// Between two tries to listen.
const AGAIN: Duration = Duration::from_secs(10);
/// How long the actor may take to answer before it is taken for dead. Its turns take milliseconds.
const TURNS_WITHIN: Duration = Duration::from_secs(3);

/// Who can tell the daemon's state.
pub trait Reporting: Clone + Send + Sync + 'static {
    /// The state as it is now.
    fn report(&self) -> impl Future<Output = Result<Report, Stopped>> + Send;
}

impl Reporting for Handle {
    async fn report(&self) -> Result<Report, Stopped> {
        Handle::report(self).await
    }
}

/// Serves for ever, as the settings say.
pub async fn serve(settings: HttpSettings, handle: Handle, metrics: Metrics, degraded: Degraded) {
    let node = handle.node();
    let watchers = async {
        if let Some(address) = resolved(settings.watchers, node).await {
            let router = watchers(handle.clone(), settings.metrics.then_some(metrics));
            listen(Feature::Metrics, address, router, &degraded).await;
        }
    };
    let introspection = async {
        if let Some(address) = settings.introspection {
            let router = introspection(handle.clone());
            listen(Feature::Introspection, address, router, &degraded).await;
        }
    };
    tokio::join!(watchers, introspection);
}

/// The address to listen on; none when the daemon ends before it is known.
async fn resolved(
    address: WatchersAddress,
    mut node: watch::Receiver<Option<NodeFacts>>,
) -> Option<SocketAddr> {
    match address {
        WatchersAddress::Fixed(address) => Some(address),
        WatchersAddress::OfNode(port) => {
            let known = node.wait_for(Option::is_some).await.ok()?;
            let node = known.as_ref()?.primary.address;
            Some(SocketAddr::new(IpAddr::V4(node), port))
        }
    }
}

async fn listen(feature: Feature, address: SocketAddr, router: Router, degraded: &Degraded) {
    loop {
        match TcpListener::bind(address).await {
            Ok(listener) => {
                degraded.clear(feature);
                info!(feature = feature.name(), %address, "listens");
                // It does not return: failures to accept are the listener's to repeat.
                let _ = axum::serve(Bounded::new(listener, Bounds::default()), router.clone()).await;
            }
            Err(error) => degraded.set(
                feature,
                format!("cannot listen on {address}: {error}"),
                "find what else uses the port (ss -ltnp), or set another one (docs/configuration.md); it is tried again each 10 s",
            ),
        }
        sleep(AGAIN).await;
    }
}

#[derive(Clone)]
struct Watched<R> {
    daemon: R,
    metrics: Metrics,
}

/// What kubelet asks, and Prometheus where there are metrics.
fn watchers<R: Reporting>(daemon: R, metrics: Option<Metrics>) -> Router {
    let probes = Router::new()
        .route("/livez", get(livez::<R>))
        .route("/readyz", get(readyz::<R>))
        .with_state(daemon.clone());
    match metrics {
        Some(metrics) => {
            let scraped = Router::new().route("/metrics", get(scrape::<R>));
            probes.merge(scraped.with_state(Watched { daemon, metrics }))
        }
        None => probes,
    }
}

/// What aws-node's users ask on the node itself.
fn introspection<R: Reporting>(daemon: R) -> Router {
    let commands = || async { axum::Json(serde_json::json!({"AvailableCommands": ["/v1/enis"]})) };
    Router::new()
        .route("/", get(commands))
        .route("/v1/enis", get(list_enis::<R>))
        .with_state(daemon)
}

/// The report, or what to answer without one: the actor is gone, or does not turn.
async fn reported(daemon: &impl Reporting) -> Result<Report, Response> {
    let refused = |why: &str| (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")).into_response();
    match timeout(TURNS_WITHIN, daemon.report()).await {
        Ok(Ok(report)) => Ok(report),
        Ok(Err(stopped)) => Err(refused(&stopped.to_string())),
        Err(_) => Err(refused("berthd does not answer itself")),
    }
}

async fn scrape<R: Reporting>(State(watched): State<Watched<R>>) -> Response {
    let report = match reported(&watched.daemon).await {
        Ok(report) => report,
        Err(refusal) => return refusal,
    };
    let form = HeaderValue::from_static(prometheus::TEXT_FORMAT);
    match watched.metrics.text(&report) {
        Ok(text) => ([(header::CONTENT_TYPE, form)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

/// Alive is who takes his turns; a daemon that waits for EC2, or cannot serve yet, is.
async fn livez<R: Reporting>(State(daemon): State<R>) -> Response {
    match reported(&daemon).await {
        Ok(_) => "ok\n".into_response(),
        Err(refusal) => refusal,
    }
}

/// Ready is who would serve an ADD if there is an address. A full subnet or a throttle is not unready: a restart or
/// another endpoint would not help.
async fn readyz<R: Reporting>(State(daemon): State<R>) -> Response {
    match reported(&daemon).await {
        Ok(report) => match report.not_serving {
            None => "ok\n".into_response(),
            Some(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")).into_response(),
        },
        Err(refusal) => refusal,
    }
}

async fn list_enis<R: Reporting>(State(daemon): State<R>) -> Response {
    match reported(&daemon).await {
        Ok(report) => axum::Json(enis::document(&report)).into_response(),
        Err(refusal) => refusal,
    }
}
