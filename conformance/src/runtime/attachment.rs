//! What a runtime attaches: one interface of one container, with what it tells the plugins about the pod.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;

use serde_json::{Value, json};

/// One attachment and all that the runtime says about it.
#[derive(Clone, Debug, PartialEq)]
pub struct Attachment {
    /// `CNI_CONTAINERID`: the sandbox's id.
    pub container_id: String,
    /// `CNI_IFNAME`.
    pub ifname: String,
    /// `CNI_NETNS`; empty once the sandbox's namespace is gone.
    pub netns: PathBuf,
    /// `CNI_ARGS`, in this order.
    pub args: Vec<(String, String)>,
    /// What the runtime can say for a plugin that declares the capability of that name.
    pub capability_args: BTreeMap<String, Value>,
}

impl Attachment {
    /// `eth0` of the pod `namespace`/`name` in a new sandbox at `netns`, with the arguments that containerd sends.
    #[must_use]
    pub fn of_pod(namespace: &str, name: &str, container_id: String, netns: PathBuf) -> Self {
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        Self {
            args: vec![
                pair("IgnoreUnknown", "1"),
                pair("K8S_POD_NAMESPACE", namespace),
                pair("K8S_POD_NAME", name),
                pair("K8S_POD_INFRA_CONTAINER_ID", &container_id),
            ],
            container_id,
            ifname: "eth0".to_owned(),
            netns,
            capability_args: BTreeMap::new(),
        }
    }

    /// What plugins are told of a container where there is none: every variable is set and empty.
    #[must_use]
    pub fn nobody() -> Self {
        Self {
            container_id: String::new(),
            ifname: String::new(),
            netns: PathBuf::new(),
            args: Vec::new(),
            capability_args: BTreeMap::new(),
        }
    }

    /// Offers `ports` under the capability `portMappings`.
    #[must_use]
    pub fn with_ports(mut self, ports: &[PortMapping]) -> Self {
        if !ports.is_empty() {
            let ports: Vec<Value> = ports.iter().map(PortMapping::json).collect();
            self.capability_args
                .insert("portMappings".to_owned(), ports.into());
        }
        self
    }

    /// `CNI_ARGS` as one string.
    #[must_use]
    pub fn cni_args(&self) -> String {
        let pairs: Vec<String> = self
            .args
            .iter()
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
        pairs.join(";")
    }
}

/// A TCP port of the node that leads to a port of the pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortMapping {
    /// Port on the node.
    pub host: u16,
    /// Port in the pod.
    pub container: u16,
}

impl PortMapping {
    /// Spelt as containerd spells it: go-cni's structures have no JSON names, so the keys start upper case.
    fn json(&self) -> Value {
        json!({"HostPort": self.host, "ContainerPort": self.container, "Protocol": "tcp", "HostIP": ""})
    }
}

/// A sandbox id as containerd makes them: 64 random hex digits.
///
/// # Errors
/// The kernel gave no random bytes.
pub fn random_container_id() -> io::Result<String> {
    let mut bytes = [0_u8; 32];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
