//! V: which `cniVersion` is taken for which verb, and in which order a call is judged.

use serde_json::{Value, json};

use crate::call::Call;
use crate::case::Source::{CriO, Skel, Spec};
use crate::case::Versions::{Before, Each, Once, Since};
use crate::case::{Finding, Mode, Verdict, expect, skip, wrong};
use crate::pod::Pod;
use crate::runtime::conflist::Version;
use crate::world::World;

cases! {
    Versions;
    unsupported: Must, ["V01"], [Spec("Error"), Skel], Once, Each,
        "a call in a version that the plugin does not name is refused with code 1; names are compared exactly";
    both_sides_are_named: Should, ["V01"], [Skel], Once, Once,
        "the error for an unsupported version names the configuration's version and the plugin's";
    missing: Must, ["V02"], [Spec("Configuration format"), Skel], Once, Once,
        "a missing, null or empty cniVersion means 0.1.0, and is refused with code 1 by a plugin that does not speak it";
    no_number: Should, ["V02"], [Skel], Since(Version::V1_1_0), Once,
        "a cniVersion without numbers is an error of code 1 for ADD and DEL, of code 6 for CHECK, GC and STATUS";
    result_has_the_configs: Must, ["V03"], [Spec("Result types"), Skel], Each, Each,
        "a result's cniVersion is the configuration's, also behind a prevResult without one";
    those_of_runtimes: Ours, ["V04"], [CriO], Once, Once,
        "0.3.1, 0.4.0, 1.0.0 and 1.1.0 are named: a list has one version, and the plugins beside it may be older";
    named_are_taken: Must, ["V04"], [Spec("VERSION")], Once, Once,
        "each version that the plugin names is taken by ADD and DEL";
    no_check_yet: Must, ["V05"], [Spec("CHECK"), Skel], Before(Version::V0_4_0), Each,
        "CHECK in a version that does not have it is refused with code 1";
    no_gc_yet: Must, ["V05"], [Spec("GC"), Skel], Before(Version::V1_1_0), Once,
        "GC in a version that does not have it is refused with code 1";
    no_status_yet: Must, ["V05"], [Spec("STATUS"), Skel], Before(Version::V1_1_0), Once,
        "STATUS in a version that does not have it is refused with code 1";
    environment_comes_first: Should, ["V06"], [Skel], Each, Once,
        "the environment is judged before stdin is: both wrong is code 4";
    name_comes_before_version: Should, ["V06"], [Skel], Each, Once,
        "the network's name is judged before the version: both wrong is code 7";
    configuration_comes_before_command: Should, ["V06"], [Skel], Each, Once,
        "the configuration is decoded before an unknown command is refused: both wrong is code 6 or 7";
}

const UNSUPPORTED: [&str; 16] = [
    "9.9.9",
    "1.2.0",
    "1",
    "1.0",
    "0.1.0",
    "0.2.0",
    "0.3.2",
    "0.5.0",
    "1.0.1",
    "1.1.0.0",
    "1.1.0+x",
    "1.1.0\n",
    "v1.0.0",
    "1.0.0 ",
    "0.9.0",
    "1.0.0-rc1",
];

