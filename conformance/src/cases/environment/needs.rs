//! E: which variables each verb needs, and which it does without.

use std::ffi::OsString;

use crate::call::Call;
use crate::case::Source::{Libcni, Skel, Spec};
use crate::case::Versions::{Each, Once, Since};
use crate::case::{Verdict, expect};
use crate::runtime::conflist::Version;
use crate::world::World;

cases! {
    Environment;
    add_needs: Must, ["E03"], [Spec("ADD"), Skel], Each, Each,
        "ADD without CNI_CONTAINERID, CNI_NETNS or CNI_IFNAME is refused with code 4, and the error names what is missing";
    check_needs: Must, ["E03", "E05"], [Spec("CHECK"), Skel], Since(Version::V0_4_0), Each,
        "CHECK without CNI_CONTAINERID, CNI_NETNS or CNI_IFNAME, or with an empty one, is refused with code 4, and the error names what is missing";
    del_needs: Must, ["E03"], [Spec("DEL"), Skel], Each, Each,
        "DEL without CNI_CONTAINERID or CNI_IFNAME is refused with code 4, and the error names what is missing";
    gc_needs: Must, ["E03", "E05"], [Spec("GC"), Skel], Since(Version::V1_1_0), Once,
        "GC without CNI_PATH, or with an empty one, is refused with code 4, and the error names it";
    gc_needs_no_container: Must, ["E03", "G09"], [Spec("GC")], Since(Version::V1_1_0), Once,
        "GC with nothing but CNI_COMMAND and CNI_PATH is not refused for its environment";
    status_needs_no_variable: Must, ["E03", "S03"], [Spec("STATUS")], Since(Version::V1_1_0), Once,
        "STATUS with nothing but CNI_COMMAND and CNI_PATH is not refused for its environment";
    del_needs_no_namespace: Must, ["E03", "D03"], [Spec("DEL"), Libcni], Each, Each,
        "DEL without CNI_NETNS and CNI_ARGS succeeds";
    path_is_optional: Should, ["E03", "E16"], [Spec("Parameters")], Each, Each,
        "ADD, CHECK, DEL and STATUS without CNI_PATH succeed unless the plugin delegates to another";
    path_is_a_list: Must, ["E16"], [Spec("Parameters"), Libcni], Once, Each,
        "CNI_PATH may be a list, also with a directory that is not there: what is not called is not looked for";
    all_missing_are_named: Must, ["E04"], [Spec("Error"), Skel], Each, Once,
        "an error for missing variables names every one of them";
    missing_in_the_usual_words: Should, ["E04"], [Skel], Each, Once,
        "missing variables are reported as `required env variables [A,B] missing`, in the order CONTAINERID, NETNS, IFNAME";
    empty_is_missing: Must, ["E05"], [Libcni], Each, Each,
        "a variable that is set and empty counts as missing: ADD and DEL are refused, DEL without CNI_NETNS is not";
}

/// What the container needs, in the order in which the reference reports it.
const CONTAINER: [&str; 3] = ["CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME"];

/// What of it DEL needs.
const KNOWN: [&str; 2] = ["CNI_CONTAINERID", "CNI_IFNAME"];

/// Each verb with all that it needs of the container, as far as this version has the verb.
fn needy(world: &World<'_>) -> Vec<(&'static str, &'static [&'static str])> {
    let mut verbs: Vec<(_, &[_])> = vec![("ADD", &CONTAINER), ("DEL", &KNOWN)];
    if world.has_check() {
        verbs.push(("CHECK", &CONTAINER));
    }
    verbs
}

fn without_all(call: Call, names: &[&str]) -> Call {
    names.iter().fold(call, |call, name| call.without(name))
}

/// Each of `names` is missed by `verb` where it is not set.
fn needs(world: &World<'_>, verb: &str, names: &[&str]) -> Verdict {
    for name in names {
        let call = world.call(verb)?.without(name);
        world.run(&call)?.fails(4)?.says(&[name])?;
    }
    Ok(())
}

