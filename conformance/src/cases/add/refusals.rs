//! A: what ADD must not do, and that nothing is left of it then.

use std::fs;
use std::time::Duration;

use anyhow::Context;

use crate::call::Call;
use crate::case::Source::{Ours, Plugins, Spec};
use crate::case::Versions::Each;
use crate::case::{Verdict, expect};
use crate::netns::snapshot::Snapshot;
use crate::world::World;

/// Who opens a pipe that nobody writes to waits for ever: long enough to know.
const AT_ONCE: Duration = Duration::from_secs(10);

cases! {
    Add;
    no_namespace: Must, ["A09"], [Spec("Parameters"), Plugins], Each, Each,
        "a CNI_NETNS that is not there fails ADD";
    not_a_namespace: Must, ["A09"], [Spec("Parameters"), Plugins], Each, Each,
        "a CNI_NETNS that is a file, a directory or a pipe and no namespace fails ADD, at once";
    refused_leaves_nothing: Must, ["A09", "A10"], [Spec("ADD")], Each, Each,
        "an ADD that fails for its namespace leaves nothing on the host, and the plugin holds nothing for it";
    taken_name: Must, ["A02"], [Spec("ADD"), Plugins], Each, Creating,
        "ADD fails if the sandbox has an interface of that name, and that interface stays as it is";
    taken_name_leaves_nothing: Should, ["A10"], [Spec("ADD"), Plugins], Each, Creating,
        "an ADD that fails for a taken name leaves nothing in the sandbox and on the host, and the plugin holds nothing";
    second_add: Ours, ["A11"], [Spec("ADD"), Ours], Each, Creating,
        "a second ADD of an attachment fails, and the first keeps its interface and addresses";
}

fn no_namespace(world: &World<'_>) -> Verdict {
    for path in [world.nowhere(), "/proc/4194305/ns/net".into()] {
        world
            .run(&world.call("ADD")?.env("CNI_NETNS", path))?
            .failure()?;
    }
    Ok(())
}

fn not_a_namespace(world: &World<'_>) -> Verdict {
    let file = world.dir().join("no-namespace");
    fs::write(&file, "").context("cannot write a file")?;
    let pipe = world.dir().join("no-namespace-but-a-pipe");
    if !pipe.exists() {
        let mode = nix::sys::stat::Mode::S_IRUSR;
        nix::unistd::mkfifo(&pipe, mode).context("cannot make a pipe")?;
    }
    for path in [&file, world.dir(), &pipe] {
        let add = world.call("ADD")?.env("CNI_NETNS", path);
        world.run(&add.killed_after(AT_ONCE))?.failure()?;
    }
    Ok(())
}

/// `call`, an ADD, fails and leaves host and sandbox as they are.
fn fails_without_trace(world: &World<'_>, call: &Call) -> Verdict {
    let pod = world.pod()?;
    let before = world.traces_in_use(Some(&pod))?;
    world.run(call)?.failure()?;
    before.are_back(world, Some(&pod))
}

/// `call`, an ADD, fails and changes nothing in the sandbox at any time.
fn fails_without_touch(world: &World<'_>, call: &Call) -> Verdict {
    let pod = world.pod()?;
    let before = Snapshot::take(&pod.netns)?;
    world.run(call)?.failure()?;
    let changes = before.changes(&Snapshot::take(&pod.netns)?);
    expect(changes.is_empty(), || {
        format!("the sandbox has changed: {changes:?}")
    })
}

fn refused_leaves_nothing(world: &World<'_>) -> Verdict {
    let call = world.call("ADD")?.env("CNI_NETNS", world.nowhere());
    fails_without_trace(world, &call)
}

fn take_the_name(world: &World<'_>) -> anyhow::Result<()> {
    let pod = world.pod()?;
    pod.netns.ip(&[
        "link",
        "add",
        pod.ifname(),
        "type",
        "veth",
        "peer",
        "name",
        "other1",
    ])?;
    pod.netns
        .ip(&["addr", "add", "198.51.100.2/24", "dev", pod.ifname()])?;
    pod.netns.ip(&["link", "set", pod.ifname(), "up"]).map(drop)
}

fn taken_name(world: &World<'_>) -> Verdict {
    take_the_name(world)?;
    fails_without_touch(world, &world.call("ADD")?)
}

fn taken_name_leaves_nothing(world: &World<'_>) -> Verdict {
    take_the_name(world)?;
    fails_without_trace(world, &world.call("ADD")?)
}

fn second_add(world: &World<'_>) -> Verdict {
    let result = world.add()?;
    fails_without_touch(world, &world.call("ADD")?)?;
    world.del(&result)
}
