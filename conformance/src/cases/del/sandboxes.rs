//! DEL and the state that a sandbox's namespace can be in by then: none, gone, stale, another's, the node's own.

use std::process::Command;

use crate::call::Call;
use crate::case::{Finding, Verdict, wrong};
use crate::netns::snapshot::Snapshot;
use crate::netns::{Netns, output};
use crate::pod::Pod;
use crate::world::World;
use crate::world::traces::{Traces, has_link};

/// A link that no plugin made.
const FOREIGN: &str = "cnfown0";

pub(super) fn netns_empty(world: &World<'_>) -> Verdict {
    for is_set in [true, false] {
        let (pod, before, del) = added(world)?;
        let del = if is_set {
            del.env("CNI_NETNS", "")
        } else {
            del.without("CNI_NETNS")
        };
        world.run(&del)?.success()?;
        // the runtime removes it next
        drop(pod);
        before.are_back(world, None)?;
    }
    Ok(())
}

pub(super) fn netns_gone(world: &World<'_>) -> Verdict {
    let (pod, before, del) = added(world)?;
    drop(pod);
    world.run(&del)?.success()?;
    world.run(&del.unset("prevResult"))?.success()?;
    before.are_back(world, None)
}

pub(super) fn netns_stale(world: &World<'_>) -> Verdict {
    let [file, dir] = ["stale-file", "stale-dir"].map(|name| world.dir().join(name));
    std::fs::write(&file, "").map_err(anyhow::Error::from)?;
    std::fs::create_dir(&dir).map_err(anyhow::Error::from)?;
    for stale in [file, dir] {
        let (pod, before, del) = added(world)?;
        drop(pod);
        world.run(&del.env("CNI_NETNS", &stale))?.success()?;
        before.are_back(world, None)?;
    }
    Ok(())
}

pub(super) fn netns_reused(world: &World<'_>) -> Verdict {
    let (pod, before, del) = added(world)?;
    let ifname = pod.ifname().to_owned();
    drop(pod);
    let other = foreign(&ifname)?;
    let unchanged = Snapshot::take(&other)?;
    world.run(&del.env("CNI_NETNS", other.path()))?.success()?;
    same(&unchanged, &other)?;
    before.are_back(world, None)
}

pub(super) fn foreign_interface(world: &World<'_>) -> Verdict {
    let pod = world.pod()?;
    let other = foreign(pod.ifname())?;
    let unchanged = Snapshot::take(&other)?;
    let del = world
        .call("DEL")?
        .unset("prevResult")
        .env("CNI_NETNS", other.path());
    world.run(&del)?.success()?;
    same(&unchanged, &other)
}

pub(super) fn other_interfaces(world: &World<'_>) -> Verdict {
    let pod = world.pod()?;
    link(&pod.netns, "net9")?;
    let before = world.traces_in_use(Some(&pod))?;
    let result = world.add()?;
    world.del(&result)?;
    before.are_back(world, Some(&pod))
}

/// What others have on the host, before the first ADD: a link, a rule, a route in a table of its own, a ruleset.
pub(super) fn others_on_the_host(world: &World<'_>) -> Verdict {
    const RULESET: &str =
        "add table inet cnfown\nadd chain inet cnfown input\nadd rule inet cnfown input accept\n";
    let host = world.host();
    link(host, FOREIGN)?;
    let table = ["table", "7777"];
    host.ip(&[
        &["route", "add", "198.18.0.0/15", "dev", FOREIGN],
        &table[..],
    ]
    .concat())?;
    host.ip(&[&["rule", "add", "priority", "7777"], &table[..]].concat())?;
    let nft = |command: &str| -> anyhow::Result<String> {
        host.run(|| output(Command::new("nft").arg(command)))?
    };
    nft(RULESET)?;
    let verdict = world.add().and_then(|result| world.del(&result));
    let rules = host.ip(&["rule"])?;
    let routes = host
        .ip(&["route", "show", "table", "7777"])
        .unwrap_or_default();
    let is_left = [
        ("link", has_link(host, FOREIGN)?),
        ("address", host.ip(&["-o", "addr"])?.contains(ADDRESS)),
        ("rule", rules.contains("7777:")),
        ("route", routes.contains("198.18.0.0/15")),
        (
            "ruleset",
            nft("list chain inet cnfown input").is_ok_and(|told| told.contains("accept")),
        ),
    ];
    // a host that is not the suite's own is left as it was; what the plugin took is gone already
    let _ = nft("delete table inet cnfown");
    let _ = host.ip(&["rule", "del", "priority", "7777"]);
    let _ = host.ip(&["link", "del", "dev", FOREIGN]);
    verdict?;
    match is_left.iter().find(|(_, is_left)| !is_left) {
        None => Ok(()),
        Some((what, _)) => wrong(format!("another's {what} on the host is gone after DEL")),
    }
}

pub(super) fn host_netns(world: &World<'_>) -> Verdict {
    let host = world.host();
    link(host, FOREIGN)?;
    let del = world
        .call("DEL")?
        .unset("prevResult")
        .env("CNI_IFNAME", FOREIGN);
    let mut kept = Ok(());
    for path in [host.path(), "/proc/self/ns/net".as_ref()] {
        let answer = world.run(&del.clone().env("CNI_NETNS", path))?;
        if !has_link(host, FOREIGN)? {
            return wrong(format!(
                "the node's own interface was deleted: {}",
                answer.quote()
            ));
        }
        let addresses = host.ip(&["-o", "addr", "show", "dev", FOREIGN])?;
        if !addresses.contains(ADDRESS) {
            kept = wrong(format!(
                "the node's own interface lost its address: {}",
                answer.quote()
            ));
        }
        if !answer.succeeded() {
            answer.failure()?;
        }
    }
    host.ip(&["link", "del", "dev", FOREIGN])?;
    kept
}

/// An attachment in a sandbox that may be dropped, how things stood before it, and its DEL.
fn added(world: &World<'_>) -> Result<(Pod, Traces, Call), Finding> {
    let before = world.traces_in_use(None)?;
    let pod = world.loose_pod()?;
    let result = world.run(&world.call_for("ADD", &pod))?.result()?;
    let del = world.after("DEL", &pod, &result);
    Ok((pod, before, del))
}

/// Of the documentation's networks (RFC 5737).
const ADDRESS: &str = "198.51.100.77/24";

/// A sandbox with an interface that nobody attached.
fn foreign(ifname: &str) -> anyhow::Result<Netns> {
    let netns = Netns::unique(crate::pod::LABEL)?;
    link(&netns, ifname)?;
    Ok(netns)
}

/// A link with an address and a route.
fn link(netns: &Netns, name: &str) -> anyhow::Result<()> {
    netns.ip(&[
        "link", "add", name, "type", "veth", "peer", "name", "cnfpeer0",
    ])?;
    netns.ip(&["addr", "add", ADDRESS, "dev", name])?;
    netns.ip(&["link", "set", name, "up"])?;
    netns.ip(&["route", "add", "203.0.113.0/24", "dev", name])?;
    Ok(())
}

fn same(before: &Snapshot, netns: &Netns) -> Verdict {
    let changes = before.changes(&Snapshot::take(netns)?);
    match changes.first() {
        None => Ok(()),
        Some(first) => wrong(format!(
            "DEL changed what is not its own: {first} ({} changes)",
            changes.len()
        )),
    }
}
