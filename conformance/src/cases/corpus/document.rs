//! A document of the corpus: what it changes in a call that works, which must work with it too.

use std::collections::BTreeMap;

use anyhow::Context;
use serde::Deserialize;
use serde_json::Value;

use crate::call::Call;
use crate::case::{Verdict, with};
use crate::runtime::conflist::Version;
use crate::world::World;

/// A file of `corpus/`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    /// Who sends it.
    from: String,
    /// For ADD, CHECK and DEL.
    #[serde(default)]
    calls: Vec<Change>,
    /// `prevResult`s for a DEL, without their version.
    #[serde(default)]
    results: Vec<Value>,
}

/// What a call has more or less.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[derive(Default)]
struct Change {
    /// Variables.
    env: BTreeMap<String, String>,
    /// Variables that are not set.
    without: Vec<String>,
    /// Members of the configuration.
    members: BTreeMap<String, Value>,
}

impl Change {
    fn of(&self, mut call: Call) -> Call {
        for (name, value) in &self.env {
            call = call.env(name, value);
        }
        for name in &self.without {
            call = call.without(name);
        }
        for (member, value) in &self.members {
            call = call.set(member, value.clone());
        }
        call
    }
}

pub(super) fn containerd_port_mappings(world: &World<'_>) -> Verdict {
    cycles(
        world,
        include_str!("../../../corpus/containerd-port-mappings.json"),
    )
}

pub(super) fn containerd_arguments(world: &World<'_>) -> Verdict {
    cycles(
        world,
        include_str!("../../../corpus/containerd-arguments.json"),
    )
}

pub(super) fn containerd_annotations(world: &World<'_>) -> Verdict {
    cycles(
        world,
        include_str!("../../../corpus/containerd-annotations.json"),
    )
}

pub(super) fn cri_o_arguments(world: &World<'_>) -> Verdict {
    cycles(world, include_str!("../../../corpus/cri-o-arguments.json"))
}

pub(super) fn podman_arguments(world: &World<'_>) -> Verdict {
    cycles(world, include_str!("../../../corpus/podman-arguments.json"))
}

pub(super) fn nulls(world: &World<'_>) -> Verdict {
    cycles(world, include_str!("../../../corpus/nulls.json"))
}

pub(super) fn hostile_environment(world: &World<'_>) -> Verdict {
    cycles(
        world,
        include_str!("../../../corpus/hostile-environment.json"),
    )
}

pub(super) fn aws_node_results(world: &World<'_>) -> Verdict {
    let document = read(include_str!("../../../corpus/aws-node-results.json"))?;
    let pod = world.pod()?;
    let before = world.traces(Some(&pod))?;
    for mut result in document.results {
        result["cniVersion"] = world.version().as_str().into();
        let del = world.call("DEL")?.set("prevResult", result);
        let answer = world.run(&del)?;
        with(&document.from, answer.success())?;
        with(
            &document.from,
            world.run(&del.env("CNI_NETNS", ""))?.success(),
        )?;
    }
    before.are_unchanged(world, Some(&pod))
}

/// ADD, CHECK and DEL with each of the document's changes.
fn cycles(world: &World<'_>, text: &str) -> Verdict {
    let document = read(text)?;
    // a plugin that has an IPAM plugin called needs to be told which
    let has_ipam = world.subject().entry.contains_key("ipam");
    let fits = |change: &&Change| !(has_ipam && change.members.contains_key("ipam"));
    for change in document.calls.iter().filter(fits) {
        with(&document.from, cycle(world, change))?;
    }
    Ok(())
}

fn cycle(world: &World<'_>, change: &Change) -> Verdict {
    let result = world.run(&change.of(world.call("ADD")?))?.result()?;
    if world.version() >= Version::V0_4_0 {
        let check = change.of(world.call_after("CHECK", &result)?);
        world.run(&check)?.success()?;
    }
    let del = change.of(world.call_after("DEL", &result)?);
    world.run(&del)?.success()
}

fn read(text: &str) -> anyhow::Result<Document> {
    serde_json::from_str(text).context("a document of the corpus")
}
