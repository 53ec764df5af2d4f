//! L: the plugin calls an IPAM plugin. That one is the suite's own: a script that writes down how it was called and
//! answers what the case says.

mod ipam;

use serde_json::json;

use self::ipam::Ipam;
use crate::case::{Case, Group, Level, Modes, Source, Verdict, Versions, expect, skip, wrong};
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
        rule: "the IPAM plugin is found in any directory of CNI_PATH and gets the whole environment and configuration",
        assertions: &["L01", "E16"],
        run: whole_call,
        ..BASE
    },
    Case {
        name: "remarks_passed_on",
        rule: "what the IPAM plugin says on stderr is on the plugin's stderr",
        assertions: &["L01"],
        level: Level::Should,
        versions: Versions::Once,
        run: remarks_passed_on,
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
        rule: "the IPAM plugin's addresses are in the result with their gateways and point to the interface; its routes are there too",
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
        name: "failed_add_deleted",
        rule: "an ADD of the IPAM plugin that fails is followed by its DEL",
        assertions: &["L02"],
        level: Level::Should,
        versions: Versions::Once,
        run: failed_add_deleted,
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
        rule: "DEL calls the IPAM plugin's DEL with all that it got itself, also without CNI_NETNS, and its error is the plugin's",
        assertions: &["L01", "L03", "D13"],
        run: del_forwarded,
        ..BASE
    },
    Case {
        name: "check_forwarded",
        rule: "CHECK calls the IPAM plugin's CHECK with all that it got itself, and its error is the plugin's",
        assertions: &["L01", "L03", "K08"],
        versions: Versions::Since(Version::V0_4_0),
        run: check_forwarded,
        ..BASE
    },
    Case {
        name: "status_forwarded",
        rule: "STATUS calls the IPAM plugin's STATUS with all that it got itself, and its error is the plugin's",
        assertions: &["L01", "L03", "S05"],
        versions: Versions::Since(Version::V1_1_0),
        run: status_forwarded,
        ..BASE
    },
    Case {
        name: "gc_forwarded",
        rule: "GC calls the IPAM plugin's GC with all that it got itself, the list of valid attachments too",
        assertions: &["L01", "L03", "G06"],
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
    // not every interface is called the same
    let call = ipam.call(world, "ADD")?.env("CNI_IFNAME", "net1");
    world.run(&call)?.result()?;
    ipam.shared(&call)
}

fn remarks_passed_on(world: &World<'_>) -> Verdict {
    let ipam = Ipam::install(world)?;
    let answer = world.run(&ipam.call(world, "ADD")?)?;
    answer.success()?;
    expect(answer.stderr.contains(ipam::REMARK), || {
        format!("{:?} is not on stderr: {}", ipam::REMARK, answer.quote())
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

/// Whether interfaces take addresses of IPv6 here.
fn has_ipv6() -> bool {
    let switch = std::fs::read_to_string("/proc/sys/net/ipv6/conf/default/disable_ipv6");
    switch.is_ok_and(|switch| switch.trim() == "0")
}

fn result_completed(world: &World<'_>) -> Verdict {
    let ipam = Ipam::install(world)?;
    let mut given = vec![ipam::ADDRESS];
    if has_ipv6() {
        given.push(ipam::SECOND);
    }
    ipam.gives(world, &given)?;
    let call = ipam.call(world, "ADD")?;
    let result = world.run(&call)?.result()?;
    let ifname = call.variable("CNI_IFNAME");
    for (address, gateway) in given {
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
        expect(ip["gateway"] == gateway, || {
            format!("{address} has not the gateway {gateway}: {result}")
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

fn failed_add_deleted(world: &World<'_>) -> Verdict {
    let ipam = Ipam::install(world)?;
    ipam.fails("ADD", 11, "no address is free")?;
    world.run(&ipam.call(world, "ADD")?)?.failure()?;
    ipam.only("DEL").map(drop)
}

/// A gateway that is on no link: no kernel takes a route by it, unless it is told to believe it.
const OFF_LINK: &str = "192.0.2.77";

fn add_undone(world: &World<'_>) -> Verdict {
    let ipam = Ipam::install(world)?;
    let pod = world.pod()?;
    let before = world.traces(Some(&pod))?;
    ipam.answers(
        "ADD",
        &json!({
            "cniVersion": world.version().as_str(),
            "ips": [ipam::ip(ipam::ADDRESS)],
            "routes": [{"dst": "198.18.0.0/15", "gw": OFF_LINK}],
        }),
    )?;
    let answer = world.run(&ipam.call(world, "ADD")?)?;
    if answer.succeeded() && pod.netns.ip(&["route"])?.contains(OFF_LINK) {
        return skip("it makes routes by gateways that are on no link");
    }
    answer.failure()?;
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
    let mut del = ipam.call(world, "DEL")?;
    // not before 0.4.0
    if let Some(result) = world.after("DEL", &pod, &result).config().get("prevResult") {
        del = del.set("prevResult", result.clone());
    }
    ipam.fails("DEL", 11, "the books are closed")?;
    world.run(&del)?.fails(11)?;
    ipam.recovers("DEL")?;
    ipam.forget()?;
    world.run(&del)?.success()?;
    ipam.shared(&del)?;
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
    ipam.shared(&check)?;
    ipam.fails("CHECK", 102, "the address is another's")?;
    world.run(&check)?.failure().map(drop)
}

fn status_forwarded(world: &World<'_>) -> Verdict {
    let ipam = Ipam::install(world)?;
    let status = ipam.call(world, "STATUS")?;
    world.run(&status)?.success()?;
    ipam.shared(&status)?;
    ipam.fails("STATUS", 50, "no address is free")?;
    world.run(&status)?.fails(50).map(drop)
}

fn gc_forwarded(world: &World<'_>) -> Verdict {
    let ipam = Ipam::install(world)?;
    let list = json!([{"containerID": "kept", "ifname": "eth0"}]);
    let gc = ipam
        .call(world, "GC")?
        .set("cni.dev/valid-attachments", list.clone())
        .set("cni.dev/attachments", list);
    world.run(&gc)?.success()?;
    ipam.shared(&gc)
}
