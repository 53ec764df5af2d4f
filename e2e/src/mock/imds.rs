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
/// The longest that a request without an answer keeps its connection open.
const HANG: Duration = Duration::from_secs(60);
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
    let slower = fault
        .as_ref()
        .map_or(Duration::ZERO, FaultKind::extra_latency);
    tokio::time::sleep(slower).await;
    let response = service.answer(&request, fault.as_ref());
    let status = response.status();
    let outcome = match fault {
        Some(FaultKind::Timeout) => Outcome::NoAnswer,
        Some(FaultKind::LostReply) => Outcome::ReplyLost,
        Some(FaultKind::Garbage { .. }) => Outcome::Garbled,
        _ if status.is_success() => Outcome::Ok,
        _ => Outcome::Refused(status.as_str().to_owned()),
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
        tokio::time::sleep(HANG).await;
    }
    if matches!(outcome, Outcome::NoAnswer | Outcome::ReplyLost) {
        connection.cut();
    }
    response
}

impl Service {
    fn answer(&self, request: &Request, fault: Option<&FaultKind>) -> Response {
        let refusal = fault.and_then(|f| f.refusal(IMDS).or_else(|| f.error_after()));
        if let Some(refusal) = refusal {
            let status = StatusCode::from_u16(refusal.status);
            return status
                .unwrap_or(StatusCode::SERVICE_UNAVAILABLE)
                .into_response();
        }
        let path = request.uri().path();
        match *request.method() {
            Method::PUT if path == "/latest/api/token" => self.new_token(request.headers()),
            Method::GET if !self.is_allowed(request.headers()) => {
                StatusCode::UNAUTHORIZED.into_response()
            }
            Method::GET => {
                let lag = fault.map(FaultKind::lag).unwrap_or_default();
                let state = self.cloud.seen_by_imds(&self.instance, lag);
                match tree::read(&state, &self.instance, path) {
                    Some(text) => match fault.and_then(FaultKind::garbage) {
                        None => text.into_response(),
                        Some(shape) => shape.instead_of(&text).1.into_response(),
                    },
                    None => StatusCode::NOT_FOUND.into_response(),
                }
            }
            _ => StatusCode::METHOD_NOT_ALLOWED.into_response(),
        }
    }

    fn new_token(&self, headers: &HeaderMap) -> Response {
        let ttl = text(headers, TTL_HEADER).and_then(|v| v.parse().ok());
        match ttl {
            Some(seconds @ 1..=LONGEST_TTL) => {
                let token = self.cloud.request_id();
                let ends = Instant::now() + Duration::from_secs(seconds);
                self.tokens.lock().insert(token.clone(), ends);
                // The SDKs do not take a token that comes without its lifetime.
                ([(TTL_HEADER, seconds.to_string())], token).into_response()
            }
            _ => StatusCode::BAD_REQUEST.into_response(),
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
