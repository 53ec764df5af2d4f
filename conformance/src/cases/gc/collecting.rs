//! What goes and what stays.

use std::sync::Arc;

use serde_json::{Value, json};

use super::lists::{KEYS, gc};
use crate::case::{Finding, Verdict};
use crate::pod::Pod;
use crate::world::World;
use crate::world::traces::soon;

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

pub(super) fn unlisted_goes(world: &World<'_>) -> Verdict {
    world.traces_in_use(None)?;
    let (kept, result) = attached(world)?;
    let gone = world.another_pod()?;
    let before = world.traces(Some(&kept))?;
    attach(world, &gone)?;
    world
        .run(&gc(world, &KEYS, &json!([entry(&kept)])))?
        .silent()?;
    before.are_back(world, Some(&kept))?;
    stays(world, &kept, &result)?;
    // the runtime may call it all the same
    world
        .run(&world.call_for("DEL", &gone).unset("prevResult"))?
        .silent()?;
    world.run(&world.after("DEL", &kept, &result))?.silent()
}

pub(super) fn sandbox_gone(world: &World<'_>) -> Verdict {
    let before = world.traces_in_use(None)?;
    let lost = world.loose_pod()?;
    world.run(&world.call_for("ADD", &lost))?.result()?;
    drop(lost);
    world.run(&gc(world, &KEYS, &json!([])))?.silent()?;
    before.are_back(world, None)
}

pub(super) fn other_networks(world: &World<'_>) -> Verdict {
    const OTHER: &str = "conformance-other";
    let pod = world.another_pod()?;
    let call = |verb| world.call_for(verb, &pod).set("name", OTHER);
    let result = world.run(&call("ADD"))?.result()?;
    let before = world.traces(Some(&pod))?;
    attached(world)?;
    world.run(&gc(world, &KEYS, &json!([])))?.silent()?;
    before.are_kept(world, Some(&pod))?;
    world
        .run(&call("CHECK").set("prevResult", result.clone()))?
        .silent()?;
    world.run(&call("DEL").set("prevResult", result))?.silent()
}

/// GC is told no sandbox, so what is inside of this one may stay; it goes with the interface that the DEL after it takes.
pub(super) fn by_ifname(world: &World<'_>) -> Verdict {
    let (pod, result) = attached(world)?;
    let before = world.traces(None)?;
    let second = world.call_for("ADD", &pod).env("CNI_IFNAME", "net1");
    world.run(&second)?.result()?;
    world
        .run(&gc(world, &KEYS, &json!([entry(&pod)])))?
        .silent()?;
    before.are_back(world, None)?;
    stays(world, &pod, &result)
}

pub(super) fn again(world: &World<'_>) -> Verdict {
    let unknown = json!([{"containerID": "never-seen", "ifname": "eth0"}]);
    world.run(&gc(world, &KEYS, &unknown))?.silent()?;
    let (kept, result) = attached(world)?;
    let before = world.traces(Some(&kept))?;
    let list = json!([unknown[0], entry(&kept)]);
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
