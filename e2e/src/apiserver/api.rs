//! The HTTP of the API server: discovery as far as kubectl asks for it, get, list and watch of pods and nodes.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use super::faults::{FaultKind, Verb};
use super::select::Selector;
use super::watch;
use super::world::Resource;
use super::{Asked, Shared};

/// How long a watch goes on that does not say: the real one draws 30 to 60 minutes.
const LONG: u64 = 1800;

/// The query of a list or a watch, as far as it is understood.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Params {
    watch: Option<String>,
    field_selector: String,
    resource_version: String,
    timeout_seconds: Option<u64>,
    allow_watch_bookmarks: Option<String>,
}

impl Params {
    fn is_watch(&self) -> bool {
        is_set(&self.watch)
    }
}

/// `true` and `1`, and a key without a value.
fn is_set(text: &Option<String>) -> bool {
    matches!(text.as_deref(), Some("" | "1" | "true"))
}

/// What a request is about.
struct About {
    resource: Resource,
    namespace: Option<String>,
    name: Option<String>,
}

pub(super) fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/version", get(version))
        .route("/api", get(versions))
        .route("/apis", get(groups))
        .route("/api/v1", get(resources))
        .route("/api/v1/pods", get(all_pods))
        .route("/api/v1/namespaces/{namespace}/pods", get(pods))
        .route("/api/v1/namespaces/{namespace}/pods/{name}", get(pod))
        .route("/api/v1/nodes", get(nodes))
        .route("/api/v1/nodes/{name}", get(node))
        .with_state(shared)
}

async fn version() -> Json<Value> {
    Json(json!({"major": "1", "minor": "33", "gitVersion": "v1.33.0-e2e"}))
}

async fn versions() -> Json<Value> {
    Json(json!({"kind": "APIVersions", "versions": ["v1"]}))
}

async fn groups() -> Json<Value> {
    Json(json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": []}))
}

async fn resources() -> Json<Value> {
    let verbs = ["get", "list", "watch"];
    Json(json!({
        "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": "v1",
        "resources": [
            {"name": "pods", "singularName": "pod", "namespaced": true, "kind": "Pod", "verbs": verbs, "shortNames": ["po"]},
            {"name": "nodes", "singularName": "node", "namespaced": false, "kind": "Node", "verbs": verbs, "shortNames": ["no"]},
        ],
    }))
}

type Shares = State<Arc<Shared>>;

async fn all_pods(shared: Shares, query: Query<Params>, uri: Uri, headers: HeaderMap) -> Response {
    let about = About {
        resource: Resource::Pods,
        namespace: None,
        name: None,
    };
    answer(shared, about, query, uri, headers).await
}

async fn pods(
    shared: Shares,
    Path(namespace): Path<String>,
    query: Query<Params>,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    let about = About {
        resource: Resource::Pods,
        namespace: Some(namespace),
        name: None,
    };
    answer(shared, about, query, uri, headers).await
}

async fn pod(
    shared: Shares,
    Path((namespace, name)): Path<(String, String)>,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    let about = About {
        resource: Resource::Pods,
        namespace: Some(namespace),
        name: Some(name),
    };
    answer(shared, about, Query::default(), uri, headers).await
}

async fn nodes(shared: Shares, query: Query<Params>, uri: Uri, headers: HeaderMap) -> Response {
    let about = About {
        resource: Resource::Nodes,
        namespace: None,
        name: None,
    };
    answer(shared, about, query, uri, headers).await
}

async fn node(shared: Shares, Path(name): Path<String>, uri: Uri, headers: HeaderMap) -> Response {
    let about = About {
        resource: Resource::Nodes,
        namespace: None,
        name: Some(name),
    };
    answer(shared, about, Query::default(), uri, headers).await
}

/// Who asks, what goes wrong, and what is answered; all of it is written down.
async fn answer(
    State(shared): Shares,
    about: About,
    Query(params): Query<Params>,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    let verb = match about.name {
        Some(_) => Verb::Get,
        None if params.is_watch() => Verb::Watch,
        None => Verb::List,
    };
    let place = {
        let mut asked = shared.asked.lock();
        asked.push(Asked {
            verb,
            resource: about.resource.name().to_owned(),
            uri: uri.to_string(),
            status: 0,
        });
        asked.len() - 1
    };
    let fault = shared.faults.lock().strike(verb, about.resource.name());
    let response = match fault {
        _ if !knows(&shared, &headers) => refusal(401, "Unauthorized"),
        None => done(&shared, &about, &params),
        Some(fault) => faulty(&shared, fault, &about, &params).await,
    };
    if let Some(asked) = shared.asked.lock().get_mut(place) {
        asked.status = response.status().as_u16();
    }
    response
}

fn knows(shared: &Shared, headers: &HeaderMap) -> bool {
    let shown = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok());
    shared
        .token
        .as_ref()
        .is_none_or(|token| shown == Some(format!("Bearer {token}").as_str()))
}

