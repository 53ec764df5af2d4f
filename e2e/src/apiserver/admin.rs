//! The API server's own HTTP interface, below `/admin`: pods and faults in, what was asked out.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{delete, get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::Value;

use super::faults::Fault;
use super::world::{PodSpec, Resource, World, node};
use super::{Asked, Shared};

type Shares = State<Arc<Shared>>;

pub(super) fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/admin/nodes/{name}/{pods}", post(add_node))
        .route("/admin/pods", post(bind))
        .route("/admin/pods/{namespace}/{name}", delete(remove).patch(set))
        .route("/admin/faults", post(add_fault).delete(clear_faults))
        .route("/admin/disconnect", post(disconnect))
        .route("/admin/compact", post(compact))
        .route("/admin/asked", get(asked))
        .with_state(shared)
}

async fn add_node(State(shared): Shares, Path((name, pods)): Path<(String, u32)>) -> StatusCode {
    shared.change(|world| world.put(Resource::Nodes, node(&name, pods)));
    StatusCode::NO_CONTENT
}

async fn bind(State(shared): Shares, Json(pod): Json<PodSpec>) -> StatusCode {
    shared.change(|world| world.put(Resource::Pods, pod.object()));
    StatusCode::NO_CONTENT
}

async fn remove(
    State(shared): Shares,
    Path((namespace, name)): Path<(String, String)>,
) -> StatusCode {
    found(shared.change(|world| world.delete(Resource::Pods, &namespace, &name)))
}

/// One field, by its JSON pointer.
#[derive(Debug, Deserialize)]
struct Field {
    pointer: String,
    value: Value,
}

async fn set(
    State(shared): Shares,
    Path((namespace, name)): Path<(String, String)>,
    Json(field): Json<Field>,
) -> StatusCode {
    found(shared.change(|world| {
        let key = (namespace.as_str(), name.as_str());
        world.set(Resource::Pods, key, &field.pointer, field.value)
    }))
}

fn found(found: bool) -> StatusCode {
    if found {
        StatusCode::NO_CONTENT
    } else {
        StatusCode::NOT_FOUND
    }
}

async fn add_fault(State(shared): Shares, Json(fault): Json<Fault>) -> StatusCode {
    shared.faults.lock().set(fault);
    StatusCode::NO_CONTENT
}

async fn clear_faults(State(shared): Shares) -> StatusCode {
    shared.faults.lock().clear();
    StatusCode::NO_CONTENT
}

async fn disconnect(State(shared): Shares) -> StatusCode {
    shared.news.send_modify(|(_, cuts)| *cuts += 1);
    StatusCode::NO_CONTENT
}

async fn compact(State(shared): Shares) -> StatusCode {
    shared.change(World::compact);
    StatusCode::NO_CONTENT
}

async fn asked(State(shared): Shares) -> Json<Vec<Asked>> {
    Json(shared.asked.lock().clone())
}
