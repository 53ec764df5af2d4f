//! GC: tells the daemon which attachments of this network the runtime still knows; it takes back what all others have.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::vec::Vec;

use serde_json::Value;

use crate::call::Call;
use crate::client::{Daemon, unexpected};
use crate::config::Config;
use crate::contract::{Ask, GcRequest, Outcome, ValidAttachment};
use crate::error::{Error, code};

/// Where the runtime names them, by precedence: the specification says the second in its tag and the first since
/// (containernetworking/cni#1101); libcni from 1.2.3 on sends both.
const KEYS: [&str; 2] = ["cni.dev/valid-attachments", "cni.dev/attachments"];

/// Takes back what is not named. A daemon that is away makes this fail: there is nobody else who knows what is there.
pub(crate) fn gc(call: &Call) -> Result<Option<Value>, Error> {
    let ask = request(call)?;
    let daemon = Daemon::new(&call.config.paths()?.socket, call.deadline);
    conclude(daemon.ask_until_answered(ask, None)?)
}

/// What the daemon is asked.
pub(crate) fn request(call: &Call) -> Result<Ask, Error> {
    call.config.paths()?;
    Ok(Ask::Gc(GcRequest {
        network: call.id.network.clone(),
        valid: valid(&call.config)?,
    }))
}

/// What its answer means.
pub(crate) fn conclude(outcome: Outcome) -> Result<Option<Value>, Error> {
    match outcome {
        Outcome::Collected => Ok(None),
        other => Err(unexpected(other, "GC")),
    }
}

/// The list. `null` is an empty one, as Go writes a slice that nobody filled; but a call without either key must not wipe
/// a node, though `cnitool gc` means just that by it.
fn valid(config: &Config) -> Result<Vec<ValidAttachment>, Error> {
    let named = KEYS
        .iter()
        .find_map(|key| config.raw(key).map(|list| (key, list)));
    let (key, list) = named.ok_or_else(|| {
        Error::new(
            code::CONFIG,
            format!("neither {} nor {} in the network config", KEYS[0], KEYS[1]),
        )
        .details("GC without a list of attachments would take every pod's network")
    })?;
    match list {
        Value::Null => Ok(Vec::new()),
        Value::Array(entries) => entries.iter().map(|entry| one(key, entry)).collect(),
        other => Err(malformed(key, other)),
    }
}

fn one(key: &str, entry: &Value) -> Result<ValidAttachment, Error> {
    let text = |member: &str| match entry.get(member).and_then(Value::as_str) {
        Some(text) if !text.is_empty() => Ok(text.to_owned()),
        _ => Err(malformed(key, entry)),
    };
    Ok(ValidAttachment {
        container_id: text("containerID")?,
        ifname: text("ifname")?,
    })
}

fn malformed(key: &str, value: &Value) -> Error {
    Error::new(
        code::CONFIG,
        format!("invalid {key} in the network config: {value}"),
    )
    .details("it must be a list of objects with containerID and ifname")
}
