//! E: what container ids, interface names and CNI_ARGS may be.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use crate::case::Source::{Libcni, Ours, Skel, Spec};
use crate::case::Versions::Each;
use crate::case::{Verdict, expect};
use crate::world::World;

cases! {
    Environment;
    container_ids_refused: Must, ["E07", "D14"], [Spec("Parameters"), Skel], Each, Once,
        "a CNI_CONTAINERID that is not letters, digits, _, . and - after a letter or digit is refused with code 4";
    container_id_is_quoted: Should, ["E07"], [Skel], Each, Once,
        "the error for an invalid CNI_CONTAINERID has the value in its details";
    container_ids_taken: Must, ["E07"], [Spec("Parameters"), Libcni], Each, Each,
        "container ids of one character, in upper case and of 200 characters are taken";
    ifnames_refused: Must, ["E08", "D14"], [Spec("Parameters"), Skel], Each, Once,
        "a CNI_IFNAME that the kernel would not take is refused with code 4";
    ifnames_in_the_usual_words: Should, ["E08"], [Skel], Each, Once,
        "errors for an invalid CNI_IFNAME have the reference's words";
    ifnames_taken: Must, ["E08", "E10"], [Spec("Parameters")], Each, Creating,
        "any interface name that the kernel takes, of 15 bytes at most, is used as it is, in the sandbox and in the result";
    not_utf8: Ours, ["E18"], [Ours], Each, Once,
        "a variable that is not UTF-8 is refused with code 4, and the error names it";
}

const IDS: [&str; 13] = [
    "-abc",
    "a/b",
    "a b",
    "a:b",
    "a@b",
    "a+b",
    "a,b",
    "1234%%%",
    ".x",
    "_a",
    "abc\n",
    "\u{e9}",
    "some-%%container-id",
];

/// Verbs that need a container, as far as this version has them.
fn verbs(world: &World<'_>) -> &'static [&'static str] {
    if world.has_check() {
        &["ADD", "DEL", "CHECK"]
    } else {
        &["ADD", "DEL"]
    }
}

fn container_ids_refused(world: &World<'_>) -> Verdict {
    for verb in verbs(world) {
        for id in IDS {
            world
                .run(&world.call(verb)?.env("CNI_CONTAINERID", id))?
                .fails(4)?;
        }
        let id = OsStr::from_bytes(b"ab\xff");
        world
            .run(&world.call(verb)?.env("CNI_CONTAINERID", id))?
            .fails(4)?;
    }
    Ok(())
}

fn container_id_is_quoted(world: &World<'_>) -> Verdict {
    let id = "some-%%container-id";
    let error = world
        .run(&world.call("ADD")?.env("CNI_CONTAINERID", id))?
        .fails(4)?;
    expect(error.details.contains(id), || {
        format!("details {:?} without {id:?}", error.details)
    })
}

fn container_ids_taken(world: &World<'_>) -> Verdict {
    // no longer: there is no limit, but a plugin may keep a file whose name has the id in it
    let long = "0aB_.-cD".repeat(25);
    for id in ["a", "0", "ABCdef", &long[..129], &long] {
        world
            .run(&world.call("DEL")?.env("CNI_CONTAINERID", id))?
            .success()?;
    }
    let call =
        |verb: &str| -> anyhow::Result<_> { Ok(world.call(verb)?.env("CNI_CONTAINERID", "Zz")) };
    world.run(&call("ADD")?)?.result()?;
    world.run(&call("DEL")?)?.success()
}

/// The reference's words for names with characters that are not allowed.
const CHARACTERS: &str = "interface name contains / or : or whitespace characters";

/// Names and the reference's words for them.
const IFNAMES: [(&str, &str); 14] = [
    ("1234567890123456", "interface name is too long"),
    (
        "\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}",
        "interface name is too long",
    ),
    (".", "interface name is . or .."),
    ("..", "interface name is . or .."),
    ("test/test", CHARACTERS),
    ("test:test", CHARACTERS),
    ("test test", CHARACTERS),
    ("a\u{2003}b", CHARACTERS),
    ("a\tb", CHARACTERS),
    ("eth0\n", CHARACTERS),
    ("a\u{b}b", CHARACTERS),
    ("a\u{a0}b", CHARACTERS),
    ("a\u{85}b", CHARACTERS),
    ("a\u{3000}b", CHARACTERS),
];

fn ifnames_refused(world: &World<'_>) -> Verdict {
    for verb in verbs(world) {
        for (name, _) in IFNAMES {
            world
                .run(&world.call(verb)?.env("CNI_IFNAME", name))?
                .fails(4)?;
        }
    }
    Ok(())
}

fn ifnames_in_the_usual_words(world: &World<'_>) -> Verdict {
    for (name, words) in IFNAMES {
        world
            .run(&world.call("ADD")?.env("CNI_IFNAME", name))?
            .fails(4)?
            .says(&[words])?;
    }
    Ok(())
}

/// Names that a plugin may not expect: of the full length, in upper case, with all sorts of characters.
const UNUSUAL: [&str; 5] = ["net1", "a23456789012345", "Eth0", "a-b_c.d", "a+\u{e9}=~"];

fn ifnames_taken(world: &World<'_>) -> Verdict {
    for name in UNUSUAL {
        let pod = world.another_pod()?;
        let call = |verb: &str| world.call_for(verb, &pod).env("CNI_IFNAME", name);
        let result = world.run(&call("ADD"))?.result()?;
        pod.has_links(&["lo", name])?;
        let interfaces = result["interfaces"].as_array();
        let has_it = interfaces.is_some_and(|all| all.iter().any(|one| one["name"] == name));
        expect(has_it, || format!("no interface {name} in {result}"))?;
        world.run(&call("DEL"))?.success()?;
    }
    Ok(())
}

/// What each verb requires. CNI_NETNS of DEL is left out: a sandbox that cannot be found any more is no reason to fail.
const REQUIRED: [(&str, &[&str]); 3] = [
    (
        "ADD",
        &["CNI_CONTAINERID", "CNI_IFNAME", "CNI_NETNS", "CNI_ARGS"],
    ),
    ("CHECK", &["CNI_CONTAINERID", "CNI_IFNAME", "CNI_NETNS"]),
    ("DEL", &["CNI_CONTAINERID", "CNI_IFNAME"]),
];

fn not_utf8(world: &World<'_>) -> Verdict {
    let verbs = verbs(world);
    for (verb, names) in REQUIRED.iter().filter(|(verb, _)| verbs.contains(verb)) {
        for name in *names {
            let call = world.call(verb)?.env(name, OsStr::from_bytes(b"K=\xff"));
            world.run(&call)?.fails(4)?.says(&[name])?;
        }
    }
    let call = world
        .call("ADD")?
        .env("CNI_COMMAND", OsStr::from_bytes(b"AD\xff"));
    world.run(&call)?.fails(4)?.says(&["CNI_COMMAND"])
}
