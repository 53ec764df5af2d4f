//! E: what CNI_ARGS may be.

use crate::case::Source::{Containerd, CriO, Ours, Skel, Spec};
use crate::case::Verdict;
use crate::case::Versions::{Each, Since};
use crate::runtime::conflist::Version;
use crate::world::World;

cases! {
    Environment;
    args_of_runtimes: Must, ["E14"], [Spec("Parameters"), Containerd, CriO], Each, Each,
        "CNI_ARGS in any order, with repeated, unknown and empty-valued keys are taken when IgnoreUnknown is among them";
    args_unknown: Ours, ["E14"], [Ours], Each, Each,
        "unknown keys of CNI_ARGS are ignored without IgnoreUnknown too";
    args_malformed_add: Ours, ["E14"], [Skel, Ours], Each, Each,
        "a pair of CNI_ARGS without exactly one = fails ADD with code 4, and the error names CNI_ARGS";
    args_malformed_del: Ours, ["E14"], [Ours], Each, Each,
        "a malformed CNI_ARGS does not keep DEL from succeeding";
    args_malformed_check: Ours, ["E14"], [Ours], Since(Version::V0_4_0), Each,
        "a malformed CNI_ARGS does not keep CHECK from succeeding";
}

fn args_of_runtimes(world: &World<'_>) -> Verdict {
    let orders = [
        "K8S_POD_UID=u-1;IgnoreUnknown=1;K8S_POD_NAME=web-0;K8S_POD_INFRA_CONTAINER_ID=c;K8S_POD_NAMESPACE=shop",
        "IgnoreUnknown=true;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=web-0;MAC=;IP=;K8S_POD_NAME=web-0;FROM_THE_OPERATOR=1",
        "K8S_POD_NAMESPACE=shop;K8S_POD_NAME=web-0;FROM_THE_OPERATOR=1;IgnoreUnknown=True",
    ];
    for args in orders {
        let pod = world.another_pod()?;
        world
            .run(&world.call_for("ADD", &pod).env("CNI_ARGS", args))?
            .result()?;
        world
            .run(&world.call_for("DEL", &pod).env("CNI_ARGS", args))?
            .success()?;
    }
    Ok(())
}

fn args_unknown(world: &World<'_>) -> Verdict {
    let args = "K8S_POD_NAMESPACE=shop;K8S_POD_NAME=web-0;FROM_THE_OPERATOR=1";
    world
        .run(&world.call("ADD")?.env("CNI_ARGS", args))?
        .result()?;
    world
        .run(&world.call("DEL")?.env("CNI_ARGS", args))?
        .success()
}

const MALFORMED: [&str; 5] = ["K8S_POD_NAME", "A=b=c", "A=b;", ";A=b", ";"];

fn args_malformed_add(world: &World<'_>) -> Verdict {
    for args in MALFORMED {
        world
            .run(&world.call("ADD")?.env("CNI_ARGS", args))?
            .fails(4)?
            .says(&["CNI_ARGS"])?;
    }
    Ok(())
}

fn args_malformed_del(world: &World<'_>) -> Verdict {
    world.add()?;
    for args in MALFORMED {
        world
            .run(&world.call("DEL")?.env("CNI_ARGS", args))?
            .success()?;
    }
    Ok(())
}

fn args_malformed_check(world: &World<'_>) -> Verdict {
    let added = world.add()?;
    for args in MALFORMED {
        world
            .run(&world.call_after("CHECK", &added)?.env("CNI_ARGS", args))?
            .success()?;
    }
    Ok(())
}
