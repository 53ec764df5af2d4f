//! E: what container ids, interface names and CNI_ARGS may be.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use crate::case::Source::{Containerd, CriO, Libcni, Ours, Skel, Spec};
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
        "container ids of one character, in upper case and of 128 characters are taken";
    ifnames_refused: Must, ["E08", "D14"], [Spec("Parameters"), Skel], Each, Once,
        "a CNI_IFNAME that the kernel would not take is refused with code 4";
    ifnames_in_the_usual_words: Should, ["E08"], [Skel], Each, Once,
        "errors for an invalid CNI_IFNAME have the reference's words";
    ifnames_taken: Must, ["E08", "E10"], [Spec("Parameters")], Each, Creating,
        "an interface name of 15 bytes is taken and used as it is, also one that is not eth0";
    not_utf8: Ours, ["E18"], [Ours], Each, Once,
        "a variable that is not UTF-8 is refused with code 4, and the error names it";
    args_of_runtimes: Must, ["E14"], [Spec("Parameters"), Containerd, CriO], Each, Each,
        "CNI_ARGS in any order, with repeated, unknown and empty-valued keys are taken when IgnoreUnknown is among them";
    args_unknown: Ours, ["E14"], [Ours], Each, Each,
        "unknown keys of CNI_ARGS are ignored without IgnoreUnknown too";
    args_malformed_add: Ours, ["E14"], [Skel, Ours], Each, Each,
        "a pair of CNI_ARGS without exactly one = fails ADD with code 4, and the error names CNI_ARGS";
    args_malformed_del: Ours, ["E14"], [Ours], Each, Each,
        "a malformed CNI_ARGS does not keep DEL from succeeding";
}

const IDS: [&str; 9] = [
    "-abc",
    "a/b",
    "a b",
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
    let long = "0aB_.-cD".repeat(16);
    for id in ["a", "0", "ABCdef", &long] {
        world
            .run(&world.call("DEL")?.env("CNI_CONTAINERID", id))?
            .success()?;
    }
    let call =
        |verb: &str| -> anyhow::Result<_> { Ok(world.call(verb)?.env("CNI_CONTAINERID", "Zz")) };
    world.run(&call("ADD")?)?.result()?;
    world.run(&call("DEL")?)?.success()
}

/// Names and the reference's words for them.
const IFNAMES: [(&str, &str); 8] = [
    ("1234567890123456", "interface name is too long"),
    (
        "\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}",
        "interface name is too long",
    ),
    (".", "interface name is . or .."),
    ("..", "interface name is . or .."),
    (
        "test/test",
        "interface name contains / or : or whitespace characters",
    ),
    (
        "test:test",
        "interface name contains / or : or whitespace characters",
    ),
    (
        "test test",
        "interface name contains / or : or whitespace characters",
    ),
    (
        "a\u{2003}b",
        "interface name contains / or : or whitespace characters",
    ),
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

fn ifnames_taken(world: &World<'_>) -> Verdict {
    for name in ["net1", "a23456789012345"] {
        let pod = world.another_pod()?;
        let call = |verb: &str| world.call_for(verb, &pod).env("CNI_IFNAME", name);
        world.run(&call("ADD"))?.result()?;
        pod.has_links(&["lo", name])?;
        world.run(&call("DEL"))?.success()?;
    }
    Ok(())
}

fn not_utf8(world: &World<'_>) -> Verdict {
    for name in ["CNI_CONTAINERID", "CNI_IFNAME", "CNI_NETNS", "CNI_ARGS"] {
        let call = world.call("ADD")?.env(name, OsStr::from_bytes(b"K=\xff"));
        world.run(&call)?.fails(4)?.says(&[name])?;
    }
    let call = world
        .call("ADD")?
        .env("CNI_COMMAND", OsStr::from_bytes(b"AD\xff"));
    world.run(&call)?.fails(4).map(drop)
}

fn args_of_runtimes(world: &World<'_>) -> Verdict {
    let orders = [
        "K8S_POD_UID=u-1;IgnoreUnknown=1;K8S_POD_NAME=web-0;K8S_POD_INFRA_CONTAINER_ID=c;K8S_POD_NAMESPACE=shop",
        "IgnoreUnknown=true;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=web-0;MAC=;IP=;K8S_POD_NAME=web-0;FROM_THE_OPERATOR=1",
    ];
    for args in orders {
        let pod = world.another_pod()?;
        world
            .run(&world.call_for("ADD", &pod).env("CNI_ARGS", args))?
            .result()?;
        world
            .run(&world.call_for("DEL", &pod).env("CNI_ARGS", args))?
            .success()?;
    }
    Ok(())
}

fn args_unknown(world: &World<'_>) -> Verdict {
    let args = "K8S_POD_NAMESPACE=shop;K8S_POD_NAME=web-0;FROM_THE_OPERATOR=1";
    world
        .run(&world.call("ADD")?.env("CNI_ARGS", args))?
        .result()?;
    world
        .run(&world.call("DEL")?.env("CNI_ARGS", args))?
        .success()
}

const MALFORMED: [&str; 4] = ["K8S_POD_NAME", "A=b=c", "A=b;", ";"];

fn args_malformed_add(world: &World<'_>) -> Verdict {
    for args in MALFORMED {
        world
            .run(&world.call("ADD")?.env("CNI_ARGS", args))?
            .fails(4)?
            .says(&["CNI_ARGS"])?;
    }
    Ok(())
}

fn args_malformed_del(world: &World<'_>) -> Verdict {
    world.add()?;
    for args in MALFORMED {
        world
            .run(&world.call("DEL")?.env("CNI_ARGS", args))?
            .success()?;
    }
    Ok(())
}
