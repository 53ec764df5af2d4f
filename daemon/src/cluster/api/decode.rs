//! The few fields of pods and nodes that matter here; the rest is skipped while it is read, and never held.

use std::net::IpAddr;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use super::super::{BoundName, BoundPod, Change, ClusterError, Kind, Listed, Versioned};
use super::answer::{kind, shortened};

#[derive(Deserialize)]
struct List {
    metadata: ListMetadata,
    #[serde(default)]
    items: Option<Vec<Pod>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ListMetadata {
    resource_version: String,
}

#[derive(Deserialize)]
struct Pod {
    metadata: Metadata,
    #[serde(default)]
    spec: Spec,
    #[serde(default)]
    status: Status,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    name: String,
    #[serde(default)]
    namespace: String,
    #[serde(default)]
    uid: String,
    #[serde(default)]
    resource_version: String,
    deletion_timestamp: Option<IgnoredAny>,
    annotations: Option<Annotations>,
}

#[derive(Deserialize)]
struct Annotations {
    /// On the mirror of a static pod: the uid that its kubelet, and so the runtime, knows it by (kubelet,
    /// `pkg/kubelet/types`, `ConfigMirrorAnnotationKey`).
    #[serde(rename = "kubernetes.io/config.mirror")]
    mirror: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Spec {
    node_name: String,
    host_network: bool,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Status {
    phase: String,
    #[serde(rename = "podIPs")]
    addresses: Option<Vec<Address>>,
}

#[derive(Deserialize)]
struct Address {
    ip: IpAddr,
}

impl Pod {
    fn name(&self) -> BoundName {
        BoundName {
            namespace: self.metadata.namespace.clone(),
            name: self.metadata.name.clone(),
        }
    }

    /// The pod, if it needs an address of the node, or has one.
    fn bound(self, node: &str) -> Option<BoundPod> {
        let ends = self.metadata.deletion_timestamp.is_some()
            || matches!(self.status.phase.as_str(), "Succeeded" | "Failed");
        if self.spec.host_network || self.spec.node_name != node || ends {
            return None;
        }
        let addresses = self.status.addresses.iter().flatten();
        Some(BoundPod {
            name: self.name(),
            addresses: addresses.map(|address| address.ip).collect(),
            uid: (self.metadata.annotations)
                .and_then(|annotations| annotations.mirror)
                .unwrap_or(self.metadata.uid),
        })
    }
}

/// A list of pods.
pub(super) fn pods(body: &[u8], node: &str) -> Result<Listed, ClusterError> {
    let list: List = read("list of pods", body)?;
    let pods = list.items.into_iter().flatten();
    Ok(Listed {
        pods: pods.filter_map(|pod| pod.bound(node)).collect(),
        version: list.metadata.resource_version,
    })
}

/// One line of a watch of pods.
pub(super) fn change(line: &[u8], node: &str) -> Result<Versioned, ClusterError> {
    #[derive(Deserialize)]
    struct Event<'a> {
        #[serde(rename = "type")]
        happened: &'a str,
        #[serde(borrow)]
        object: &'a RawValue,
    }
    let what = "watch of pods";
    let event: Event<'_> = read(what, line)?;
    let object = event.object.get().as_bytes();
    match event.happened {
        "ADDED" | "MODIFIED" | "DELETED" => {
            let pod: Pod = read(what, object)?;
            let (name, version) = (pod.name(), pod.metadata.resource_version.clone());
            if version.is_empty() {
                return Err(garbled(what, "a change without a version"));
            }
            let gone = event.happened == "DELETED";
            let bound = pod.bound(node).filter(|_| !gone);
            Ok((bound.map_or(Change::Gone(name), Change::Bound), version))
        }
        "BOOKMARK" => {
            let bookmark: List = read(what, object)?;
            Ok((Change::None, bookmark.metadata.resource_version))
        }
        "ERROR" => Err(said(what, object)),
        other => Err(garbled(what, &format!("an event of type {other:?}"))),
    }
}

/// What a `Status` in the midst of a watch says.
fn said(what: &str, object: &[u8]) -> ClusterError {
    #[derive(Deserialize)]
    struct Status {
        code: u16,
        #[serde(default)]
        message: String,
    }
    match read::<Status>(what, object) {
        Ok(status) => ClusterError {
            kind: kind(status.code, None),
            message: format!("{what}: {}: {}", status.code, shortened(&status.message)),
        },
        Err(error) => error,
    }
}

/// How many pods a node may run, if it says.
pub(super) fn allocatable(body: &[u8]) -> Result<Option<u32>, ClusterError> {
    #[derive(Deserialize)]
    struct Node {
        status: Option<NodeStatus>,
    }
    #[derive(Deserialize)]
    struct NodeStatus {
        allocatable: Option<Allocatable>,
    }
    #[derive(Deserialize)]
    struct Allocatable {
        /// A quantity, which for pods is a plain number.
        pods: Option<String>,
    }
    let node: Node = read("get of the node", body)?;
    let pods = node.status.and_then(|s| s.allocatable).and_then(|a| a.pods);
    Ok(pods.and_then(|pods| pods.parse().ok()))
}

fn read<'a, T: Deserialize<'a>>(what: &str, body: &'a [u8]) -> Result<T, ClusterError> {
    serde_json::from_slice(body).map_err(|error| garbled(what, &error.to_string()))
}

fn garbled(what: &str, why: &str) -> ClusterError {
    ClusterError {
        kind: Kind::Garbled,
        message: format!("{what}: no answer of an API server: {}", shortened(why)),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn pod() -> Value {
        json!({
            "kind": "Pod", "apiVersion": "v1",
            "metadata": {
                "name": "web-0", "namespace": "shop", "uid": "u-1", "resourceVersion": "17",
                "labels": {"app": "web"}, "managedFields": [{"manager": "kubelet", "fieldsV1": {"f:status": {}}}],
            },
            "spec": {"nodeName": "n1", "containers": [{"name": "c", "image": "i"}]},
            "status": {"phase": "Running", "podIP": "10.0.1.9", "podIPs": [{"ip": "10.0.1.9"}]},
        })
    }

    fn bound(pod: &Value) -> Option<BoundPod> {
        let list = json!({"metadata": {"resourceVersion": "20"}, "items": [pod]});
        let listed = pods(list.to_string().as_bytes(), "n1").unwrap();
        assert_eq!(listed.version, "20");
        listed.pods.into_iter().next()
    }

    fn with(path: &str, value: Value) -> Value {
        let mut pod = pod();
        let (parent, field) = path.rsplit_once('/').unwrap();
        pod.pointer_mut(parent).unwrap()[field] = value;
        pod
    }

    #[test]
    fn a_pod_is_what_is_used_of_it() {
        let pod = bound(&pod()).unwrap();
        assert_eq!(
            (pod.name.namespace.as_str(), pod.name.name.as_str()),
            ("shop", "web-0")
        );
        assert_eq!(pod.uid, "u-1");
        assert_eq!(pod.addresses, ["10.0.1.9".parse::<IpAddr>().unwrap()]);
        let bare = json!({"metadata": {"name": "a"}, "spec": {"nodeName": "n1"}});
        assert_eq!(bound(&bare).unwrap().addresses, Vec::<IpAddr>::new());
    }

    #[test]
    fn pods_that_need_no_address_of_the_node_are_left_out() {
        assert!(bound(&with("/spec/hostNetwork", json!(true))).is_none());
        assert!(bound(&with("/spec/nodeName", json!("n2"))).is_none());
        assert!(bound(&with("/status/phase", json!("Succeeded"))).is_none());
        assert!(bound(&with("/status/phase", json!("Failed"))).is_none());
        let deleted = json!("2026-01-01T00:00:00Z");
        assert!(bound(&with("/metadata/deletionTimestamp", deleted)).is_none());
        assert!(bound(&with("/status/phase", json!("Pending"))).is_some());
    }

    #[test]
    fn the_mirror_of_a_static_pod_has_the_uid_that_the_runtime_knows() {
        let mirror = json!({"kubernetes.io/config.mirror": "hash", "other": "x"});
        assert_eq!(
            bound(&with("/metadata/annotations", mirror)).unwrap().uid,
            "hash"
        );
    }

    fn told(happened: &str, object: &Value) -> Result<Versioned, Kind> {
        let line = json!({"type": happened, "object": object}).to_string();
        change(line.as_bytes(), "n1").map_err(|error| error.kind)
    }

    #[test]
    fn changes_are_read() {
        let name = bound(&pod()).unwrap().name;
        let version = "17".to_owned();
        let now = Change::Bound(bound(&pod()).unwrap());
        assert_eq!(told("ADDED", &pod()), Ok((now.clone(), version.clone())));
        assert_eq!(told("MODIFIED", &pod()), Ok((now, version.clone())));
        let gone = Ok((Change::Gone(name), version));
        assert_eq!(told("DELETED", &pod()), gone);
        assert_eq!(
            told("MODIFIED", &with("/status/phase", json!("Failed"))),
            gone
        );
        let bookmark = json!({"kind": "Pod", "metadata": {"resourceVersion": "99"}, "spec": {"containers": null}});
        assert_eq!(
            told("BOOKMARK", &bookmark),
            Ok((Change::None, "99".to_owned()))
        );
    }

    #[test]
    fn errors_and_nonsense_in_a_watch_are_told_apart() {
        let status = |code: u16| json!({"kind": "Status", "code": code, "message": "too old"});
        assert_eq!(told("ERROR", &status(410)), Err(Kind::Expired));
        assert_eq!(told("ERROR", &status(500)), Err(Kind::Garbled));
        assert_eq!(told("DANCED", &pod()), Err(Kind::Garbled));
        let unversioned = with("/metadata/resourceVersion", json!(""));
        assert_eq!(told("ADDED", &unversioned), Err(Kind::Garbled));
        for line in [
            "",
            "<html>",
            "{}",
            r#"{"type":"ADDED","object":7}"#,
            "\u{0}",
        ] {
            assert_eq!(
                change(line.as_bytes(), "n1").unwrap_err().kind,
                Kind::Garbled,
                "{line}"
            );
            assert_eq!(
                pods(line.as_bytes(), "n1").unwrap_err().kind,
                Kind::Garbled,
                "{line}"
            );
        }
    }

    #[test]
    fn a_node_says_how_many_pods_it_may_run() {
        let of = |node: Value| allocatable(node.to_string().as_bytes()).unwrap();
        assert_eq!(
            of(json!({"status": {"allocatable": {"pods": "29", "cpu": "1930m"}}})),
            Some(29)
        );
        assert_eq!(of(json!({"status": {}})), None);
        assert!(allocatable(b"<html>").is_err());
    }
}
