//! D: DEL takes back what ADD did, whatever the runtime still knows of it, and touches nothing else.

mod knowing;
mod refusing;
mod sandboxes;
mod undoing;

use crate::case::{Case, Group, Level, Modes, Source, Versions};

const DEL: &str = "DEL: Remove container from network, or un-apply modifications";

const BASE: Case = Case {
    group: Group::Del,
    name: "",
    rule: "",
    assertions: &[],
    sources: &[Source::Spec(DEL)],
    level: Level::Must,
    versions: Versions::Each,
    modes: Modes::Each,
    run: undoing::undoes_add,
};

pub(super) const CASES: &[Case] = &[
    Case {
        name: "undoes_add",
        rule: "DEL takes back all that ADD did on the host and in the sandbox, and prints nothing",
        assertions: &["D01", "D10"],
        run: undoing::undoes_add,
        ..BASE
    },
    Case {
        name: "again",
        rule: "DEL succeeds again and again, also without prevResult, which the runtime has forgotten by then",
        assertions: &["D02"],
        versions: Versions::Once,
        run: undoing::again,
        ..BASE
    },
    Case {
        name: "never_added",
        rule: "DEL of what was never added succeeds, prints nothing and changes nothing",
        assertions: &["D02", "D10"],
        sources: &[Source::Spec(DEL), Source::Plugins],
        run: undoing::never_added,
        ..BASE
    },
    Case {
        name: "already_gone",
        rule: "DEL succeeds when the interface, or the address on it, is gone already, and takes back the rest",
        assertions: &["D01"],
        versions: Versions::Once,
        run: undoing::already_gone,
        ..BASE
    },
    Case {
        name: "after_failed_add",
        rule: "DEL after an ADD that failed succeeds without prevResult, and nothing is left",
        assertions: &["A12", "D04"],
        sources: &[Source::Libcni, Source::Containerd],
        versions: Versions::Once,
        run: undoing::after_failed_add,
        ..BASE
    },
    Case {
        name: "netns_empty",
        rule: "DEL with an empty CNI_NETNS, or without one, releases what is not in the sandbox and succeeds",
        assertions: &["D03", "E05"],
        sources: &[Source::Spec(DEL), Source::Libcni],
        versions: Versions::Once,
        run: sandboxes::netns_empty,
        ..BASE
    },
    Case {
        name: "netns_gone",
        rule: "DEL with a CNI_NETNS that is gone releases what is not in the sandbox and succeeds",
        assertions: &["D03"],
        run: sandboxes::netns_gone,
        ..BASE
    },
    Case {
        name: "netns_stale",
        rule: "DEL with a CNI_NETNS that is an ordinary file or a directory by now releases everything else and succeeds",
        assertions: &["D05"],
        sources: &[Source::Ours],
        level: Level::Ours,
        versions: Versions::Once,
        run: sandboxes::netns_stale,
        ..BASE
    },
    Case {
        name: "netns_reused",
        rule: "DEL leaves alone an interface of that name in a CNI_NETNS that is another sandbox by now",
        assertions: &["D06"],
        sources: &[Source::Plugins, Source::Ours],
        level: Level::Should,
        versions: Versions::Once,
        run: sandboxes::netns_reused,
        ..BASE
    },
    Case {
        name: "foreign_interface",
        rule: "DEL of what was never added leaves alone an interface of that name that others made",
        assertions: &["D06"],
        sources: &[Source::Plugins, Source::Ours],
        level: Level::Should,
        versions: Versions::Once,
        run: sandboxes::foreign_interface,
        ..BASE
    },
    Case {
        name: "other_interfaces",
        rule: "DEL leaves alone the sandbox's other interfaces and their addresses",
        assertions: &["D06"],
        sources: &[Source::Plugins],
        versions: Versions::Once,
        run: sandboxes::other_interfaces,
        ..BASE
    },
    Case {
        name: "others_on_the_host",
        rule: "ADD and DEL leave alone what others have on the host: links, addresses, rules, routes, rulesets",
        assertions: &["D06"],
        sources: &[Source::Plugins, Source::Ours],
        level: Level::Should,
        versions: Versions::Once,
        run: sandboxes::others_on_the_host,
        ..BASE
    },
    Case {
        name: "host_netns",
        rule: "DEL with the node's own namespace as CNI_NETNS leaves alone the node's interface of that name",
        assertions: &["E12", "E13", "D06"],
        sources: &[Source::Skel, Source::Ours],
        versions: Versions::Once,
        run: sandboxes::host_netns,
        ..BASE
    },
    Case {
        name: "prev_result_missing",
        rule: "DEL without prevResult takes back everything",
        assertions: &["D04", "A12"],
        sources: &[Source::Spec(DEL), Source::Libcni],
        run: knowing::prev_result_missing,
        ..BASE
    },
    Case {
        name: "prev_result_broken",
        rule: "DEL with a broken prevResult takes back everything",
        assertions: &["D04", "A07"],
        sources: &[Source::Ours],
        level: Level::Ours,
        versions: Versions::Once,
        run: knowing::prev_result_broken,
        ..BASE
    },
    Case {
        name: "args_malformed",
        rule: "DEL with malformed, repeated or absent CNI_ARGS takes back everything",
        assertions: &["E14"],
        sources: &[Source::Ours],
        level: Level::Ours,
        versions: Versions::Once,
        run: knowing::args_malformed,
        ..BASE
    },
    Case {
        name: "daemon_away",
        rule: "DEL succeeds while the daemon is down, and once it is back all is taken back",
        assertions: &["D07"],
        sources: &[Source::AwsNode, Source::CriO],
        level: Level::Should,
        run: knowing::daemon_away,
        ..BASE
    },
    Case {
        name: "daemon_hung",
        rule: "DEL while the daemon hangs ends once it is back, or fails with an error and succeeds when it is repeated",
        assertions: &["D07", "D11"],
        sources: &[Source::Ours],
        level: Level::Ours,
        versions: Versions::Once,
        run: knowing::daemon_hung,
        ..BASE
    },
    Case {
        name: "malformed_call",
        rule: "DEL that is malformed fails with 4, 6 or 7 and takes back nothing",
        assertions: &["D14", "E07", "C02", "C03"],
        sources: &[Source::Skel],
        run: refusing::malformed_call,
        ..BASE
    },
    Case {
        name: "error_words",
        rule: "no error of DEL says what go-cni takes for done: not found, no such file or directory",
        assertions: &["D12"],
        sources: &[Source::Containerd],
        level: Level::Ours,
        versions: Versions::Once,
        run: refusing::error_words,
        ..BASE
    },
];
