//! DEL: takes back what the records say, and calls what is gone a success.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::call::Call;
use crate::failure::{Failure, note};
use crate::ip::{self, ip};
use crate::netns::{Netns, Unusable};
use crate::prev::{Prev, is_mac};
use crate::rules::broken;
use crate::state::{Record, State};
use crate::{args, daemon, ipam};

pub fn del(call: &Call) -> Result<Option<Value>, Failure> {
    if broken("args-malformed-fails-del") {
        args::check(call)?;
    }
    if broken("del-needs-daemon") {
        daemon::ask(call, 11)?;
    }
    judge_prev(call)?;
    let answer = || broken("del-prints").then(|| json!({"cniVersion": call.conf.version}));
    let is_blind = (broken("del-by-prev") && call.conf.get("prevResult").is_none())
        || (broken("del-no-netns-leaks") && call.environment.netns.is_empty());
    if is_blind {
        return Ok(answer());
    }
    let Some(netns) = netns(call)? else {
        return Ok(answer());
    };
    let state = State::open(&call.conf.data_dir())?;
    if call.conf.data_dir().join("stuck").exists() {
        return Err(Failure::new(101, "an ADD failed"));
    }
    let under_way = format!("under-way-{}", call.key.host_ifname());
    if call.conf.data_dir().join(under_way).exists() {
        return Err(Failure::new(11, "an ADD is under way"));
    }
    clumsy(call, netns.as_ref())?;
    let record = state.get(&call.key);
    let is_other = |record: &Record| record.version != call.conf.version;
    if broken("cache-one-version") && record.as_ref().is_some_and(is_other) {
        return Err(Failure::new(7, "the list's version has changed"));
    }
    let mark = mark(call);
    if record.is_none() && mark.exists() && broken("del-once") {
        return Err(Failure::new(101, "it is deleted"));
    }
    if record.is_none() && !mark.exists() && broken("del-unknown-fails") {
        return Err(Failure::new(101, "there was no ADD"));
    }
    if broken("del-once") || broken("del-unknown-fails") || broken("killed-add-goes-on") {
        fs::write(mark, "")?;
    }
    if broken("del-unknown-noted") {
        note_unknown(call, record.is_none())?;
    }
    let is_known = |record: &Record| {
        !broken("del-needs-conf") || call.conf.mtu().is_ok_and(|mtu| mtu == record.mtu)
    };
    let known = record.filter(is_known);
    let released = known.map_or(Ok(()), |record| release(&state, &record, netns.as_ref()));
    let forwarded = if broken("ipam-del-unasked") {
        Ok(())
    } else {
        ipam::forward(call, "DEL")
    };
    released?;
    if !broken("ipam-del-error-lost") {
        forwarded?;
    }
    Ok(answer())
}

/// What was never added is held from one DEL to the next.
fn note_unknown(call: &Call, is_unknown: bool) -> Result<(), Failure> {
    let name = format!("unknown-{}", call.key.host_ifname());
    let noted = call.conf.data_dir().join("attachments").join(name);
    if is_unknown && fs::remove_file(&noted).is_err() {
        fs::write(noted, "")?;
    }
    Ok(())
}

/// Where a DEL notes that it was there, if somebody is to know.
pub fn mark(call: &Call) -> PathBuf {
    let name = format!("deleted-{}", call.key.host_ifname());
    call.conf.data_dir().join(name)
}

/// The container's namespace if there is one, or `None` when this DEL is to do nothing.
fn netns(call: &Call) -> Result<Option<Option<Netns>>, Failure> {
    let path = &call.environment.netns;
    if path.is_empty() {
        return Ok(Some(None));
    }
    match Netns::open(
        path,
        call.environment.own_netns_allowed || broken("own-netns-after"),
    ) {
        Ok(netns) => Ok(Some(Some(netns))),
        Err(own @ Unusable::Own) => Err(own.into_failure(path)),
        Err(gone @ Unusable::Gone(_)) if broken("del-gone-netns-fails") => {
            Err(gone.into_failure(path))
        }
        Err(Unusable::Gone(_)) => Ok(Some(None)),
        Err(other) if broken("del-stale-dir-fails") && Path::new(path).is_dir() => {
            Err(other.into_failure(path))
        }
        Err(other) if broken("del-stale-netns-fails") => Err(other.into_failure(path)),
        Err(Unusable::Other) if broken("del-stale-netns-leaks") => Ok(None),
        Err(other) => {
            note(&other.into_failure(path).msg);
            Ok(Some(None))
        }
    }
}

/// What `prevResult` should not be looked at for.
fn judge_prev(call: &Call) -> Result<(), Failure> {
    let Some(prev) = call.conf.get("prevResult") else {
        let msg = "required prevResult missing";
        return if broken("del-needs-prev") {
            Err(Failure::new(7, msg))
        } else {
            Ok(())
        };
    };
    if broken("del-broken-prev-fails") {
        Prev::of(&call.conf)?;
    }
    let interfaces = prev["interfaces"].as_array().into_iter().flatten();
    let mut macs = interfaces.filter_map(|interface| interface["mac"].as_str());
    if broken("del-aws-node-fails") && macs.any(|mac| !mac.is_empty() && !is_mac(mac)) {
        return Err(Failure::new(7, "invalid prevResult").details("a mac is none"));
    }
    Ok(())
}

/// Work that asks nobody whose things these are.
fn clumsy(call: &Call, netns: Option<&Netns>) -> Result<(), Failure> {
    if broken("del-flushes-host") {
        Command::new("nft").args(["flush", "ruleset"]).status()?;
    }
    let (Some(netns), ifname) = (netns, call.key.ifname.as_str()) else {
        return Ok(());
    };
    if !netns.run(|| Ok(ip::is_there(ifname)))? {
        return Ok(());
    }
    if broken("del-by-ifname") || broken("own-netns-after") || broken("own-netns-allowed") {
        netns.run(|| ip::delete(ifname))?;
    }
    if broken("del-flushes") {
        netns.run(|| ip(&["addr", "flush", "dev", ifname]))?;
    }
    Ok(())
}

/// Deletes the link or takes the addresses off, then forgets the record.
pub fn release(state: &State, record: &Record, netns: Option<&Netns>) -> Result<(), Failure> {
    match &record.host {
        Some(host) => {
            if broken("del-gone-fails") && !ip::is_there(host) {
                return Err(Failure::new(101, format!("{host} is gone")));
            }
            if !broken("del-keeps-link") {
                ip::delete(host)?;
            }
        }
        None => take_off(record, netns)?,
    }
    if !broken("del-keeps-address") {
        state.forget(&record.key);
    }
    Ok(())
}

/// Takes the addresses off an interface that stays. Without the call's namespace the ADD's is tried.
fn take_off(record: &Record, netns: Option<&Netns>) -> Result<(), Failure> {
    let opened;
    let netns = match netns {
        Some(netns) => netns,
        None => match Netns::open(&record.netns, false) {
            Ok(netns) => {
                opened = netns;
                &opened
            }
            Err(_) => return Ok(()),
        },
    };
    let ifname = record.key.ifname.as_str();
    let Some(link) = netns.run(|| ip::link(ifname))? else {
        return if broken("del-gone-fails") {
            Err(Failure::new(101, "it is gone"))
        } else {
            Ok(())
        };
    };
    for address in &record.addresses {
        let has_it = link["addr_info"]
            .to_string()
            .contains(&format!("\"{}\"", address.split('/').next().unwrap_or("")));
        if has_it && !broken("del-keeps-link") {
            netns.run(|| ip(&["addr", "del", address, "dev", ifname]))?;
        }
    }
    Ok(())
}
