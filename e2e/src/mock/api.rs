//! The EC2 Query API over HTTP: one form goes in, one XML document comes out.
//!
//! Each call runs to its end on a task of its own: as with EC2, a client that hangs up does not undo what it asked for.

mod changes;
mod describes;
mod params;
mod shapes;
mod xml;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{ConnectInfo, Form, State as Shared};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;

use self::params::Params;
use self::xml::Xml;
use super::cloud::Inner;
use super::error::{Code, Refusal};
use super::faults::FaultKind;
use super::garbage;
use super::journal::Outcome;
use super::listen::Connection;
use super::state::State;

/// The longest that a call without an answer keeps its connection open.
const HANG: Duration = Duration::from_secs(60);

/// What is still to be done outside the state when a call has changed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// The ENI's addresses changed: before the call is answered, the fabric follows.
    Addresses { eni: String },
    /// The link appears after the attach delay.
    Attach { eni: String, attachment: String },
    /// The link goes after the detach delay.
    Detach { eni: String, attachment: String },
}

/// The answer to a call that was done.
pub(super) struct Reply {
    body: String,
    effect: Option<Effect>,
}

impl Reply {
    fn text(x: Xml) -> Self {
        Self {
            body: x.into_text(),
            effect: None,
        }
    }

    fn with(x: Xml, effect: Effect) -> Self {
        Self {
            body: x.into_text(),
            effect: Some(effect),
        }
    }
}

/// Who calls whom.
#[derive(Clone)]
struct Endpoint {
    cloud: Arc<Inner>,
    instance: Option<String>,
}

/// The API for the namespace of one instance, or for clients elsewhere.
pub(super) fn router(cloud: Arc<Inner>, instance: Option<String>) -> Router {
    Router::new()
        .route("/", post(serve))
        .with_state(Endpoint { cloud, instance })
}

