//! What tells attachments apart, and what does not.

use serde_json::{Value, json};

use crate::call::Call;
use crate::case::{Finding, Mode, Verdict, with};
use crate::pod::Pod;
use crate::runtime::conflist::Version;
use crate::world::World;
use crate::world::traces::Traces;

/// Another network.
const OTHER: &str = "conformance-other";

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

/// Right after the answer of DEL the name is free again, for whoever comes next into the same sandbox.
pub(super) fn reused_sandbox(world: &World<'_>) -> Verdict {
    let pod = world.pod()?;
    let before = world.traces_in_use(Some(&pod))?;
    for id in [
        "conformance-first",
        "conformance-second",
        "conformance-third",
    ] {
        let of_it = |call: Call| call.env("CNI_CONTAINERID", id);
        let result = world.run(&of_it(world.call("ADD")?))?.result()?;
        world
            .run(&of_it(world.call_after("DEL", &result)?))?
            .success()?;
    }
    before.are_back(world, Some(&pod))
}

/// The others' ids are quite different, and nearly the same.
pub(super) fn containers_apart(world: &World<'_>) -> Verdict {
    let [pod, other] = [world.another_pod()?, world.another_pod()?];
    let first = world.run(&world.call_for("ADD", &pod))?.result()?;
    let alone = world.traces(Some(&pod))?;
    for id in [other.attachment.container_id.clone()]
        .into_iter()
        .chain(similar(&pod.attachment.container_id))
    {
        let of_it = |call: Call| call.env("CNI_CONTAINERID", &id);
        let second = world.run(&of_it(world.call_for("ADD", &other)))?;
        let second = with(&id, second.result())?;
        let del = of_it(world.after("DEL", &other, &second));
        with(&id, world.run(&del)?.success())?;
        with(&id, alone.are_back(world, Some(&pod)))?;
    }
    unharmed(world, &alone, &pod, &first)
}

/// With another last character, with one more, and in capitals.
fn similar(name: &str) -> [String; 3] {
    let last = if name.ends_with('0') { '1' } else { '0' };
    let mut other = name.to_owned();
    other.pop();
    other.push(last);
    [other, format!("{name}2"), name.to_uppercase()]
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

/// DELs of what was never added there, and of what was: in this sandbox under another name, in another one under the
/// same. The sandbox of the former is not named: whose the interface in there is, is another rule.
pub(super) fn networks_apart(world: &World<'_>) -> Verdict {
    let pod = world.pod()?;
    let elsewhere = world.another_pod()?;
    let result = world.add()?;
    let alone = world.traces(Some(&pod))?;
    let del = world.call("DEL")?.unset("prevResult").env("CNI_NETNS", "");
    let name = del.config()["name"].as_str().unwrap_or_default().to_owned();
    for network in [OTHER.to_owned()].into_iter().chain(similar(&name)) {
        let answer = world.run(&del.clone().set("name", network.as_str()))?;
        with(&network, answer.success())?;
        with(&network, alone.are_back(world, Some(&pod)))?;
    }
    let id = &pod.attachment.container_id;
    let second = world.call_for("ADD", &elsewhere);
    let mut adds = vec![second.env("CNI_CONTAINERID", id)];
    if world.mode() == Mode::Creating {
        adds.push(world.call("ADD")?.env("CNI_IFNAME", "net1"));
    }
    for add in adds {
        let add = add.set("name", OTHER);
        // the networks differ by name only: a plugin may say that one address cannot be in both
        let answer = world.run(&add)?;
        let mut del = add.asking("DEL").unset("prevResult");
        if answer.succeeded() {
            del = del.set("prevResult", answer.result()?);
        }
        world.run(&del)?.success()?;
        alone.are_back(world, Some(&pod))?;
    }
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

/// containerd calls DEL with the list of the day, not with that of the ADD: numbers and switches are not set, the mtu is
/// another, what the runtime supplies is gone, and there is something new.
pub(super) fn changed_configuration(world: &World<'_>) -> Verdict {
    let pod = world.pod()?;
    let before = world.traces_in_use(Some(&pod))?;
    for mtu in [None, knows_mtu(world).then_some(1380)] {
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
        if let Some(mtu) = mtu {
            del = del.set("mtu", mtu);
        }
        let new = json!({"nameservers": ["192.0.2.53"]});
        world
            .run(&del.set("dns", new).set("cni.dev/conformance", 1))?
            .success()?;
        before.are_back(world, Some(&pod))?;
    }
    Ok(())
}

/// Whether the configuration has it, or the description says that it can be wrong.
fn knows_mtu(world: &World<'_>) -> bool {
    let subject = world.subject();
    let mut malformed = subject.description.malformed.iter();
    subject.entry.contains_key("mtu") || malformed.any(|members| members.contains_key("mtu"))
}
