//! What the API server knows: objects, one version for each change of any of them, and the history of changes that watches
//! are told from. No I/O.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// A kind of object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Resource {
    Nodes,
    Pods,
}

impl Resource {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Nodes => "nodes",
            Self::Pods => "pods",
        }
    }

    pub(super) fn kind(self) -> &'static str {
        match self {
            Self::Nodes => "Node",
            Self::Pods => "Pod",
        }
    }
}

/// What became of an object.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub version: u64,
    pub resource: Resource,
    /// As it was; none if it was not there.
    pub before: Option<Value>,
    /// As it is; as it was at its end if it is gone.
    pub after: Value,
    pub gone: bool,
}

type Key = (Resource, String, String);

/// The objects and their history.
#[derive(Debug, Default)]
pub(super) struct World {
    version: u64,
    objects: BTreeMap<Key, Value>,
    history: Vec<Entry>,
    /// Changes up to this version are forgotten.
    forgotten: u64,
    /// Makes uids.
    made: u64,
}

/// A pod to be bound.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PodSpec {
    /// `default` if empty.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// The node that the scheduler has chosen.
    pub node: String,
    /// Whether it has the node's network.
    pub host_network: bool,
}

impl PodSpec {
    /// A pod of a namespace, on a node.
    #[must_use]
    pub fn new(namespace: &str, name: &str, node: &str) -> Self {
        Self {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            node: node.to_owned(),
            host_network: false,
        }
    }

    /// The same, in the node's network.
    #[must_use]
    pub fn in_host_network(self) -> Self {
        Self {
            host_network: true,
            ..self
        }
    }

    /// As an API server has it just after the binding, with what real pods drag along.
    pub(super) fn object(&self) -> Value {
        let namespace = match self.namespace.as_str() {
            "" => "default",
            namespace => namespace,
        };
        let mut spec = json!({
            "nodeName": self.node,
            "serviceAccountName": "default",
            "restartPolicy": "Always",
            "containers": [{"name": "main", "image": "example.invalid/main:1", "env": [{"name": "MODE", "value": "test"}]}],
            "tolerations": [{"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute"}],
        });
        if self.host_network {
            spec["hostNetwork"] = json!(true);
        }
        json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "name": self.name,
                "namespace": namespace,
                "labels": {"app": "test"},
                "managedFields": [{"manager": "kube-scheduler", "operation": "Update", "fieldsV1": {"f:spec": {}}}],
            },
            "spec": spec,
            "status": {
                "phase": "Pending",
                "qosClass": "BestEffort",
                "conditions": [{"type": "PodScheduled", "status": "True"}],
            },
        })
    }
}

/// A Node that may run so many pods.
pub(super) fn node(name: &str, pods: u32) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name}},
        "spec": {},
        "status": {"allocatable": {"cpu": "1930m", "memory": "7Gi", "pods": pods.to_string()}},
    })
}

fn key(resource: Resource, object: &Value) -> Key {
    let of = |field: &str| {
        object["metadata"][field]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    };
    (resource, of("namespace"), of("name"))
}

impl World {
    pub(super) fn version(&self) -> u64 {
        self.version
    }

    /// Changes up to this version are forgotten.
    pub(super) fn forgotten(&self) -> u64 {
        self.forgotten
    }

    pub(super) fn all(&self, resource: Resource) -> impl Iterator<Item = &Value> {
        let of = move |((kind, ..), _): &(&Key, &Value)| *kind == resource;
        self.objects.iter().filter(of).map(|(_, object)| object)
    }

    pub(super) fn get(&self, resource: Resource, namespace: &str, name: &str) -> Option<&Value> {
        let key = (resource, namespace.to_owned(), name.to_owned());
        self.objects.get(&key)
    }

    /// The first change after `version`.
    pub(super) fn after(&self, version: u64) -> Option<&Entry> {
        let first = self
            .history
            .partition_point(|entry| entry.version <= version);
        self.history.get(first)
    }

    /// Makes an object, or changes it.
    pub(super) fn put(&mut self, resource: Resource, mut object: Value) {
        self.version += 1;
        let key = key(resource, &object);
        let before = self.objects.get(&key).cloned();
        let uid = match &before {
            Some(before) => before["metadata"]["uid"].clone(),
            None => {
                self.made += 1;
                json!(format!("00000000-0000-4000-8000-{:012}", self.made))
            }
        };
        object["metadata"]["uid"] = uid;
        object["metadata"]["resourceVersion"] = json!(self.version.to_string());
        object["metadata"]["creationTimestamp"] = json!("2026-01-01T00:00:00Z");
        self.objects.insert(key, object.clone());
        self.record(resource, before, object, false);
    }

    pub(super) fn set(
        &mut self,
        resource: Resource,
        (namespace, name): (&str, &str),
        pointer: &str,
        value: Value,
    ) -> bool {
        let Some(mut object) = self.get(resource, namespace, name).cloned() else {
            return false;
        };
        let (parent, field) = pointer.rsplit_once('/').unwrap_or_default();
        match object.pointer_mut(parent) {
            Some(Value::Object(fields)) => fields.insert(field.to_owned(), value),
            _ => return false,
        };
        self.put(resource, object);
        true
    }

    pub(super) fn delete(&mut self, resource: Resource, namespace: &str, name: &str) -> bool {
        let key = (resource, namespace.to_owned(), name.to_owned());
        let Some(mut last) = self.objects.remove(&key) else {
            return false;
        };
        self.version += 1;
        let before = last.clone();
        // The version of its end, as real ones tell it.
        last["metadata"]["resourceVersion"] = json!(self.version.to_string());
        self.record(resource, Some(before), last, true);
        true
    }

    /// Forgets the history; that has a version of its own, so that whoever was up to date is too late as well.
    pub(super) fn compact(&mut self) {
        self.version += 1;
        self.forgotten = self.version;
        self.history.clear();
    }

    fn record(&mut self, resource: Resource, before: Option<Value>, after: Value, gone: bool) {
        self.history.push(Entry {
            version: self.version,
            resource,
            before,
            after,
            gone,
        });
    }
}
