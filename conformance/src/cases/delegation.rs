//! L: the plugin calls an IPAM plugin. That one is the suite's own: a script that writes down how it was called and
//! answers what the case says.

mod ipam;

use serde_json::{Value, json};

use self::ipam::Ipam;
use crate::case::{Case, Group, Level, Modes, Source, Verdict, Versions, expect, wrong};
use crate::runtime::conflist::Version;
use crate::world::World;

const DELEGATION: &str = "Section 4: Plugin Delegation";

const BASE: Case = Case {
    group: Group::Delegation,
    name: "",
    rule: "",
    assertions: &[],
    sources: &[Source::Spec(DELEGATION)],
    level: Level::Must,
    versions: Versions::Each,
    modes: Modes::Creating,
    run: whole_call,
};

pub(super) const CASES: &[Case] = &[
    Case {
        name: "whole_call",
        rule: "the IPAM plugin is found in any directory of CNI_PATH and gets the environment and the whole configuration",
        assertions: &["L01", "E16"],
        run: whole_call,
        ..BASE
    },
    Case {
        name: "name_with_slash",
        rule: "an IPAM plugin is never called by a path: a type with a slash is refused",
        assertions: &["L01"],
        versions: Versions::Once,
        run: name_with_slash,
        ..BASE
    },
    Case {
        name: "result_completed",
        rule: "the IPAM plugin's addresses are in the result and point to the interface; its routes are there too",
        assertions: &["L04"],
        run: result_completed,
        ..BASE
    },
    Case {
        name: "add_fails",
        rule: "the IPAM plugin's error of ADD is the plugin's, and nothing is left",
        assertions: &["L02", "A10"],
        versions: Versions::Once,
        run: add_fails,
        ..BASE
    },
    Case {
        name: "add_undone",
        rule: "an ADD that fails after the IPAM plugin succeeded calls its DEL, and nothing is left",
        assertions: &["L02", "A10"],
        level: Level::Should,
        versions: Versions::Once,
        run: add_undone,
        ..BASE
    },
    Case {
        name: "del_forwarded",
        rule: "DEL calls the IPAM plugin's DEL, also without CNI_NETNS, and its error is the plugin's",
        assertions: &["L03", "D13"],
        run: del_forwarded,
        ..BASE
    },
    Case {
        name: "check_forwarded",
        rule: "CHECK calls the IPAM plugin's CHECK, and its error is the plugin's",
        assertions: &["L03", "K08"],
        versions: Versions::Since(Version::V0_4_0),
        run: check_forwarded,
        ..BASE
    },
    Case {
        name: "status_forwarded",
        rule: "STATUS calls the IPAM plugin's STATUS, and its error is the plugin's",
        assertions: &["L03", "S05"],
        versions: Versions::Since(Version::V1_1_0),
        run: status_forwarded,
        ..BASE
    },
    Case {
        name: "gc_forwarded",
        rule: "GC calls the IPAM plugin's GC with the list of valid attachments",
        assertions: &["L03", "G06"],
        versions: Versions::Since(Version::V1_1_0),
        run: gc_forwarded,
        ..BASE
    },
    Case {
        name: "gc_past_errors",
        rule: "GC takes back what is the plugin's own also when the IPAM plugin's GC fails, and tells that error",
        assertions: &["G05", "G06"],
        level: Level::Should,
        versions: Versions::Since(Version::V1_1_0),
        run: gc_past_errors,
        ..BASE
    },
];

/// An IPAM plugin that fails is no reason to leave what is the plugin's own.
fn gc_past_errors(world: &World<'_>) -> Verdict {
    let ipam = Ipam::install(world)?;
    let pod = world.pod()?;
    let before = world.traces(None)?;
    world.run(&ipam.call(world, "ADD")?)?.result()?;
    ipam.fails("GC", 11, "the books are closed")?;
    let gc = ipam
        .call(world, "GC")?
        .set("cni.dev/valid-attachments", json!([]))
        .set("cni.dev/attachments", json!([]));
    let error = world.run(&gc)?.failure()?;
    error.says(&["the books are closed"])?;
    let has_link = pod.links()?.iter().any(|link| link == pod.ifname());
    expect(!has_link, || {
        "GC left what is not listed when the IPAM plugin failed".to_owned()
    })?;
    before.are_back(world, None)
}

fn whole_call(world: &World<'_>) -> Verdict {
    let ipam = Ipam::install(world)?;
    let call = ipam
        .call(world, "ADD")?
        .set("cni.dev/conformance", json!({"kept": [1]}));
    world.run(&call)?.result()?;
    let seen = ipam.only("ADD")?;
    for name in [
        "CNI_COMMAND",
        "CNI_CONTAINERID",
        "CNI_NETNS",
        "CNI_IFNAME",
        "CNI_ARGS",
        "CNI_PATH",
    ] {
        let given = call.variable(name).to_string_lossy().into_owned();
        let got = seen.variable(name);
        expect(got == Some(given.as_str()), || {
            format!("the IPAM plugin got {name}={got:?}, not {given:?}")
        })?;
    }
    let mut given = call.config();
    let mut got = seen.config;
    for config in [&mut given, &mut got] {
        // libcni's own, for the outer plugin
        config
            .as_object_mut()
            .map(|config| config.remove("capabilities"));
    }
    expect(given == got, || {
        format!("the IPAM plugin got {got}, not {given}")
    })
}

