//! Instance metadata, version 2 only: what an instance can read about itself, a little behind EC2.

mod tree;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{ConnectInfo, Request, State as Shared};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Response};

use super::IMDS;
use super::cloud::Inner;
use super::faults::FaultKind;
use super::guarded::Guarded;
use super::journal::{Call, Outcome};
use super::listen::Connection;

const TOKEN_HEADER: &str = "x-aws-ec2-metadata-token";
const TTL_HEADER: &str = "x-aws-ec2-metadata-token-ttl-seconds";
/// Six hours (EC2 User Guide, "Use IMDSv2").
const LONGEST_TTL: u64 = 21_600;

/// The metadata service of one instance.
#[derive(Clone)]
struct Service {
    cloud: Arc<Inner>,
    instance: String,
    /// Session tokens and when they end.
    tokens: Arc<Guarded<BTreeMap<String, Instant>>>,
}

/// The metadata service of one instance.
pub(super) fn router(cloud: Arc<Inner>, instance: String) -> Router {
    Router::new().fallback(serve).with_state(Service {
        cloud,
        instance,
        tokens: Arc::default(),
    })
}

async fn serve(
    Shared(service): Shared<Service>,
    ConnectInfo(connection): ConnectInfo<Connection>,
    request: Request,
) -> Response {
    let cloud = &service.cloud;
    let started = cloud.elapsed();
    let path = request.uri().path().to_owned();
    let fault = cloud.strike(IMDS, Some(&service.instance));
    if let Some(FaultKind::Slow { .. }) = &fault {
        tokio::time::sleep(
            fault
                .as_ref()
                .map_or(Duration::ZERO, FaultKind::extra_latency),
        )
        .await;
    }
    let (status, body) = match fault.as_ref().and_then(|f| f.refusal(IMDS)) {
        Some(refusal) => (
            StatusCode::from_u16(refusal.status).unwrap_or(StatusCode::SERVICE_UNAVAILABLE),
            String::new(),
        ),
        None => service.answer(&request, fault.as_ref()),
    };
    let (outcome, cut) = match fault {
        Some(FaultKind::Timeout) => (Outcome::NoAnswer, true),
        Some(FaultKind::LostReply) => (Outcome::ReplyLost, true),
        _ if status.is_success() => (Outcome::Ok, false),
        _ => (Outcome::Refused(status.as_str().to_owned()), false),
    };
    cloud.record(Call {
        at: started,
        took: cloud.elapsed().saturating_sub(started),
        instance: Some(service.instance.clone()),
        action: IMDS.to_owned(),
        parameters: BTreeMap::from([("path".to_owned(), path)]),
        outcome: outcome.clone(),
    });
    if outcome == Outcome::NoAnswer {
        tokio::time::sleep(Duration::from_secs(60)).await;
    }
    if cut {
        connection.cut();
    }
    (status, body).into_response()
}

impl Service {
    fn answer(&self, request: &Request, fault: Option<&FaultKind>) -> (StatusCode, String) {
        let path = request.uri().path();
        match *request.method() {
            Method::PUT if path == "/latest/api/token" => self.new_token(request.headers()),
            Method::GET if !self.is_allowed(request.headers()) => {
                (StatusCode::UNAUTHORIZED, String::new())
            }
            Method::GET => {
                let lag = fault.map_or(Duration::ZERO, FaultKind::staleness);
                let state = self.cloud.seen_by_imds(&self.instance, lag);
                match tree::read(&state, &self.instance, path) {
                    Some(text) => (StatusCode::OK, text),
                    None => (StatusCode::NOT_FOUND, String::new()),
                }
            }
            _ => (StatusCode::METHOD_NOT_ALLOWED, String::new()),
        }
    }

    fn new_token(&self, headers: &HeaderMap) -> (StatusCode, String) {
        let ttl = text(headers, TTL_HEADER).and_then(|v| v.parse().ok());
        match ttl {
            Some(seconds @ 1..=LONGEST_TTL) => {
                let token = self.cloud.request_id();
                let ends = Instant::now() + Duration::from_secs(seconds);
                self.tokens.lock().insert(token.clone(), ends);
                (StatusCode::OK, token)
            }
            _ => (StatusCode::BAD_REQUEST, String::new()),
        }
    }

    fn is_allowed(&self, headers: &HeaderMap) -> bool {
        let Some(token) = text(headers, TOKEN_HEADER) else {
            return false;
        };
        let mut tokens = self.tokens.lock();
        tokens.retain(|_, ends| *ends > Instant::now());
        tokens.contains_key(token)
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}
