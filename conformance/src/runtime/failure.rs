//! Why a chain failed: the plugin's own error, or what the runtime makes of a plugin that did not speak properly.

use std::time::Duration;

use serde::Deserialize;
use thiserror::Error;

use super::invoke::Exit;
use super::outcome::Verb;

/// A plugin's error document (CNI specification, "Error").
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Error)]
#[error("code {code}: {msg}{}{details}", if details.is_empty() { "" } else { "; " })]
pub struct CniError {
    /// Numeric code; 11 asks the runtime to try again later.
    pub code: u64,
    /// Short message.
    #[serde(default)]
    pub msg: String,
    /// Long message, may be empty.
    #[serde(default)]
    pub details: String,
}

/// Why one plugin's run counts as failed.
#[derive(Debug, Error)]
pub enum Cause {
    /// It said so.
    #[error(transparent)]
    Reported(#[from] CniError),
    /// It was killed after its time was up.
    #[error("killed after {0:?}")]
    TimedOut(Duration),
    /// It failed without an error document.
    #[error("failed ({status}) without an error document, stdout {stdout:?}")]
    Mute {
        /// Exit status or signal.
        status: String,
        /// What it printed instead.
        stdout: String,
    },
    /// It succeeded, but what it printed is no result.
    #[error("printed no result: {why}, stdout {stdout:?}")]
    NoResult {
        /// What is wrong with it.
        why: String,
        /// What it printed.
        stdout: String,
    },
    /// No such plugin in `CNI_PATH`.
    #[error("not found in {0:?}")]
    NotFound(Vec<std::path::PathBuf>),
    /// The runtime refuses before it asks any plugin.
    #[error("refused: {0}")]
    Refused(&'static str),
    /// The runtime itself could not run it, or could not keep the result.
    #[error("{what}: {error}")]
    Runtime {
        /// What the runtime was doing.
        what: &'static str,
        /// The system's error.
        error: std::io::Error,
    },
}

impl Cause {
    /// Why `exit` is a failure; `None` when the plugin succeeded.
    #[must_use]
    pub fn of_exit(exit: &Exit) -> Option<Self> {
        if exit.status.success() {
            return None;
        }
        Some(match serde_json::from_str::<CniError>(&exit.stdout) {
            Ok(error) => Self::Reported(error),
            Err(_) => Self::Mute {
                status: exit.status.to_string(),
                stdout: exit.stdout.clone(),
            },
        })
    }
}

/// The plugin at which a chain stopped, and why.
#[derive(Debug, Error)]
#[error("plugin type={plugin:?} name={network:?} failed ({verb}): {cause}")]
pub struct ChainFailure {
    /// What was asked.
    pub verb: Verb,
    /// `type` of the plugin.
    pub plugin: String,
    /// Name of the network.
    pub network: String,
    /// Why.
    pub cause: Box<Cause>,
    /// What the plugin wrote to stderr.
    pub stderr: String,
}

impl ChainFailure {
    /// The plugin's error document, if it gave one.
    #[must_use]
    pub fn reported(&self) -> Option<&CniError> {
        match &*self.cause {
            Cause::Reported(error) => Some(error),
            _ => None,
        }
    }

    /// Whether the plugin was killed for taking too long.
    #[must_use]
    pub fn timed_out(&self) -> bool {
        matches!(*self.cause, Cause::TimedOut(_))
    }
}
