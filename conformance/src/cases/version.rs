//! N: the verb VERSION, which must be answered whatever else is wrong.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use anyhow::Context;
use serde_json::{Value, json};

use crate::call::Call;
use crate::case::Source::{CriO, Libcni, Ours, Spec};
use crate::case::Versions::{Each, Once};
use crate::case::{Finding, Verdict, expect};
use crate::netns::install;
use crate::world::World;

cases! {
    Version;
    answers: Must, ["N01", "N04", "E03"], [Spec("VERSION"), Libcni], Each, Once,
        "VERSION needs nothing but CNI_COMMAND; it prints a cniVersion and a list of supportedVersions that is not empty";
    echoes: Must, ["N01"], [Spec("VERSION")], Each, Once,
        "the answer's cniVersion is that of the configuration, if there is one, whether it is spoken or not";
    any_stdin: Must, ["N02"], [Libcni], Once, Once,
        "an empty stdin, /dev/null, {}, much, and what is no configuration are no reason to fail";
    open_stdin: Must, ["N02"], [CriO], Once, Once,
        "a stdin that nobody closes is not waited for";
    unreadable_stdin: Should, ["N02"], [Libcni], Once, Once,
        "a stdin that cannot be read is no reason to fail";
    without_privileges: Must, ["N01"], [Spec("VERSION")], Once, Once,
        "VERSION is answered to a user that may do nothing";
    without_a_daemon: Must, ["N01"], [Spec("VERSION")], Once, Once,
        "VERSION is answered while the plugin's daemon is away, and while it answers nobody";
    at_once: Ours, ["N01"], [CriO], Once, Once,
        "VERSION takes less than 50 ms, the best of twenty: CRI-O asks all plugins whenever a file changes";
    ascending: Ours, ["N03"], [Ours], Once, Once,
        "supportedVersions are ascending, without repetition, and the same each time";
}

fn answer(world: &World<'_>, call: &Call) -> Result<Value, Finding> {
    let answer = world.run(call)?;
    let document = answer.result()?;
    let named = document["cniVersion"]
        .as_str()
        .is_some_and(|version| !version.is_empty());
    expect(named, || format!("no cniVersion: {}", answer.quote()))?;
    let list = document["supportedVersions"].as_array();
    let whole =
        list.is_some_and(|list| !list.is_empty() && list.iter().all(|one| numbers(one).is_some()));
    expect(whole, || {
        format!(
            "supportedVersions is no list of versions: {}",
            answer.quote()
        )
    })?;
    Ok(document)
}

fn bare(world: &World<'_>) -> Call {
    Call::bare(&world.subject().binary, "VERSION")
}

/// `x.y.z` as numbers.
fn numbers(version: &Value) -> Option<[u64; 3]> {
    let parts: Vec<u64> = version
        .as_str()?
        .split('.')
        .map(str::parse)
        .collect::<Result<_, _>>()
        .ok()?;
    parts.try_into().ok()
}

fn answers(world: &World<'_>) -> Verdict {
    answer(world, &bare(world))?;
    answer(
        world,
        &bare(world).set("cniVersion", world.version().as_str()),
    )?;
    answer(world, &world.call("VERSION")?).map(drop)
}

fn echoes(world: &World<'_>) -> Verdict {
    for version in [world.version().as_str(), "0.3.0", "0.2.0"] {
        // In a file: what a runtime writes while the plugin starts need not be there when it looks.
        let config = tempfile::NamedTempFile::new().context("cannot make a file")?;
        let written = fs::write(config.path(), json!({"cniVersion": version}).to_string());
        written.context("cannot write the configuration")?;
        let echoed = answer(world, &bare(world).stdin_from(config.path()))?["cniVersion"].clone();
        expect(echoed == version, || {
            format!("cniVersion {echoed} in answer to {version}")
        })?;
    }
    Ok(())
}

fn any_stdin(world: &World<'_>) -> Verdict {
    for stdin in [
        &b""[..],
        b"{}",
        b"{",
        b"[]",
        b"null",
        b"\xff\x00",
        br#"{"cniVersion": 7}"#,
    ] {
        answer(world, &bare(world).stdin(stdin))?;
    }
    answer(world, &bare(world).stdin_from("/dev/null"))?;
    let padding = "x".repeat(2 << 20);
    answer(world, &world.call("VERSION")?.set("padding", padding)).map(drop)
}

fn open_stdin(world: &World<'_>) -> Verdict {
    let patience = Duration::from_secs(20);
    answer(
        world,
        &bare(world).stdin_left_open("").killed_after(patience),
    )?;
    answer(
        world,
        &bare(world)
            .stdin_left_open(r#"{"cniVersion": "1.0.0"}"#)
            .killed_after(patience),
    )
    .map(drop)
}

fn unreadable_stdin(world: &World<'_>) -> Verdict {
    answer(world, &bare(world).stdin_from("/")).map(drop)
}

fn without_privileges(world: &World<'_>) -> Verdict {
    // the plugin itself may lie where only root can go
    let dir = tempfile::tempdir().context("cannot make a directory")?;
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755))
        .context("cannot open it to all")?;
    let copy = dir.path().join("plugin");
    install(&world.subject().binary, &copy).context("cannot copy the plugin")?;
    answer(world, &Call::bare(&copy, "VERSION").as_nobody()).map(drop)
}

fn without_a_daemon(world: &World<'_>) -> Verdict {
    let paused = world.pause_daemon()?;
    answer(world, &world.call("VERSION")?)?;
    paused.mend()?;
    let stopped = world.stop_daemon()?;
    answer(world, &world.call("VERSION")?)?;
    stopped.mend()
}

fn at_once(world: &World<'_>) -> Verdict {
    let limit = Duration::from_millis(50);
    let mut best = Duration::MAX;
    for _ in 0..20 {
        best = best.min(world.run(&bare(world).stdin("{}"))?.elapsed);
        if best < limit {
            return Ok(());
        }
    }
    expect(false, || format!("{best:?} at best"))
}

fn ascending(world: &World<'_>) -> Verdict {
    let one = answer(world, &bare(world))?["supportedVersions"].clone();
    let other = answer(world, &bare(world))?["supportedVersions"].clone();
    expect(one == other, || format!("{one}, and then {other}"))?;
    let list: Vec<_> = one.as_array().into_iter().flatten().map(numbers).collect();
    expect(list.is_sorted_by(|one, next| one < next), || {
        format!("{one} is not ascending")
    })
}
