//! E: which variables each verb needs, and how they are judged.

pub(super) mod namespaces;
pub(super) mod values;

use crate::case::Source::{Libcni, Ours, Skel, Spec};
use crate::case::Versions::{Each, Once, Since};
use crate::case::{Verdict, expect, wrong};
use crate::runtime::conflist::Version;
use crate::world::World;

cases! {
    Environment;
    no_command: Must, ["E01"], [Spec("Parameters"), Skel], Once, Once,
        "CNI_COMMAND unset or empty is refused with code 4, and the error names it";
    unknown_command: Must, ["E02"], [Spec("Parameters"), Skel], Each, Once,
        "an unknown CNI_COMMAND, also one in lower case, is refused with code 4, and the error quotes it";
    add_needs: Must, ["E03"], [Spec("ADD"), Skel], Each, Each,
        "ADD without CNI_CONTAINERID, CNI_NETNS or CNI_IFNAME is refused with code 4, and the error names what is missing";
    check_needs: Must, ["E03"], [Spec("CHECK"), Skel], Since(Version::V0_4_0), Each,
        "CHECK without CNI_CONTAINERID, CNI_NETNS or CNI_IFNAME is refused with code 4, and the error names what is missing";
    del_needs: Must, ["E03"], [Spec("DEL"), Skel], Each, Each,
        "DEL without CNI_CONTAINERID or CNI_IFNAME is refused with code 4, and the error names what is missing";
    gc_needs: Must, ["E03"], [Spec("GC"), Skel], Since(Version::V1_1_0), Once,
        "GC without CNI_PATH is refused with code 4, and the error names it";
    status_needs_no_variable: Must, ["E03", "S03"], [Spec("STATUS")], Since(Version::V1_1_0), Once,
        "STATUS with nothing but CNI_COMMAND and CNI_PATH is not refused for its environment";
    del_needs_no_namespace: Must, ["E03", "D03"], [Spec("DEL"), Libcni], Each, Each,
        "DEL without CNI_NETNS and CNI_ARGS succeeds";
    path_is_optional: Should, ["E03", "E16"], [Spec("Parameters")], Each, Each,
        "ADD, DEL and STATUS without CNI_PATH succeed unless the plugin delegates to another";
    all_missing_are_named: Must, ["E04"], [Spec("Error"), Skel], Each, Once,
        "an error for missing variables names every one of them";
    missing_in_the_usual_words: Should, ["E04"], [Skel], Each, Once,
        "missing variables are reported as `required env variables [A,B] missing`, in the order CONTAINERID, NETNS, IFNAME";
    empty_is_missing: Must, ["E05"], [Libcni], Each, Each,
        "a variable that is set and empty counts as missing: ADD is refused, DEL without CNI_NETNS is not";
    version_takes_dummies: Must, ["E06"], [Libcni], Once, Once,
        "VERSION with the dummies that libcni sets is answered";
    others_are_not_judged: Should, ["E09"], [Skel], Since(Version::V1_1_0), Once,
        "VERSION, STATUS and GC do not judge the variables that they do not need";
    ambient_variables: Must, ["E17", "P01"], [Libcni, Ours], Each, Each,
        "variables of the runtime's own environment (RUST_LOG, proxies, traces) change nothing, and stdout stays clean";
}

/// What the container needs, in the order in which the reference reports it.
const CONTAINER: [&str; 3] = ["CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME"];

fn no_command(world: &World<'_>) -> Verdict {
    for call in [
        world.call("ADD")?.without("CNI_COMMAND"),
        world.call("ADD")?.env("CNI_COMMAND", ""),
    ] {
        world.run(&call)?.fails(4)?.says(&["CNI_COMMAND"])?;
    }
    Ok(())
}

fn unknown_command(world: &World<'_>) -> Verdict {
    for verb in ["NOPE", "add", "ADDS"] {
        let call = world.call("ADD")?.env("CNI_COMMAND", verb);
        world.run(&call)?.fails(4)?.says(&[verb])?;
    }
    Ok(())
}

/// Each of `names` is missed by `verb`.
fn needs(world: &World<'_>, verb: &str, names: &[&str]) -> Verdict {
    for name in names {
        let call = world.call(verb)?.without(name);
        world.run(&call)?.fails(4)?.says(&[name])?;
    }
    Ok(())
}

fn add_needs(world: &World<'_>) -> Verdict {
    needs(world, "ADD", &CONTAINER)
}

fn check_needs(world: &World<'_>) -> Verdict {
    needs(world, "CHECK", &CONTAINER)
}

fn del_needs(world: &World<'_>) -> Verdict {
    needs(world, "DEL", &["CNI_CONTAINERID", "CNI_IFNAME"])
}

fn gc_needs(world: &World<'_>) -> Verdict {
    world.declines("GC")?;
    let call = world
        .call("GC")?
        .set("cni.dev/valid-attachments", Vec::<String>::new());
    world
        .run(&call.without("CNI_PATH"))?
        .fails(4)?
        .says(&["CNI_PATH"])
}

