//! The forms in which libcni names what is valid, and what is none.

use serde_json::{Value, json};

use super::collecting::{attach, attached, entry, stays};
use crate::call::Call;
use crate::case::Verdict;
use crate::world::World;

/// Both keys, in libcni's order (containernetworking/cni#1101).
pub(super) const KEYS: [&str; 2] = ["cni.dev/valid-attachments", "cni.dev/attachments"];

/// GC with `list` under these keys.
pub(super) fn gc(world: &World<'_>, keys: &[&str], list: &Value) -> Call {
    let call = world.call_for_nobody("GC");
    keys.iter()
        .fold(call, |call, key| call.set(key, list.clone()))
}

pub(super) fn either_key(world: &World<'_>) -> Verdict {
    for keys in [&KEYS[..], &KEYS[..1], &KEYS[1..]] {
        let [kept, lost] = [world.another_pod()?, world.another_pod()?];
        let before = world.traces_in_use(None)?;
        let result = attach(world, &kept)?;
        let with_one = world.traces(None)?;
        attach(world, &lost)?;
        world
            .run(&gc(world, keys, &json!([entry(&kept)])))?
            .silent()?;
        with_one.are_back(world, None)?;
        stays(world, &kept, &result)?;
        world.run(&world.after("DEL", &kept, &result))?.success()?;
        before.are_back(world, None)?;
    }
    Ok(())
}

pub(super) fn null_list(world: &World<'_>) -> Verdict {
    all_go(world, &Value::Null)
}

pub(super) fn empty_list(world: &World<'_>) -> Verdict {
    all_go(world, &json!([]))
}

fn all_go(world: &World<'_>, list: &Value) -> Verdict {
    let lost = [world.another_pod()?, world.another_pod()?];
    let before = world.traces_in_use(None)?;
    for pod in &lost {
        attach(world, pod)?;
    }
    world.run(&gc(world, &KEYS, list))?.silent()?;
    before.are_back(world, None)
}

pub(super) fn no_list(world: &World<'_>) -> Verdict {
    let (kept, result) = attached(world)?;
    let before = world.traces(Some(&kept))?;
    world.run(&world.call_for_nobody("GC"))?.fails(7)?;
    before.are_unchanged(world, Some(&kept))?;
    stays(world, &kept, &result)
}

pub(super) fn malformed_list(world: &World<'_>) -> Verdict {
    let (kept, result) = attached(world)?;
    let before = world.traces(Some(&kept))?;
    for list in [
        json!({}),
        json!("none"),
        json!([5]),
        json!([{"containerID": 5}]),
    ] {
        world.run(&gc(world, &KEYS, &list))?.failure()?;
    }
    before.are_unchanged(world, Some(&kept))?;
    stays(world, &kept, &result)
}
