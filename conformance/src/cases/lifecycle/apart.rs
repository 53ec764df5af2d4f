//! What tells attachments apart, and what does not.

use serde_json::{Value, json};

use crate::case::{Finding, Verdict};
use crate::pod::Pod;
use crate::runtime::conflist::Version;
use crate::world::World;
use crate::world::traces::Traces;

pub(super) fn reused_id(world: &World<'_>) -> Verdict {
    let pod = world.pod()?;
    let before = world.traces_in_use(Some(&pod))?;
    for _ in 0..3 {
        let result = world.add()?;
        whole(world, &pod, &result)?;
        world.del(&result)?;
    }
    before.are_back(world, Some(&pod))
}

pub(super) fn containers_apart(world: &World<'_>) -> Verdict {
    let [pod, other] = [world.another_pod()?, world.another_pod()?];
    let first = world.run(&world.call_for("ADD", &pod))?.result()?;
    let alone = world.traces(Some(&pod))?;
    let second = world.run(&world.call_for("ADD", &other))?.result()?;
    world.run(&world.after("DEL", &other, &second))?.success()?;
    unharmed(world, &alone, &pod, &first)
}

pub(super) fn interfaces_apart(world: &World<'_>) -> Verdict {
    let pod = world.pod()?;
    let first = world.add()?;
    let alone = world.traces(Some(&pod))?;
    let second = world.call("ADD")?.env("CNI_IFNAME", "net1");
    let result = world.run(&second)?.result()?;
    whole(world, &pod, &first)?;
    let del = world.call_after("DEL", &result)?.env("CNI_IFNAME", "net1");
    world.run(&del)?.success()?;
    unharmed(world, &alone, &pod, &first)
}

/// The sandbox is not named: whose the interface in there is, is another rule.
pub(super) fn networks_apart(world: &World<'_>) -> Verdict {
    let pod = world.pod()?;
    let result = world.add()?;
    let alone = world.traces(Some(&pod))?;
    let del = world.call("DEL")?.unset("prevResult").env("CNI_NETNS", "");
    world
        .run(&del.set("name", "conformance-other"))?
        .success()?;
    unharmed(world, &alone, &pod, &result)
}

fn unharmed(world: &World<'_>, before: &Traces, pod: &Pod, result: &Value) -> Verdict {
    before.are_back(world, Some(pod))?;
    whole(world, pod, result)?;
    world.run(&world.after("DEL", pod, result))?.success()
}

/// Where there is a CHECK it says so.
fn whole(world: &World<'_>, pod: &Pod, result: &Value) -> Result<(), Finding> {
    if world.version() < Version::V0_4_0 {
        return Ok(());
    }
    world.run(&world.after("CHECK", pod, result))?.success()
}

/// containerd calls DEL with the list of the day, not with that of the ADD: numbers and switches have other values, what
/// the runtime supplies is gone, and there is something new.
pub(super) fn changed_configuration(world: &World<'_>) -> Verdict {
    let pod = world.pod()?;
    let before = world.traces_in_use(Some(&pod))?;
    let result = world.add()?;
    let mut del = world
        .call_after("DEL", &result)?
        .unset("runtimeConfig")
        .unset("capabilities");
    let config = del.config();
    for (key, value) in config.as_object().into_iter().flatten() {
        if value.is_number() || value.is_boolean() {
            del = del.unset(key);
        }
    }
    let new = json!({"nameservers": ["192.0.2.53"]});
    world
        .run(&del.set("dns", new).set("cni.dev/conformance", 1))?
        .success()?;
    before.are_back(world, Some(&pod))
}
