//! V: which `cniVersion` is taken for which verb, and in which order a call is judged.

use serde_json::{Value, json};

use crate::call::Call;
use crate::case::Source::{CriO, Skel, Spec};
use crate::case::Versions::{Before, Each, Once, Since};
use crate::case::{Finding, Verdict, expect, skip};
use crate::runtime::conflist::Version;
use crate::world::World;

cases! {
    Versions;
    unsupported: Must, ["V01"], [Spec("Error"), Skel], Once, Each,
        "ADD and DEL in a version that the plugin does not name are refused with code 1; names are compared exactly";
    both_sides_are_named: Should, ["V01"], [Skel], Once, Once,
        "the error for an unsupported version names the configuration's version and the plugin's";
    missing: Must, ["V02"], [Spec("Configuration format"), Skel], Once, Once,
        "a missing or empty cniVersion means 0.1.0, and is refused with code 1 by a plugin that does not speak it";
    no_number: Should, ["V02"], [Skel], Since(Version::V1_1_0), Once,
        "a cniVersion without numbers is an error of code 1 for ADD and DEL, of code 6 for CHECK, GC and STATUS";
    result_has_the_configs: Must, ["V03"], [Spec("Result types"), Skel], Each, Each,
        "a result's cniVersion is the configuration's";
    those_of_runtimes: Ours, ["V04"], [CriO], Once, Once,
        "0.3.1, 0.4.0, 1.0.0 and 1.1.0 are named: a list has one version, and the plugins beside it may be older";
    named_are_taken: Must, ["V04"], [Spec("VERSION")], Once, Once,
        "each version from 0.3.0 on that the plugin names is taken by DEL";
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

const UNSUPPORTED: [&str; 7] = [
    "9.9.9",
    "1.2.0",
    "1.0",
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

fn unsupported(world: &World<'_>) -> Verdict {
    let named = named(world)?;
    for version in UNSUPPORTED
        .iter()
        .filter(|version| !named.iter().any(|one| one == *version))
    {
        for verb in ["ADD", "DEL"] {
            world
                .run(&world.call(verb)?.set("cniVersion", *version))?
                .fails(1)?;
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
    for verb in ["ADD", "DEL"] {
        world
            .run(&world.call(verb)?.unset("cniVersion"))?
            .fails(1)?;
        world
            .run(&world.call(verb)?.set("cniVersion", ""))?
            .fails(1)?;
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

fn result_has_the_configs(world: &World<'_>) -> Verdict {
    let result = world.add()?;
    let version = world.version().as_str();
    expect(result["cniVersion"] == version, || {
        format!("cniVersion {} in a list of {version}", result["cniVersion"])
    })
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
    for version in named(world)?
        .iter()
        .filter(|version| !["0.1.0", "0.2.0"].contains(&version.as_str()))
    {
        let call = world
            .call("DEL")?
            .unset("prevResult")
            .set("cniVersion", version.as_str());
        world.run(&call)?.success()?;
    }
    Ok(())
}

fn not_yet(world: &World<'_>, call: &Call) -> Verdict {
    world.run(call)?.fails(1).map(drop)
}

fn no_check_yet(world: &World<'_>) -> Verdict {
    not_yet(world, &world.call("CHECK")?)
}

fn no_gc_yet(world: &World<'_>) -> Verdict {
    not_yet(
        world,
        &world
            .call("GC")?
            .set("cni.dev/valid-attachments", json!([])),
    )
}

fn no_status_yet(world: &World<'_>) -> Verdict {
    not_yet(world, &world.call("STATUS")?)
}

fn environment_comes_first(world: &World<'_>) -> Verdict {
    world
        .run(&world.call("ADD")?.env("CNI_IFNAME", "").stdin("{"))?
        .fails(4)
        .map(drop)
}

fn name_comes_before_version(world: &World<'_>) -> Verdict {
    world
        .run(
            &world
                .call("ADD")?
                .set("name", "te%%st")
                .set("cniVersion", "9.9.9"),
        )?
        .fails(7)
        .map(drop)
}

fn configuration_comes_before_command(world: &World<'_>) -> Verdict {
    let call = world.call("ADD")?.env("CNI_COMMAND", "NOPE");
    world.run(&call.clone().stdin("{"))?.fails(6)?;
    world.run(&call.unset("name"))?.fails(7).map(drop)
}
