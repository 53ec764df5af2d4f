//! What CHECK must be told, and what it must not make of it.

use std::time::Duration;

use serde_json::{Value, json};

use crate::case::{Verdict, expect, skip};
use crate::world::World;

/// Much more than anybody's patience needs; a call that takes longer is not bounded.
const FEW_SECONDS: Duration = Duration::from_secs(8);

pub(super) fn after_add(world: &World<'_>) -> Verdict {
    let result = world.add()?;
    let check = world.call_after("CHECK", &result)?;
    world.run(&check)?.silent()?;
    world.del(&result)
}

pub(super) fn changes_nothing(world: &World<'_>) -> Verdict {
    let pod = world.pod()?;
    let result = world.add()?;
    let check = world.call_after("CHECK", &result)?;
    let before = world.traces(Some(&pod))?;
    world.run(&check)?.silent()?;
    world.run(&check)?.silent()?;
    // a plugin's daemon may be at work for a moment after ADD
    before.are_still(world, Some(&pod))
}

pub(super) fn prev_result_missing(world: &World<'_>) -> Verdict {
    world.add()?;
    let check = world.call("CHECK")?;
    world.run(&check.clone().unset("prevResult"))?.failure()?;
    world
        .run(&check.set("prevResult", Value::Null))?
        .failure()
        .map(drop)
}

pub(super) fn prev_result_broken(world: &World<'_>) -> Verdict {
    let result = world.add()?;
    let mut other_version = result.clone();
    other_version["cniVersion"] = json!("0.2.7");
    let mut bad_address = result;
    bad_address["ips"] = json!([{"version": "4", "address": "10.0.0.300/24"}]);
    let none = [json!(5), json!("{}"), json!({"ips": {}})];
    for broken in none.into_iter().chain([bad_address, other_version]) {
        world
            .run(&world.call("CHECK")?.set("prevResult", broken))?
            .failure()?;
    }
    Ok(())
}

pub(super) fn other_sandbox(world: &World<'_>) -> Verdict {
    let pod = world.pod()?;
    let result = world.add()?;
    let at = inside(&result, pod.ifname());
    let Some(at) = at else {
        return skip("its result has no interface in the sandbox");
    };
    let mut elsewhere = result.clone();
    elsewhere["interfaces"][at]["sandbox"] = json!("/run/netns/conformance-other");
    world
        .run(&world.call_after("CHECK", &elsewhere)?)?
        .failure()?;
    let mut renamed = result;
    renamed["interfaces"][at]["name"] = json!("other0");
    world
        .run(&world.call_after("CHECK", &renamed)?)?
        .failure()
        .map(drop)
}

/// Index of the interface of that name that is in a sandbox.
pub(super) fn inside(result: &Value, ifname: &str) -> Option<usize> {
    let is_inside = |interface: &Value| {
        let sandbox = interface["sandbox"].as_str();
        interface["name"] == ifname && sandbox.is_some_and(|path| !path.is_empty())
    };
    result["interfaces"].as_array()?.iter().position(is_inside)
}

pub(super) fn opaque_mac(world: &World<'_>) -> Verdict {
    let pod = world.pod()?;
    let mut result = world.add()?;
    let Some(at) = inside(&result, pod.ifname()) else {
        return skip("its result has no interface in the sandbox");
    };
    // aws-node keeps the number of a route table there
    result["interfaces"][at]["mac"] = json!("254");
    world.run(&world.call_after("CHECK", &result)?)?.silent()
}

pub(super) fn in_time(world: &World<'_>) -> Verdict {
    let result = world.add()?;
    let check = world.call_after("CHECK", &result)?;
    let answer = world.run(&check.killed_after(FEW_SECONDS))?;
    expect(!answer.hung, || {
        format!("it takes too long: {}", answer.quote())
    })
}
