//! R: whether what a result says is so: links here, `addresses` and `routes` beside.

pub(in crate::cases) mod addresses;
pub(in crate::cases) mod routes;

use anyhow::Context;
use serde_json::Value;

use super::{list, text};
use crate::case::Source::{Ours, Plugins, Spec};
use crate::case::Versions::{Each, Since};
use crate::case::{Verdict, expect};
use crate::netns::Netns;
use crate::pod::Pod;
use crate::runtime::conflist::Version;
use crate::world::World;

cases! {
    Results;
    links_are_there: Must, ["R01", "R02"], [Spec("Result types"), Plugins], Each, Each,
        "each interface of the sandbox or the host that is listed is a link there";
    macs_are_theirs: Should, ["R05"], [Plugins, Ours], Each, Each,
        "a mac that the plugin lists is the link's, also on the host";
    mtu_is_its: Must, ["A14"], [Spec("Result types")], Since(Version::V1_1_0), Each,
        "an mtu that the plugin lists is the link's";
}

/// The links of a namespace as `ip -j` has them.
fn links(netns: &Netns) -> anyhow::Result<Vec<Value>> {
    let shown = netns.ip(&["-j", "addr"])?;
    serde_json::from_str(&shown).context("ip -j addr printed no list")
}

/// The links of a sandbox and of the host, to be found by a result's entries.
struct Located {
    sandbox: String,
    inside: Vec<Value>,
    outside: Vec<Value>,
}

impl Located {
    fn now(world: &World<'_>, pod: &Pod) -> anyhow::Result<Self> {
        Ok(Self {
            sandbox: pod.sandbox().to_string_lossy().into_owned(),
            inside: links(&pod.netns)?,
            outside: links(world.host())?,
        })
    }

    /// The link of an entry of `interfaces`, if there is one; `None` for another sandbox's.
    fn link(&self, interface: &Value) -> Option<Option<&Value>> {
        let of = match text(interface, "sandbox") {
            "" => &self.outside,
            here if here == self.sandbox => &self.inside,
            _ => return None,
        };
        Some(of.iter().find(|link| link["ifname"] == interface["name"]))
    }
}

/// What the plugin itself says under `key`: what its `prevResult` does not say in the same words.
fn own(pod: &Pod, result: &Value, key: &str) -> Vec<Value> {
    let earlier = pod.previous.as_ref().map_or(&[][..], |all| list(all, key));
    let entries = list(result, key).iter();
    entries
        .filter(|entry| !earlier.contains(entry))
        .cloned()
        .collect()
}

fn links_are_there(world: &World<'_>) -> Verdict {
    let result = world.add()?;
    let located = Located::now(world, &*world.pod()?)?;
    for interface in list(&result, "interfaces") {
        expect(located.link(interface) != Some(None), || {
            format!("there is no link for {interface}")
        })?;
    }
    Ok(())
}

fn macs_are_theirs(world: &World<'_>) -> Verdict {
    agree(world, "mac", "address")
}

fn mtu_is_its(world: &World<'_>) -> Verdict {
    agree(world, "mtu", "mtu")
}

/// `member` of each of the plugin's own interfaces is what `ip` shows of the link under `shown`.
fn agree(world: &World<'_>, member: &str, shown: &str) -> Verdict {
    let result = world.add()?;
    let pod = world.pod()?;
    let located = Located::now(world, &pod)?;
    for interface in own(&pod, &result, "interfaces") {
        let (Some(said), Some(link)) = (interface.get(member), located.link(&interface)) else {
            continue;
        };
        let is = link.map(|link| link[shown].clone()).unwrap_or_default();
        let in_one_case = |value: &Value| value.to_string().to_lowercase();
        expect(in_one_case(said) == in_one_case(&is), || {
            format!("{interface}, and the link has {is}")
        })?;
    }
    Ok(())
}