fn status_needs_no_variable(world: &World<'_>) -> Verdict {
    world.declines("STATUS")?;
    let mut call = world.call("STATUS")?.without("CNI_ARGS");
    for name in CONTAINER {
        call = call.without(name);
    }
    let answer = world.run(&call)?;
    if answer.succeeded() {
        return Ok(());
    }
    let error = answer.failure()?;
    expect(error.code >= 50, || {
        format!("should not be refused: {}", answer.quote())
    })
}

fn del_needs_no_namespace(world: &World<'_>) -> Verdict {
    let call = world.call("DEL")?.without("CNI_NETNS").without("CNI_ARGS");
    world.run(&call)?.success()
}

fn path_is_optional(world: &World<'_>) -> Verdict {
    world.delegates()?;
    let added = world
        .run(&world.call("ADD")?.without("CNI_PATH"))?
        .result()?;
    world
        .run(&world.call_after("DEL", &added)?.without("CNI_PATH"))?
        .success()?;
    if world.version() < Version::V1_1_0 {
        return Ok(());
    }
    world
        .run(&world.call("STATUS")?.without("CNI_PATH"))?
        .success()
}

fn all_missing_are_named(world: &World<'_>) -> Verdict {
    let mut call = world.call("ADD")?;
    for name in CONTAINER {
        call = call.without(name);
    }
    world.run(&call)?.fails(4)?.says(&CONTAINER)?;
    let call = world
        .call("DEL")?
        .without("CNI_CONTAINERID")
        .without("CNI_IFNAME");
    world
        .run(&call)?
        .fails(4)?
        .says(&["CNI_CONTAINERID", "CNI_IFNAME"])
}

fn missing_in_the_usual_words(world: &World<'_>) -> Verdict {
    let mut call = world.call("ADD")?;
    for name in CONTAINER {
        call = call.without(name);
    }
    let words = "required env variables [CNI_CONTAINERID,CNI_NETNS,CNI_IFNAME] missing";
    world.run(&call)?.fails(4)?.says(&[words])?;
    let call = world.call("DEL")?.without("CNI_IFNAME");
    world
        .run(&call)?
        .fails(4)?
        .says(&["required env variables [CNI_IFNAME] missing"])
}

fn empty_is_missing(world: &World<'_>) -> Verdict {
    for name in CONTAINER {
        let call = world.call("ADD")?.env(name, "");
        world.run(&call)?.fails(4)?.says(&[name])?;
    }
    world
        .run(&world.call("DEL")?.env("CNI_NETNS", "").env("CNI_ARGS", ""))?
        .success()
}

fn version_takes_dummies(world: &World<'_>) -> Verdict {
    let call = ["CNI_NETNS", "CNI_IFNAME", "CNI_PATH"]
        .iter()
        .fold(world.call("VERSION")?, |call, name| call.env(name, "dummy"));
    world
        .run(&call.env("CNI_CONTAINERID", ""))?
        .result()
        .map(drop)
}

fn others_are_not_judged(world: &World<'_>) -> Verdict {
    let junk = |verb: &str| -> anyhow::Result<_> {
        let call = world
            .call(verb)?
            .env("CNI_IFNAME", "a/b")
            .env("CNI_CONTAINERID", "-%-");
        Ok(call.set("cni.dev/valid-attachments", Vec::<String>::new()))
    };
    world.run(&junk("VERSION")?)?.result()?;
    for verb in ["STATUS", "GC"] {
        if world.declines(verb).is_err() {
            continue;
        }
        let answer = world.run(&junk(verb)?)?;
        if !answer.succeeded() && answer.failure()?.code == 4 {
            return wrong(format!(
                "should not judge what it does not need: {}",
                answer.quote()
            ));
        }
    }
    Ok(())
}

fn ambient_variables(world: &World<'_>) -> Verdict {
    const HOSTILE: [(&str, &str); 9] = [
        ("RUST_LOG", "trace"),
        ("RUST_BACKTRACE", "full"),
        ("GODEBUG", "gctrace=1"),
        ("HTTP_PROXY", "http://192.0.2.1:1"),
        ("http_proxy", "http://192.0.2.1:1"),
        (
            "TRACEPARENT",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ),
        ("NOTIFY_SOCKET", "/run/systemd/notify"),
        ("LANG", "tlh_KL.UTF-8"),
        ("CNI_UNHEARD_OF", "1"),
    ];
    let hostile = |call| {
        HOSTILE
            .iter()
            .fold(call, |call: crate::call::Call, (name, value)| {
                call.env(name, value)
            })
    };
    let added = world.run(&hostile(world.call("ADD")?))?.result()?;
    world
        .run(&hostile(world.call_after("DEL", &added)?))?
        .success()?;
    world
        .run(&hostile(world.call("VERSION")?))?
        .result()
        .map(drop)
}
