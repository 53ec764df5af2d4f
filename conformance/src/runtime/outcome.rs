//! What a chain that succeeded gives back: the result, and how long each plugin took.

use std::fmt;
use std::net::Ipv4Addr;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::conflist::Version;
use super::failure::Cause;

/// What a runtime asks of a plugin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// Attach.
    Add,
    /// Detach.
    Del,
    /// Compare with what was attached.
    Check,
    /// Detach all that is not named.
    Gc,
    /// Say whether ADDs are taken.
    Status,
}

impl Verb {
    /// `CNI_COMMAND`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Add => "ADD",
            Self::Del => "DEL",
            Self::Check => "CHECK",
            Self::Gc => "GC",
            Self::Status => "STATUS",
        }
    }
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How long one plugin ran, from before its start to after its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PluginTime {
    /// `type` of the plugin.
    pub plugin: String,
    /// Wall time.
    pub elapsed: Duration,
}

/// A chain that was added.
#[derive(Clone, Debug, PartialEq)]
pub struct Added {
    /// The last plugin's result.
    pub result: AddResult,
    /// In the order of the calls.
    pub times: Vec<PluginTime>,
}

/// A chain that was deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deleted {
    /// In the order of the calls.
    pub times: Vec<PluginTime>,
}

/// A CNI result, with only what libcni keeps of it: a key that the specification does not know is lost between two
/// plugins, so a plugin that counts on one fails here too.
#[derive(Clone, Debug, PartialEq)]
pub struct AddResult(Value);

impl AddResult {
    /// Takes a plugin's stdout for a result of a list of version `version`.
    ///
    /// # Errors
    /// [`Cause::NoResult`] when it is not one JSON object, says another version, or has entries of a wrong form.
    pub fn parse(stdout: &str, version: Version) -> Result<Self, Cause> {
        let refuse = |why: String| Cause::NoResult {
            why,
            stdout: stdout.to_owned(),
        };
        let raw: Value = serde_json::from_str(stdout).map_err(|error| refuse(error.to_string()))?;
        let raw = raw
            .as_object()
            .ok_or_else(|| refuse("not an object".to_owned()))?;
        let said = raw
            .get("cniVersion")
            .and_then(Value::as_str)
            .unwrap_or(version.as_str());
        if said != version.as_str() {
            return Err(refuse(format!("cniVersion {said} in a list of {version}")));
        }
        let mut kept = kept(raw, &["interfaces", "ips", "routes", "dns"]);
        kept.insert("cniVersion".to_owned(), version.as_str().into());
        for (list, keys) in known(version) {
            let Some(entries) = kept.get_mut(list).and_then(Value::as_array_mut) else {
                continue;
            };
            for entry in entries {
                let object = entry
                    .as_object()
                    .ok_or_else(|| refuse(format!("an entry of {list} is no object")))?;
                *entry = Value::Object(self::kept(object, keys));
            }
        }
        let result = Self(Value::Object(kept));
        result.check_indexes().map_err(refuse)?;
        Ok(result)
    }

    /// The result of a list without plugins.
    #[must_use]
    pub fn empty(version: Version) -> Self {
        Self(json!({"cniVersion": version.as_str()}))
    }

    /// The document.
    #[must_use]
    pub fn json(&self) -> &Value {
        &self.0
    }

    /// The first IPv4 address on an interface inside the sandbox: what containerd takes for the pod's.
    #[must_use]
    pub fn pod_address(&self) -> Option<Ipv4Addr> {
        let ips = self.0["ips"].as_array()?;
        let address = |ip: &Value| ip["address"].as_str()?.split('/').next()?.parse().ok();
        ips.iter()
            .filter(|ip| self.in_sandbox(ip))
            .find_map(address)
    }

    /// An address without an interface counts as the pod's (CNI: "interface" is optional).
    fn in_sandbox(&self, ip: &Value) -> bool {
        let Some(index) = ip["interface"]
            .as_u64()
            .and_then(|index| usize::try_from(index).ok())
        else {
            return true;
        };
        self.0["interfaces"][index]["sandbox"]
            .as_str()
            .is_some_and(|sandbox| !sandbox.is_empty())
    }

    /// An index beyond the interfaces makes go-cni fail or panic, so it is an error here.
    fn check_indexes(&self) -> Result<(), String> {
        let interfaces = self.0["interfaces"].as_array().map_or(0, Vec::len);
        for ip in self.0["ips"].as_array().into_iter().flatten() {
            let Some(index) = ip.get("interface") else {
                continue;
            };
            let valid = index
                .as_u64()
                .is_some_and(|index| usize::try_from(index).is_ok_and(|index| index < interfaces));
            if !valid {
                return Err(format!(
                    "ips[].interface {index} with {interfaces} interfaces"
                ));
            }
        }
        Ok(())
    }
}

/// What the specification knows of each list's entries (1.1.0 added keys; libcni shares one structure for 1.x).
fn known(version: Version) -> [(&'static str, &'static [&'static str]); 3] {
    let before_1 = version < Version::V1_0_0;
    [
        (
            "interfaces",
            if before_1 {
                &["name", "mac", "sandbox"]
            } else {
                &["name", "mac", "mtu", "sandbox", "socketPath", "pciID"]
            },
        ),
        (
            "ips",
            if before_1 {
                &["version", "interface", "address", "gateway"]
            } else {
                &["interface", "address", "gateway"]
            },
        ),
        (
            "routes",
            if before_1 {
                &["dst", "gw"]
            } else {
                &["dst", "gw", "mtu", "advmss", "priority", "table", "scope"]
            },
        ),
    ]
}

/// The entries of `object` whose key is in `keys`, without nulls and empty strings (Go's `omitempty`).
fn kept(object: &Map<String, Value>, keys: &[&str]) -> Map<String, Value> {
    let empty = |value: &Value| value.is_null() || value.as_str() == Some("");
    let pairs = object
        .iter()
        .filter(|(key, value)| keys.contains(&key.as_str()) && !empty(value));
    pairs
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn keeps_what_libcni_keeps_and_finds_the_pods_address() {
        let stdout = json!({"cniVersion": "1.0.0", "berth": 1,
            "interfaces": [{"name": "eni1", "zzz": 1, "sandbox": ""}, {"name": "eth0", "sandbox": "/run/netns/p"}],
            "ips": [{"address": "10.0.0.1/32", "interface": 0}, {"address": "10.0.0.2/32", "interface": 1}]});
        let result = AddResult::parse(&stdout.to_string(), Version::V1_0_0).unwrap();
        assert_eq!(result.pod_address(), Some(Ipv4Addr::new(10, 0, 0, 2)));
        assert_eq!(result.json()["interfaces"][0], json!({"name": "eni1"}));
        assert!(result.json().get("berth").is_none());
    }

    #[test]
    fn refuses_what_would_break_a_runtime() {
        let bad = |stdout: &str| {
            AddResult::parse(stdout, Version::V1_0_0)
                .unwrap_err()
                .to_string()
        };
        assert!(bad("").contains("printed no result"));
        assert!(bad("null").contains("not an object"));
        assert!(bad("{}{}").contains("trailing"));
        assert!(bad(r#"{"cniVersion":"0.4.0"}"#).contains("0.4.0 in a list of 1.0.0"));
        let beyond =
            r#"{"interfaces":[{"name":"eth0"}],"ips":[{"address":"10.0.0.2/32","interface":1}]}"#;
        assert!(bad(beyond).contains("interface 1 with 1 interfaces"));
    }
}
