//! DEL with less than the runtime should know, with wrong things, and with nobody to tell.

use std::time::Duration;

use serde_json::{Value, json};

use crate::case::{Mode, Verdict};
use crate::world::World;
use crate::world::traces::pause;

/// Documents that no result can be: not an object, no address, an address that is none, lists that are none, a version
/// that nobody speaks.
fn broken() -> Vec<Value> {
    vec![
        json!(5),
        json!({"ips": [{}]}),
        json!({"ips": [{"address": "10.0.0.300/24", "interface": 99}]}),
        json!({"interfaces": {"name": "eth0"}, "ips": "none", "routes": 1}),
        json!({"cniVersion": "9.9.9", "ips": []}),
    ]
}

pub(super) fn prev_result_missing(world: &World<'_>) -> Verdict {
    let pod = world.pod()?;
    let before = world.traces_in_use(Some(&pod))?;
    world.add()?;
    world
        .run(&world.call("DEL")?.unset("prevResult"))?
        .success()?;
    before.are_back(world, Some(&pod))
}

pub(super) fn prev_result_broken(world: &World<'_>) -> Verdict {
    let pod = world.pod()?;
    let before = world.traces_in_use(Some(&pod))?;
    for document in broken() {
        world.add()?;
        world
            .run(&world.call("DEL")?.set("prevResult", document))?
            .success()?;
        before.are_back(world, Some(&pod))?;
    }
    Ok(())
}

pub(super) fn args_malformed(world: &World<'_>) -> Verdict {
    let pod = world.pod()?;
    let before = world.traces_in_use(Some(&pod))?;
    for args in [
        "IgnoreUnknown",
        "=;=",
        "K8S_POD_NAME=a=b",
        "IgnoreUnknown=1;",
        "IP=;MAC=",
    ] {
        let result = world.add()?;
        world
            .run(&world.call_after("DEL", &result)?.env("CNI_ARGS", args))?
            .success()?;
    }
    let result = world.add()?;
    world
        .run(&world.call_after("DEL", &result)?.without("CNI_ARGS"))?
        .success()?;
    before.are_back(world, Some(&pod))
}

pub(super) fn daemon_away(world: &World<'_>) -> Verdict {
    // an interface that others made goes with the sandbox, and what the plugin put on it does too
    let pod = world.pod()?;
    let is_made = world.mode() == Mode::Creating;
    let pod = is_made.then_some(&*pod);
    let before = world.traces_in_use(pod)?;
    let result = world.add()?;
    let away = world.stop_daemon()?;
    let answer = world.run(&world.call_after("DEL", &result)?)?;
    away.mend()?;
    answer.success()?;
    before.are_back(world, pod)
}

/// It comes to itself while the plugin may be waiting for it: a plugin that gave up fails in order, and is asked again.
pub(super) fn daemon_hung(world: &World<'_>) -> Verdict {
    let pod = world.pod()?;
    let before = world.traces_in_use(Some(&pod))?;
    let result = world.add()?;
    let del = world.call_after("DEL", &result)?;
    let hung = world.pause_daemon()?;
    let running = world.start(&del)?;
    pause(Duration::from_millis(300));
    hung.mend()?;
    let answer = running.finish()?;
    if answer.succeeded() {
        answer.success()?;
    } else {
        answer.failure()?;
        world.del(&result)?;
    }
    before.are_back(world, Some(&pod))
}