async fn serve(
    Shared(endpoint): Shared<Endpoint>,
    ConnectInfo(connection): ConnectInfo<Connection>,
    Form(pairs): Form<Vec<(String, String)>>,
) -> Response {
    let call = Call::new(endpoint, pairs);
    let answer = tokio::spawn(call.run()).await;
    match answer {
        Ok(Answer::Document(status, content_type, text)) => {
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST);
            (status, [(header::CONTENT_TYPE, content_type)], text).into_response()
        }
        Ok(Answer::Hang) => {
            tokio::time::sleep(HANG).await;
            connection.cut();
            StatusCode::GATEWAY_TIMEOUT.into_response()
        }
        Ok(Answer::Cut) | Err(_) => {
            connection.cut();
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// What goes back to the client.
enum Answer {
    /// Status, content type, text.
    Document(u16, &'static str, String),
    Hang,
    Cut,
}

/// A call on its way.
struct Call {
    endpoint: Endpoint,
    action: String,
    dry_run: bool,
    parameters: BTreeMap<String, String>,
}

impl Call {
    fn new(endpoint: Endpoint, pairs: Vec<(String, String)>) -> Self {
        let mut parameters: BTreeMap<String, String> = pairs.into_iter().collect();
        parameters.remove("Version");
        Self {
            endpoint,
            action: parameters.remove("Action").unwrap_or_default(),
            dry_run: parameters.remove("DryRun").is_some_and(|v| v == "true"),
            parameters,
        }
    }

    async fn run(self) -> Answer {
        let cloud = Arc::clone(&self.endpoint.cloud);
        let started = cloud.elapsed();
        let request_id = cloud.request_id();
        let fault = cloud.strike(&self.action, self.endpoint.instance.as_deref());
        let (outcome, answer) = self.perform(fault.as_ref(), &request_id).await;
        cloud.record(super::Call {
            at: started,
            took: cloud.elapsed().saturating_sub(started),
            instance: self.endpoint.instance,
            action: self.action,
            parameters: self.parameters,
            outcome,
        });
        answer
    }

    async fn perform(&self, fault: Option<&FaultKind>, request_id: &str) -> (Outcome, Answer) {
        if fault == Some(&FaultKind::Timeout) {
            return (Outcome::NoAnswer, Answer::Hang);
        }
        // Half of the time passes before the effect and half after: a caller that dies meanwhile may or may not
        // have had it.
        let cloud = &self.endpoint.cloud;
        let latency = cloud
            .latency(&self.action)
            .saturating_add(fault.map_or(Duration::ZERO, FaultKind::extra_latency));
        tokio::time::sleep(latency / 2).await;
        let result = self.take_effect(fault).await;
        tokio::time::sleep(latency / 2).await;
        let result = match fault.and_then(FaultKind::error_after) {
            Some(error) => result.and(Err(error)),
            None => result,
        };
        match (result, fault.and_then(FaultKind::garbage)) {
            (Ok(_), _) if fault == Some(&FaultKind::LostReply) => (Outcome::ReplyLost, Answer::Cut),
            (Ok(body), garbage) => {
                let text = Xml::response(&self.action, request_id, &body);
                match garbage {
                    None => (Outcome::Ok, Answer::Document(200, garbage::XML, text)),
                    Some(shape) => {
                        let (content_type, text) = shape.instead_of(&text);
                        (Outcome::Garbled, Answer::Document(200, content_type, text))
                    }
                }
            }
            (Err(refusal), _) => {
                let text = Xml::error(&refusal.code, &refusal.message, request_id);
                let outcome = Outcome::Refused(refusal.code);
                (
                    outcome,
                    Answer::Document(refusal.status, garbage::XML, text),
                )
            }
        }
    }

    /// Answers the body of the document.
    async fn take_effect(&self, fault: Option<&FaultKind>) -> Result<String, Refusal> {
        let cloud = &self.endpoint.cloud;
        if let Some(refusal) = fault.and_then(|f| f.refusal(&self.action)) {
            return Err(refusal);
        }
        if let Some(shape) = fault.and_then(FaultKind::garbage)
            && !shape.is_done()
        {
            return Ok(String::new());
        }
        if !cloud.admit(&self.action) {
            return Err(Code::RequestLimitExceeded.because("Request limit exceeded."));
        }
        let params = Params::new(self.parameters.clone());
        let reply = match Action::named(&self.action)? {
            Action::Change(_) if self.dry_run => return Err(dry_run()),
            Action::Change(change) => cloud.change(|state| change(state, params))?,
            Action::Describe(describe) => {
                let lag = fault.map(FaultKind::lag).unwrap_or_default();
                describe(&cloud.seen_by_describe(lag), params)?
            }
        };
        if let Some(effect) = reply.effect {
            cloud.follow(effect, fault).await.map_err(|error| {
                tracing::error!(%error, action = self.action, "the fabric does not follow");
                Code::InternalError.because(format!("the mock's fabric failed: {error}"))
            })?;
        }
        Ok(reply.body)
    }
}

fn dry_run() -> Refusal {
    Code::DryRunOperation.because("Request would have succeeded, but DryRun flag is set.")
}

/// How an action is performed.
#[derive(Clone, Copy)]
enum Action {
    Change(fn(&mut State, Params) -> Result<Reply, Refusal>),
    Describe(fn(&State, Params) -> Result<Reply, Refusal>),
}

/// All that the mock does.
const ACTIONS: &[(&str, Action)] = &[
    (
        "CreateNetworkInterface",
        Action::Change(changes::create_network_interface),
    ),
    (
        "AttachNetworkInterface",
        Action::Change(changes::attach_network_interface),
    ),
    (
        "ModifyNetworkInterfaceAttribute",
        Action::Change(changes::modify_network_interface_attribute),
    ),
    (
        "AssignPrivateIpAddresses",
        Action::Change(changes::assign_private_ip_addresses),
    ),
    (
        "UnassignPrivateIpAddresses",
        Action::Change(changes::unassign_private_ip_addresses),
    ),
    (
        "DetachNetworkInterface",
        Action::Change(changes::detach_network_interface),
    ),
    (
        "DeleteNetworkInterface",
        Action::Change(changes::delete_network_interface),
    ),
    ("CreateTags", Action::Change(changes::create_tags)),
    (
        "DescribeNetworkInterfaces",
        Action::Describe(describes::network_interfaces),
    ),
    ("DescribeSubnets", Action::Describe(describes::subnets)),
    ("DescribeInstances", Action::Describe(describes::instances)),
    (
        "DescribeInstanceTypes",
        Action::Describe(|_, p| describes::instance_types(p)),
    ),
];

/// The names of all actions.
pub(super) fn actions() -> Vec<&'static str> {
    ACTIONS.iter().map(|(name, _)| *name).collect()
}

impl Action {
    fn named(name: &str) -> Result<Self, Refusal> {
        if name.is_empty() {
            return Err(
                Code::MissingParameter.because("The request must contain the parameter Action")
            );
        }
        let found = ACTIONS.iter().find(|(known, _)| *known == name);
        found.map(|(_, action)| *action).ok_or_else(|| {
            Code::InvalidAction.because(format!(
                "The action {name} is not valid for this web service."
            ))
        })
    }
}
