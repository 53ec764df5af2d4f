//! One connection from accept to close: who it is, its one request, the service's answer, and the client's leaving.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Instant;

use berth_cni::contract::{Ask, Outcome, Request, Unreadable, decode};
use tokio::net::UnixStream;
use tokio::time::timeout;

use super::frame::{self, Frame};
use super::{Limits, ServerError, Service};

/// The verb of a request that nobody understands, such as one of a plugin of another release.
const UNKNOWN: &str = "unknown";

/// How much is told of why a request cannot be understood, in characters.
const GARBLED_MAX: usize = 200;

/// Serves one connection. Whatever goes wrong is told to the client, if it can still be told, and logged.
pub async fn serve<S: Service>(mut stream: UnixStream, service: Arc<S>, limits: Limits) {
    let outcome = match answer(&stream, &*service, limits).await {
        Ok(Some(outcome)) => outcome,
        Ok(None) => return,
        Err(error) => {
            tracing::warn!(%error, "connection refused");
            Outcome::Failed(error.failure())
        }
    };
    match timeout(limits.transfer, frame::write(&mut stream, outcome)).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::info!(%error, "reply not delivered"),
        Err(_) => tracing::warn!(limit = ?limits.transfer, "reply not read in time"),
    }
}

/// The outcome to send; `None` if there is nobody to send it to.
async fn answer<S: Service>(
    stream: &UnixStream,
    service: &S,
    limits: Limits,
) -> Result<Option<Outcome>, ServerError> {
    admit(stream)?;
    let read = timeout(limits.transfer, frame::read(stream, limits.frame));
    let Some(frame) = read.await.map_err(|_| ServerError::Slow {
        limit: limits.transfer,
    })??
    else {
        return Ok(None);
    };
    let begun = Instant::now();
    let request: Result<Request, ServerError> = decode(&frame.body).map_err(ServerError::from);
    let request = request.inspect_err(|error| {
        service.answered(UNKNOWN, &error.failure().reason, begun.elapsed());
    })?;
    let verb = verb(&request.ask);
    let outcome = tokio::select! {
        biased;
        outcome = dispatch(service, request, frame) => outcome.map(Some),
        gone = frame::gone(stream) => gone.map(|()| None),
    };
    if let Some(verb) = verb {
        service.answered(verb, &result(&outcome), begun.elapsed());
    }
    outcome
}

/// The verb as metrics name it; none for what no CNI runtime asks.
fn verb(ask: &Ask) -> Option<&'static str> {
    match ask {
        Ask::Add(_) => Some("add"),
        Ask::Del(_) => Some("del"),
        Ask::Check(_) => Some("check"),
        Ask::Gc(_) => Some("gc"),
        Ask::Status => Some("status"),
        Ask::State | Ask::Explain => None,
    }
}

/// What a request came to, as metrics name it.
fn result(outcome: &Result<Option<Outcome>, ServerError>) -> Cow<'static, str> {
    match outcome {
        Ok(Some(Outcome::Failed(failure))) => failure.reason.clone().into(),
        Ok(Some(_)) => "ok".into(),
        Ok(None) => "cancelled".into(),
        Err(error) => error.failure().reason.into(),
    }
}

/// The socket's mode already keeps others out; this holds should somebody widen it. The daemon's own user may always
/// ask, which is root on a node and whoever runs the tests elsewhere.
fn admit(stream: &UnixStream) -> Result<(), ServerError> {
    let uid = stream.peer_cred()?.uid();
    if uid == 0 || uid == rustix::process::geteuid().as_raw() {
        Ok(())
    } else {
        Err(ServerError::Forbidden { uid })
    }
}

impl From<Unreadable> for ServerError {
    fn from(unreadable: Unreadable) -> Self {
        match unreadable {
            // It quotes the request, which may have megabytes.
            Unreadable::Garbled(error) => {
                Self::Garbled(error.to_string().chars().take(GARBLED_MAX).collect())
            }
            Unreadable::OtherProtocol { theirs } => Self::OtherProtocol { theirs },
        }
    }
}

/// Calls the service, once the descriptors are as many as the verb needs. Those of a refused request are closed by
/// the drop of `frame`.
async fn dispatch<S: Service>(
    service: &S,
    request: Request,
    frame: Frame,
) -> Result<Outcome, ServerError> {
    let got = frame.descriptors.len();
    let mut descriptors = frame.descriptors.into_iter();
    let (netns, more) = (descriptors.next(), descriptors.next());
    let wrong = |verb, wanted| Err(ServerError::Descriptors { verb, wanted, got });
    match (request.ask, netns, more) {
        (Ask::Add(add), Some(netns), None) => Ok(service.add(add, request.invocation, netns).await),
        (Ask::Add(_), ..) => wrong("ADD", "exactly one"),
        (Ask::Del(del), netns, None) => Ok(service.del(del, netns).await),
        (Ask::Del(_), ..) => wrong("DEL", "one or none"),
        (Ask::Check(check), Some(netns), None) => Ok(service.check(check, netns).await),
        (Ask::Check(_), ..) => wrong("CHECK", "exactly one"),
        (Ask::Gc(gc), None, None) => Ok(service.gc(gc).await),
        (Ask::Gc(_), ..) => wrong("GC", "none"),
        (Ask::Status, None, None) => Ok(service.status().await),
        (Ask::Status, ..) => wrong("STATUS", "none"),
        (Ask::State, None, None) => Ok(service.state().await),
        (Ask::State, ..) => wrong("STATE", "none"),
        (Ask::Explain, None, None) => Ok(service.explain().await),
        (Ask::Explain, ..) => wrong("EXPLAIN", "none"),
    }
}
