//! E: which namespaces CNI_NETNS may name, and how.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::os::unix::fs::symlink;

use anyhow::Context;

use crate::case::Source::{Ours, Skel, Spec};
use crate::case::Versions::Each;
use crate::case::{Verdict, expect};
use crate::world::World;

cases! {
    Environment;
    any_path_to_a_namespace: Must, ["E11"], [Spec("Parameters")], Each, Creating,
        "CNI_NETNS may be a path below /proc or a symbolic link, and the result's sandbox is that path byte for byte";
    own_namespace_is_refused: Must, ["E12"], [Skel], Each, Each,
        "ADD and DEL with the plugin's own namespace in CNI_NETNS are refused with code 8";
    own_namespace_is_left_alone: Ours, ["E13"], [Ours], Each, Each,
        "ADD and DEL with the plugin's own namespace in CNI_NETNS change nothing there";
    own_namespace_on_request: Should, ["E12"], [Skel], Each, Once,
        "with CNI_NETNS_OVERRIDE 1 or TRUE the plugin's own namespace is taken";
}

fn any_path_to_a_namespace(world: &World<'_>) -> Verdict {
    let pod = world.pod()?;
    let open = File::open(pod.netns.path()).context("cannot open the sandbox")?;
    let link = world.dir().join(format!("{} of a pod", pod.netns.name()));
    symlink(pod.netns.path(), &link).context("cannot make a symbolic link")?;
    let of_process = format!("/proc/{}/fd/{}", std::process::id(), open.as_raw_fd());
    for path in [link.as_os_str(), of_process.as_ref()] {
        let result = world
            .run(&world.call("ADD")?.env("CNI_NETNS", path))?
            .result()?;
        let interfaces = result["interfaces"].as_array().cloned().unwrap_or_default();
        let inside = interfaces
            .iter()
            .find(|interface| interface["name"] == pod.ifname());
        let sandbox = inside
            .and_then(|interface| interface["sandbox"].as_str())
            .unwrap_or_default();
        expect(sandbox == path, || {
            format!("sandbox {sandbox:?} for CNI_NETNS {path:?}")
        })?;
        world
            .run(&world.call_after("DEL", &result)?.env("CNI_NETNS", path))?
            .success()?;
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
    before.are_back(world, None)
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
