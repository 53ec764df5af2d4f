//! A: what ADD does, prints and refuses. The form of results is `results`'.

use crate::case::{Case, Group, Level, Modes, Source, Verdict, Versions, expect};
use crate::world::World;

pub(super) const CASES: &[Case] = &[Case {
    group: Group::Add,
    name: "gives_one_result",
    rule: "a successful ADD ends with status 0 and prints exactly one JSON object, and its DEL prints nothing",
    assertions: &["A01"],
    sources: &[Source::Spec("ADD"), Source::Libcni],
    level: Level::Must,
    versions: Versions::Each,
    modes: Modes::Each,
    run: gives_one_result,
}];

fn gives_one_result(world: &World<'_>) -> Verdict {
    let result = world.add()?;
    expect(
        result["ips"].is_array() || result["interfaces"].is_array(),
        || format!("a result without ips and interfaces: {result}"),
    )?;
    world.del(&result)
}
