//! ADD: an address, and the link for it or the link that is there.

use std::fs;
use std::time::Duration;

use serde_json::{Value, json};

use crate::call::Call;
use crate::failure::Failure;
use crate::ip::{self, ip};
use crate::ipam::{self, Given};
use crate::netns::{self, Netns};
use crate::prev::Prev;
use crate::result::Attached;
use crate::rules::broken;
use crate::state::{Record, State};
use crate::{args, daemon, del};

/// The mtu of a veth that nobody asked another for.
const MTU: u32 = 1500;

pub fn add(call: &Call) -> Result<Option<Value>, Failure> {
    let under_way = call
        .conf
        .data_dir()
        .join(format!("under-way-{}", call.key.host_ifname()));
    if broken("killed-add-blocks") {
        fs::create_dir_all(call.conf.data_dir())?;
        fs::write(&under_way, "")?;
    }
    if broken("killed-add-goes-on") {
        let mark = del::mark(call);
        let _ = fs::remove_file(&mark);
        crate::answer::outlive(&mark);
    }
    if broken("add-sandbox-of-one") {
        claim(call)?;
    }
    let answer = attach(call);
    let _ = fs::remove_file(under_way);
    if answer.is_err() && broken("add-del-stuck") {
        fs::write(call.conf.data_dir().join("stuck"), "")?;
    }
    let result = answer?;
    if broken("own-netns-after") && netns::is_own_path(&call.environment.netns) {
        return Err(netns::Unusable::Own.into_failure(&call.environment.netns));
    }
    Ok(match () {
        () if broken("add-silent") => None,
        () if broken("prev-suppressed") && call.conf.get("prevResult").is_some() => None,
        () if broken("add-null") => Some(Value::Null),
        () => Some(result),
    })
}

fn attach(call: &Call) -> Result<Value, Failure> {
    let mtu = call.conf.mtu()?.unwrap_or(MTU);
    args::check(call)?;
    let mark = fs::read(call.conf.data_dir().join("status"));
    if (broken("add-needs-status") && mark.is_err())
        || (broken("status-blocks-add") && mark.is_ok())
    {
        return Err(Failure::new(11, "STATUS says no"));
    }
    let prev = Prev::of(&call.conf).inspect_err(|_| refused_late(call))?;
    if prev.is_none() && call.conf.is_chained_only() && !broken("prev-not-required") {
        return Err(Failure::new(7, "must be called as chained plugin"));
    }
    let environment = &call.environment;
    daemon::ask(call, 11)?;
    let state = State::open(&call.conf.data_dir())?;
    if broken("netns-late") {
        let given = ipam::give(call, &state)?;
        state.put(&record(call, given.addresses(), None, true))?;
    }
    let Some(netns) = netns::required(&environment.netns, environment.own_netns_allowed)? else {
        return Ok(json!({"cniVersion": call.conf.version}));
    };
    let there = prev
        .as_ref()
        .and_then(|prev| prev.index_in_sandbox(&call.key.ifname));
    let is_made = there.is_none();
    if is_made {
        make_room(call, &state, &netns)?;
    } else {
        take_back(call, &state, &netns)?;
    }
    let mut given = ipam::give(call, &state)?;
    let host = is_made.then(|| call.key.host_ifname());
    let whole = record(call, given.addresses(), host, true);
    if !broken("killed-add-leaks") {
        state.put(&Record {
            is_whole: false,
            ..whole.clone()
        })?;
    }
    let wired = if is_made {
        wire(call, &mut given, &netns, mtu)
    } else {
        address(call, &given, &netns)
    };
    if let Err(failure) = wired {
        undo(call, &state, &whole);
        return Err(failure);
    }
    if broken("killed-add-leaks") {
        daemon::pause(Duration::from_millis(400));
    }
    state.put(&whole)?;
    Ok(Attached {
        call,
        given: &given,
        is_made,
        mtu,
    }
    .document(prev))
}

/// What must not be left of an ADD that is refused for its `prevResult`.
fn refused_late(call: &Call) {
    if broken("prev-refused-late")
        && let Ok(state) = State::open(&call.conf.data_dir())
        && let Ok(given) = ipam::give(call, &state)
    {
        let _ = state.put(&record(call, given.addresses(), None, true));
    }
}

/// A sandbox stays its first container's.
fn claim(call: &Call) -> Result<(), Failure> {
    fs::create_dir_all(call.conf.data_dir())?;
    let name = call.environment.netns.replace('/', "_");
    let file = call.conf.data_dir().join(format!("first-in{name}"));
    let id = call.key.container_id.as_str();
    match fs::read_to_string(&file) {
        Ok(first) if first != id => Err(Failure::new(101, "the sandbox is another container's")),
        Ok(_) => Ok(()),
        Err(_) => Ok(fs::write(file, id)?),
    }
}

/// What an ADD of this attachment that was killed, at its very end perhaps, has put on the interface that an earlier
/// plugin made.
fn take_back(call: &Call, state: &State, netns: &Netns) -> Result<(), Failure> {
    match state.get(&call.key) {
        Some(left) => {
            del::release(state, &left, Some(netns))?;
            ipam::forward(call, "DEL")
        }
        None => Ok(()),
    }
}

