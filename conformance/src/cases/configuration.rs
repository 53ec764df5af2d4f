//! C: what must be on stdin of each verb, and what is said when it is something else.

pub(super) mod members;

use serde_json::{Value, json};

use crate::call::Call;
use crate::case::Source::{Libcni, Ours, Skel, Spec};
use crate::case::Versions::{Each, Once, Since};
use crate::case::{Verdict, expect, skip, with};
use crate::runtime::conflist::Version;
use crate::world::World;

cases! {
    Configuration;
    unreadable: Must, ["C02"], [Spec("Error"), Skel], Each, Once,
        "a stdin that cannot be read is an error of code 5";
    not_json: Must, ["C01", "C02"], [Spec("Error"), Skel], Each, Once,
        "a configuration that is empty, cut off, or followed by something is an error of code 6";
    not_an_object: Must, ["C01", "C02"], [Spec("Error"), Skel], Each, Once,
        "a configuration that is JSON but no object is an error of code 6, a null one of code 6 or 7";
    wrong_types: Must, ["C02"], [Spec("Error"), Skel], Each, Once,
        "a name or cniVersion that is no string is an error of code 6";
    name_missing: Must, ["C03"], [Spec("Configuration format"), Skel], Each, Once,
        "a missing, null or empty network name is an error of code 7";
    name_invalid: Must, ["C03"], [Spec("Configuration format"), Skel], Each, Once,
        "a network name that is not letters, digits, _, . and - after a letter or digit is an error of code 7";
    names_taken: Must, ["C03"], [Spec("Configuration format"), Skel], Each, Each,
        "network names of one character, in upper case and with _, . and - are taken";
    name_in_the_usual_words: Should, ["C03"], [Skel], Each, Once,
        "a missing name is reported as `missing network name`, an invalid one is in the details";
    large: Must, ["C04"], [Libcni], Each, Each,
        "a configuration of 2 MiB is taken, by STATUS one of 128 KiB: annotations, prevResult and GC's lists have no bound";
    too_large: Ours, ["C04"], [Ours], Once, Once,
        "a configuration of 64 MiB is refused with code 7 (or 6) after 32 MiB at most, before it eats the node's memory";
    deep: Ours, ["C04"], [Ours], Each, Once,
        "a configuration that is nested without end is an error of code 6 and no crash";
    byte_order_mark: Should, ["C11"], [Skel], Each, Once,
        "a byte order mark before the configuration is an error of code 6";
    order_and_repetition: Must, ["C11"], [Libcni], Each, Each,
        "members in another order, or foreign ones twice, make no difference";
    malformed_member: Should, ["C10"], [Spec("Error")], Each, Once,
        "a malformed member of the plugin's own is an error of code 7 that names it";
    malformed_and_status: Ours, ["C10", "S01"], [Spec("STATUS"), Ours], Since(Version::V1_1_0), Once,
        "STATUS with a malformed member of the plugin's own, with which ADD would fail, fails with code 7, 50 or 51";
}

/// One thing that is wrong with a configuration.
struct Fault {
    what: String,
    codes: &'static [u64],
    put_in: Box<dyn Fn(Call) -> Call>,
}

impl Fault {
    fn new(
        what: impl Into<String>,
        codes: &'static [u64],
        put_in: impl Fn(Call) -> Call + 'static,
    ) -> Self {
        Self {
            what: what.into(),
            codes,
            put_in: Box::new(put_in),
        }
    }

    /// This text in the configuration's place.
    fn text(text: &'static str, codes: &'static [u64]) -> Self {
        Self::new(format!("{text:?}"), codes, move |call| call.stdin(text))
    }

    /// `member` with this value.
    fn value(member: &'static str, value: impl Into<Value>, codes: &'static [u64]) -> Self {
        let value = value.into();
        Self::new(format!("{member} {value}"), codes, move |call| {
            call.set(member, value.clone())
        })
    }

    /// The configuration's text, changed by `spoil`.
    fn spoilt(what: &str, spoil: impl Fn(&str) -> String + 'static) -> Self {
        Self::new(what, &[6], move |call| {
            let text = spoil(&call.config().to_string());
            call.stdin(text)
        })
    }
}

/// Each verb refuses each fault, in a call that would succeed without: CHECK and GC have other reasons to fail.
fn refused(world: &World<'_>, faults: impl IntoIterator<Item = Fault>) -> Verdict {
    let faults: Vec<Fault> = faults.into_iter().collect();
    let mut result = Value::Null;
    for verb in world.verbs() {
        if verb == "CHECK" {
            result = world.add()?;
        }
        for Fault {
            what,
            codes,
            put_in,
        } in &faults
        {
            let answer = world.run(&put_in(world.sound(verb, &result)?))?;
            with(what, answer.fails_with_one_of(codes))?;
        }
    }
    Ok(())
}

fn unreadable(world: &World<'_>) -> Verdict {
    // read(2) of a directory fails with EISDIR
    let directory = Fault::new("a directory as stdin", &[5], |call| call.stdin_from("/"));
    refused(world, [directory])
}

fn not_json(world: &World<'_>) -> Verdict {
    let texts = ["", " ", "{", "{'name': 1}"].map(|text| Fault::text(text, &[6]));
    let spoilt = [
        Fault::spoilt("its last byte cut off", |text| {
            text[..text.len() - 1].to_owned()
        }),
        Fault::spoilt("the same once more behind it", |text| {
            format!("{text}{text}")
        }),
        Fault::spoilt("a letter behind it", |text| format!("{text}x")),
        Fault::spoilt("a bracket behind it", |text| format!("{text}}}")),
        Fault::spoilt("a zero byte behind it", |text| format!("{text}\0")),
        Fault::spoilt("all of it in a text", |text| json!(text).to_string()),
        Fault::new("a name that is not UTF-8", &[6, 7], |call| {
            call.stdin(b"{\"name\": \"\xff\xfe\"}")
        }),
    ];
    refused(world, texts.into_iter().chain(spoilt))
}