fn name_with_slash(world: &World<'_>) -> Verdict {
    let ipam = Ipam::install(world)?;
    let mut call = ipam.call(world, "ADD")?;
    let mut part = call.config()["ipam"].clone();
    part["type"] = json!(ipam.program());
    call = call.set("ipam", part);
    world.run(&call)?.failure()?;
    expect(ipam.calls("ADD")?.is_empty(), || {
        "a program was run by its path".to_owned()
    })
}

fn result_completed(world: &World<'_>) -> Verdict {
    let ipam = Ipam::install(world)?;
    let call = ipam.call(world, "ADD")?;
    let result = world.run(&call)?.result()?;
    let ifname = call.variable("CNI_IFNAME");
    for address in ipam::ADDRESSES {
        let ips = result["ips"].as_array().into_iter().flatten();
        let Some(ip) = ips.into_iter().find(|ip| ip["address"] == address) else {
            return wrong(format!(
                "{address} of the IPAM plugin is not in the result: {result}"
            ));
        };
        let at = ip["interface"]
            .as_u64()
            .and_then(|at| usize::try_from(at).ok());
        let named = at
            .map(|at| result["interfaces"][at]["name"].clone())
            .unwrap_or_default();
        expect(named == *ifname.to_string_lossy(), || {
            format!("{address} points to {named}: {result}")
        })?;
    }
    let routes = result["routes"].as_array().into_iter().flatten();
    let has_route = routes.into_iter().any(|route| route["dst"] == ipam::ROUTE);
    expect(has_route, || {
        format!("the IPAM plugin's route is not in the result: {result}")
    })
}

fn add_fails(world: &World<'_>) -> Verdict {
    let ipam = Ipam::install(world)?;
    let pod = world.pod()?;
    let before = world.traces(Some(&pod))?;
    ipam.fails("ADD", 11, "no address is free")?;
    let error = world.run(&ipam.call(world, "ADD")?)?.fails(11)?;
    error.says(&["no address is free"])?;
    before.are_back(world, Some(&pod))
}

/// The interface is there already, which a plugin may find out before or after it asks for an address.
fn add_undone(world: &World<'_>) -> Verdict {
    let ipam = Ipam::install(world)?;
    let pod = world.pod()?;
    let before = world.traces(Some(&pod))?;
    // a route that no kernel takes: its gateway is on no link
    ipam.answers(
        "ADD",
        &json!({
            "cniVersion": world.version().as_str(),
            "ips": [{"version": "4", "address": ipam::ADDRESSES[0], "gateway": ipam::GATEWAY}],
            "routes": [{"dst": "198.18.0.0/15", "gw": "192.0.2.77"}],
        }),
    )?;
    world.run(&ipam.call(world, "ADD")?)?.failure()?;
    let undone = ipam.calls("DEL")?.len();
    expect(undone > 0, || {
        "the IPAM plugin was not told that the ADD failed".to_owned()
    })?;
    before.are_back(world, Some(&pod))
}

fn del_forwarded(world: &World<'_>) -> Verdict {
    let ipam = Ipam::install(world)?;
    let result = world.run(&ipam.call(world, "ADD")?)?.result()?;
    let pod = world.pod()?;
    let part = ipam.call(world, "DEL")?.config()["ipam"].clone();
    let del = ipam
        .call(world, "DEL")?
        .with_config(world.after("DEL", &pod, &result).config())
        .set("ipam", part);
    ipam.fails("DEL", 11, "the books are closed")?;
    world.run(&del)?.fails(11)?;
    ipam.recovers("DEL")?;
    ipam.forget()?;
    world.run(&del)?.success()?;
    world.run(&del.env("CNI_NETNS", ""))?.success()?;
    let calls = ipam.calls("DEL")?.len();
    expect(calls == 2, || {
        format!("two DELs called the IPAM plugin {calls} times")
    })
}

fn check_forwarded(world: &World<'_>) -> Verdict {
    let ipam = Ipam::install(world)?;
    let result = world.run(&ipam.call(world, "ADD")?)?.result()?;
    let check = ipam.call(world, "CHECK")?.set("prevResult", result);
    world.run(&check)?.success()?;
    ipam.only("CHECK")?;
    ipam.fails("CHECK", 102, "the address is another's")?;
    world.run(&check)?.failure().map(drop)
}

fn status_forwarded(world: &World<'_>) -> Verdict {
    let ipam = Ipam::install(world)?;
    let status = ipam.call(world, "STATUS")?;
    world.run(&status)?.success()?;
    ipam.only("STATUS")?;
    ipam.fails("STATUS", 50, "no address is free")?;
    world.run(&status)?.fails(50).map(drop)
}

fn gc_forwarded(world: &World<'_>) -> Verdict {
    let ipam = Ipam::install(world)?;
    let list = json!([{"containerID": "kept", "ifname": "eth0"}]);
    let gc = ipam
        .call(world, "GC")?
        .set("cni.dev/valid-attachments", list.clone());
    world
        .run(&gc.set("cni.dev/attachments", list.clone()))?
        .success()?;
    let got: Value = ipam.only("GC")?.config["cni.dev/valid-attachments"].clone();
    expect(got == list, || {
        format!("the IPAM plugin got the list {got}, not {list}")
    })
}
