//! STATUS: whether ADDs are served here. They are while a daemon answers, or did a moment ago; an empty pool or a full
//! subnet is no reason to fail, since a runtime would mark the whole node NotReady for it.

use std::path::Path;
use std::time::{Duration, SystemTime};

use serde_json::Value;

use crate::call::Call;
use crate::client::{AskError, Daemon, unexpected};
use crate::contract::{ALIVE_WITHIN, Ask, Outcome, heartbeat_path};
use crate::error::{Error, code};

/// What a daemon that hangs leaves of the call's second: containerd waits for STATUS without a limit of its own, and
/// holds the lock that ADDs need.
const AFTERWARDS: Duration = Duration::from_millis(300);

/// Success, or code 50.
pub(crate) fn status(call: &Call) -> Result<Option<Value>, Error> {
    let paths = call.config.paths()?;
    let daemon = Daemon::new(&paths.socket, call.deadline - AFTERWARDS);
    match daemon.ask(Ask::Status, None) {
        Ok(outcome) => conclude(outcome),
        Err(lost) => {
            let mute = lost.is_away() || matches!(lost, AskError::Silent);
            if mute && was_alive(&heartbeat_path(&paths.socket)) {
                return Ok(None);
            }
            Err(unavailable(lost.into()))
        }
    }
}

/// What the daemon is asked.
pub(crate) fn request(call: &Call) -> Result<Ask, Error> {
    call.config.paths()?;
    Ok(Ask::Status)
}

/// What its answer means.
pub(crate) fn conclude(outcome: Outcome) -> Result<Option<Value>, Error> {
    match outcome {
        Outcome::Ready => Ok(None),
        other => Err(unavailable(unexpected(other, "STATUS"))),
    }
}

fn unavailable(error: Error) -> Error {
    Error {
        code: code::UNAVAILABLE,
        ..error
    }
}

/// Whether the daemon has touched the file lately. A time that lies as far ahead as it may lie back is one that a clock
/// which was set back has left.
fn was_alive(heartbeat: &Path) -> bool {
    let Ok(touched) = std::fs::metadata(heartbeat).and_then(|metadata| metadata.modified()) else {
        return false;
    };
    let apart = match SystemTime::now().duration_since(touched) {
        Ok(ago) => ago,
        Err(ahead) => ahead.duration(),
    };
    apart <= ALIVE_WITHIN
}