async fn faulty(
    shared: &Arc<Shared>,
    fault: FaultKind,
    about: &About,
    params: &Params,
) -> Response {
    match fault {
        FaultKind::Status { code, retry_after } => {
            let mut response = refusal(code, "This was asked for by a fault");
            if let Some(seconds) = retry_after {
                response
                    .headers_mut()
                    .insert(header::RETRY_AFTER, seconds.into());
            }
            response
        }
        FaultKind::ErrorEvent { code } => streamed(Body::from(watch::line(
            "ERROR",
            &status(code, "This was asked for by a fault"),
        ))),
        FaultKind::Slow { ms } => {
            tokio::time::sleep(Duration::from_millis(ms)).await;
            done(shared, about, params)
        }
        FaultKind::Hang => std::future::pending().await,
        FaultKind::Mute => streamed(Body::from_stream(futures::stream::pending::<
            Result<Vec<u8>, std::io::Error>,
        >())),
        FaultKind::Cut => {
            let chunks = [
                Ok(b"{\"kind\":".to_vec()),
                Err(std::io::ErrorKind::ConnectionReset),
            ];
            streamed(Body::from_stream(futures::stream::iter(
                chunks.map(|chunk| chunk.map_err(std::io::Error::from)),
            )))
        }
        FaultKind::Garbage { shape } => streamed(Body::from(shape.body())),
    }
}

fn done(shared: &Arc<Shared>, about: &About, params: &Params) -> Response {
    if let Some(name) = &about.name {
        let world = shared.world.lock();
        let namespace = about.namespace.as_deref().unwrap_or_default();
        return match world.get(about.resource, namespace, name) {
            Some(object) => Json(object).into_response(),
            None => refusal(
                404,
                &format!("{} {name:?} not found", about.resource.name()),
            ),
        };
    }
    let selector = Selector::new(
        about.resource,
        about.namespace.clone(),
        &params.field_selector,
    );
    let selector = match selector {
        Ok(selector) => selector,
        Err(why) => return refusal(400, &why),
    };
    if params.is_watch() {
        return begin(shared, selector, params);
    }
    let world = shared.world.lock();
    let items: Vec<&Value> = world
        .all(about.resource)
        .filter(|object| selector.is_for(object))
        .collect();
    Json(json!({
        "kind": format!("{}List", about.resource.kind()), "apiVersion": "v1",
        "metadata": {"resourceVersion": world.version().to_string()},
        "items": items,
    }))
    .into_response()
}

/// A watch without a version would begin with what is there; nobody here asks for that but kubectl, which lists before.
fn begin(shared: &Arc<Shared>, selector: Selector, params: &Params) -> Response {
    let (forgotten, newest) = {
        let world = shared.world.lock();
        (world.forgotten(), world.version())
    };
    let version = match params.resource_version.as_str() {
        "" | "0" => newest,
        text => match text.parse() {
            Ok(version) => version,
            Err(_) => return refusal(400, &format!("invalid resource version: {text:?}")),
        },
    };
    if version < forgotten {
        return refusal(
            410,
            &format!("too old resource version: {version} ({forgotten})"),
        );
    }
    let within = Duration::from_secs(params.timeout_seconds.unwrap_or(LONG));
    let bookmarks = is_set(&params.allow_watch_bookmarks);
    streamed(watch::body(
        shared.clone(),
        selector,
        version,
        (within, bookmarks),
    ))
}

fn streamed(body: Body) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], body).into_response()
}

fn refusal(code: u16, message: &str) -> Response {
    let http = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (http, Json(status(code, message))).into_response()
}

/// A `Status`, by which API servers explain themselves.
pub(super) fn status(code: u16, message: &str) -> Value {
    let reason = match code {
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "NotFound",
        410 => "Expired",
        429 => "TooManyRequests",
        _ => "InternalError",
    };
    json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": message, "reason": reason, "code": code,
    })
}
