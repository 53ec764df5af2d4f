//! What a failed SDK call means: how far the request got, or what EC2 answered. Decides nothing about repeating it.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use aws_sdk_ec2::config::http::HttpResponse;
use aws_sdk_ec2::config::interceptors::{
    AfterDeserializationInterceptorContextRef, BeforeTransmitInterceptorContextRef,
};
use aws_sdk_ec2::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_ec2::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::error::InterceptorError;
use aws_smithy_runtime_api::client::result::ConnectorError;

use crate::classify::{classify, message};
use crate::error::{Action, Ec2Error, Kind};
use crate::text::{MESSAGE_CHARS, QUOTE_CHARS, one_line};

/// One call under way, and an interceptor of it for two things that the SDK does not tell:
/// whether the request was handed to the connector (a time-out or a failure before that, as credentials that do not
/// come, has the same variants as one after it), and whether an answer of status 200 is EC2's at all, and whole (for
/// verbs without a result the SDK does not look, and a proxy's login page or half a document would pass for success).
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

    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if context
            .output_or_error()
            .is_err_and(|error| !error.is_operation_error())
        {
            // The body did not come whole; that error says more.
            return Ok(());
        }
        let response = context.response();
        let body = String::from_utf8_lossy(response.body().bytes().unwrap_or_default());
        // The root element of the EC2 Query API ("Make requests using the EC2 Query API").
        let opens = body.contains(&format!("<{}Response", self.action));
        let closes = body
            .trim_end()
            .ends_with(&format!("</{}Response>", self.action));
        if response.status().is_success() && !(opens && closes) {
            let quote = one_line(&body, QUOTE_CHARS);
            return Err(format!("{quote:?} is not an answer of EC2").into());
        }
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
            message: error.source().map_or_else(|| error.to_string(), chain),
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
            message: message(error.message().unwrap_or_default()),
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
    std::iter::successors(Some(error), |cause: &&'a (dyn Error + 'static)| {
        (*cause).source()
    })
}

/// All causes on one line, without the SDK's own layers, which say nothing, and without repetitions.
pub(super) fn chain(error: &(dyn Error + 'static)) -> String {
    let mut line = String::new();
    for cause in causes(error).filter(|cause| !is_layer(*cause)) {
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

fn is_layer(cause: &(dyn Error + 'static)) -> bool {
    cause.is::<ConnectorError>() || cause.is::<InterceptorError>()
}
