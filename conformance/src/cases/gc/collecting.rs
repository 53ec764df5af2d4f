//! What goes and what stays.

use std::sync::Arc;

use serde_json::{Value, json};

use super::lists::{KEYS, gc};
use crate::call::Call;
use crate::case::{Finding, Verdict, skip, with};
use crate::pod::Pod;
use crate::world::World;
use crate::world::traces::{Traces, soon};

/// A further sandbox with an attachment, and its result.
pub(super) fn attached(world: &World<'_>) -> Result<(Arc<Pod>, Value), Finding> {
    let pod = world.another_pod()?;
    let result = attach(world, &pod)?;
    Ok((pod, result))
}

/// ADD of `pod`, which must succeed.
pub(super) fn attach(world: &World<'_>, pod: &Pod) -> Result<Value, Finding> {
    world.run(&world.call_for("ADD", pod))?.result()
}

/// As libcni lists it.
pub(super) fn entry(pod: &Pod) -> Value {
    json!({"containerID": pod.attachment.container_id, "ifname": pod.attachment.ifname})
}

/// An attachment is whole: CHECK says so.
pub(super) fn stays(world: &World<'_>, pod: &Pod, result: &Value) -> Verdict {
    world.run(&world.after("CHECK", pod, result))?.silent()
}

/// GC of all but what `list` names, an attachment in `lost` among it: what was held for it is free again, and once its
/// sandbox is gone too so is the rest. GC may take it for gone already, and leave to the kernel what goes with it.
pub(super) fn collected(
    world: &World<'_>,
    before: &Traces,
    gc: &Call,
    lost: impl IntoIterator<Item = Pod>,
) -> Verdict {
    world.run(gc)?.silent()?;
    before.holding_is_back(world)?;
    lost.into_iter().for_each(drop);
    before.are_back(world, None)
}

/// A sandbox with an attachment that nobody will name.
pub(super) fn lost(world: &World<'_>) -> Result<Pod, Finding> {
    let pod = world.loose_pod()?;
    attach(world, &pod)?;
    Ok(pod)
}

pub(super) fn unlisted_goes(world: &World<'_>) -> Verdict {
    world.traces_in_use(None)?;
    let (kept, result) = attached(world)?;
    let before = world.traces(Some(&kept))?;
    let gone = lost(world)?;
    // the runtime may call it all the same
    let del = world.call_for("DEL", &gone).unset("prevResult");
    let gc = gc(world, &KEYS, &json!([entry(&kept)]));
    collected(world, &before, &gc, [gone])?;
    before.are_back(world, Some(&kept))?;
    stays(world, &kept, &result)?;
    world.run(&del)?.silent()?;
    world.run(&world.after("DEL", &kept, &result))?.silent()
}

/// What is inside may stay: GC is told no sandbox.
pub(super) fn live_sandbox(world: &World<'_>) -> Verdict {
    let lost = world.another_pod()?;
    let before = world.traces_in_use(None)?;
    attach(world, &lost)?;
    world.run(&gc(world, &KEYS, &json!([])))?.silent()?;
    before.are_back(world, None)
}

pub(super) fn sandbox_gone(world: &World<'_>) -> Verdict {
    let before = world.traces_in_use(None)?;
    let lost = world.loose_pod()?;
    world.run(&world.call_for("ADD", &lost))?.result()?;
    drop(lost);
    world.run(&gc(world, &KEYS, &json!([])))?.silent()?;
    before.are_back(world, None)
}

/// Also of those whose names begin as this one's, or differ in capitals.
pub(super) fn other_networks(world: &World<'_>) -> Verdict {
    let name = world.call_for_nobody("GC").config()["name"].clone();
    let name = name.as_str().unwrap_or_default();
    let others = [
        "conformance-other".to_owned(),
        format!("{name}2"),
        name.to_uppercase(),
    ];
    let mut kept = Vec::new();
    for network in &others {
        let pod = world.another_pod()?;
        let call = |verb| world.call_for(verb, &pod).set("name", network.as_str());
        let added = world.run(&call("ADD"))?;
        if !added.succeeded() {
            return skip("two networks cannot have the same addresses");
        }
        let result = added.result()?;
        let [check, del] =
            ["CHECK", "DEL"].map(|verb| call(verb).set("prevResult", result.clone()));
        kept.push((network, world.traces(Some(&pod))?, pod, check, del));
    }
    attached(world)?;
    world.run(&gc(world, &KEYS, &json!([])))?.silent()?;
    for (network, before, pod, check, _) in &kept {
        with(network, before.are_kept(world, Some(pod)))?;
        with(network, world.run(check)?.silent())?;
    }
    let mut dels = kept.iter().map(|(.., del)| del);
    dels.try_for_each(|del| world.run(del)?.silent())
}

/// Three interfaces, of which two are valid. GC is told no sandbox, so what is inside of this one may stay, and the link
/// with it; it goes with the DEL after it.
pub(super) fn by_ifname(world: &World<'_>) -> Verdict {
    let (pod, result) = attached(world)?;
    let named = |verb: &str, ifname: &str| world.call_for(verb, &pod).env("CNI_IFNAME", ifname);
    let third = world.run(&named("ADD", "net2"))?.result()?;
    let before = world.traces(None)?;
    world.run(&named("ADD", "net1"))?.result()?;
    let mut valid = [entry(&pod), entry(&pod)];
    valid[1]["ifname"] = json!("net2");
    world.run(&gc(world, &KEYS, &json!(valid)))?.silent()?;
    before.holding_is_back(world)?;
    world
        .run(&named("DEL", "net1").unset("prevResult"))?
        .silent()?;
    before.are_back(world, None)?;
    stays(world, &pod, &result)?;
    let check = named("CHECK", "net2").set("prevResult", third);
    with("net2", world.run(&check)?.silent())
}

pub(super) fn again(world: &World<'_>) -> Verdict {
    let unknown = json!([{"containerID": "never-seen", "ifname": "eth0"}]);
    world.run(&gc(world, &KEYS, &unknown))?.silent()?;
    let (kept, result) = attached(world)?;
    let before = world.traces(Some(&kept))?;
    let list = json!([unknown[0], entry(&kept), entry(&kept)]);
    for _ in 0..2 {
        world.run(&gc(world, &KEYS, &list))?.silent()?;
    }
    before.are_unchanged(world, Some(&kept))?;
    stays(world, &kept, &result)
}

pub(super) fn daemon_away(world: &World<'_>) -> Verdict {
    let lost = world.another_pod()?;
    let before = world.traces_in_use(None)?;
    attach(world, &lost)?;
    let away = world.stop_daemon()?;
    let answer = world.run(&gc(world, &KEYS, &json!([])))?;
    away.mend()?;
    if answer.succeeded() {
        return before.are_back(world, None);
    }
    answer.failure()?;
    soon(|| world.run(&gc(world, &KEYS, &json!([])))?.silent())?;
    // one that may still be waited for can be spared once
    world
        .run(&world.call_for("DEL", &lost).unset("prevResult"))?
        .silent()?;
    before.are_back(world, None)
}