/// Each of `names` is missed by `verb` where it is empty.
fn needs_more_than_nothing(world: &World<'_>, verb: &str, names: &[&str]) -> Verdict {
    for name in names {
        let call = world.call(verb)?.env(name, "");
        world.run(&call)?.fails(4)?.says(&[name])?;
    }
    Ok(())
}

fn add_needs(world: &World<'_>) -> Verdict {
    needs(world, "ADD", &CONTAINER)
}

fn check_needs(world: &World<'_>) -> Verdict {
    needs(world, "CHECK", &CONTAINER)?;
    needs_more_than_nothing(world, "CHECK", &CONTAINER)
}

fn del_needs(world: &World<'_>) -> Verdict {
    needs(world, "DEL", &KNOWN)
}

/// GC of a network without attachments.
fn gc(world: &World<'_>) -> anyhow::Result<Call> {
    let call = world.call("GC")?;
    Ok(call.set("cni.dev/valid-attachments", Vec::<String>::new()))
}

fn gc_needs(world: &World<'_>) -> Verdict {
    for call in [
        gc(world)?.without("CNI_PATH"),
        gc(world)?.env("CNI_PATH", ""),
    ] {
        world.run(&call)?.fails(4)?.says(&["CNI_PATH"])?;
    }
    Ok(())
}

fn gc_needs_no_container(world: &World<'_>) -> Verdict {
    let call = without_all(gc(world)?.without("CNI_ARGS"), &CONTAINER);
    let answer = world.run(&call)?;
    if answer.succeeded() {
        return Ok(());
    }
    let error = answer.failure()?;
    expect(error.code != 4, || {
        format!("should not be refused: {}", answer.quote())
    })
}

fn status_needs_no_variable(world: &World<'_>) -> Verdict {
    let call = without_all(world.call("STATUS")?.without("CNI_ARGS"), &CONTAINER);
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

/// ADD, CHECK, DEL and STATUS, as far as this version has them, each changed by `change`, must succeed.
fn succeed(world: &World<'_>, change: impl Fn(Call) -> Call) -> Verdict {
    let added = world.run(&change(world.call("ADD")?))?.result()?;
    if world.verbs().contains(&"CHECK") {
        world
            .run(&change(world.call_after("CHECK", &added)?))?
            .success()?;
    }
    world
        .run(&change(world.call_after("DEL", &added)?))?
        .success()?;
    if !world.verbs().contains(&"STATUS") {
        return Ok(());
    }
    world.run(&change(world.call("STATUS")?))?.success()
}

fn path_is_optional(world: &World<'_>) -> Verdict {
    world.delegates()?;
    succeed(world, |call| call.without("CNI_PATH"))
}

fn path_is_a_list(world: &World<'_>) -> Verdict {
    let nowhere = world.nowhere();
    succeed(world, |call| {
        let mut path = OsString::from(&nowhere);
        path.push(":");
        path.push(call.variable("CNI_PATH"));
        call.env("CNI_PATH", path)
    })
}

fn all_missing_are_named(world: &World<'_>) -> Verdict {
    for (verb, names) in needy(world) {
        let call = without_all(world.call(verb)?, names);
        world.run(&call)?.fails(4)?.says(names)?;
    }
    Ok(())
}

fn missing_in_the_usual_words(world: &World<'_>) -> Verdict {
    let mut missing = needy(world);
    missing.push(("DEL", &["CNI_IFNAME"]));
    for (verb, names) in missing {
        let call = without_all(world.call(verb)?, names);
        let words = format!("required env variables [{}] missing", names.join(","));
        world.run(&call)?.fails(4)?.says(&[&words])?;
    }
    Ok(())
}

fn empty_is_missing(world: &World<'_>) -> Verdict {
    needs_more_than_nothing(world, "ADD", &CONTAINER)?;
    needs_more_than_nothing(world, "DEL", &KNOWN)?;
    world
        .run(&world.call("DEL")?.env("CNI_NETNS", "").env("CNI_ARGS", ""))?
        .success()
}
