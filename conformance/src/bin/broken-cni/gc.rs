//! GC: takes back what this network's attachments have that are not named.

use std::path::Path;

use serde_json::{Value, json};

use crate::call::Call;
use crate::failure::Failure;
use crate::rules::broken;
use crate::state::{Record, State};
use crate::{daemon, del, ip, ipam};

pub fn gc(call: &Call) -> Result<Option<Value>, Failure> {
    let valid = valid(call)?;
    if broken("gc-away-succeeds") && daemon::ask(call, 11).is_err() {
        return Ok(None);
    }
    if broken("gc-stops-at-error") {
        ipam::forward(call, "GC")?;
    }
    let state = State::open(&call.conf.data_dir())?;
    let mut failures = Vec::new();
    for record in state.all() {
        let network = record.key.network.as_str();
        let is_ours = network == call.key.network
            || broken("gc-other-networks")
            || (broken("gc-network-prefix") && network.starts_with(&call.key.network));
        let stays = !is_ours || (is_valid(&record, &valid) && !broken("gc-valid-too"));
        let lives = broken("gc-live-kept") && Path::new(&record.netns).exists();
        if stays || lives || broken("gc-nothing") {
            continue;
        }
        if broken("gc-gone-netns-fails") && !Path::new(&record.netns).exists() {
            failures.push(Failure::new(101, "a sandbox is gone"));
        }
        failures.extend(take(&state, &record).err());
    }
    if !broken("gc-ipam-unasked") {
        failures.extend(ipam::forward(call, "GC").err());
    }
    match failures.pop() {
        Some(failure) => Err(failure),
        None => Ok(broken("gc-prints").then(|| json!({}))),
    }
}

fn take(state: &State, record: &Record) -> Result<(), Failure> {
    if broken("gc-keeps-link") {
        state.forget(&record.key);
        return Ok(());
    }
    if broken("gc-keeps-address") {
        return record.host.as_deref().map_or(Ok(()), ip::delete);
    }
    del::release(state, record, None)
}

fn is_valid(record: &Record, valid: &[Value]) -> bool {
    let same = |entry: &Value| {
        let is_ifname = entry["ifname"] == record.key.ifname.as_str() || broken("gc-by-container");
        entry["containerID"] == record.key.container_id.as_str() && is_ifname
    };
    valid.iter().any(same)
}

/// The list under either key; `null` is an empty one, no key at all is a mistake.
fn valid(call: &Call) -> Result<Vec<Value>, Failure> {
    let mut keys = vec!["cni.dev/valid-attachments", "cni.dev/attachments"];
    if broken("gc-new-key-only") {
        keys.pop();
    }
    if broken("gc-old-key-only") {
        keys.remove(0);
    }
    if broken("gc-old-key-first") {
        keys.reverse();
    }
    let refused = || Failure::new(7, "GC without a list of valid attachments");
    let all = || {
        State::open(&call.conf.data_dir()).map(|state| {
        let entry = |record: Record| json!({"containerID": record.key.container_id, "ifname": record.key.ifname});
        state.all().into_iter().map(entry).collect()
    })
    };
    match keys
        .into_iter()
        .find_map(|key| call.conf.document().get(key))
    {
        None if broken("gc-absent-wipes") => Ok(Vec::new()),
        None if broken("gc-absent-succeeds") => all(),
        None => Err(refused()),
        Some(Value::Null) if broken("gc-null-refused") => Err(refused()),
        Some(Value::Null) if broken("gc-null-keeps") => all(),
        Some(Value::Array(list)) if list.is_empty() && broken("gc-empty-keeps") => all(),
        Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Array(list)) if broken("gc-twice-refused") && has_twins(list) => Err(refused()),
        Some(Value::Array(list)) if list.iter().all(is_entry) || broken("gc-list-unchecked") => {
            Ok(list.clone())
        }
        Some(other) => Err(Failure::new(
            7,
            format!("the list of valid attachments is {other}"),
        )),
    }
}

fn has_twins(list: &[Value]) -> bool {
    (1..list.len()).any(|at| list[..at].contains(&list[at]))
}

fn is_entry(entry: &Value) -> bool {
    ["containerID", "ifname"]
        .iter()
        .all(|member| entry[*member].is_string())
}
