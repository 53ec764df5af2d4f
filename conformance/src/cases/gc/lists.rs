//! The forms in which libcni names what is valid, and what is none.

use serde_json::{Value, json};

use super::collecting::{attach, attached, collected, entry, lost, stays};
use crate::call::Call;
use crate::case::{Verdict, with};
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
        let kept = world.another_pod()?;
        let before = world.traces_in_use(None)?;
        let result = attach(world, &kept)?;
        let with_one = world.traces(None)?;
        let lost = lost(world)?;
        let gc = gc(world, keys, &json!([entry(&kept)]));
        with(
            &keys.join(" and "),
            collected(world, &with_one, &gc, [lost]),
        )?;
        stays(world, &kept, &result)?;
        world.run(&world.after("DEL", &kept, &result))?.success()?;
        before.are_back(world, None)?;
    }
    Ok(())
}

/// Two lists that differ, which no runtime sends.
pub(super) fn newer_key_first(world: &World<'_>) -> Verdict {
    let (kept, result) = attached(world)?;
    let before = world.traces(Some(&kept))?;
    let list = json!([entry(&kept)]);
    for other in [json!([]), Value::Null] {
        let call = gc(world, &KEYS[..1], &list).set(KEYS[1], other);
        world.run(&call)?.silent()?;
        before.are_unchanged(world, Some(&kept))?;
    }
    stays(world, &kept, &result)
}

pub(super) fn null_list(world: &World<'_>) -> Verdict {
    all_go(world, &Value::Null)
}

pub(super) fn empty_list(world: &World<'_>) -> Verdict {
    all_go(world, &json!([]))
}

fn all_go(world: &World<'_>, list: &Value) -> Verdict {
    let before = world.traces_in_use(None)?;
    let lost = [lost(world)?, lost(world)?];
    collected(world, &before, &gc(world, &KEYS, list), lost)
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
