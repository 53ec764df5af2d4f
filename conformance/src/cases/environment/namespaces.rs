//! E: which namespaces CNI_NETNS may name, and how.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde_json::Value;

use crate::case::Source::{Ours, Skel, Spec};
use crate::case::Versions::Each;
use crate::case::{Verdict, expect};
use crate::pod::Pod;
use crate::world::World;

cases! {
    Environment;
    any_path_to_a_namespace: Must, ["E11"], [Spec("Parameters")], Each, Each,
        "CNI_NETNS may be a path below /proc, a symbolic link or no shortest form, and the result's sandbox is that path byte for byte";
    own_namespace_is_refused: Must, ["E12"], [Skel], Each, Each,
        "ADD and DEL with the plugin's own namespace in CNI_NETNS are refused with code 8";
    own_namespace_is_left_alone: Ours, ["E13"], [Ours], Each, Each,
        "ADD and DEL with the plugin's own namespace in CNI_NETNS change nothing there";
    own_namespace_on_request: Should, ["E12"], [Skel], Each, Once,
        "with CNI_NETNS_OVERRIDE 1 or TRUE the plugin's own namespace is taken";
}

/// Other paths to the sandbox of `pod`, which is `open`, than its own: below /proc, a symbolic link, some that are not in
/// their shortest form. As many for each pod.
fn paths(world: &World<'_>, pod: &Pod, open: &File) -> anyhow::Result<Vec<PathBuf>> {
    let link = world.dir().join(format!("{} of a pod", pod.netns.name()));
    symlink(pod.netns.path(), &link).context("cannot make a symbolic link")?;
    let of_process = format!("/proc/{}/fd/{}", std::process::id(), open.as_raw_fd());
    let mut paths = vec![link, of_process.into()];
    if let Ok(rest) = pod.netns.path().strip_prefix("/run") {
        paths.push(Path::new("/run/.//").join(rest));
        paths.push(Path::new("/run/../run").join(rest));
        // where it is no symbolic link to /run there is nothing
        let old = Path::new("/var/run").join(rest);
        paths.extend(old.exists().then_some(old));
    }
    Ok(paths)
}

/// What `result` says is the sandbox of the interface CNI_IFNAME.
fn sandbox_in<'r>(result: &'r Value, pod: &Pod) -> &'r str {
    let mut interfaces = result["interfaces"].as_array().into_iter().flatten();
    let inside = interfaces.find(|interface| interface["name"] == pod.ifname());
    let sandbox = inside.and_then(|interface| interface["sandbox"].as_str());
    sandbox.unwrap_or_default()
}

/// What the plugins before would have said, had they been given `path`.
fn previous_at(pod: &Pod, path: &Path) -> Option<Value> {
    let mut previous = pod.previous.clone()?;
    let interfaces = previous["interfaces"].as_array_mut();
    for interface in interfaces.into_iter().flatten() {
        if interface["sandbox"] == *pod.netns.path().to_string_lossy() {
            interface["sandbox"] = path.to_string_lossy().into();
        }
    }
    Some(previous)
}

fn any_path_to_a_namespace(world: &World<'_>) -> Verdict {
    for kind in 0.. {
        // a new one each time: what a DEL leaves is other cases' matter
        let pod = world.another_pod()?;
        let open = File::open(pod.netns.path()).context("cannot open the sandbox")?;
        let Some(path) = paths(world, &pod, &open)?.get(kind).cloned() else {
            break;
        };
        let call = world.call_for("ADD", &pod).env("CNI_NETNS", &path);
        let call = match previous_at(&pod, &path) {
            Some(previous) => call.set("prevResult", previous),
            None => call,
        };
        let result = world.run(&call)?.result()?;
        let sandbox = sandbox_in(&result, &pod);
        expect(Path::new(sandbox).as_os_str() == path.as_os_str(), || {
            format!("sandbox {sandbox:?} for CNI_NETNS {}", path.display())
        })?;
        let call = world.after("DEL", &pod, &result);
        world.run(&call.env("CNI_NETNS", &path))?.success()?;
    }
    Ok(())
}

fn own_namespace_is_refused(world: &World<'_>) -> Verdict {
    for verb in ["ADD", "DEL"] {
        for value in ["", "0", "false", "yes"] {
            let call = world.call(verb)?.env("CNI_NETNS", world.host().path());
            world
                .run(&call.env("CNI_NETNS_OVERRIDE", value))?
                .fails(8)?;
        }
    }
    Ok(())
}

fn own_namespace_is_left_alone(world: &World<'_>) -> Verdict {
    world.pod()?;
    if world.host().is_owned() {
        // so that a plugin that makes a sandbox's loopback ready shows; another host's may be needed there
        world.host().ip(&["link", "set", "lo", "down"])?;
    }
    let before = world.traces(None)?;
    for verb in ["ADD", "DEL"] {
        // whether it is refused is the other case's; a link is what it could take
        world.run(
            &world
                .call(verb)?
                .env("CNI_NETNS", world.host().path())
                .env("CNI_IFNAME", "lo"),
        )?;
        let name = world.some_link_of_the_host()?;
        world.run(
            &world
                .call(verb)?
                .env("CNI_NETNS", world.host().path())
                .env("CNI_IFNAME", name),
        )?;
    }
    before.are_still(world, None)
}

fn own_namespace_on_request(world: &World<'_>) -> Verdict {
    for value in ["1", "TRUE", "true"] {
        let call = world.call("DEL")?.env("CNI_NETNS", world.host().path());
        world
            .run(
                &call
                    .env("CNI_NETNS_OVERRIDE", value)
                    .env("CNI_IFNAME", "none0"),
            )?
            .success()?;
    }
    Ok(())
}
