//! ADD: what is asked of the daemon for a pod, and what its answer means to the runtime. The interface and the address
//! are the daemon's work; a failed ADD leaves nothing here to undo.

use std::os::fd::AsFd;

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
pub(crate) fn add(call: &Call) -> Result<Value, Error> {
    let environment = &call.environment;
    let paths = call.config.paths()?;
    let link = call.config.link()?;
    let pod = args::pod(&environment.args, &call.config)?;
    let previous = call
        .config
        .prev_result()
        .map(|value| PrevResult::parse(value, call.version))
        .transpose()?;
    let is_made = previous
        .as_ref()
        .is_some_and(|previous| previous.position_in_sandbox(&call.id.ifname).is_some());
    let netns = Netns::open(&environment.netns, environment.own_netns_allowed)
        .map_err(|error| error.into_error(&environment.netns))?;
    let request = AddRequest {
        id: call.id.clone(),
        pod,
        // Known to be UTF-8 since the environment was read.
        netns: environment.netns.to_string_lossy().into_owned(),
        interface: if is_made {
            Interface::Existing
        } else {
            Interface::Create
        },
        veth_prefix: link.veth_prefix,
        mtu: link.mtu,
    };
    let daemon = Daemon::new(&paths.socket, call.deadline)?;
    let sandbox = request.netns.clone();
    match daemon.ask_until_answered(Ask::Add(request), Some(netns.as_fd()))? {
        Outcome::Added(added) => {
            let attached = Attached {
                added: &added,
                ifname: &call.id.ifname,
                sandbox: &sandbox,
                version: call.version,
            };
            Ok(previous.map_or_else(|| attached.alone(), |previous| attached.after(previous)))
        }
        other => Err(unexpected(other, "ADD")),
    }
}
