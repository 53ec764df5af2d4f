//! C: members that the specification or the runtimes put into a configuration, and that a plugin must live with.

use serde_json::{Value, json};

use crate::call::Call;
use crate::case::Source::{AwsNode, Containerd, Conventions, CriO, Libcni, Spec};
use crate::case::Versions::Each;
use crate::case::{Mode, Verdict, with};
use crate::world::World;

cases! {
    Configuration;
    unknown_members: Must, ["C05"], [Spec("Configuration format"), Conventions], Each, Each,
        "unknown members, args that mean nothing to it, capabilities and cni.dev/ members do not disturb the plugin";
    null_members: Should, ["C06", "C07"], [Libcni], Each, Each,
        "well-known members that are null count as absent";
    empty_members: Must, ["C06"], [Spec("Configuration format"), Libcni], Each, Each,
        "well-known members that are empty objects are taken";
    port_mappings_of_containerd: Must, ["C07"], [Containerd], Each, Each,
        "runtimeConfig in go-cni's spelling (HostPort, IngressRate, Servers) is taken";
    port_mappings_of_crio: Must, ["C07"], [CriO, Conventions], Each, Each,
        "runtimeConfig in the conventions' spelling (hostPort, ingressRate, servers) is taken";
    fast_bandwidth: Must, ["C07"], [Containerd, Conventions], Each, Each,
        "a bandwidth of 10 Gbit/s is taken";
    pod_annotations: Must, ["C08"], [Containerd, CriO, AwsNode], Each, Each,
        "runtimeConfig with pod annotations, filled or null, is taken";
    numbers_as_texts: Ours, ["C09"], [AwsNode], Each, Each,
        "an mtu that is written as a text is taken";
}

/// Each verb succeeds with these members of the configuration.
fn taken(world: &World<'_>, members: &Value) -> Verdict {
    let put_in = |call| {
        let members = members.as_object().into_iter().flatten();
        members.fold(call, |call: Call, (key, value)| {
            call.set(key, value.clone())
        })
    };
    with(&members.to_string(), world.life(put_in)).map(drop)
}

/// `members` without those that the plugin's own configuration has.
fn foreign(world: &World<'_>, mut members: Value) -> Value {
    if let Some(members) = members.as_object_mut() {
        members.retain(|key, _| !world.subject().entry.contains_key(key));
    }
    members
}

fn unknown_members(world: &World<'_>) -> Verdict {
    let members = json!({
        "x": 1,
        "example.com/policy": {"deep": [1, {"er": null}]},
        "cni.dev/unheard-of": true,
        "args": {"labels": [{"key": "app", "value": "web"}], "cni": {"unheardOf": 1}},
        "capabilities": {"unheardOf": true},
        "disableCheck": true,
    });
    taken(world, &foreign(world, members))
}

fn null_members(world: &World<'_>) -> Verdict {
    let members = json!({"ipMasq": null, "dns": null, "runtimeConfig": null, "args": null, "capabilities": null});
    taken(world, &foreign(world, members))?;
    let unfilled = json!({"portMappings": null, "bandwidth": null, "dns": null, "ips": null});
    taken(world, &json!({"runtimeConfig": unfilled}))?;
    // a plugin behind others needs theirs, and CHECK what ADD said
    let needs = |verb: &str| verb == "CHECK" || verb == "ADD" && world.mode() == Mode::Chained;
    let life = world.life(|call| match call.verb.as_str() {
        verb if needs(verb) => call,
        _ => call.set("prevResult", Value::Null),
    });
    with("prevResult null", life).map(drop)
}

fn empty_members(world: &World<'_>) -> Verdict {
    let members = json!({"dns": {}, "runtimeConfig": {}, "args": {}, "capabilities": {}});
    taken(world, &foreign(world, members))
}

fn port_mappings_of_containerd(world: &World<'_>) -> Verdict {
    taken(
        world,
        &json!({"runtimeConfig": {
            "portMappings": [{"HostPort": 32080, "ContainerPort": 80, "Protocol": "sctp", "HostIP": ""}],
            "bandwidth": {"IngressRate": 0, "IngressBurst": 0, "EgressRate": 0, "EgressBurst": 0},
            "dns": {"Servers": ["192.0.2.53"], "Searches": [], "Options": null},
            "cgroupPath": "/kubepods/pod1",
        }}),
    )
}

fn port_mappings_of_crio(world: &World<'_>) -> Verdict {
    taken(
        world,
        &json!({"runtimeConfig": {
            "portMappings": [{"hostPort": 32081, "containerPort": 81, "protocol": "udp", "hostIP": ""}],
            "bandwidth": {"ingressRate": 0, "ingressBurst": 0, "egressRate": 0, "egressBurst": 0},
            "dns": {"servers": ["192.0.2.53"], "searches": ["a.example"], "options": []},
            "ips": [],
        }}),
    )
}

/// 10 Gbit/s, with the burst that containerd sends: neither fits into 31 bits.
fn fast_bandwidth(world: &World<'_>) -> Verdict {
    let (rate, burst) = (10_000_000_000_u64, u32::MAX);
    taken(
        world,
        &json!({"runtimeConfig": {"bandwidth": {
            "ingressRate": rate, "ingressBurst": burst, "egressRate": rate, "egressBurst": burst,
        }}}),
    )
}

fn pod_annotations(world: &World<'_>) -> Verdict {
    for annotations in [
        json!({"a.example/b": "\"quoted\"\n"}),
        json!({}),
        Value::Null,
    ] {
        taken(
            world,
            &json!({"runtimeConfig": {"io.kubernetes.cri.pod-annotations": annotations}}),
        )?;
    }
    Ok(())
}

fn numbers_as_texts(world: &World<'_>) -> Verdict {
    taken(world, &json!({"mtu": "1400"}))
}
