//! The wire, pinned: a change of these files is a change of the protocol, which has a number.

use std::path::Path;

use berth_cni::contract::{
    AddRequest, Ask, AttachmentId, AwsNodeLink, CheckRequest, DelRequest, Failure, GcRequest,
    Interface, ListedAddress, Outcome, PROTOCOL, PodName, Reply, Request, ValidAttachment,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::daemon::added;

#[test]
fn requests() {
    let id = AttachmentId {
        network: "aws-cni".into(),
        container_id: "c0ffee".into(),
        ifname: "eth0".into(),
    };
    let pod = PodName {
        namespace: "default".into(),
        name: "web-0".into(),
        uid: Some("6f1e".into()),
    };
    let full = AddRequest {
        id: id.clone(),
        pod: Some(pod.clone()),
        netns: "/var/run/netns/cni-1".into(),
        interface: Interface::Create,
        veth_prefix: Some("eni".into()),
        mtu: Some(9001),
    };
    let bare = AddRequest {
        pod: None,
        interface: Interface::Existing,
        veth_prefix: None,
        mtu: None,
        ..full.clone()
    };
    let request = |ask| Request {
        protocol: PROTOCOL,
        invocation: "5eed".repeat(8),
        ask,
    };
    pinned("request-add", &request(Ask::Add(full)));
    pinned("request-add-existing", &request(Ask::Add(bare)));
    pinned(
        "request-del",
        &request(Ask::Del(DelRequest {
            id: id.clone(),
            pod: Some(PodName { uid: None, ..pod }),
            aws_node: Vec::new(),
        })),
    );
    pinned("request-state", &request(Ask::State));
    pinned("request-explain", &request(Ask::Explain));
    let bare = DelRequest {
        id,
        pod: None,
        aws_node: Vec::new(),
    };
    pinned("tombstone", &bare);
    let link = AwsNodeLink {
        host_ifname: "eni1a2b3c4d5e6".into(),
        address: [10, 0, 3, 9].into(),
        table: 254,
    };
    let aws_node = vec![link];
    pinned("tombstone-aws-node", &DelRequest { aws_node, ..bare });
}

#[test]
fn requests_of_the_later_verbs() {
    let id = AttachmentId {
        network: "aws-cni".into(),
        container_id: "c0ffee".into(),
        ifname: "eth0".into(),
    };
    let check = CheckRequest {
        id,
        mac: Some("0a:58:0a:00:03:07".into()),
        addresses: vec![ListedAddress {
            address: [10, 0, 3, 7].into(),
            prefix_len: 32,
        }],
    };
    let bare = CheckRequest {
        mac: None,
        ..check.clone()
    };
    let gc = GcRequest {
        network: "aws-cni".into(),
        valid: vec![ValidAttachment {
            container_id: "c0ffee".into(),
            ifname: "eth0".into(),
        }],
    };
    let request = |ask| Request {
        protocol: PROTOCOL,
        invocation: "5eed".repeat(8),
        ask,
    };
    pinned("request-check", &request(Ask::Check(check)));
    pinned("request-check-bare", &request(Ask::Check(bare)));
    pinned("request-gc", &request(Ask::Gc(gc)));
    pinned("request-status", &request(Ask::Status));
}

#[test]
fn replies() {
    let reply = |outcome| Reply {
        protocol: PROTOCOL,
        outcome,
    };
    let failure = Failure {
        code: 11,
        reason: "SubnetFull".into(),
        msg: "subnet-0a1b has no free address".into(),
        details: "all 251 are taken".into(),
    };
    pinned("reply-added", &reply(Outcome::Added(added())));
    pinned("reply-deleted", &reply(Outcome::Deleted));
    pinned("reply-checked", &reply(Outcome::Checked));
    pinned("reply-collected", &reply(Outcome::Collected));
    pinned("reply-ready", &reply(Outcome::Ready));
    pinned(
        "reply-state",
        &reply(Outcome::State {
            state: json!({"pool": {"free": 3}}),
        }),
    );
    pinned("reply-failed", &reply(Outcome::Failed(failure.clone())));
    pinned(
        "reply-failed-bare",
        &reply(Outcome::Failed(Failure {
            details: String::new(),
            ..failure
        })),
    );
}

fn pinned<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(name: &str, message: &T) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(name)
        .with_extension("json");
    let golden = std::fs::read_to_string(&path).unwrap_or_default();
    let written = serde_json::to_string_pretty(message).unwrap() + "\n";
    assert_eq!(golden, written, "{}", path.display());
    assert_eq!(serde_json::from_str::<T>(&golden).unwrap(), *message);
}
