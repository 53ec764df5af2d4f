//! What runtimes do with a plugin that is no document: repeat, forget, send much, send nothing.

use std::time::Duration;

use serde_json::{Value, json};

use crate::answer::Answer;
use crate::case::{Finding, Verdict, expect};
use crate::runtime::conflist::Version;
use crate::world::World;

/// Kubernetes' limit for a pod's annotations, bytes (apimachinery, `TotalAnnotationSizeLimitB`).
const ANNOTATIONS: usize = 256 << 10;
/// JSON writes a control character with six bytes.
const ESCAPED: &str = "\u{1}";
/// More than this nobody needs to read, bytes.
const MUCH: usize = 8 << 20;
/// A machine with much else to do may need this long for what takes 50 ms.
const AT_ONCE: Duration = Duration::from_secs(5);

pub(super) fn empty_variables(world: &World<'_>) -> Verdict {
    let empty = |verb: &str| {
        let names = ["CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME", "CNI_ARGS"];
        names
            .iter()
            .fold(world.call_for_nobody(verb), |call, name| call.env(name, ""))
    };
    world.run(&empty("VERSION").env("CNI_PATH", ""))?.result()?;
    if world.version() >= Version::V1_1_0 {
        world.run(&empty("STATUS"))?.success()?;
        world
            .run(&empty("GC").set("cni.dev/valid-attachments", Value::Null))?
            .success()?;
    }
    let add = world.call("ADD")?;
    for name in ["CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME"] {
        world.run(&add.clone().env(name, ""))?.fails(4)?;
    }
    Ok(())
}

pub(super) fn large_configuration(world: &World<'_>) -> Verdict {
    let annotations = json!({"large": ESCAPED.repeat(ANNOTATIONS)});
    let key = "io.kubernetes.cri.pod-annotations";
    let config = json!({ key: annotations });
    let result = world
        .run(&world.call("ADD")?.set("runtimeConfig", config.clone()))?
        .result()?;
    let del = world
        .call_after("DEL", &result)?
        .set("runtimeConfig", config);
    world.run(&del)?.success()?;
    for size in [MUCH - (64 << 10), MUCH + 1] {
        let add = world
            .call("ADD")?
            .set("args", json!({"padding": "x".repeat(size)}));
        let answer = world.run(&add)?;
        if !answer.succeeded() {
            answer.fails(7)?;
        }
        world
            .run(&add.asking("DEL").unset("args").unset("prevResult"))?
            .success()?;
    }
    Ok(())
}

pub(super) fn check_after_each_add(world: &World<'_>) -> Verdict {
    for _ in 0..4 {
        let result = world.add()?;
        world.run(&world.call_after("CHECK", &result)?)?.success()?;
        world.del(&result)?;
    }
    Ok(())
}

pub(super) fn add_twice(world: &World<'_>) -> Verdict {
    let pod = world.pod()?;
    let result = world.add()?;
    let before = world.traces(Some(&pod))?;
    world.run(&world.call("ADD")?)?.failure()?;
    before.are_unchanged(world, Some(&pod))?;
    if world.version() >= Version::V0_4_0 {
        world.run(&world.call_after("CHECK", &result)?)?.success()?;
    }
    world.del(&result)
}

pub(super) fn del_first(world: &World<'_>) -> Verdict {
    let forgetful = world.call("DEL")?.unset("prevResult");
    world.run(&forgetful)?.success()?;
    world.run(&forgetful.env("CNI_NETNS", ""))?.success()?;
    let result = world.add()?;
    world.del(&result)
}

pub(super) fn version_needs_nothing(world: &World<'_>) -> Verdict {
    let bare = || crate::call::Call::bare(&world.subject().binary, "VERSION").killed_after(AT_ONCE);
    let dir = world.dir().join("gone");
    std::fs::create_dir_all(&dir).map_err(anyhow::Error::from)?;
    let calls = [
        bare(),
        bare().without("PATH"),
        bare().stdin("{}"),
        bare().stdin("{\"cniVersion\": \"9.9.9\"}"),
        bare().stdin_left_open(""),
        bare().stdin_from("/"),
        bare().in_dir(&dir),
        bare()
            .env("CNI_CONTAINERID", "")
            .env("CNI_NETNS", "dummy")
            .env("CNI_IFNAME", "dummy")
            .env("CNI_PATH", "dummy"),
    ];
    let down = world.stop_daemon();
    let answers: Vec<Answer> = calls
        .iter()
        .map(|call| world.run(call))
        .collect::<Result<_, _>>()?;
    match down {
        Ok(down) => down.mend()?,
        Err(Finding::Skip(_)) => {}
        Err(finding) => return Err(finding),
    }
    for answer in answers {
        let versions = answer.result()?["supportedVersions"].clone();
        expect(
            versions.as_array().is_some_and(|list| !list.is_empty()),
            || format!("no versions: {}", answer.quote()),
        )?;
    }
    Ok(())
}

/// Each verb in order and out of order: stdout is empty or one object.
pub(super) fn stdout_is_protocol(world: &World<'_>) -> Verdict {
    let result = world.add()?;
    for verb in [
        "ADD", "CHECK", "DEL", "DEL", "GC", "STATUS", "VERSION", "NOPE",
    ] {
        let call = world.call(verb)?;
        let with_result = world.call_after(verb, &result)?;
        let variants = [
            call.clone(),
            with_result,
            call.clone().stdin("{"),
            call.clone().stdin("null"),
            call.clone().set("prevResult", json!(5)),
            call.clone().env("CNI_NETNS", "/none"),
            call.env("RUST_LOG", "trace"),
        ];
        for variant in variants {
            protocol(&world.run(&variant)?)?;
        }
    }
    Ok(())
}

fn protocol(answer: &Answer) -> Verdict {
    expect(!answer.hung, || format!("it hangs: {}", answer.quote()))?;
    if !answer.succeeded() {
        return answer.failure().map(drop);
    }
    if answer.stdout.is_empty() {
        return Ok(());
    }
    answer.document().map(drop)
}