fn not_an_object(world: &World<'_>) -> Verdict {
    let others = ["[]", "[{}]", "1", "\"x\"", "true"].map(|text| Fault::text(text, &[6]));
    let null = Fault::text("null", &[6, 7]);
    refused(world, others.into_iter().chain([null]))
}

fn wrong_types(world: &World<'_>) -> Verdict {
    let names = [json!(5), json!([]), json!(true), json!({})];
    let versions = [json!(1.0), json!(7), json!({}), json!(["1.0.0"])];
    let names = names.map(|name| Fault::value("name", name, &[6]));
    let versions = versions.map(|version| Fault::value("cniVersion", version, &[6]));
    refused(world, names.into_iter().chain(versions))
}

fn name_missing(world: &World<'_>) -> Verdict {
    let missing = Fault::new("no name", &[7], |call| call.unset("name"));
    let empty = Fault::value("name", "", &[7]);
    let null = Fault::value("name", Value::Null, &[7]);
    refused(world, [missing, empty, null])
}

fn name_invalid(world: &World<'_>) -> Verdict {
    let names = [
        "a/b",
        "te%%st",
        "-a",
        ".a",
        "_a",
        "a b",
        "a\n",
        "\u{e9}",
        "../../etc",
    ];
    refused(world, names.map(|name| Fault::value("name", name, &[7])))
}

fn names_taken(world: &World<'_>) -> Verdict {
    for name in ["a", "0", "ABC", "a_b.c-", "9"] {
        let del = world.call("DEL")?.set("name", name);
        with(name, world.run(&del)?.success())?;
    }
    let life = world.life(|call| call.set("name", "Zz_9.x-"));
    with("Zz_9.x-", life).map(drop)
}

fn name_in_the_usual_words(world: &World<'_>) -> Verdict {
    world
        .run(&world.call("ADD")?.unset("name"))?
        .fails(7)?
        .says(&["missing network name"])?;
    world
        .run(&world.call("ADD")?.set("name", "te%%st"))?
        .fails(7)?
        .says(&["te%%st"])
}

/// Sizes of what comes on top, bytes: STATUS is given nothing of a pod's.
fn padding(call: &Call) -> usize {
    if call.verb == "STATUS" {
        128 << 10
    } else {
        2 << 20
    }
}

fn large(world: &World<'_>) -> Verdict {
    let padded = |call: Call| {
        let padding = "x".repeat(padding(&call));
        call.set("conformance.example/padding", padding)
    };
    world.life(padded).map(drop)
}

fn too_large(world: &World<'_>) -> Verdict {
    // more than any runtime sends; a plugin may stop reading, so that writing it fails
    let mut bytes = b"{\"name\": \"".to_vec();
    bytes.resize(64 << 20, b'x');
    for verb in world.verbs() {
        let answer = world.run(&world.call(verb)?.stdin(bytes.clone()))?;
        answer.fails_with_one_of(&[6, 7])?;
        // what it leaves in the pipe counts as read
        let read = answer.stdin_taken.saturating_sub(64 << 10);
        expect(read <= (32 << 20), || {
            format!("{verb} read {read} bytes of what it refused")
        })?;
    }
    Ok(())
}

fn deep(world: &World<'_>) -> Verdict {
    let depth = 200_000;
    let text = format!("{{\"name\": {}{}}}", "[".repeat(depth), "]".repeat(depth));
    let nested = Fault::new(format!("{depth} brackets"), &[6], move |call| {
        call.stdin(text.clone())
    });
    refused(world, [nested])
}

fn byte_order_mark(world: &World<'_>) -> Verdict {
    let mark = |text: &str| format!("\u{feff}{text}");
    refused(world, [Fault::spoilt("a byte order mark", mark)])
}

fn order_and_repetition(world: &World<'_>) -> Verdict {
    let shuffled = |call: Call| {
        let config = call.config();
        let members = config.as_object().into_iter().flatten().rev();
        let members: Vec<String> = members
            .map(|(key, value)| format!("{}: {value}", json!(key)))
            .collect();
        let twice = r#""x.example/a": 1, "x.example/a": "2""#;
        call.stdin(format!("\n {{{twice}, {}}}\t\n", members.join(" ,\n")))
    };
    world.life(shuffled).map(drop)
}

/// `verb` fails for each mistake of the description with one of `codes`; 7 goes with the members' names.
fn mistakes_refused(world: &World<'_>, verb: &str, codes: &[u64]) -> Verdict {
    let mistakes = &world.subject().description.malformed;
    if mistakes.is_empty() {
        return skip("the description does not say what is malformed for this plugin");
    }
    for mistake in mistakes {
        let members = mistake.iter();
        let call = members.fold(world.call(verb)?, |call, (key, value)| {
            call.set(key, value.clone())
        });
        let error = world.run(&call)?.fails_with_one_of(codes);
        let error = with(&json!(mistake).to_string(), error)?;
        if error.code == 7 {
            let names: Vec<&str> = mistake.keys().map(String::as_str).collect();
            error.says(&names)?;
        }
    }
    Ok(())
}

fn malformed_member(world: &World<'_>) -> Verdict {
    mistakes_refused(world, "ADD", &[7])
}

/// A runtime that is told so does not start pods that would all fail.
fn malformed_and_status(world: &World<'_>) -> Verdict {
    mistakes_refused(world, "STATUS", &[7, 50, 51])
}
