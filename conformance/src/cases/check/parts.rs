//! What ADD did in the sandbox, taken apart piece by piece: each piece is another attachment's.

use serde_json::Value;

use crate::call::Call;
use crate::case::{Finding, Verdict, skip, with};
use crate::pod::Pod;
use crate::world::World;

/// An address of the documentation's networks (RFC 5737).
const FOREIGN: &str = "203.0.113.9/32";

/// What somebody does in a sandbox: commands of `ip`.
struct Damage {
    what: String,
    commands: Vec<String>,
}

impl Damage {
    fn new(what: impl Into<String>, commands: Vec<String>) -> Self {
        let what = what.into();
        Self { what, commands }
    }
}

/// Lets `judge` see an attachment with each of the damages that `damages` finds to do to it, one at a time.
fn each(
    world: &World<'_>,
    damages: fn(&Pod, &Value) -> Vec<Damage>,
    judge: fn(&World<'_>, &Pod, &Call) -> Verdict,
) -> Result<usize, Finding> {
    let pod = world.pod()?;
    for at in 0.. {
        let result = world.add()?;
        let mut found = damages(&pod, &result);
        let count = found.len();
        if at < count {
            let damage = found.swap_remove(at);
            let check = world.call_after("CHECK", &result)?;
            world.run(&check)?.silent()?;
            pod.netns.ip_batch(&damage.commands)?;
            with(&damage.what, judge(world, &pod, &check))?;
        }
        world.del(&result)?;
        if at + 1 >= count {
            return Ok(count);
        }
    }
    Ok(0)
}

fn each_is_seen(
    world: &World<'_>,
    none: &str,
    damages: fn(&Pod, &Value) -> Vec<Damage>,
) -> Verdict {
    let seen = each(world, damages, |world, _, check| {
        world.run(check)?.failure().map(drop)
    });
    if seen? == 0 { skip(none) } else { Ok(()) }
}

pub(super) fn address_gone(world: &World<'_>) -> Verdict {
    each_is_seen(world, "it gives no address", |pod, result| {
        let own = own_addresses(result, pod);
        own.iter().map(|address| without(address, pod)).collect()
    })
}

/// With the last address of a family the kernel takes the routes too, so another one stays.
fn without(address: &str, pod: &Pod) -> Damage {
    let ifname = pod.ifname();
    let commands = [
        format!("addr replace {FOREIGN} dev {ifname}"),
        format!("addr del {address} dev {ifname}"),
    ];
    Damage::new(format!("without {address}"), commands.into())
}

/// The same address, as one of a larger network.
pub(super) fn prefix_changed(world: &World<'_>) -> Verdict {
    each_is_seen(world, "it gives no address", |pod, result| {
        let changed = |address: &String| {
            let (alone, length) = address.split_once('/')?;
            let length = length.parse::<u8>().ok()?.checked_sub(1)?;
            let mut damage = without(address, pod);
            damage.what = format!("{alone}/{length} instead of {address}");
            let add = format!("addr add {alone}/{length} dev {}", pod.ifname());
            damage.commands.push(add);
            Some(damage)
        };
        let own = own_addresses(result, pod);
        own.iter().filter_map(changed).collect()
    })
}

pub(super) fn route_gone(world: &World<'_>) -> Verdict {
    each_is_seen(
        world,
        "its result has no route of its own in the sandbox",
        routes,
    )
}

pub(super) fn link_down(world: &World<'_>) -> Verdict {
    each_is_seen(world, "it gives no address", |pod, result| {
        let is_its = !own_addresses(result, pod).is_empty();
        is_its.then(|| down(pod)).into_iter().collect()
    })
}

fn down(pod: &Pod) -> Damage {
    let command = format!("link set dev {} down", pod.ifname());
    Damage::new("the link is down", vec![command])
}

/// Those that `result` lists more than the plugins' before it, and that are there.
fn routes(pod: &Pod, result: &Value) -> Vec<Damage> {
    let foreign = listed(pod.previous.as_ref(), "routes", "dst");
    let entries = result["routes"].as_array().into_iter().flatten();
    let damage = |route: &Value| {
        let dst = route["dst"].as_str()?;
        let table = route["table"].as_u64().unwrap_or(254);
        let family = if dst.contains(':') { "-6" } else { "-4" };
        let show = ["route", "show", "table", &table.to_string(), "exact", dst];
        let shown = pod.netns.ip(&[&[family], &show[..]].concat());
        let shown = shown.unwrap_or_default();
        // other lines are the next hops of one
        let count = shown.lines().filter(|line| !line.starts_with([' ', '\t']));
        let commands: Vec<String> = count
            .map(|_| format!("route del {dst} table {table}"))
            .collect();
        let is_its = !commands.is_empty() && !foreign.iter().any(|other| other == dst);
        is_its.then(|| Damage::new(format!("without the route to {dst}"), commands))
    };
    entries.filter_map(damage).collect()
}

/// Whether CHECK fails is another rule.
pub(super) fn damage_stays(world: &World<'_>) -> Verdict {
    let count = each(world, sandbox_damages, is_left)?;
    // a daemon may see for itself what happens on the host
    if world.subject().description.daemon.is_none() {
        each(world, link_gone, is_left)?;
    }
    if count == 0 {
        return skip("it gives no address");
    }
    Ok(())
}

fn sandbox_damages(pod: &Pod, result: &Value) -> Vec<Damage> {
    if own_addresses(result, pod).is_empty() {
        return Vec::new();
    }
    let flush = format!("addr flush dev {}", pod.ifname());
    let mut damages = routes(pod, result);
    damages.push(Damage::new("without addresses", vec![flush]));
    damages.push(down(pod));
    damages
}

fn link_gone(pod: &Pod, _: &Value) -> Vec<Damage> {
    let command = format!("link del dev {}", pod.ifname());
    vec![Damage::new("without the link", vec![command])]
}

fn is_left(world: &World<'_>, pod: &Pod, check: &Call) -> Verdict {
    let before = world.traces(Some(pod))?;
    world.run(check)?;
    before.are_unchanged(world, Some(pod))
}

/// The addresses that `result` has more than the plugins' before it.
pub(super) fn own_addresses(result: &Value, pod: &Pod) -> Vec<String> {
    let foreign = listed(pod.previous.as_ref(), "ips", "address");
    let mut own = listed(Some(result), "ips", "address");
    own.retain(|address| !foreign.contains(address));
    own
}

fn listed(result: Option<&Value>, list: &str, member: &str) -> Vec<String> {
    let entries = result.and_then(|result| result[list].as_array());
    let text = |entry: &Value| entry[member].as_str().map(str::to_owned);
    entries.into_iter().flatten().filter_map(text).collect()
}
