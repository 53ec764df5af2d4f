//! ADD: what is asked of the daemon for a pod, and what its answer means to the runtime. The interface and the address
//! are the daemon's work; a failed ADD leaves nothing here to undo.

use alloc::string::String;

use rustix::fd::AsFd;
use serde_json::Value;

use crate::args;
use crate::call::Call;
use crate::client::{Daemon, unexpected};
use crate::contract::{AddRequest, Ask, Interface, Outcome};
use crate::error::Error;
use crate::netns::Netns;
use crate::prev_result::PrevResult;
use crate::result::Attached;

/// The result for the runtime. Everything that can be refused is refused before the daemon hears of it.
pub(crate) fn add(call: &Call) -> Result<Option<Value>, Error> {
    let environment = &call.environment;
    let ask = request(call)?;
    let netns = Netns::open(&environment.netns, environment.own_netns_allowed)
        .map_err(|error| error.into_error(&environment.netns))?;
    let daemon = Daemon::new(&call.config.paths()?.socket, call.deadline);
    let outcome = daemon.ask_until_answered(ask, Some(netns.as_fd()))?;
    conclude(call, outcome)
}

/// What the daemon is asked.
pub(crate) fn request(call: &Call) -> Result<Ask, Error> {
    call.config.paths()?;
    let link = call.config.link()?;
    let pod = args::pod(&call.environment.args, &call.config)?;
    let is_made = previous(call)?
        .is_some_and(|previous| previous.position_in_sandbox(&call.id.ifname).is_some());
    Ok(Ask::Add(AddRequest {
        id: call.id.clone(),
        pod,
        netns: sandbox(call),
        interface: if is_made {
            Interface::Existing
        } else {
            Interface::Create
        },
        veth_prefix: link.veth_prefix,
        mtu: link.mtu,
    }))
}

/// What its answer means.
pub(crate) fn conclude(call: &Call, outcome: Outcome) -> Result<Option<Value>, Error> {
    let Outcome::Added(added) = outcome else {
        return Err(unexpected(outcome, "ADD"));
    };
    let attached = Attached {
        added: &added,
        ifname: &call.id.ifname,
        sandbox: &sandbox(call),
        version: call.version,
    };
    let previous = previous(call)?;
    Ok(Some(previous.map_or_else(
        || attached.alone(),
        |previous| attached.after(previous),
    )))
}

fn previous(call: &Call) -> Result<Option<PrevResult>, Error> {
    let value = call.config.prev_result();
    value
        .map(|value| PrevResult::parse(value, call.version))
        .transpose()
}

/// Known to be UTF-8 since the environment was read.
fn sandbox(call: &Call) -> String {
    String::from_utf8_lossy(&call.environment.netns).into_owned()
}
