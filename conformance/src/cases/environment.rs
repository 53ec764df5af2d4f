//! E: which variables each verb needs, and how they are judged.

use crate::case::{Case, Group, Level, Modes, Source, Verdict, Versions};
use crate::world::World;

pub(super) const CASES: &[Case] = &[Case {
    group: Group::Environment,
    name: "unknown_command",
    rule: "an unknown CNI_COMMAND, also one in lower case, is refused with code 4",
    assertions: &["E02"],
    sources: &[Source::Spec("Parameters"), Source::Skel],
    level: Level::Must,
    versions: Versions::Each,
    modes: Modes::Once,
    run: unknown_command,
}];

fn unknown_command(world: &World<'_>) -> Verdict {
    for verb in ["NOPE", "add", "ADD "] {
        let call = world.call("ADD")?.env("CNI_COMMAND", verb);
        world.run(&call)?.fails(4)?.says(&[verb.trim()])?;
    }
    Ok(())
}