/// Nothing of that name may be there, unless a killed ADD of this attachment left it.
fn make_room(call: &Call, state: &State, netns: &Netns) -> Result<(), Failure> {
    let ifname = call.key.ifname.as_str();
    let left = state.get(&call.key);
    if let Some(left) = &left {
        let is_there = is_inside(netns, ifname)?;
        if left.is_whole && is_there && !broken("add-twice") {
            return Err(Failure::new(101, format!("{ifname} already exists")));
        }
        del::release(state, left, None)?;
        ipam::forward(call, "DEL")?;
    }
    if !is_inside(netns, ifname)? {
        return Ok(());
    }
    if broken("add-takes-over") {
        return netns.run(|| ip::delete(ifname));
    }
    if broken("add-exists-ok") || broken("ifname-replaced") || broken("add-makes-nothing") {
        return Ok(());
    }
    if broken("no-undo") {
        let given = ipam::give(call, state)?;
        state.put(&record(call, given.addresses(), None, true))?;
    }
    Err(Failure::new(101, format!("{ifname} already exists")))
}

/// Makes the veth and what belongs to it on both sides.
fn wire(call: &Call, given: &mut Given, netns: &Netns, mtu: u32) -> Result<(), Failure> {
    if broken("add-makes-nothing") {
        return Ok(());
    }
    let (host, path, mtu) = (call.key.host_ifname(), netns.path(), mtu.to_string());
    let (host_mac, pod_mac) = (call.key.mac("host"), call.key.mac("pod"));
    let mut ifname = call.key.ifname.as_str();
    if broken("ifname-shortened") && ifname.len() == 15 {
        ifname = &ifname[..14];
    }
    if broken("add-exists-ok") || broken("ifname-replaced") {
        // else nothing of that name is there by now
        match is_inside(netns, ifname)? {
            true if broken("add-exists-ok") => return Ok(()),
            true => ifname = "other0",
            false => {}
        }
    }
    let mut outside = vec![
        format!(
            "link add name {host} address {host_mac} mtu {mtu} type veth \
                peer name {ifname} address {pod_mac} mtu {mtu} netns {path}"
        ),
        format!("link set dev {host} up"),
    ];
    let mut inside = vec![format!("link set dev {ifname} up")];
    for entry in &given.ips {
        let address = entry["address"].as_str().unwrap_or_default();
        let gateway = entry["gateway"].as_str().unwrap_or_default();
        let alone = address.split('/').next().unwrap_or_default();
        inside.push(format!("addr add {address} dev {ifname}"));
        outside.push(format!("route add {alone} dev {host}"));
        if !gateway.is_empty() {
            let length = if gateway.contains(':') { 128 } else { 32 };
            outside.push(format!("addr add {gateway}/{length} dev {host}"));
            if address.ends_with("/32") || address.ends_with("/128") {
                inside.push(format!("route append {gateway} dev {ifname} scope link"));
            }
        }
        if broken("del-keeps-neighbour") {
            let [a, b] = [&host[2..4], &host[4..6]];
            outside.push(format!(
                "neigh replace {alone} lladdr 02:00:00:00:{a}:{b} nud permanent dev lo"
            ));
        }
        if broken("del-keeps-route") {
            outside.push(format!("rule add priority 512 to {alone} lookup main"));
        }
    }
    if broken("address-unlisted") {
        inside.push(format!("addr add 198.51.100.250/32 dev {ifname}"));
    }
    ip::batch(&outside)?;
    netns.run(|| {
        inside.extend(lines(given, ifname));
        ip::batch(&inside)
    })
}

/// What adds the routes; those that are left alone are none of the result's.
fn lines(given: &mut Given, ifname: &str) -> Vec<String> {
    let mut lines = Vec::new();
    given.routes.retain(|route| {
        let line = line(route, ifname);
        let is_made = line.is_some();
        lines.extend(line);
        is_made || broken("route-skipped-listed")
    });
    lines
}

/// What adds a route; a default one that is there is left alone.
fn line(route: &Value, ifname: &str) -> Option<String> {
    let text = |key: &str| route[key].as_str().unwrap_or_default();
    let (dst, gw) = (text("dst"), text("gw"));
    if dst.ends_with("/0") && !broken("route-exists-fails") && ip::has_default_like(dst) {
        return None;
    }
    let via = if gw.is_empty() {
        String::new()
    } else {
        format!(" via {gw}")
    };
    Some(format!("route add {dst}{via} dev {ifname}"))
}

fn is_inside(netns: &Netns, ifname: &str) -> Result<bool, Failure> {
    netns.run(|| Ok(ip::is_there(ifname)))
}

/// Puts the addresses on the interface that an earlier plugin made.
fn address(call: &Call, given: &Given, netns: &Netns) -> Result<(), Failure> {
    let ifname = call.key.ifname.as_str();
    if !is_inside(netns, ifname)? {
        return Err(Failure::new(
            7,
            format!("{ifname} of prevResult is not in CNI_NETNS"),
        ));
    }
    if broken("add-makes-nothing") {
        return Ok(());
    }
    let mut addresses = given.addresses().into_iter();
    addresses.try_for_each(|address| {
        netns
            .run(|| ip(&["addr", "add", &address, "dev", ifname]))
            .map(drop)
    })
}

/// Takes back what a failed ADD made.
fn undo(call: &Call, state: &State, record: &Record) {
    if broken("no-undo") {
        let _ = state.put(record);
        return;
    }
    // the first failure is the one to tell
    let _ = del::release(state, record, None);
    if !broken("ipam-not-undone") {
        let _ = ipam::forward(call, "DEL");
    }
}

fn record(call: &Call, addresses: Vec<String>, host: Option<String>, is_whole: bool) -> Record {
    let netns = call.environment.netns.clone();
    Record {
        key: call.key.clone(),
        mtu: call.conf.mtu().unwrap_or_default(),
        version: call.conf.version.clone(),
        addresses,
        host,
        netns,
        is_whole,
    }
}
