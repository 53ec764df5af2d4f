//! CHECK: compares what `prevResult` and the records say with what is there. It changes nothing.

use std::fs::{self, File};
use std::time::Duration;

use serde_json::{Value, json};

use crate::call::Call;
use crate::failure::Failure;
use crate::ip::{self, ip};
use crate::netns::{self, Netns};
use crate::prev::{Prev, is_mac};
use crate::rules::broken;
use crate::state::State;
use crate::{args, daemon, ipam};

pub fn check(call: &Call) -> Result<Option<Value>, Failure> {
    let answer = || broken("check-prints").then(|| json!({"cniVersion": call.conf.version}));
    if broken("check-blind") {
        return Ok(answer());
    }
    if broken("check-hangs") {
        daemon::pause(Duration::from_secs(35));
    }
    if broken("args-malformed-fails-check") {
        args::check(call)?;
    }
    let prev = match Prev::of(&call.conf) {
        Err(_) if broken("check-prev-unchecked") => return Ok(answer()),
        Ok(None) if broken("check-needs-no-prev") => return Ok(answer()),
        prev => prev?.ok_or_else(|| Failure::new(7, "required prevResult missing"))?,
    };
    let environment = &call.environment;
    let Some(netns) = netns::required(&environment.netns, environment.own_netns_allowed)? else {
        return Ok(answer());
    };
    let ifname = call.key.ifname.as_str();
    let found = prev.index_in_sandbox(ifname);
    let at = found
        .ok_or_else(|| Failure::new(7, format!("prevResult lists no {ifname} in a sandbox")))?;
    let listed = &prev.list("interfaces")[at];
    if listed["sandbox"] != environment.netns.as_str() && !broken("check-any-sandbox") {
        let sandbox = &listed["sandbox"];
        return Err(Failure::new(
            7,
            format!("sandbox {sandbox} of prevResult is not CNI_NETNS"),
        ));
    }
    if !broken("check-daemon-unseen") {
        daemon::ask(call, 11)?;
    }
    records(call)?;
    let Some(link) = netns.run(|| ip::link(ifname))? else {
        let excused = broken("check-link-unseen");
        return if excused {
            Ok(answer())
        } else {
            give_up(call)?;
            Err(mismatch(format!("there is no {ifname}")))
        };
    };
    compare_link(listed, &link)?;
    compare_addresses(call, &prev, at, &link, &netns)?;
    if !broken("check-route-unseen") {
        prev.list("routes")
            .iter()
            .try_for_each(|route| compare_route(route, &netns))?;
    }
    if broken("check-foreign-route-fails") {
        no_foreign_routes(&prev, &netns)?;
    }
    touch(ifname, &netns)?;
    if !broken("check-ipam-unasked") {
        ipam::forward(call, "CHECK")?;
    }
    Ok(answer())
}

/// What CHECK may not do when it fails.
fn give_up(call: &Call) -> Result<(), Failure> {
    if broken("check-releases") {
        State::open(&call.conf.data_dir())?.forget(&call.key);
    }
    Ok(())
}

/// What CHECK may not do in a sandbox.
fn touch(ifname: &str, netns: &Netns) -> Result<(), Failure> {
    if broken("check-touches") {
        netns.run(|| ip(&["route", "replace", "203.0.113.0/24", "dev", ifname]))?;
    }
    if broken("check-sets-sysctl") {
        let accept_local = format!("/proc/sys/net/ipv4/conf/{ifname}/accept_local");
        netns.run(|| Ok(fs::write(accept_local, "1")?))?;
    }
    Ok(())
}

/// The record is there, and so is the host's side.
fn records(call: &Call) -> Result<(), Failure> {
    let state = State::open(&call.conf.data_dir())?;
    let Some(record) = state.get(&call.key) else {
        let excused = broken("check-reservation-unseen");
        return if excused {
            Ok(())
        } else {
            Err(mismatch("nothing was given to it".to_owned()))
        };
    };
    if let Some(host) = &record.host
        && !broken("check-host-unseen")
        && ip::link(host)?.is_none_or(|link| {
            link["flags"]
                .as_array()
                .is_some_and(|f| !f.contains(&json!("UP")))
        })
    {
        return Err(mismatch(format!("{host} on the host is gone or down")));
    }
    if let Some(host) = &record.host
        && broken("check-sets-mac")
    {
        ip(&["link", "set", host, "address", "02:00:00:00:00:99"])?;
    }
    let mark = format!("checked-{}", call.key.host_ifname());
    if broken("check-late") && File::create_new(call.conf.data_dir().join(mark)).is_ok() {
        return Err(mismatch("it is not ready yet".to_owned()));
    }
    Ok(())
}

