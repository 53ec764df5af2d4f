//! The mock's own HTTP interface, below `/admin` of the endpoint on this machine: faults in, journal and truth out.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, State as Shared};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, put};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use super::cloud::Inner;
use super::fabric::FabricError;
use super::faults::Fault;
use super::lag::Lag;
use super::state::Eni;

/// The admin interface.
pub(super) fn router(cloud: Arc<Inner>) -> Router {
    Router::new()
        .route(
            "/admin/faults",
            get(faults).post(add_fault).delete(clear_faults),
        )
        .route("/admin/actions", get(actions))
        .route("/admin/journal", get(journal))
        .route("/admin/counts", get(counts))
        .route("/admin/nodes", get(nodes))
        .route("/admin/enis", get(enis))
        .route("/admin/drops", get(drops))
        .route("/admin/flows/{eni}", get(flows))
        .route("/admin/lag", put(set_lag))
        .with_state(cloud)
}

async fn faults(Shared(cloud): Shared<Arc<Inner>>) -> Response {
    Json(cloud.faults.lock().pending()).into_response()
}

async fn add_fault(Shared(cloud): Shared<Arc<Inner>>, Json(fault): Json<Fault>) -> StatusCode {
    cloud.faults.lock().set(fault);
    StatusCode::NO_CONTENT
}

async fn clear_faults(Shared(cloud): Shared<Arc<Inner>>) -> StatusCode {
    cloud.faults.lock().clear();
    StatusCode::NO_CONTENT
}

async fn actions() -> Json<Vec<&'static str>> {
    Json(super::api::actions())
}

async fn journal(Shared(cloud): Shared<Arc<Inner>>) -> Response {
    Json(cloud.journal.lock().calls()).into_response()
}

async fn counts(Shared(cloud): Shared<Arc<Inner>>) -> Response {
    Json(cloud.journal.lock().counts()).into_response()
}

async fn nodes(Shared(cloud): Shared<Arc<Inner>>) -> Json<Value> {
    let state = cloud.current();
    let nodes = state.instances.values().map(|instance| {
        let enis = state.enis_of(&instance.id);
        json!({
            "instance": instance.id,
            "type": instance.instance_type,
            "running": instance.running,
            "enis": enis.into_iter().map(eni).collect::<Vec<_>>(),
        })
    });
    Json(nodes.collect())
}

async fn enis(Shared(cloud): Shared<Arc<Inner>>) -> Json<Value> {
    Json(cloud.current().enis.values().map(eni).collect())
}

fn eni(eni: &Eni) -> Value {
    let attachment = eni.attachment.as_ref();
    json!({
        "eni": eni.id,
        "mac": eni.mac,
        "primary": eni.primary,
        "secondary": eni.secondary,
        "prefixes": eni.prefixes,
        "tags": eni.tags,
        "status": eni.status(),
        "instance": attachment.map(|a| &a.instance_id),
        "device_index": attachment.map(|a| a.device_index),
        "attachment_status": attachment.map(|a| a.status.as_str()),
        "plugged": attachment.map(|a| a.plugged),
    })
}

async fn drops(Shared(cloud): Shared<Arc<Inner>>) -> Response {
    from_fabric(move || cloud.losses()).await
}

async fn flows(Shared(cloud): Shared<Arc<Inner>>, Path(eni): Path<String>) -> Response {
    from_fabric(move || cloud.flows(&eni)).await
}

async fn from_fabric<T: serde::Serialize + Send + 'static>(
    read: impl FnOnce() -> Result<Vec<T>, FabricError> + Send + 'static,
) -> Response {
    match tokio::task::spawn_blocking(read).await {
        Ok(Ok(records)) => Json(records).into_response(),
        Ok(Err(error)) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

/// How far readers shall lie behind; what is not given stays. Those without a direction are for both.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct NewLags {
    imds_ms: Option<u64>,
    imds_appear_ms: Option<u64>,
    imds_vanish_ms: Option<u64>,
    describe_ms: Option<u64>,
    describe_appear_ms: Option<u64>,
    describe_vanish_ms: Option<u64>,
}

async fn set_lag(Shared(cloud): Shared<Arc<Inner>>, Json(new): Json<NewLags>) -> StatusCode {
    let set = |lag: &mut Lag, appear: Option<u64>, vanish: Option<u64>| {
        lag.appear = appear.map_or(lag.appear, Duration::from_millis);
        lag.vanish = vanish.map_or(lag.vanish, Duration::from_millis);
    };
    let mut lags = cloud.lags.lock();
    let (imds, describe) = (new.imds_ms, new.describe_ms);
    set(
        &mut lags.imds,
        new.imds_appear_ms.or(imds),
        new.imds_vanish_ms.or(imds),
    );
    set(
        &mut lags.describe,
        new.describe_appear_ms.or(describe),
        new.describe_vanish_ms.or(describe),
    );
    StatusCode::NO_CONTENT
}
