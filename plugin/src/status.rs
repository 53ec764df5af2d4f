//! STATUS: whether ADDs are served here. They are while a daemon answers, or did a moment ago, unless the configuration is
//! one that every ADD refuses; an empty pool or a full subnet is no reason to fail, since a runtime would mark the whole
//! node NotReady for it.

use alloc::format;
use alloc::string::String;
use core::time::Duration;

use rustix::fs::{Timespec, stat};
use rustix::time::{ClockId, clock_gettime};
use serde_json::Value;

use crate::call::Call;
use crate::client::{AskError, Daemon, unexpected};
use crate::clock;
use crate::config::Paths;
use crate::contract::{ALIVE_WITHIN, Ask, HEARTBEAT_EXTENSION, Outcome};
use crate::error::{Error, code};

/// What a daemon that hangs leaves of the call's second: containerd waits for STATUS without a limit of its own, and
/// holds the lock that ADDs need.
const AFTERWARDS: Duration = Duration::from_millis(300);

/// Success, code 50, or what ADD says of the configuration.
pub(crate) fn status(call: &Call) -> Result<Option<Value>, Error> {
    let socket = judged(call)?.socket;
    let daemon = Daemon::new(&socket, call.deadline - AFTERWARDS);
    match daemon.ask(Ask::Status, None) {
        Ok(outcome) => conclude(outcome),
        Err(lost) => {
            let mute = lost.is_away() || matches!(lost, AskError::Silent);
            if mute && was_alive(&heartbeat(&socket)) {
                return Ok(None);
            }
            Err(unavailable(lost.into()))
        }
    }
}

/// What the daemon is asked.
pub(crate) fn request(call: &Call) -> Result<Ask, Error> {
    judged(call).map(|_| Ask::Status)
}

/// All of the configuration that ADD judges is judged here too, in the same order: prevResult and the pod's name come only
/// with a pod.
fn judged(call: &Call) -> Result<Paths, Error> {
    let paths = call.config.paths()?;
    call.config.link()?;
    Ok(paths)
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

/// The heartbeat's file of the daemon behind this socket.
fn heartbeat(socket: &str) -> String {
    let name = socket.rfind('/').map_or(0, |slash| slash + 1);
    // A dot that begins the name begins no extension.
    let end = socket[name..].rfind('.').filter(|dot| *dot > 0);
    let stem = end.map_or(socket, |dot| &socket[..name + dot]);
    format!("{stem}.{HEARTBEAT_EXTENSION}")
}

/// Whether the daemon has touched the file lately. A time that lies as far ahead as it may lie back is one that a clock
/// which was set back has left.
fn was_alive(heartbeat: &str) -> bool {
    let Ok(file) = stat(heartbeat) else {
        return false;
    };
    let touched = clock::duration(Timespec {
        tv_sec: file.st_mtime,
        tv_nsec: i64::try_from(file.st_mtime_nsec).unwrap_or_default(),
    });
    clock::duration(clock_gettime(ClockId::Realtime)).abs_diff(touched) <= ALIVE_WITHIN
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn the_heartbeat_lies_where_the_daemon_puts_it() {
        for socket in [
            "/run/berth/berthd.sock",
            "/run/b.d/berthd",
            "/a/.sock",
            "/a.b.c",
        ] {
            let theirs = Path::new(socket).with_extension(HEARTBEAT_EXTENSION);
            assert_eq!(Path::new(&heartbeat(socket)), theirs);
        }
    }
}
