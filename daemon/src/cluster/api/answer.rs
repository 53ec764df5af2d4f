//! What an answer of the API server is worth: its status, how long it wants to be left alone, and its body, which is
//! never taken for longer than it can be.

use std::time::Duration;

use axum::http::{HeaderMap, Response, header};
use futures::StreamExt;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use kube::client::Body;
use serde::Deserialize;

use super::super::{ClusterError, Kind};

/// The longest answer that is read: a thousand pods of 64 KiB. etcd's objects are 1.5 MiB at most, pods usually 10 KiB.
const LONGEST: usize = 64 << 20;
/// Of an error's words.
const WORDS: usize = 300;

/// A good answer's body; what a bad one says.
pub(super) async fn judge(
    what: &'static str,
    response: Response<Body>,
) -> Result<Body, ClusterError> {
    let status = response.status();
    if status.is_success() {
        return Ok(response.into_body());
    }
    let kind = kind(status.as_u16(), retry_after(response.headers()));
    let said = match whole(what, response.into_body()).await {
        Ok(body) => words(&body),
        Err(error) => error.message,
    };
    Err(ClusterError {
        kind,
        message: format!("{what}: {status}: {said}"),
    })
}

/// What an HTTP status, or the code of a `Status`, means.
pub(super) fn kind(code: u16, retry_after: Option<Duration>) -> Kind {
    match code {
        401 => Kind::Unauthorized,
        403 => Kind::Denied,
        410 => Kind::Expired,
        429 | 503 => Kind::Busy(retry_after),
        502 | 504 => Kind::Unreachable,
        _ => Kind::Garbled,
    }
}

/// In seconds; API servers give no date.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?;
    text.trim().parse().ok().map(Duration::from_secs)
}

/// API servers explain themselves by a `Status`, what stands before them by anything.
fn words(body: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Status {
        message: String,
    }
    let text = match serde_json::from_slice::<Status>(body) {
        Ok(status) => status.message,
        Err(_) => String::from_utf8_lossy(body).into_owned(),
    };
    shortened(&text)
}

/// One line of bounded length.
pub(super) fn shortened(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(WORDS) {
        Some((end, _)) => format!("{}...", &line[..end]),
        None => line,
    }
}

/// All of a body, once: a list of many pods is some megabytes, and the daemon is small.
pub(super) async fn whole(what: &str, body: Body) -> Result<Vec<u8>, ClusterError> {
    let mut chunks = Limited::new(body, LONGEST).into_data_stream();
    let mut whole = Vec::new();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|error| ClusterError {
            kind: match error.is::<LengthLimitError>() {
                true => Kind::Garbled,
                false => Kind::Unreachable,
            },
            message: format!("{what}: {}", chain(error.as_ref())),
        })?;
        whole.extend_from_slice(&chunk);
    }
    Ok(whole)
}

/// Why a request was never answered.
pub(super) fn unsent(what: &str, error: &kube::Error) -> ClusterError {
    ClusterError {
        kind: match error {
            kube::Error::Auth(_) => Kind::Unauthorized,
            _ => Kind::Unreachable,
        },
        message: format!("{what}: {}", chain(error)),
    }
}

/// An error with what caused it, each once: some repeat their cause in their own words.
pub(super) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let words = cause.to_string();
        if !text.contains(&words) {
            text = format!("{text}: {words}");
        }
        next = cause.source();
    }
    shortened(&text)
}
