//! What a failed SDK call means: how far the request got, or what EC2 answered. Decides nothing about repeating it.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use aws_sdk_ec2::config::http::HttpResponse;
use aws_sdk_ec2::config::interceptors::BeforeTransmitInterceptorContextRef;
use aws_sdk_ec2::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_ec2::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::box_error::BoxError;

use crate::classify::{classify, message};
use crate::error::{Action, Ec2Error, Kind};
use crate::text::{MESSAGE_CHARS, one_line};

/// One call under way. As an interceptor it notes whether the request was handed to the connector: the SDK reports a
/// time-out or a failure before that (credentials that do not come, no region) with the same variants as one after it.
#[derive(Clone, Debug)]
pub(super) struct Sending {
    action: Action,
    begun: Arc<AtomicBool>,
}

impl Intercept for Sending {
    fn name(&self) -> &'static str {
        "berth-sending"
    }

    fn read_before_transmit(
        &self,
        _context: &BeforeTransmitInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        self.begun.store(true, Ordering::Release);
        Ok(())
    }
}

impl Sending {
    pub(super) fn new(action: Action) -> Self {
        Self {
            action,
            begun: Arc::default(),
        }
    }

    /// The one mapping from the SDK's errors to ours.
    pub(super) fn failure<E>(&self, error: &SdkError<E, HttpResponse>) -> Ec2Error
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        let (kind, code) = match error {
            SdkError::ServiceError(answer) => {
                return self.refusal(answer.err(), answer.raw().status().as_u16());
            }
            SdkError::ConstructionFailure(_) => (Kind::Unreachable, "NotSent"),
            _ if !self.begun.load(Ordering::Acquire) => (Kind::Unreachable, "NotSent"),
            SdkError::DispatchFailure(_) if never_connected(error) => {
                (Kind::Unreachable, "NotConnected")
            }
            SdkError::ResponseError(_) => (Kind::Doubtful, "BadAnswer"),
            _ => (Kind::Doubtful, "NoAnswer"),
        };
        Ec2Error {
            action: self.action,
            kind,
            code: code.to_owned(),
            message: chain(error),
        }
    }

    /// EC2 answered with an error.
    fn refusal(&self, error: &impl ProvideErrorMetadata, status: u16) -> Ec2Error {
        let code = error.code().unwrap_or_default();
        Ec2Error {
            action: self.action,
            kind: classify(self.action, code, status),
            code: if code.is_empty() {
                format!("Http{status}")
            } else {
                code.to_owned()
            },
            message: message(code, error.message().unwrap_or_default()),
        }
    }
}

/// Whether the connection itself failed: name, TCP, TLS or their time-out. The SDK's error does not say; hyper's, further
/// down, does. If a later SDK uses another client this answers no, which errs on the side of `Doubtful`.
fn never_connected(error: &(dyn Error + 'static)) -> bool {
    causes(error).any(|cause| {
        cause
            .downcast_ref::<hyper_util::client::legacy::Error>()
            .is_some_and(hyper_util::client::legacy::Error::is_connect)
    })
}

/// The error and what is behind it, outermost first.
fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |cause: &&'a (dyn Error + 'static)| (*cause).source())
}

/// All causes on one line. Layers that only repeat the text of the one below are said once.
pub(super) fn chain(error: &(dyn Error + 'static)) -> String {
    let mut line = String::new();
    for cause in causes(error) {
        let text = cause.to_string();
        if line.ends_with(&text) {
            continue;
        }
        if !line.is_empty() {
            line.push_str(": ");
        }
        line.push_str(&text);
    }
    one_line(&line, MESSAGE_CHARS)
}
