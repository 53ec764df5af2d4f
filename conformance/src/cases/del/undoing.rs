//! What is there after a DEL, and after one too many.

use serde_json::json;

use crate::case::{Mode, Verdict};
use crate::world::World;

pub(super) fn undoes_add(world: &World<'_>) -> Verdict {
    let pod = world.pod()?;
    let before = world.traces_in_use(Some(&pod))?;
    let result = world.add()?;
    world.run(&world.call_after("DEL", &result)?)?.silent()?;
    before.are_back(world, Some(&pod))
}

pub(super) fn again(world: &World<'_>) -> Verdict {
    let pod = world.pod()?;
    let before = world.traces_in_use(Some(&pod))?;
    let result = world.add()?;
    world.del(&result)?;
    let forgotten = world.call("DEL")?.unset("prevResult");
    // looked at after each: one may take back what the one before it left
    for del in [
        world.call_after("DEL", &result)?,
        forgotten.clone(),
        forgotten.clone(),
        forgotten.env("CNI_NETNS", ""),
    ] {
        world.run(&del)?.silent()?;
        before.are_back(world, Some(&pod))?;
    }
    Ok(())
}

pub(super) fn never_added(world: &World<'_>) -> Verdict {
    let pod = world.pod()?;
    let before = world.traces(Some(&pod))?;
    let del = world.call("DEL")?.unset("prevResult");
    for del in [del.clone(), del.clone(), del.env("CNI_NETNS", "")] {
        world.run(&del)?.silent()?;
        // at once: the next one may take back what this one left
        before.are_unchanged(world, Some(&pod))?;
    }
    Ok(())
}

pub(super) fn already_gone(world: &World<'_>) -> Verdict {
    let pod = world.pod()?;
    let before = world.traces_in_use(None)?;
    let result = world.add()?;
    match world.mode() {
        Mode::Creating => drop(pod.netns.ip(&["link", "del", "dev", pod.ifname()])?),
        // the address is the plugin's, and so are others' that went with it
        Mode::Chained => drop(pod.netns.ip(&["addr", "flush", "dev", pod.ifname()])?),
    }
    world.del(&result)?;
    before.are_back(world, None)
}

/// An ADD that a plugin has reason to refuse: a sandbox that is not there, or a result of earlier plugins that is none. Not
/// every plugin looks at both.
pub(super) fn after_failed_add(world: &World<'_>) -> Verdict {
    let pod = world.pod()?;
    let before = world.traces_in_use(Some(&pod))?;
    let nowhere = world.call("ADD")?.env("CNI_NETNS", world.nowhere());
    world.run(&nowhere)?;
    world
        .run(&nowhere.asking("DEL").unset("prevResult"))?
        .success()?;
    let broken = world
        .call("ADD")?
        .set("prevResult", json!({"ips": [{"address": "10.0.0.300/24"}]}));
    world.run(&broken)?;
    world
        .run(&broken.asking("DEL").unset("prevResult"))?
        .success()?;
    before.are_back(world, Some(&pod))
}
