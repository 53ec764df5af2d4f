//! DELs that are refused, and the words in which.

use std::path::Path;

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

/// Errors of all kinds whose reasons may have these words in them: files, directories and programs that are not there. No
/// value that is told: an error that quotes it would have the words from there.
pub(super) fn error_words(world: &World<'_>) -> Verdict {
    let pod = world.pod()?;
    let nowhere = world.nowhere();
    let inside = |place: &str| format!("{place}/conformance-none");
    // what it keeps in files: nobody can make a directory there
    let unkept = world
        .subject()
        .config(world.version(), Path::new(&inside("/proc")));
    let del = || world.call_for("DEL", &pod);
    let calls = [
        del().without("CNI_IFNAME"),
        del().env("CNI_IFNAME", "a/b"),
        del().unset("name"),
        del().set("cniVersion", "9.9.9"),
        del().stdin("{"),
        del().stdin_from("/"),
        del().env("CNI_NETNS", &nowhere),
        del().env("CNI_NETNS", inside("/dev/null")),
        del().env("CNI_NETNS", inside("/proc/self/fd")),
        del().env("CNI_NETNS", "/"),
        del().env("CNI_NETNS", world.host().path()),
        del().set("ipam", serde_json::json!({"type": "conformance-none"})),
        del().env("CNI_PATH", &nowhere),
        del().with_config(unkept),
    ];
    for call in calls {
        no_phrase(&world.run(&call.clone().env("CNI_NETNS", ""))?)?;
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
