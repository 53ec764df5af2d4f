//! CHECK: what the runtime remembers of an attachment (`prevResult`) is judged here as far as it must agree with the
//! call, and sent to the daemon, which compares it with its state and the kernel. Nothing is changed.

use alloc::format;
use alloc::string::String;

use rustix::fd::AsFd;
use serde_json::Value;

use crate::call::Call;
use crate::client::{Daemon, unexpected};
use crate::contract::{Ask, CheckRequest, Outcome};
use crate::error::{Error, code};
use crate::netns::Netns;
use crate::prev_result::PrevResult;

/// Success if everything stands that an ADD left and `prevResult` lists. What other plugins did besides is theirs.
pub(crate) fn check(call: &Call) -> Result<Option<Value>, Error> {
    let ask = request(call)?;
    let path = &call.environment.netns;
    let netns = Netns::open(path, call.environment.own_netns_allowed)
        .map_err(|error| error.into_error(path))?;
    let daemon = Daemon::new(&call.config.paths()?.socket, call.deadline);
    conclude(daemon.ask_until_answered(ask, Some(netns.as_fd()))?)
}

/// What the daemon's answer means.
pub(crate) fn conclude(outcome: Outcome) -> Result<Option<Value>, Error> {
    match outcome {
        Outcome::Checked => Ok(None),
        other => Err(unexpected(other, "CHECK")),
    }
}

/// What `prevResult` says of the pod's interface. CHECK must have one (CNI spec, "CHECK"), and it must be of this sandbox.
pub(crate) fn request(call: &Call) -> Result<Ask, Error> {
    call.config.paths()?;
    let value = call.config.prev_result();
    let value = value.ok_or_else(|| Error::new(code::CONFIG, "required prevResult missing"))?;
    let previous = PrevResult::parse(value, call.version)?;
    let ifname = &call.id.ifname;
    let position = previous.position_in_sandbox(ifname).ok_or_else(|| {
        Error::new(
            code::CONFIG,
            format!("prevResult lists no interface {ifname} inside a sandbox"),
        )
    })?;
    let interface = &previous.interfaces()[position];
    // Known to be UTF-8 since the environment was read.
    let netns = String::from_utf8_lossy(&call.environment.netns);
    if interface["sandbox"] != *netns {
        return Err(Error::new(
            code::CONFIG,
            format!(
                "sandbox {} of {ifname} in prevResult is not CNI_NETNS {netns}",
                interface["sandbox"]
            ),
        ));
    }
    Ok(Ask::Check(CheckRequest {
        id: call.id.clone(),
        mac: interface["mac"]
            .as_str()
            .filter(|mac| is_mac(mac))
            .map(str::to_ascii_lowercase),
        addresses: previous.addresses_of(position),
    }))
}

/// aws-node keeps the number of a route table in this member.
fn is_mac(text: &str) -> bool {
    let octet = |part: &str| part.len() == 2 && part.bytes().all(|b| b.is_ascii_hexdigit());
    text.split(':').count() == 6 && text.split(':').all(octet)
}
