//! DELs that are refused, and the words in which.

use crate::answer::Answer;
use crate::case::{Verdict, expect};
use crate::world::World;

/// What go-cni takes for done in an error of DEL (from 1.1.6 on).
const PHRASES: [&str; 2] = ["not found", "no such file or directory"];

pub(super) fn malformed_call(world: &World<'_>) -> Verdict {
    let pod = world.pod()?;
    let result = world.add()?;
    let before = world.traces(Some(&pod))?;
    let del = || world.call_after("DEL", &result);
    world
        .run(&del()?.env("CNI_CONTAINERID", "-abc"))?
        .fails(4)?;
    world.run(&del()?.env("CNI_CONTAINERID", "a/b"))?.fails(4)?;
    world.run(&del()?.without("CNI_CONTAINERID"))?.fails(4)?;
    world.run(&del()?.env("CNI_IFNAME", "eth0/1"))?.fails(4)?;
    world.run(&del()?.stdin("{"))?.fails(6)?;
    world.run(&del()?.stdin(""))?.fails(6)?;
    world.run(&del()?.set("name", ""))?.fails(7)?;
    world.run(&del()?.set("name", "a/b"))?.fails(7)?;
    world.run(&del()?.set("cniVersion", "9.9.9"))?.fails(1)?;
    before.are_unchanged(world, Some(&pod))?;
    world.del(&result)
}

/// Errors of all kinds whose reasons have these words in them: values that are told, files that are not there.
pub(super) fn error_words(world: &World<'_>) -> Verdict {
    let del = || world.call("DEL");
    let calls = [
        del()?.env("CNI_CONTAINERID", "not found"),
        del()?.env("CNI_CONTAINERID", "/no such file or directory"),
        del()?.env("CNI_IFNAME", "not found"),
        del()?.env("CNI_IFNAME", "no such file or directory"),
        del()?.set("name", "is not found"),
        del()?.set("name", "no such file or directory"),
        del()?.set("cniVersion", "not found"),
        del()?.set("cniVersion", "no such file or directory"),
        del()?.stdin("not found"),
        del()?.stdin_from("/"),
        del()?.env("CNI_NETNS", "/proc/self/ns/net"),
        del()?
            .env("CNI_COMMAND", "DEL")
            .env("CNI_NETNS", "/run/netns/not found"),
        del()?.set("ipam", serde_json::json!({"type": "conformance-none"})),
    ];
    for call in calls {
        no_phrase(&world.run(&call)?)?;
    }
    Ok(())
}

fn no_phrase(answer: &Answer) -> Verdict {
    if answer.succeeded() {
        return Ok(());
    }
    let error = answer.failure()?;
    let text = error.text();
    expect(!PHRASES.iter().any(|phrase| text.contains(phrase)), || {
        format!("containerd takes this error for done: {}", answer.quote())
    })
}