/// What the plugin names when it is asked.
fn named(world: &World<'_>) -> Result<Vec<String>, Finding> {
    let answer = world.run(&world.call("VERSION")?)?.result()?;
    let list = answer["supportedVersions"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    Ok(list
        .iter()
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect())
}

/// Verbs that are gated by a version besides, as far as this version has them and the plugin does them.
fn gated(world: &World<'_>) -> Vec<&'static str> {
    let mut verbs = world.verbs();
    verbs.retain(|verb| !["ADD", "DEL"].contains(verb));
    verbs
}

/// A call of `verb` that lacks nothing.
fn whole(world: &World<'_>, verb: &str) -> anyhow::Result<Call> {
    let call = world.call(verb)?;
    Ok(if verb == "GC" {
        call.set("cni.dev/valid-attachments", json!([]))
    } else {
        call
    })
}

/// `call` with this `cniVersion` must be refused with one of `codes`.
fn refused(world: &World<'_>, call: Call, version: &Value, codes: &[u64]) -> Verdict {
    let answer = world.run(&call.set("cniVersion", version.clone()))?;
    let error = answer.fails_with_one_of(codes);
    match error {
        Err(Finding::Wrong(what)) => wrong(format!("cniVersion {version}: {what}")),
        error => error.map(drop),
    }
}

fn unsupported(world: &World<'_>) -> Verdict {
    let named = named(world)?;
    let is_named = |version: &&str| named.iter().any(|one| one == version);
    for version in UNSUPPORTED.iter().filter(|version| !is_named(version)) {
        for verb in ["ADD", "DEL"] {
            refused(world, world.call(verb)?, &json!(version), &[1])?;
        }
    }
    for verb in gated(world) {
        // what is no number is another case's: for these verbs it may be code 6
        for version in ["9.9.9", "1.2.0"].iter().filter(|one| !is_named(one)) {
            refused(world, whole(world, verb)?, &json!(version), &[1])?;
        }
    }
    Ok(())
}

fn both_sides_are_named(world: &World<'_>) -> Verdict {
    let error = world
        .run(&world.call("ADD")?.set("cniVersion", "9.9.9"))?
        .fails(1)?;
    let named = named(world)?;
    let words: Vec<&str> = named.iter().map(String::as_str).chain(["9.9.9"]).collect();
    error.says(&words)
}

fn missing(world: &World<'_>) -> Verdict {
    if named(world)?.iter().any(|version| version == "0.1.0") {
        return skip("the plugin speaks 0.1.0");
    }
    for verb in ["ADD", "DEL"].into_iter().chain(gated(world)) {
        let call = whole(world, verb)?;
        world.run(&call.clone().unset("cniVersion"))?.fails(1)?;
        refused(world, call.clone(), &json!(""), &[1])?;
        // null is no text either
        refused(world, call, &Value::Null, &[1, 6])?;
    }
    Ok(())
}

fn no_number(world: &World<'_>) -> Verdict {
    for (verb, code) in [
        ("ADD", 1),
        ("DEL", 1),
        ("CHECK", 6),
        ("GC", 6),
        ("STATUS", 6),
    ] {
        world
            .run(&world.call(verb)?.set("cniVersion", "adsf"))?
            .fails(code)?;
    }
    Ok(())
}

/// The version whose text differs from 0.3.1's in nothing: no version of the suite, but plugins name it.
const V0_3_0: &str = "0.3.0";

/// The texts to try in this version: its own, and 0.3.0 besides 0.3.1 where the plugin names it.
pub(super) fn texts(world: &World<'_>) -> Result<Vec<&'static str>, Finding> {
    let mut texts = vec![world.version().as_str()];
    if world.version() == Version::V0_3_1 && named(world)?.iter().any(|one| one == V0_3_0) {
        texts.push(V0_3_0);
    }
    Ok(texts)
}

/// `pod`'s ADD in the version of this text, behind the same result in that version, or with a cniVersion in neither.
pub(super) fn add_in(world: &World<'_>, pod: &Pod, version: &str, said: bool) -> Call {
    let call = world.call_for("ADD", pod).set("cniVersion", version);
    let Some(mut previous) = pod.previous.clone() else {
        return call;
    };
    if said {
        previous["cniVersion"] = version.into();
    } else if let Some(members) = previous.as_object_mut() {
        members.remove("cniVersion");
    }
    call.set("prevResult", previous)
}

fn result_has_the_configs(world: &World<'_>) -> Verdict {
    for version in texts(world)? {
        for said in [true, false] {
            let pod = world.another_pod()?;
            if pod.previous.is_none() && !said {
                continue;
            }
            let call = add_in(world, &pod, version, said);
            let result = world.run(&call)?.result()?;
            expect(result["cniVersion"] == version, || {
                let behind = if said {
                    ""
                } else {
                    ", behind a result without one"
                };
                format!(
                    "cniVersion {} in a list of {version}{behind}",
                    result["cniVersion"]
                )
            })?;
        }
    }
    Ok(())
}

fn those_of_runtimes(world: &World<'_>) -> Verdict {
    let named = named(world)?;
    let missing: Vec<&str> = Version::ALL
        .iter()
        .map(|version| version.as_str())
        .filter(|version| !named.iter().any(|one| one == version))
        .collect();
    expect(missing.is_empty(), || {
        format!("{missing:?} not in {named:?}")
    })
}

fn named_are_taken(world: &World<'_>) -> Verdict {
    for version in named(world)? {
        let pod = world.another_pod()?;
        // a result to stand behind there is in the suite's versions only
        if world.mode() == Mode::Creating {
            let call = world
                .call_for("ADD", &pod)
                .set("cniVersion", version.as_str());
            world.run(&call)?.result()?;
        }
        let call = world.call_for("DEL", &pod).unset("prevResult");
        world
            .run(&call.set("cniVersion", version.as_str()))?
            .success()?;
    }
    Ok(())
}

fn not_yet(world: &World<'_>, verb: &str) -> Verdict {
    refused(
        world,
        whole(world, verb)?,
        &json!(world.version().as_str()),
        &[1],
    )?;
    if world.version() == Version::V0_3_1 {
        // named or not, it is refused
        refused(world, whole(world, verb)?, &json!(V0_3_0), &[1])?;
    }
    Ok(())
}

fn no_check_yet(world: &World<'_>) -> Verdict {
    not_yet(world, "CHECK")
}

fn no_gc_yet(world: &World<'_>) -> Verdict {
    not_yet(world, "GC")
}

fn no_status_yet(world: &World<'_>) -> Verdict {
    not_yet(world, "STATUS")
}

fn environment_comes_first(world: &World<'_>) -> Verdict {
    for verb in ["ADD", "DEL"].into_iter().chain(gated(world)) {
        let missing = match verb {
            "STATUS" => continue,
            "GC" => "CNI_PATH",
            _ => "CNI_IFNAME",
        };
        let call = world.call(verb)?.env(missing, "").stdin("{");
        world.run(&call)?.fails(4)?;
    }
    Ok(())
}

fn name_comes_before_version(world: &World<'_>) -> Verdict {
    for verb in ["ADD", "DEL"].into_iter().chain(gated(world)) {
        let call = whole(world, verb)?.set("name", "te%%st");
        refused(world, call, &json!("9.9.9"), &[7])?;
    }
    Ok(())
}

fn configuration_comes_before_command(world: &World<'_>) -> Verdict {
    let call = world.call("ADD")?.env("CNI_COMMAND", "NOPE");
    world.run(&call.clone().stdin("{"))?.fails(6)?;
    world.run(&call.unset("name"))?.fails(7).map(drop)
}
