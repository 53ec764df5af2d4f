//! X: what an error looks like, whatever it is about.

use serde_json::{Value, json};

use crate::answer::Answer;
use crate::call::Call;
use crate::case::Source::{Libcni, Ours, Spec};
use crate::case::Versions::Each;
use crate::case::{Finding, Verdict, expect, wrong};
use crate::world::World;

cases! {
    Errors;
    one_document: Must, ["X01", "X02", "X03", "X04"], [Spec("Error"), Libcni], Each, Each,
        "a failure has an exit status other than 0 and exactly one JSON object on stdout, with a code and a msg";
    exit_status: Must, ["X01", "X02"], [Libcni], Each, Each,
        "a failure ends by itself with a status from 1 to 127, not by a signal";
    code_is_a_number: Must, ["X01"], [Spec("Error"), Libcni], Each, Each,
        "code is a positive whole number: runtimes cannot read a text or a negative one";
    code_is_defined: Must, ["X01"], [Spec("Error")], Each, Each,
        "a code below 100 is one that the specification or libcni defines";
    texts: Must, ["X01"], [Spec("Error"), Libcni], Each, Each,
        "msg is a text that is not empty, and details a text if there is one";
    version: Must, ["X01"], [Spec("Error")], Each, Each,
        "an error has the configuration's cniVersion, or one that the plugin speaks where the configuration's is not known";
    version_of_every_verb: Should, ["X01"], [Spec("Error")], Each, Once,
        "an error about the network's name has the configuration's cniVersion, whatever verb was asked for";
    keeps_secrets: Ours, ["X05"], [Ours], Each, Once,
        "errors, which end up in events, do not quote members of the configuration that are not the plugin's";
    one_line: Ours, ["X05"], [Ours], Each, Once,
        "msg and details have no control characters and fit into an event: 1024 bytes at most";
}

/// No network has such a name.
const BAD_NAME: &str = "te%%st";

/// Calls that must fail, the same for each rule: of ADD for the environment, stdin, the configuration and the sandbox, of
/// the other verbs for what all of them judge alike.
pub(super) fn mistakes(world: &World<'_>) -> anyhow::Result<Vec<Call>> {
    let add = world.call("ADD")?;
    let mut calls = vec![
        add.clone().env("CNI_COMMAND", "NOPE"),
        add.clone().env("CNI_IFNAME", "a/b"),
        add.clone().env("CNI_NETNS", world.nowhere()),
        add.clone().env("CNI_NETNS", "/dev/null"),
        add.set("prevResult", json!(7)),
    ];
    for verb in world.verbs() {
        let call = world.call(verb)?;
        let needed = match verb {
            "STATUS" => None,
            "GC" => Some("CNI_PATH"),
            _ => Some("CNI_CONTAINERID"),
        };
        calls.extend(needed.map(|name| call.clone().without(name)));
        calls.extend([
            call.clone().stdin("{"),
            call.clone().unset("name"),
            call.clone().set("name", BAD_NAME),
            call.set("cniVersion", "9.9.9"),
        ]);
    }
    if world.verbs().contains(&"CHECK") {
        calls.push(world.call("CHECK")?.unset("prevResult"));
    }
    Ok(calls)
}

/// What comes of them, as far as they fail: whether a plugin has to is other cases' matter.
fn failures(world: &World<'_>) -> Result<Vec<Answer>, Finding> {
    let calls = mistakes(world)?;
    let answers = calls.iter().map(|call| Ok(world.run(call)?));
    let mut answers: Vec<Answer> = answers.collect::<Result<_, Finding>>()?;
    answers.retain(|answer| !answer.succeeded() || tells_an_error(answer));
    if answers.is_empty() {
        return wrong(format!("none of {} mistakes is an error", calls.len()));
    }
    Ok(answers)
}

/// Whether stdout says that it failed, whatever its status says.
fn tells_an_error(answer: &Answer) -> bool {
    answer
        .document()
        .is_ok_and(|document| document.get("msg").is_some())
}

