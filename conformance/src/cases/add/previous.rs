//! A: what ADD must refuse of the plugins before it.

use serde_json::{Value, json};

use super::earlier::rich;
use crate::call::Call;
use crate::case::Source::{Libcni, Plugins, Spec};
use crate::case::Versions::Each;
use crate::case::{Finding, Mode, Verdict, skip, with};
use crate::pod::Pod;
use crate::runtime::conflist::Version;
use crate::world::traces::Traces;
use crate::world::{IFNAME, World};

cases! {
    Add;
    prev_result_of_another_version: Must, ["A06"], [Libcni], Each, Chained,
        "a prevResult of another version than the configuration's fails ADD";
    prev_result_invalid: Must, ["A07"], [Libcni], Each, Chained,
        "a prevResult that is no object, or has addresses, gateways or destinations that are none, fails ADD";
    prev_result_missing: Must, ["A05"], [Plugins], Each, Chained,
        "a plugin that only works behind others fails ADD without prevResult";
    interface_missing: Should, ["A02"], [Spec("ADD")], Each, Chained,
        "ADD fails if the interface that prevResult lists is not in the sandbox";
    refused_behind_leaves_nothing: Should, ["A10"], [Spec("ADD")], Each, Chained,
        "an ADD that fails for its prevResult, or for an interface that is not there, leaves nothing";
}

/// A `prevResult` that must be refused, and what is wrong with it.
type Vector = (String, Value);

/// Results of another version than the configuration's.
fn of_other_versions(world: &World<'_>) -> Result<Vec<Vector>, Finding> {
    // in libcni 0.3.1 and 0.4.0 are one type
    let other = if world.version() < Version::V1_0_0 {
        "1.0.0"
    } else {
        "0.4.0"
    };
    let versions = ["9.9.9", other].map(|version| ("/cniVersion", json!(version)));
    changed(world, &versions)
}

/// What libcni's types do not take.
fn invalid(world: &World<'_>) -> Result<Vec<Vector>, Finding> {
    let parts = [
        ("/ips/1/address", json!("192.0.2.1")),
        ("/ips/1/address", json!("192.0.2.1/33")),
        ("/ips/1/address", json!(5)),
        ("/ips/0/gateway", json!("192.0.2.256")),
        ("/ips/2/gateway", json!("192.0.2.1/24")),
        ("/routes/1/dst", json!("203.0.113.0")),
        ("/routes/1/dst", json!("default")),
        ("/ips", json!({"address": "192.0.2.1/24"})),
    ];
    let documents = [json!(7), json!("x"), json!([])];
    let mut vectors = documents
        .map(|document| (format!("{document} as prevResult"), document))
        .to_vec();
    vectors.extend(changed(world, &parts)?);
    Ok(vectors)
}

/// A rich result with one part replaced, for each of `parts`.
fn changed(world: &World<'_>, parts: &[(&str, Value)]) -> Result<Vec<Vector>, Finding> {
    let of = |(place, part): &(&str, Value)| {
        let mut previous = rich(world)?;
        let (list, member) = place.rsplit_once('/').unwrap_or_default();
        if let Some(list) = previous.pointer_mut(list) {
            list[member] = part.clone();
        }
        Ok((format!("{part} as {place} of prevResult"), previous))
    };
    parts.iter().map(of).collect()
}

fn each_fails(world: &World<'_>, vectors: Vec<Vector>) -> Verdict {
    for (which, previous) in vectors {
        let answer = world.run(&world.call("ADD")?.set("prevResult", previous))?;
        with(&which, answer.failure().map(drop))?;
    }
    Ok(())
}

fn prev_result_of_another_version(world: &World<'_>) -> Verdict {
    each_fails(world, of_other_versions(world)?)
}

fn prev_result_invalid(world: &World<'_>) -> Verdict {
    each_fails(world, invalid(world)?)
}

fn prev_result_missing(world: &World<'_>) -> Verdict {
    if world.subject().modes()?.contains(&Mode::Creating) {
        return skip("the plugin works as the first one too");
    }
    // in an empty sandbox: where the interface is, one that makes it fails for that
    let pod = Pod::empty(IFNAME)?;
    world.run(&world.call_for("ADD", &pod))?.failure().map(drop)
}

fn interface_missing(world: &World<'_>) -> Verdict {
    let pod = world.pod()?;
    pod.netns.ip(&["link", "del", pod.ifname()])?;
    world.run(&world.call("ADD")?)?.failure().map(drop)
}

fn refused_behind_leaves_nothing(world: &World<'_>) -> Verdict {
    let pod = world.pod()?;
    let mut vectors = invalid(world)?;
    // each kind once
    vectors.drain(1..vectors.len() - 2);
    vectors.extend(of_other_versions(world)?);
    let before = world.traces_in_use(Some(&pod))?;
    for (which, previous) in vectors {
        let call = world.call("ADD")?.set("prevResult", previous);
        with(&which, refused_without_trace(world, &call, &before))?;
    }
    pod.netns.ip(&["link", "del", pod.ifname()])?;
    let before = world.traces(Some(&pod))?;
    refused_without_trace(world, &world.call("ADD")?, &before)
}

/// Nothing is left of `call`, an ADD that fails.
fn refused_without_trace(world: &World<'_>, call: &Call, before: &Traces) -> Verdict {
    if world.run(call)?.succeeded() {
        return skip("what should be refused is not, which is another case's matter");
    }
    before.are_back(world, Some(&*world.pod()?))
}
