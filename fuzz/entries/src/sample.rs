//! A good call and good answers: what an entry leaves alone while it spoils something else.

use std::net::Ipv4Addr;

use berth_cni::contract::{Added, Ask, Outcome, PROTOCOL, Reply};

/// The verbs of a runtime.
pub(crate) const VERBS: [&str; 6] = ["ADD", "DEL", "CHECK", "GC", "STATUS", "VERSION"];

/// The versions of the specification that the plugin speaks.
pub(crate) const VERSIONS: [&str; 5] = ["0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"];

pub(crate) const IFNAME: &str = "eth0";
pub(crate) const NETNS: &str = "/var/run/netns/cni-1";

/// The environment of a call as containerd makes it.
pub(crate) fn environment(verb: &str) -> impl Fn(&str) -> Option<Vec<u8>> + use<'_> {
    move |name| {
        let value = match name {
            "CNI_COMMAND" => verb,
            "CNI_CONTAINERID" => "c0ffee",
            "CNI_NETNS" => NETNS,
            "CNI_IFNAME" => IFNAME,
            "CNI_PATH" => "/opt/cni/bin",
            "CNI_ARGS" => "K8S_POD_NAME=web-0;IgnoreUnknown=1;K8S_POD_NAMESPACE=default",
            _ => return None,
        };
        Some(value.into())
    }
}

/// What a daemon answers when all is well.
pub(crate) fn outcome(ask: &Ask) -> Outcome {
    match ask {
        Ask::Add(_) => Outcome::Added(Added {
            address: Ipv4Addr::new(10, 0, 3, 7),
            gateway: Ipv4Addr::new(169, 254, 1, 1),
            host_ifname: "enib0bcafe1234".to_owned(),
            host_mac: "0a:58:a9:fe:01:01".to_owned(),
            pod_mac: "0a:58:0a:00:03:07".to_owned(),
            mtu: 9001,
        }),
        Ask::Del(_) => Outcome::Deleted,
        Ask::Check(_) => Outcome::Checked,
        Ask::Gc(_) => Outcome::Collected,
        Ask::Status => Outcome::Ready,
        Ask::State | Ask::Explain => Outcome::State {
            state: serde_json::json!({"pool": {"free": 3}}),
        },
    }
}

/// The same as the JSON of a reply.
pub(crate) fn reply(ask: &Ask) -> Vec<u8> {
    let reply = Reply {
        protocol: PROTOCOL,
        outcome: outcome(ask),
    };
    serde_json::to_vec(&reply).expect("a reply has a JSON form")
}