/// `holds` of each error document.
fn each(world: &World<'_>, what: &str, holds: impl Fn(&Value) -> bool) -> Verdict {
    for answer in failures(world)? {
        let document = answer.document()?;
        expect(holds(&document), || format!("{what}: {}", answer.quote()))?;
    }
    Ok(())
}

fn one_document(world: &World<'_>) -> Verdict {
    for answer in failures(world)? {
        answer.failure()?;
    }
    Ok(())
}

fn exit_status(world: &World<'_>) -> Verdict {
    for answer in failures(world)? {
        let by_itself = answer
            .status
            .code()
            .is_some_and(|code| (1..=127).contains(&code));
        expect(by_itself && !answer.hung, || {
            format!("no exit status from 1 to 127: {}", answer.quote())
        })?;
    }
    Ok(())
}

fn code_is_a_number(world: &World<'_>) -> Verdict {
    each(world, "code is no positive whole number", |error| {
        error["code"].as_u64().is_some_and(|code| code > 0)
    })
}

fn code_is_defined(world: &World<'_>) -> Verdict {
    const DEFINED: [u64; 11] = [1, 2, 3, 4, 5, 6, 7, 8, 11, 50, 51];
    each(world, "the code means nothing", |error| {
        error["code"]
            .as_u64()
            .is_some_and(|code| code >= 100 || DEFINED.contains(&code))
    })
}

fn texts(world: &World<'_>) -> Verdict {
    each(world, "msg or details is no text", |error| {
        error["msg"]
            .as_str()
            .is_some_and(|msg| !msg.trim().is_empty())
            && error.get("details").is_none_or(Value::is_string)
    })
}

fn version(world: &World<'_>) -> Verdict {
    let named = world.run(&world.call("VERSION")?)?.result()?["supportedVersions"].clone();
    each(world, "no cniVersion that is spoken here", |error| {
        named
            .as_array()
            .is_some_and(|named| named.contains(&error["cniVersion"]))
    })?;
    let mut calls = vec![world.call("ADD")?.env("CNI_NETNS", world.nowhere())];
    if world.verbs().contains(&"CHECK") {
        calls.push(world.call("CHECK")?.unset("prevResult"));
    }
    each_has_the_version(world, &calls)
}

fn version_of_every_verb(world: &World<'_>) -> Verdict {
    let calls = world.verbs().into_iter().map(|verb| {
        let call = world.call(verb)?;
        Ok(call.set("name", BAD_NAME))
    });
    each_has_the_version(world, &calls.collect::<anyhow::Result<Vec<_>>>()?)
}

/// The errors of `calls`, as far as they are some, have the version of this run.
fn each_has_the_version(world: &World<'_>, calls: &[Call]) -> Verdict {
    let version = world.version().as_str();
    for call in calls {
        let answer = world.run(call)?;
        if answer.succeeded() {
            continue;
        }
        let said = answer.document()?["cniVersion"].clone();
        expect(said == version, || {
            format!("cniVersion should be {version}: {}", answer.quote())
        })?;
    }
    Ok(())
}

fn one_line(world: &World<'_>) -> Verdict {
    let fits = |text: &Value| {
        text.as_str()
            .is_none_or(|text| text.len() <= 1024 && !text.contains(char::is_control))
    };
    each(world, "not one line of 1024 bytes", |error| {
        fits(&error["msg"]) && fits(&error["details"])
    })?;
    let error = world
        .run(&world.call("ADD")?.env("CNI_CONTAINERID", "a\nb\u{7}"))?
        .failure()?;
    expect(fits(&json!(error.text())), || {
        format!("control characters in {:?}", error.text())
    })
}

fn keeps_secrets(world: &World<'_>) -> Verdict {
    const SECRET: &str = "hunter2";
    for call in mistakes(world)? {
        let call = match call.config() {
            Value::Null => call.stdin(format!("{{\"conformance.example/token\": \"{SECRET}\"")),
            _ => call.set("conformance.example/token", SECRET),
        };
        let answer = world.run(&call)?;
        let said = String::from_utf8_lossy(&answer.stdout);
        expect(answer.succeeded() || !said.contains(SECRET), || {
            format!("quotes the configuration: {}", answer.quote())
        })?;
    }
    Ok(())
}
