//! The plugin among others in a list, run by the emulator of libcni: what breaks when two plugins do not understand each
//! other.

use serde_json::{Value, json};

use crate::case::Source::{Libcni, Plugins, Spec};
use crate::case::Versions::{Each, Since};
use crate::case::{Finding, Verdict, expect, skip, wrong};
use crate::pod::Pod;
use crate::runtime::Runtime;
use crate::runtime::conflist::Version;
use crate::runtime::failure::ChainFailure;
use crate::world::{IFNAME, World};

cases! {
    Chain;
    whole_life: Must, ["A03", "V03", "R03", "K05"], [Spec("Section 3: Execution"), Libcni, Plugins], Each, Each,
        "ADD, CHECK, DEL and another DEL of each list succeed, and sandbox and host are as before";
    result_has_the_plugins_address: Must, ["A03"], [Libcni], Each, Each,
        "the list's result has an address on the container's interface, which is what containerd takes for the pod's";
    a_later_plugin_fails: Must, ["A12"], [Libcni], Each, Each,
        "when a plugin behind fails ADD, the list's DEL, which has no prevResult then, leaves nothing";
    version_raised_meanwhile: Must, ["Y03", "V07"], [Libcni], Since(Version::V1_0_0), Each,
        "a pod that was added at 0.4.0 is deleted after its list was raised to a newer version";
}

/// The lists in which the plugin stands as in this run's mode, and whose plugins all speak this version.
fn lists(world: &World<'_>) -> Result<Vec<Value>, Finding> {
    let subject = world.subject();
    let here = subject
        .lists
        .iter()
        .filter(|list| subject.mode_in(list) == world.mode());
    let mut lists: Vec<Value> = here.cloned().collect();
    if lists.is_empty() {
        return skip("no list was given in which the plugin stands so");
    }
    let mute = |list: &Value| {
        let kinds = list["plugins"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|plugin| plugin["type"].as_str());
        let mut mute = kinds.filter(|kind| !subject.speaks(kind, world.version()));
        mute.next().map(str::to_owned)
    };
    let first = lists.iter().find_map(mute);
    lists.retain(|list| mute(list).is_none());
    match first {
        Some(kind) if lists.is_empty() => skip(format!(
            "{kind}, which stands beside it, does not speak {}",
            world.version()
        )),
        _ => Ok(lists),
    }
}

fn must<T>(outcome: Result<T, ChainFailure>) -> Result<T, Finding> {
    outcome.or_else(|failure| wrong(failure.to_string()))
}

/// A sandbox that the whole list is to attach.
fn sandbox() -> anyhow::Result<Pod> {
    Pod::empty(IFNAME)
}

/// What plugins make once for all containers stays: a first one goes before a comparison.
fn warm_up(world: &World<'_>, runtime: &Runtime) -> Verdict {
    let pod = sandbox()?;
    must(runtime.add(world.host(), &pod.attachment))?;
    must(runtime.del(world.host(), &pod.attachment)).map(drop)
}

fn whole_life(world: &World<'_>) -> Verdict {
    for list in lists(world)? {
        let runtime = world.runtime(&list)?;
        warm_up(world, &runtime)?;
        let pod = sandbox()?;
        let before = world.traces(Some(&pod))?;
        must(runtime.add(world.host(), &pod.attachment))?;
        if world.has_check() {
            must(runtime.check(world.host(), &pod.attachment))?;
        }
        must(runtime.del(world.host(), &pod.attachment))?;
        must(runtime.del(world.host(), &pod.attachment))?;
        pod.has_links(&["lo"])?;
        before.are_back(world, Some(&pod))?;
    }
    Ok(())
}

fn result_has_the_plugins_address(world: &World<'_>) -> Verdict {
    for list in lists(world)? {
        let runtime = world.runtime(&list)?;
        let pod = sandbox()?;
        let added = must(runtime.add(world.host(), &pod.attachment));
        must(runtime.del(world.host(), &pod.attachment))?;
        let result = added?.result;
        expect(result.pod_address().is_some(), || {
            format!("no address on the container in {}", result.json())
        })?;
    }
    Ok(())
}

fn a_later_plugin_fails(world: &World<'_>) -> Verdict {
    for mut list in lists(world)? {
        let whole = world.runtime(&list)?;
        warm_up(world, &whole)?;
        if let Some(plugins) = list["plugins"].as_array_mut() {
            plugins.push(json!({"type": "conformance-no-such-plugin"}));
        }
        let failing = world.runtime(&list)?;
        let pod = sandbox()?;
        let before = world.traces(Some(&pod))?;
        if failing.add(world.host(), &pod.attachment).is_ok() {
            return wrong("a list with a plugin that is not there was added");
        }
        let cached = failing.cache().path(failing.conflist(), &pod.attachment);
        expect(!cached.exists(), || "a failed list was cached".to_owned())?;
        // the list as it was repaired by somebody: the plugin that is not there would fail DEL too
        must(whole.del(world.host(), &pod.attachment))?;
        before.are_back(world, Some(&pod))?;
    }
    Ok(())
}

fn version_raised_meanwhile(world: &World<'_>) -> Verdict {
    for list in lists(world)? {
        let new = world.runtime(&list)?;
        let old = world.runtime_in(&list, Version::V0_4_0)?;
        let pod = sandbox()?;
        let added = must(old.add(world.host(), &pod.attachment));
        // deleted in any case
        let checked = added.and_then(|_| must(new.check(world.host(), &pod.attachment)));
        must(new.del(world.host(), &pod.attachment))?;
        checked?;
        pod.has_links(&["lo"])?;
    }
    Ok(())
}