fn compare_link(listed: &Value, link: &Value) -> Result<(), Failure> {
    let mac = listed["mac"].as_str().unwrap_or_default();
    if !is_mac(mac) {
        let is_strange = !mac.is_empty() && broken("check-mac-opaque-fails");
        return if is_strange {
            Err(mismatch(format!("mac {mac} is none")))
        } else {
            Ok(())
        };
    }
    let differs = link["address"]
        .as_str()
        .is_none_or(|found| !found.eq_ignore_ascii_case(mac));
    if differs && !broken("check-mac-unseen") {
        return Err(mismatch(format!(
            "the MAC address is {}, not {mac}",
            link["address"]
        )));
    }
    if broken("check-mtu-fails") && link["mtu"] != 1500 {
        return Err(mismatch(format!("the mtu is {}", link["mtu"])));
    }
    Ok(())
}

fn compare_addresses(
    call: &Call,
    prev: &Prev,
    at: usize,
    link: &Value,
    netns: &Netns,
) -> Result<(), Failure> {
    let own = State::open(&call.conf.data_dir())?
        .get(&call.key)
        .map(|record| record.addresses)
        .unwrap_or_default();
    let is_its = |ip: &&Value| ip["interface"].is_null() || ip["interface"] == at;
    let listed = prev
        .list("ips")
        .iter()
        .filter(is_its)
        .filter_map(|ip| ip["address"].as_str());
    let listed: Vec<&str> = if broken("check-prev-address-unseen") {
        Vec::new()
    } else {
        listed.collect()
    };
    if broken("check-first-address") {
        is_first(&own, prev)?;
    }
    let found = link["addr_info"].as_array().cloned().unwrap_or_default();
    let found: Vec<String> = found
        .iter()
        .map(|info| {
            format!(
                "{}/{}",
                info["local"].as_str().unwrap_or_default(),
                info["prefixlen"]
            )
        })
        .collect();
    for address in own.iter().map(String::as_str).chain(listed.iter().copied()) {
        let alone = |address: &str| address.split('/').next().map(str::to_owned);
        let is_it = |found: &String| {
            found == address || (broken("check-prefix-unseen") && alone(found) == alone(address))
        };
        if found.iter().any(is_it) || broken("check-address-unseen") {
            continue;
        }
        if broken("check-mends") {
            netns.run(|| ip(&["addr", "add", address, "dev", &call.key.ifname]))?;
            continue;
        }
        give_up(call)?;
        return Err(mismatch(format!("address {address} is missing")));
    }
    let foreign = found
        .iter()
        .any(|found| !found.starts_with("fe80") && !listed.contains(&found.as_str()));
    if broken("check-foreign-address-fails") && foreign {
        return Err(mismatch("there is another address".to_owned()));
    }
    Ok(())
}

fn is_first(own: &[String], prev: &Prev) -> Result<(), Failure> {
    let listed = prev.list("ips").first().map(|ip| &ip["address"]);
    let is_its = listed.is_none_or(|listed| own.iter().any(|own| listed == own.as_str()));
    if is_its {
        Ok(())
    } else {
        Err(mismatch("another address stands first".to_owned()))
    }
}

fn compare_route(route: &Value, netns: &Netns) -> Result<(), Failure> {
    let dst = route["dst"].as_str().unwrap_or_default();
    let family = if dst.contains(':') { "-6" } else { "-4" };
    let found = netns.run(|| ip::json(&[family, "route", "show", "table", "all", "exact", dst]))?;
    if !found.is_empty() {
        return Ok(());
    }
    if broken("check-mends") {
        let gw = route["gw"].as_str().unwrap_or_default();
        return netns
            .run(|| ip(&[family, "route", "add", dst, "via", gw]))
            .map(drop);
    }
    Err(mismatch(format!("there is no route to {dst}")))
}

fn no_foreign_routes(prev: &Prev, netns: &Netns) -> Result<(), Failure> {
    let found = netns.run(|| ip::json(&["-4", "route", "show"]))?;
    let via = found
        .iter()
        .filter(|route| route["protocol"] != "kernel" && route["scope"] != "link");
    if via.count() > prev.list("routes").len() {
        return Err(mismatch("there is another route".to_owned()));
    }
    Ok(())
}

fn mismatch(what: String) -> Failure {
    Failure::new(102, what)
}
