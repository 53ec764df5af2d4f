//! Y: many calls, one after another, at once, and cut short.

mod apart;
mod crowd;
mod killed;

use crate::case::{Case, Group, Level, Modes, Source, Versions};

const LIFECYCLE: &str = "Lifecycle & Ordering";

const BASE: Case = Case {
    group: Group::Lifecycle,
    name: "",
    rule: "",
    assertions: &[],
    sources: &[Source::Spec(LIFECYCLE)],
    level: Level::Must,
    versions: Versions::Once,
    modes: Modes::Each,
    run: crowd::fifty_at_once,
};

pub(super) const CASES: &[Case] = &[
    Case {
        name: "fifty_at_once",
        rule: "fifty ADDs at once, and then fifty DELs, all succeed, no two with the same address or link",
        assertions: &["Y01"],
        modes: Modes::Creating,
        run: crowd::fifty_at_once,
        ..BASE
    },
    Case {
        name: "adds_and_dels_at_once",
        rule: "ADDs and DELs of different containers do not hinder each other",
        assertions: &["Y01"],
        run: crowd::adds_and_dels_at_once,
        ..BASE
    },
    Case {
        name: "killed_add",
        rule: "after an ADD that was killed DEL succeeds, nothing is left, and the next ADD succeeds",
        assertions: &["P04", "D11", "Y02", "A11", "A12"],
        sources: &[Source::Libcni, Source::Containerd],
        run: killed::killed_add,
        ..BASE
    },
    Case {
        name: "killed_del",
        rule: "after a DEL that was killed the next one succeeds, and nothing is left",
        assertions: &["D02", "P04"],
        sources: &[Source::Libcni, Source::CriO],
        run: killed::killed_del,
        ..BASE
    },
    Case {
        name: "reused_id",
        rule: "after its DEL an attachment can be added again, as often as one likes",
        assertions: &["D01", "A11"],
        versions: Versions::Each,
        run: apart::reused_id,
        ..BASE
    },
    Case {
        name: "reused_sandbox",
        rule: "right after a DEL another container can be added in the same sandbox under the same name",
        assertions: &["D01", "A11"],
        run: apart::reused_sandbox,
        ..BASE
    },
    Case {
        name: "containers_apart",
        rule: "DEL of one container leaves another's attachment of the same name as it is, however alike their ids are",
        assertions: &["Y04"],
        level: Level::Should,
        run: apart::containers_apart,
        ..BASE
    },
    Case {
        name: "interfaces_apart",
        rule: "a container can have two interfaces of the network; DEL of one leaves the other as it is",
        assertions: &["Y05", "A13"],
        modes: Modes::Creating,
        run: apart::interfaces_apart,
        ..BASE
    },
    Case {
        name: "networks_apart",
        rule: "DEL in another network, however alike the names are, leaves the container's attachment as it is",
        assertions: &["Y04", "D06"],
        level: Level::Should,
        run: apart::networks_apart,
        ..BASE
    },
    Case {
        name: "changed_configuration",
        rule: "DEL with another configuration than ADD had takes back everything",
        assertions: &["Y03"],
        sources: &[Source::Containerd],
        level: Level::Should,
        run: apart::changed_configuration,
        ..BASE
    },
];
