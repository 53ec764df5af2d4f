//! G: GC takes back what the runtime does not name, and nothing else.

mod collecting;
mod lists;

use crate::case::{Case, Group, Level, Modes, Source, Versions};
use crate::runtime::conflist::Version;

const GC: &str = "GC: Clean up any stale resources";

const BASE: Case = Case {
    group: Group::Gc,
    name: "",
    rule: "",
    assertions: &[],
    sources: &[Source::Spec(GC)],
    level: Level::Should,
    versions: Versions::Since(Version::V1_1_0),
    modes: Modes::Each,
    run: collecting::unlisted_goes,
};

pub(super) const CASES: &[Case] = &[
    Case {
        name: "unlisted_goes",
        rule: "GC frees what an attachment holds that is not listed, leaves those that are, and prints nothing",
        assertions: &["G01", "G02", "G07", "G09"],
        run: collecting::unlisted_goes,
        ..BASE
    },
    Case {
        name: "live_sandbox",
        rule: "GC takes back all that an attachment has on the host that is not listed, though its sandbox is still there",
        assertions: &["G01", "G07"],
        sources: &[Source::Ours],
        level: Level::Ours,
        run: collecting::live_sandbox,
        ..BASE
    },
    Case {
        name: "sandbox_gone",
        rule: "GC takes back what an attachment had whose sandbox is gone",
        assertions: &["G01", "G07"],
        run: collecting::sandbox_gone,
        ..BASE
    },
    Case {
        name: "other_networks",
        rule: "GC leaves alone the attachments of other networks, however alike the names are",
        assertions: &["G01", "Y04"],
        level: Level::Must,
        modes: Modes::Creating,
        run: collecting::other_networks,
        ..BASE
    },
    Case {
        name: "by_ifname",
        rule: "GC tells a container's interfaces apart",
        assertions: &["G01", "G02", "Y05"],
        modes: Modes::Creating,
        run: collecting::by_ifname,
        ..BASE
    },
    Case {
        name: "again",
        rule: "GC succeeds again and again, with attachments in its list that nobody knows, and before any ADD",
        assertions: &["G01", "G02", "G09"],
        run: collecting::again,
        ..BASE
    },
    Case {
        name: "daemon_away",
        rule: "GC that succeeds has taken back what is not listed, also while the daemon is down",
        assertions: &["G05"],
        sources: &[Source::Ours],
        level: Level::Ours,
        run: collecting::daemon_away,
        ..BASE
    },
    Case {
        name: "either_key",
        rule: "GC knows the list as cni.dev/valid-attachments and as cni.dev/attachments",
        assertions: &["G02"],
        sources: &[Source::Spec(GC), Source::Libcni],
        run: lists::either_key,
        ..BASE
    },
    Case {
        name: "newer_key_first",
        rule: "GC goes by cni.dev/valid-attachments where cni.dev/attachments says something else",
        assertions: &["G02"],
        sources: &[Source::Ours],
        level: Level::Ours,
        run: lists::newer_key_first,
        ..BASE
    },
    Case {
        name: "null_list",
        rule: "GC takes null for an empty list: nothing is valid",
        assertions: &["G03", "G04"],
        sources: &[Source::Libcni, Source::CriO],
        run: lists::null_list,
        ..BASE
    },
    Case {
        name: "empty_list",
        rule: "GC with an empty list takes back everything of the network",
        assertions: &["G03", "G04"],
        run: lists::empty_list,
        ..BASE
    },
    Case {
        name: "no_list",
        rule: "GC without a list is refused with code 7 and takes back nothing",
        assertions: &["G04"],
        sources: &[Source::Ours],
        level: Level::Ours,
        run: lists::no_list,
        ..BASE
    },
    Case {
        name: "malformed_list",
        rule: "GC with a list that is none fails and takes back nothing",
        assertions: &["G02", "G04"],
        sources: &[Source::Ours],
        level: Level::Ours,
        run: lists::malformed_list,
        ..BASE
    },
];
