//! The result of an ADD, in the form of the configuration's version (CNI spec, "Section 5: Result Types"), alone or
//! appended to the earlier plugins'. What is foreign keeps its order and its indexes.

use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use serde_json::{Map, Value, json};

use crate::contract::Added;
use crate::prev_result::PrevResult;
use crate::version::Version;

/// Destination of the pod's default route.
const DEFAULT_ROUTE: &str = "0.0.0.0/0";

/// What the daemon gave, where the runtime wanted it, and the version in which to say so.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attached<'a> {
    pub(crate) added: &'a Added,
    /// CNI_IFNAME.
    pub(crate) ifname: &'a str,
    /// CNI_NETNS, byte for byte.
    pub(crate) sandbox: &'a str,
    pub(crate) version: Version,
}

/// What the earlier plugins' result has of what ours would add.
#[derive(Clone, Copy, Debug, Default)]
struct Listed {
    /// How many interfaces.
    interfaces: usize,
    /// Index of the pod's.
    pod: Option<usize>,
    /// Whether the host's end of the veth is among them.
    host: bool,
    default_route: bool,
}

impl Attached<'_> {
    /// The result of a plugin that is first in its list.
    pub(crate) fn alone(&self) -> Value {
        let mut document = Map::new();
        if self.is_0x() {
            // Go readers of these versions always had it; later ones have it where there is something to say.
            document.insert("dns".into(), json!({}));
        }
        self.append_to(document, &Listed::default())
    }

    /// The earlier plugins' result with ours appended. The address goes to the pod's interface that they list; if they
    /// list none, we made it.
    pub(crate) fn after(&self, previous: PrevResult) -> Value {
        let listed = Listed {
            interfaces: previous.interfaces().len(),
            pod: previous.position_in_sandbox(self.ifname),
            host: previous.lists_on_host(&self.added.host_ifname),
            default_route: previous.has_route(DEFAULT_ROUTE),
        };
        let mut document = previous.into_document();
        if !self.is_0x()
            && let Some(Value::Array(ips)) = document.get_mut("ips")
        {
            // 1.0.0 removed it; as the reference plugins do, we take it and do not pass it on.
            ips.iter_mut()
                .filter_map(Value::as_object_mut)
                .for_each(|ip| drop(ip.remove("version")));
        }
        self.append_to(document, &listed)
    }

    fn append_to(&self, mut document: Map<String, Value>, listed: &Listed) -> Value {
        document.insert("cniVersion".into(), json!(self.version.as_str()));
        let mut interfaces = Vec::new();
        if !listed.host {
            interfaces.push(json!({"name": self.added.host_ifname, "mac": self.added.host_mac}));
        }
        // On an interface that an earlier plugin made we route nothing, and a namespace has one default route without a
        // metric: an earlier plugin's stays.
        if listed.pod.is_none() && !listed.default_route {
            append(
                &mut document,
                "routes",
                vec![json!({"dst": DEFAULT_ROUTE, "gw": self.added.gateway})],
            );
        }
        let pod = listed.pod.unwrap_or_else(|| {
            interfaces.push(self.pod_interface());
            listed.interfaces + interfaces.len() - 1
        });
        append(&mut document, "interfaces", interfaces);
        append(&mut document, "ips", vec![self.ip(pod)]);
        Value::Object(document)
    }

    fn pod_interface(&self) -> Value {
        let mut interface =
            json!({"name": self.ifname, "mac": self.added.pod_mac, "sandbox": self.sandbox});
        if self.version >= Version::V1_1_0 {
            interface["mtu"] = json!(self.added.mtu);
        }
        interface
    }

    fn ip(&self, interface: usize) -> Value {
        let mut ip = json!({
            "address": format!("{}/32", self.added.address),
            "gateway": self.added.gateway,
            "interface": interface,
        });
        if self.is_0x() {
            ip["version"] = json!("4");
        }
        ip
    }

    fn is_0x(&self) -> bool {
        self.version < Version::V1_0_0
    }
}

/// Appends to the list under `key`, made if it is absent or `null`; nothing else is there after `prev_result`'s check.
fn append(document: &mut Map<String, Value>, key: &str, items: Vec<Value>) {
    match document.get_mut(key) {
        Some(Value::Array(list)) => list.extend(items),
        _ => drop(document.insert(key.into(), Value::Array(items))),
    }
}
