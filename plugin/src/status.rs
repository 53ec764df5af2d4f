//! STATUS: whether ADDs are served here. They are while a daemon answers, or did a moment ago; an empty pool or a full
//! subnet is no reason to fail, since a runtime would mark the whole node NotReady for it.

use std::path::Path;
use std::time::{Duration, SystemTime};

use crate::call::Call;
use crate::client::{AskError, Daemon, unexpected};
use crate::contract::{ALIVE_WITHIN, Ask, Outcome, heartbeat_path};
use crate::error::{Error, code};

/// What a daemon that hangs leaves of the call's second: containerd waits for STATUS without a limit of its own, and
/// holds the lock that ADDs need.
const AFTERWARDS: Duration = Duration::from_millis(300);

/// Success, or code 50.
pub(crate) fn status(call: &Call) -> Result<(), Error> {
    let paths = call.config.paths()?;
    let daemon = Daemon::new(&paths.socket, call.deadline - AFTERWARDS)?;
    let error = match daemon.ask(Ask::Status, None) {
        Ok(Outcome::Ready) => return Ok(()),
        Ok(other) => unexpected(other, "STATUS"),
        Err(lost) => {
            let mute = lost.is_away() || matches!(lost, AskError::Silent);
            if mute && was_alive(&heartbeat_path(&paths.socket)) {
                return Ok(());
            }
            lost.into()
        }
    };
    Err(Error {
        code: code::UNAVAILABLE,
        ..error
    })
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
