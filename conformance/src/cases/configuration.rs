//! C: what must be on stdin, and what is said when it is something else.

pub(super) mod members;

use serde_json::{Value, json};

use crate::call::Call;
use crate::case::Source::{Libcni, Ours, Skel, Spec};
use crate::case::Versions::{Each, Since};
use crate::case::{Verdict, expect, skip};
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
    of_every_verb: Must, ["C01", "C02"], [Spec("Error"), Skel], Since(Version::V1_1_0), Once,
        "CHECK, DEL, GC and STATUS refuse a broken configuration as ADD does";
    name_missing: Must, ["C03"], [Spec("Configuration format"), Skel], Each, Once,
        "a missing, null or empty network name is an error of code 7";
    name_invalid: Must, ["C03"], [Spec("Configuration format"), Skel], Each, Once,
        "a network name that is not letters, digits, _, . and - after a letter or digit is an error of code 7";
    name_in_the_usual_words: Should, ["C03"], [Skel], Each, Once,
        "a missing name is reported as `missing network name`, an invalid one is in the details";
    large: Must, ["C04"], [Libcni], Each, Each,
        "a configuration of 2 MiB is taken: annotations, an escaped prevResult and GC's lists have no bound";
    too_large: Ours, ["C04"], [Ours], Each, Once,
        "a configuration of 64 MiB is refused with code 7 (or 6) after 32 MiB at most, before it eats the node's memory";
    deep: Ours, ["C04"], [Ours], Each, Once,
        "a configuration that is nested without end is an error of code 6 and no crash";
    byte_order_mark: Should, ["C11"], [Skel], Each, Once,
        "a byte order mark before the configuration is an error of code 6";
    order_and_repetition: Must, ["C11"], [Libcni], Each, Each,
        "members in another order, or foreign ones twice, make no difference";
    malformed_member: Should, ["C10"], [Spec("Error")], Each, Once,
        "a malformed member of the plugin's own is an error of code 7 that names it";
}

fn refused(world: &World<'_>, stdin: &[u8], codes: &[u64]) -> Verdict {
    let call = world.call("ADD")?.stdin(stdin);
    world.run(&call)?.fails_with_one_of(codes).map(drop)
}

fn unreadable(world: &World<'_>) -> Verdict {
    for verb in ["ADD", "DEL"] {
        // read(2) of a directory fails with EISDIR
        world.run(&world.call(verb)?.stdin_from("/"))?.fails(5)?;
    }
    Ok(())
}

fn not_json(world: &World<'_>) -> Verdict {
    let whole = world.call("ADD")?.config().to_string();
    let cut = &whole[..whole.len() - 1];
    let twice = format!("{whole}{whole}");
    let followed = format!("{whole}x");
    for text in ["", " ", "{", cut, &twice, &followed, "{'name': 1}"] {
        refused(world, text.as_bytes(), &[6])?;
    }
    refused(world, b"{\"name\": \"\xff\xfe\"}", &[6, 7])
}

fn not_an_object(world: &World<'_>) -> Verdict {
    for text in ["[]", "[{}]", "1", "\"x\"", "true"] {
        refused(world, text.as_bytes(), &[6])?;
    }
    refused(world, b"null", &[6, 7])
}

fn wrong_types(world: &World<'_>) -> Verdict {
    for (member, value) in [
        ("name", json!(5)),
        ("name", json!([])),
        ("cniVersion", json!(1.0)),
        ("cniVersion", json!({})),
    ] {
        world
            .run(&world.call("ADD")?.set(member, value))?
            .fails(6)?;
    }
    Ok(())
}

fn of_every_verb(world: &World<'_>) -> Verdict {
    for verb in ["CHECK", "DEL", "GC", "STATUS"] {
        let call = world.call(verb)?;
        world.run(&call.clone().stdin("{"))?.fails(6)?;
        world.run(&call.clone().stdin("[]"))?.fails(6)?;
        world.run(&call.set("name", "te%%st"))?.fails(7)?;
    }
    Ok(())
}

fn name_missing(world: &World<'_>) -> Verdict {
    for verb in ["ADD", "DEL"] {
        world.run(&world.call(verb)?.unset("name"))?.fails(7)?;
        for name in [json!(""), Value::Null] {
            world.run(&world.call(verb)?.set("name", name))?.fails(7)?;
        }
    }
    Ok(())
}

fn name_invalid(world: &World<'_>) -> Verdict {
    for name in ["a/b", "te%%st", "-a", ".a", "a b", "a\n", "\u{e9}"] {
        world.run(&world.call("ADD")?.set("name", name))?.fails(7)?;
    }
    world
        .run(&world.call("DEL")?.set("name", "../../etc"))?
        .fails(7)
        .map(drop)
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

fn large(world: &World<'_>) -> Verdict {
    let padded = |call: Call| call.set("conformance.example/padding", "x".repeat(2 << 20));
    let added = world.run(&padded(world.call("ADD")?))?.result()?;
    world
        .run(&padded(world.call_after("DEL", &added)?))?
        .success()
}

fn too_large(world: &World<'_>) -> Verdict {
    // more than any runtime sends; a plugin may stop reading, so that writing it fails
    let mut bytes = b"{\"name\": \"".to_vec();
    bytes.resize(64 << 20, b'x');
    let answer = world.run(&world.call("DEL")?.stdin(bytes))?;
    answer.fails_with_one_of(&[6, 7])?;
    // what it leaves in the pipe counts as read
    let read = answer.stdin_taken.saturating_sub(64 << 10);
    expect(read <= (32 << 20), || {
        format!("read {read} bytes of what it refused")
    })
}

fn deep(world: &World<'_>) -> Verdict {
    let depth = 200_000;
    let text = format!("{{\"name\": {}{}}}", "[".repeat(depth), "]".repeat(depth));
    refused(world, text.as_bytes(), &[6])
}

fn byte_order_mark(world: &World<'_>) -> Verdict {
    let text = format!("\u{feff}{}", world.call("ADD")?.config());
    refused(world, text.as_bytes(), &[6])
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
    let added = world.run(&shuffled(world.call("ADD")?))?.result()?;
    world
        .run(&shuffled(world.call_after("DEL", &added)?))?
        .success()
}

fn malformed_member(world: &World<'_>) -> Verdict {
    let mistakes = &world.subject().description.malformed;
    if mistakes.is_empty() {
        return skip("the description does not say what is malformed for this plugin");
    }
    for mistake in mistakes {
        let call = mistake
            .iter()
            .fold(world.call("ADD")?, |call, (key, value)| {
                call.set(key, value.clone())
            });
        let names: Vec<&str> = mistake.keys().map(String::as_str).collect();
        world.run(&call)?.fails(7)?.says(&names)?;
    }
    Ok(())
}
