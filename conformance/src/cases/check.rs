//! K: CHECK compares what the runtime remembers with what is there, and changes nothing.

mod beyond;
mod damage;
mod outside;
mod parts;
mod telling;

use crate::case::{Case, Group, Level, Modes, Source, Versions};
use crate::runtime::conflist::Version;

const CHECK: &str = "CHECK: Check container's networking is as expected";

const BASE: Case = Case {
    group: Group::Check,
    name: "",
    rule: "",
    assertions: &[],
    sources: &[Source::Spec(CHECK)],
    level: Level::Must,
    versions: Versions::Since(Version::V0_4_0),
    modes: Modes::Each,
    run: telling::after_add,
};

pub(super) const CASES: &[Case] = &[
    Case {
        name: "after_add",
        rule: "CHECK right after ADD succeeds and prints nothing",
        assertions: &["K05", "K07"],
        sources: &[Source::Spec(CHECK), Source::CriO],
        run: telling::after_add,
        ..BASE
    },
    Case {
        name: "changes_nothing",
        rule: "CHECK changes nothing on the host, in the sandbox and in what the plugin holds",
        assertions: &["K07"],
        versions: Versions::OnceSince(Version::V0_4_0),
        run: telling::changes_nothing,
        ..BASE
    },
    Case {
        name: "prev_result_missing",
        rule: "CHECK without prevResult fails",
        assertions: &["K01"],
        versions: Versions::OnceSince(Version::V0_4_0),
        run: telling::prev_result_missing,
        ..BASE
    },
    Case {
        name: "prev_result_broken",
        rule: "CHECK with a broken prevResult fails",
        assertions: &["K01", "A07"],
        sources: &[Source::Spec(CHECK), Source::Skel],
        run: telling::prev_result_broken,
        ..BASE
    },
    Case {
        name: "other_sandbox",
        rule: "CHECK fails when prevResult has the interface in another sandbox than CNI_NETNS, or not at all",
        assertions: &["K06", "K01"],
        sources: &[Source::Plugins],
        level: Level::Should,
        modes: Modes::Creating,
        versions: Versions::OnceSince(Version::V0_4_0),
        run: telling::other_sandbox,
        ..BASE
    },
    Case {
        name: "opaque_mac",
        rule: "CHECK does not fail for a mac in prevResult that is none",
        assertions: &["K02", "R05"],
        sources: &[Source::AwsNode],
        level: Level::Ours,
        versions: Versions::OnceSince(Version::V0_4_0),
        run: telling::opaque_mac,
        ..BASE
    },
    Case {
        name: "in_time",
        rule: "CHECK ends within a few seconds",
        assertions: &["K10"],
        sources: &[Source::Ours],
        level: Level::Ours,
        versions: Versions::OnceSince(Version::V0_4_0),
        run: telling::in_time,
        ..BASE
    },
    Case {
        name: "interface_gone",
        rule: "CHECK fails when the interface is gone from the sandbox",
        assertions: &["K02"],
        run: damage::interface_gone,
        ..BASE
    },
    Case {
        name: "mac_changed",
        rule: "CHECK fails when the interface has another MAC address than prevResult says",
        assertions: &["K02"],
        level: Level::Should,
        modes: Modes::Creating,
        versions: Versions::OnceSince(Version::V0_4_0),
        run: damage::mac_changed,
        ..BASE
    },
    Case {
        name: "address_gone",
        rule: "CHECK fails when one of the addresses that the plugin gave is gone from the interface",
        assertions: &["K02"],
        run: parts::address_gone,
        ..BASE
    },
    Case {
        name: "prefix_changed",
        rule: "CHECK fails when an address that the plugin gave has another prefix length",
        assertions: &["K02"],
        level: Level::Should,
        modes: Modes::Creating,
        versions: Versions::OnceSince(Version::V0_4_0),
        run: parts::prefix_changed,
        ..BASE
    },
    Case {
        name: "link_down",
        rule: "CHECK fails when the interface is down",
        assertions: &["K02"],
        level: Level::Should,
        modes: Modes::Creating,
        versions: Versions::OnceSince(Version::V0_4_0),
        run: parts::link_down,
        ..BASE
    },
    Case {
        name: "address_listed",
        rule: "CHECK fails when prevResult has an address on the interface that is not there",
        assertions: &["K01", "K02"],
        level: Level::Should,
        modes: Modes::Creating,
        versions: Versions::OnceSince(Version::V0_4_0),
        run: damage::address_listed,
        ..BASE
    },
    Case {
        name: "route_gone",
        rule: "CHECK fails when one of the routes that the plugin made is gone from the sandbox",
        assertions: &["K02"],
        level: Level::Should,
        run: parts::route_gone,
        ..BASE
    },
    Case {
        name: "damage_stays",
        rule: "CHECK changes nothing of what is wrong: it does not mend, and takes nothing back",
        assertions: &["K07"],
        sources: &[Source::Ours],
        level: Level::Ours,
        modes: Modes::Creating,
        versions: Versions::OnceSince(Version::V0_4_0),
        run: parts::damage_stays,
        ..BASE
    },
    Case {
        name: "later_changes",
        rule: "CHECK tolerates what later plugins change: further interfaces, addresses, routes and results, another mtu and dns",
        assertions: &["K03"],
        run: beyond::later_changes,
        ..BASE
    },
    Case {
        name: "later_mac",
        rule: "CHECK succeeds when a later plugin changed the MAC address and its result says so",
        assertions: &["K03"],
        versions: Versions::OnceSince(Version::V0_4_0),
        run: beyond::later_mac,
        ..BASE
    },
    Case {
        name: "after_del",
        rule: "CHECK with the result of an attachment that is deleted fails",
        assertions: &["K02", "K04"],
        modes: Modes::Creating,
        run: beyond::after_del,
        ..BASE
    },
    Case {
        name: "impostor",
        rule: "CHECK fails when all is as it was in the sandbox, and nothing of it is the plugin's any more",
        assertions: &["K04"],
        level: Level::Should,
        modes: Modes::Creating,
        versions: Versions::OnceSince(Version::V0_4_0),
        run: beyond::impostor,
        ..BASE
    },
    Case {
        name: "host_side_down",
        rule: "CHECK fails when the interface's other end is down on the host, or it is up again by then",
        assertions: &["K04"],
        level: Level::Should,
        modes: Modes::Creating,
        versions: Versions::OnceSince(Version::V0_4_0),
        run: beyond::host_side_down,
        ..BASE
    },
    Case {
        name: "its_own_gone",
        rule: "CHECK fails when a link on the host or a rule is gone that the plugin made, or it is back by then",
        assertions: &["K04"],
        level: Level::Should,
        versions: Versions::OnceSince(Version::V0_4_0),
        run: outside::its_own_gone,
        ..BASE
    },
    Case {
        name: "daemon_away",
        rule: "CHECK fails while the daemon is down, and succeeds again once it is back",
        assertions: &["K04"],
        level: Level::Should,
        versions: Versions::OnceSince(Version::V0_4_0),
        run: beyond::daemon_away,
        ..BASE
    },
];
