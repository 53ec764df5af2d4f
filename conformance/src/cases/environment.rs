//! E: which variables each verb needs, and how they are judged.

pub(super) mod args;
pub(super) mod namespaces;
pub(super) mod needs;
pub(super) mod values;

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use crate::call::Call;
use crate::case::Source::{Libcni, Ours, Skel, Spec};
use crate::case::Versions::{Each, Once, Since};
use crate::case::{Verdict, wrong};
use crate::runtime::conflist::Version;
use crate::world::World;

cases! {
    Environment;
    no_command: Must, ["E01"], [Spec("Parameters"), Skel], Once, Once,
        "CNI_COMMAND unset or empty is refused with code 4, and the error names it";
    unknown_command: Must, ["E02"], [Spec("Parameters"), Skel], Each, Once,
        "an unknown CNI_COMMAND, also one in lower case or with a blank, is refused with code 4, and the error quotes it";
    version_takes_dummies: Must, ["E06"], [Libcni], Once, Once,
        "VERSION with the dummies that libcni sets is answered";
    others_are_not_judged: Should, ["E09"], [Skel], Since(Version::V1_1_0), Once,
        "VERSION, STATUS and GC do not judge the variables that they do not need";
    ambient_variables: Must, ["E17", "P01"], [Libcni, Ours], Each, Each,
        "variables of the runtime's own environment (RUST_LOG, proxies, traces) change nothing, and stdout stays clean";
}

fn no_command(world: &World<'_>) -> Verdict {
    for call in [
        world.call("ADD")?.without("CNI_COMMAND"),
        world.call("ADD")?.env("CNI_COMMAND", ""),
    ] {
        world.run(&call)?.fails(4)?.says(&["CNI_COMMAND"])?;
    }
    Ok(())
}

/// Commands that there are not, with what an error quotes of them: one line, without what stands around it.
const UNKNOWN: [(&str, &str); 13] = [
    ("NOPE", "NOPE"),
    ("UPDATE", "UPDATE"),
    ("ADDS", "ADDS"),
    ("add", "add"),
    ("Add", "Add"),
    ("del", "del"),
    ("check", "check"),
    ("gc", "gc"),
    ("status", "status"),
    ("version", "version"),
    ("ADD ", "ADD"),
    (" DEL", "DEL"),
    ("DEL\n", "DEL"),
];

fn unknown_command(world: &World<'_>) -> Verdict {
    for (command, quoted) in UNKNOWN {
        let call = world.call("ADD")?.env("CNI_COMMAND", command);
        world.run(&call)?.fails(4)?.says(&[quoted])?;
    }
    Ok(())
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

/// Variables with values that verbs which need them refuse.
fn junk() -> [(&'static str, &'static OsStr); 8] {
    [
        ("CNI_IFNAME", "a/b".as_ref()),
        ("CNI_CONTAINERID", "-%-".as_ref()),
        ("CNI_NETNS", "/dev/null/none".as_ref()),
        ("CNI_ARGS", "A=b=c;".as_ref()),
        ("CNI_IFNAME", OsStr::from_bytes(b"\xff")),
        ("CNI_CONTAINERID", OsStr::from_bytes(b"\xff")),
        ("CNI_NETNS", OsStr::from_bytes(b"/\xff")),
        ("CNI_ARGS", OsStr::from_bytes(b"K=\xff")),
    ]
}

fn others_are_not_judged(world: &World<'_>) -> Verdict {
    for (name, value) in junk() {
        let call = |verb: &str| -> anyhow::Result<_> {
            let call = world.call(verb)?.env(name, value);
            Ok(call.set("cni.dev/valid-attachments", Vec::<String>::new()))
        };
        world.run(&call("VERSION")?)?.result()?;
        for verb in ["STATUS", "GC"] {
            if !world.verbs().contains(&verb) {
                continue;
            }
            let answer = world.run(&call(verb)?)?;
            if !answer.succeeded() && answer.failure()?.code == 4 {
                return wrong(format!(
                    "should not judge {name}, which it does not need: {}",
                    answer.quote()
                ));
            }
        }
    }
    Ok(())
}

/// What a runtime may have in its environment.
fn hostile(call: Call) -> Call {
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
    // std::env::vars of Rust panics at such a one
    let call = call.env("OF_THE_OPERATOR", OsStr::from_bytes(b"caf\xe9"));
    let set = HOSTILE.iter();
    set.fold(call, |call, (name, value)| call.env(name, value))
}

fn ambient_variables(world: &World<'_>) -> Verdict {
    let added = world.run(&hostile(world.call("ADD")?))?.result()?;
    if world.verbs().contains(&"CHECK") {
        let call = world.call_after("CHECK", &added)?;
        world.run(&hostile(call))?.silent()?;
    }
    let call = world.call_after("DEL", &added)?;
    world.run(&hostile(call))?.silent()?;
    world.run(&hostile(world.call("VERSION")?))?.result()?;
    for verb in ["STATUS", "GC"] {
        if !world.verbs().contains(&verb) {
            continue;
        }
        let call = hostile(world.call(verb)?);
        let call = call.set("cni.dev/valid-attachments", Vec::<String>::new());
        world.run(&call)?.silent()?;
    }
    Ok(())
}
