//! A: what ADD does and prints. What it refuses is in `refusals`, what it makes of earlier plugins' results in `earlier`
//! and `previous`, the form of results in `results`.

pub(super) mod earlier;
pub(super) mod previous;
pub(super) mod refusals;

use serde_json::Value;

use crate::case::Source::{Libcni, Ours, Plugins, Spec};
use crate::case::Versions::Each;
use crate::case::{Verdict, expect};
use crate::cases::results::kernel::routes::listed_routes_are_there;
use crate::world::World;

cases! {
    Add;
    gives_one_result: Must, ["A01"], [Spec("ADD"), Libcni], Each, Each,
        "a successful ADD ends with status 0 and prints exactly one JSON object, and its DEL prints nothing";
    makes_the_interface: Must, ["A02"], [Spec("ADD"), Plugins], Each, Creating,
        "the interface of that name is in the sandbox, is up, and nothing else but lo is";
    is_undone: Must, ["A02", "D01"], [Spec("DEL"), Plugins], Each, Each,
        "DEL takes away what ADD made, in the sandbox and on the host, and the sandbox is as it was before ADD";
    holds_nothing_after_del: Must, ["D01"], [Spec("DEL"), Plugins], Each, Each,
        "the plugin holds after DEL what it held before ADD";
    default_route_is_there_already: Should, ["A13"], [Spec("ADD")], Each, Creating,
        "a default route that is in the sandbox already is no reason to fail, and what was not made beside it is not listed";
    again_after_del: Must, ["A11"], [Spec("ADD")], Each, Each,
        "after a DEL the same attachment can be added again";
    killed_and_repeated: Ours, ["A11", "P04"], [Libcni, Ours], Each, Each,
        "an ADD that is killed at any moment, and then deleted as runtimes do, leaves nothing in the way of the next";
    two_interfaces: Must, ["Y05"], [Spec("Parameters")], Each, Creating,
        "a container may have a second interface, and its DEL leaves the first";
}

fn gives_one_result(world: &World<'_>) -> Verdict {
    let result = world.add()?;
    expect(
        result["ips"].is_array() || result["interfaces"].is_array(),
        || format!("a result without ips and interfaces: {result}"),
    )?;
    world.del(&result)
}

fn makes_the_interface(world: &World<'_>) -> Verdict {
    let result = world.add()?;
    let pod = world.pod()?;
    pod.has_links(&["lo", pod.ifname()])?;
    let shown = pod.netns.ip(&["-o", "link", "show", "dev", pod.ifname()])?;
    expect(shown.contains(",UP"), || {
        format!("{} is not up: {shown}", pod.ifname())
    })?;
    world.del(&result)
}

fn is_undone(world: &World<'_>) -> Verdict {
    let pod = world.pod()?;
    let before = world.traces_in_use(Some(&pod))?;
    let result = world.add()?;
    world.del(&result)?;
    before.are_back(world, Some(&pod))
}

fn holds_nothing_after_del(world: &World<'_>) -> Verdict {
    let before = world.held()?;
    let result = world.add()?;
    let during = world.held()?;
    expect(during != before, || {
        format!("nothing is held for an attachment: {during:?}")
    })?;
    world.del(&result)?;
    let after = world.held()?;
    expect(after == before, || {
        format!("held {before:?} before ADD, {after:?} after DEL")
    })
}

fn default_route_is_there_already(world: &World<'_>) -> Verdict {
    let pod = world.pod()?;
    let ip = |args: &[&str]| pod.netns.ip(args);
    ip(&[
        "link", "add", "other0", "type", "veth", "peer", "name", "other1",
    ])?;
    ip(&["addr", "add", "198.51.100.2/24", "dev", "other0"])?;
    ip(&["link", "set", "other0", "up"])?;
    ip(&["route", "add", "default", "via", "198.51.100.1"])?;
    let result = world.add()?;
    let routes = ip(&["route", "show", "default"])?;
    expect(routes.contains("198.51.100.1"), || {
        format!("the default route was replaced: {routes}")
    })?;
    // one that was not made is not to be listed as made
    listed_routes_are_there(&pod, &result)?;
    world.del(&result)
}

fn again_after_del(world: &World<'_>) -> Verdict {
    for _ in 0..2 {
        let result = world.add()?;
        world.del(&result)?;
    }
    Ok(())
}

fn killed_and_repeated(world: &World<'_>) -> Verdict {
    let [moments, _] = world.moments()?;
    let held = world.held().ok();
    for moment in moments.into_iter().step_by(2) {
        world.kill_after(moment, &world.call("ADD")?)?;
        world.run(&world.call("DEL")?)?.success()?;
        let result = world.add()?;
        world.del(&result)?;
    }
    let after = world.held().ok();
    expect(after == held, || {
        format!("held {held:?} before, {after:?} after")
    })
}

fn two_interfaces(world: &World<'_>) -> Verdict {
    let pod = world.pod()?;
    let first = world.add()?;
    let call =
        |verb: &str| -> anyhow::Result<_> { Ok(world.call(verb)?.env("CNI_IFNAME", "net1")) };
    let second = world.run(&call("ADD")?)?.result()?;
    let address = |result: &Value| result["ips"][0]["address"].clone();
    expect(
        address(&first) != address(&second) || address(&first).is_null(),
        || format!("both interfaces have {}", address(&first)),
    )?;
    world.run(&call("DEL")?)?.success()?;
    pod.has_links(&["lo", pod.ifname()])?;
    world.del(&first)
}
