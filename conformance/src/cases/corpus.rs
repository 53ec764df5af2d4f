//! What runtimes were seen to send: documents in `corpus/`, each with who sends it, and what they do with a plugin
//! besides.

mod document;
mod habits;

use crate::case::{Case, Group, Level, Modes, Source, Versions};
use crate::runtime::conflist::Version;

const BASE: Case = Case {
    group: Group::Corpus,
    name: "",
    rule: "",
    assertions: &[],
    sources: &[Source::Libcni],
    level: Level::Must,
    versions: Versions::Once,
    modes: Modes::Each,
    run: document::nulls,
};

pub(super) const CASES: &[Case] = &[
    Case {
        name: "containerd_port_mappings",
        rule: "ADD, CHECK and DEL work with port mappings, dns and control groups as containerd spells them",
        assertions: &["C07"],
        sources: &[Source::Containerd],
        run: document::containerd_port_mappings,
        ..BASE
    },
    Case {
        name: "containerd_arguments",
        rule: "ADD, CHECK and DEL work with CNI_ARGS in any order",
        assertions: &["E14"],
        sources: &[Source::Containerd],
        run: document::containerd_arguments,
        ..BASE
    },
    Case {
        name: "containerd_annotations",
        rule: "ADD, CHECK and DEL work with the pod's annotations, and with null for none",
        assertions: &["C08", "C06"],
        sources: &[Source::Containerd, Source::CriO],
        run: document::containerd_annotations,
        ..BASE
    },
    Case {
        name: "cri_o_arguments",
        rule: "ADD, CHECK right after it, and DEL work with CNI_ARGS as CRI-O writes them",
        assertions: &["E14", "K05"],
        sources: &[Source::CriO],
        run: document::cri_o_arguments,
        ..BASE
    },
    Case {
        name: "podman_arguments",
        rule: "ADD, CHECK and DEL work with CNI_ARGS as podman writes them, with empty ones and without",
        assertions: &["E14", "E05"],
        run: document::podman_arguments,
        ..BASE
    },
    Case {
        name: "nulls",
        rule: "ADD, CHECK and DEL work with null for well-known keys of the configuration",
        assertions: &["C06"],
        run: document::nulls,
        ..BASE
    },
    Case {
        name: "hostile_environment",
        rule: "variables that are not CNI's change nothing, and nothing but protocol JSON reaches stdout",
        assertions: &["E17", "P01", "P08"],
        run: document::hostile_environment,
        ..BASE
    },
    Case {
        name: "aws_node_results",
        rule: "DEL succeeds with what Amazon's plugin left in the runtime's cache, and changes nothing that is not its",
        assertions: &["D08"],
        sources: &[Source::AwsNode],
        level: Level::Ours,
        run: document::aws_node_results,
        ..BASE
    },
    Case {
        name: "empty_variables",
        rule: "STATUS, GC and VERSION work with every variable set and empty",
        assertions: &["E05", "E06"],
        modes: Modes::Once,
        run: habits::empty_variables,
        ..BASE
    },
    Case {
        name: "large_configuration",
        rule: "ADD and DEL work with annotations as large as Kubernetes lets them be; a configuration of more than 8 MiB is \
               taken, or refused with code 7",
        assertions: &["C04"],
        sources: &[Source::Containerd, Source::Ours],
        level: Level::Ours,
        modes: Modes::Once,
        run: habits::large_configuration,
        ..BASE
    },
    Case {
        name: "check_after_each_add",
        rule: "CHECK right after ADD succeeds, time after time",
        assertions: &["K05"],
        sources: &[Source::CriO],
        versions: Versions::Since(Version::V0_4_0),
        run: habits::check_after_each_add,
        ..BASE
    },
    Case {
        name: "add_twice",
        rule: "a second ADD of an attachment fails with an error and leaves the first one as it is",
        assertions: &["A11", "A02"],
        sources: &[Source::Spec(
            "ADD: Add container to network, or apply modifications",
        )],
        modes: Modes::Creating,
        versions: Versions::Each,
        run: habits::add_twice,
        ..BASE
    },
    Case {
        name: "del_first",
        rule: "DEL before ADD succeeds, and the ADD after it works",
        assertions: &["D02"],
        sources: &[Source::CriO],
        run: habits::del_first,
        ..BASE
    },
    Case {
        name: "version_needs_nothing",
        rule: "VERSION needs neither a daemon nor a container, a configuration, a home, PATH or a readable directory",
        assertions: &["N01", "N02", "P08"],
        sources: &[Source::Libcni, Source::CriO],
        modes: Modes::Once,
        run: habits::version_needs_nothing,
        ..BASE
    },
    Case {
        name: "stdout_is_protocol",
        rule: "nothing but protocol JSON reaches stdout, whatever is called with whatever",
        assertions: &["P01", "X01", "X03"],
        sources: &[Source::Libcni],
        run: habits::stdout_is_protocol,
        ..BASE
    },
];
