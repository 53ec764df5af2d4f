//! DEL: tells the daemon, or leaves it a tombstone. CNI_NETNS, CNI_ARGS and prevResult are hints here: the daemon knows
//! what the attachment has, and a DEL that fails for a hint's sake wedges the pod or leaks.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use rustix::fd::{AsFd, BorrowedFd};
use serde_json::Value;

use crate::args;
use crate::aws_node;
use crate::call::Call;
use crate::client::{AskError, Daemon, unexpected};
use crate::config::Paths;
use crate::contract::{Ask, DelRequest, Outcome};
use crate::error::{Error, code};
use crate::netns::{Netns, NetnsError};
use crate::tombstone;

/// Undoes an ADD, now or as soon as there is a daemon; also one that never was.
pub(crate) fn del(call: &Call, notes: &mut Vec<String>) -> Result<Option<Value>, Error> {
    let netns = netns(call, notes)?;
    let request = request(call)?;
    if let Err(odd) = args::pod(&call.environment.args, &call.config) {
        notes.push(odd.to_string());
    }
    let paths = call.config.paths()?;
    let daemon = Daemon::new(&paths.socket, call.deadline);
    let netns = netns.as_ref().map(AsFd::as_fd);
    match ask(&daemon, &request, netns) {
        Err(away) if away.is_away() => bury(&daemon, &request, netns, &paths, &away),
        answered => conclude(answered?),
    }
}

/// What the daemon is asked, and what a tombstone says.
pub(crate) fn request(call: &Call) -> Result<DelRequest, Error> {
    call.config.paths()?;
    Ok(DelRequest {
        id: call.id.clone(),
        // Only for its log.
        pod: args::pod(&call.environment.args, &call.config).unwrap_or_default(),
        aws_node: aws_node::links(call.config.prev_result()),
    })
}

/// What the daemon's answer means.
pub(crate) fn conclude(outcome: Outcome) -> Result<Option<Value>, Error> {
    match outcome {
        Outcome::Deleted => Ok(None),
        other => Err(unexpected(other, "DEL")),
    }
}

/// The pod's namespace, if there is one. Only the plugin's own is refused: undoing an attachment there could take the
/// node's own interface.
fn netns(call: &Call, notes: &mut Vec<String>) -> Result<Option<Netns>, Error> {
    let path = &call.environment.netns;
    if path.is_empty() {
        return Ok(None);
    }
    match Netns::open(path, call.environment.own_netns_allowed) {
        Ok(netns) => Ok(Some(netns)),
        Err(own @ NetnsError::Own) => Err(own.into_error(path)),
        // Gone with the pod: the ordinary case after a reboot.
        Err(NetnsError::Unopenable(_)) => Ok(None),
        Err(odd) => {
            notes.push(odd.into_error(path).to_string());
            Ok(None)
        }
    }
}

/// The daemon is away: leaves a tombstone, then asks once more. The order closes the gap in which the daemon comes up,
/// finds no tombstone, and is not asked either.
fn bury(
    daemon: &Daemon,
    request: &DelRequest,
    netns: Option<BorrowedFd<'_>>,
    paths: &Paths,
    away: &AskError,
) -> Result<Option<Value>, Error> {
    let buried = tombstone::write(&paths.tombstones, request, daemon.invocation());
    match ask(daemon, request, netns) {
        Ok(Outcome::Deleted) => {
            // Replaying it would change nothing, so failing to take it back is no failure.
            let _ = tombstone::remove(&paths.tombstones, &request.id);
            Ok(None)
        }
        Err(still) if still.is_away() => buried.map(|()| None).map_err(|error| {
            let dir = &paths.tombstones;
            Error::new(
                code::TRY_AGAIN,
                format!("{away}, and no tombstone can be left in {dir}: {error}"),
            )
        }),
        answered => conclude(answered?),
    }
}

fn ask(
    daemon: &Daemon,
    request: &DelRequest,
    netns: Option<BorrowedFd<'_>>,
) -> Result<Outcome, AskError> {
    daemon.ask(Ask::Del(request.clone()), netns)
}
