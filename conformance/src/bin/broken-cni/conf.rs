//! The network configuration: the envelope, and the few keys of this plugin's own.

use std::net::Ipv4Addr;
use std::path::PathBuf;

use serde_json::{Map, Value};

use crate::environment::is_identifier;
use crate::failure::Failure;
use crate::rules::broken;

/// Keys that this plugin knows.
pub const KNOWN: [&str; 15] = [
    "cniVersion",
    "name",
    "type",
    "prevResult",
    "runtimeConfig",
    "args",
    "ipam",
    "dns",
    "capabilities",
    "ipMasq",
    "dataDir",
    "daemon",
    "subnet",
    "mtu",
    "chainedOnly",
];
/// Deeper documents are refused (the limit of serde_json).
const DEPTH: usize = 128;

/// A document whose envelope is of the right types.
pub struct Conf {
    document: Map<String, Value>,
    pub version: String,
}

impl Conf {
    pub fn parse(bytes: &[u8]) -> Result<Self, Failure> {
        let code = if broken("stdin-garbage-7") { 7 } else { 6 };
        let undecodable =
            |why: String| Failure::new(code, "network config is not a JSON object").details(why);
        if broken("depth-overflow") && bytes.split(|b| *b == b'[').count() > DEPTH {
            std::process::abort();
        }
        if broken("duplicate-keys-refused")
            && bytes.windows(7).filter(|w| w == b"\"name\":").count() > 1
        {
            return Err(undecodable("a key comes twice".to_owned()));
        }
        let bytes = match bytes.strip_prefix("\u{feff}".as_bytes()) {
            Some(rest) if broken("bom-accepted") => rest,
            _ => bytes,
        };
        let document = match first(bytes).map_err(undecodable)? {
            Value::Object(document) => document,
            Value::Null => Map::new(),
            _ if broken("stdin-not-object") => Map::new(),
            other => return Err(undecodable(format!("it is {other}"))),
        };
        let version = match document.get("cniVersion") {
            Some(Value::String(text)) if !text.is_empty() => text.clone(),
            None | Some(Value::Null | Value::String(_)) if broken("version-missing") => {
                "1.1.0".to_owned()
            }
            Some(Value::Null) if broken("version-null") => "1.1.0".to_owned(),
            None | Some(Value::Null | Value::String(_)) => "0.1.0".to_owned(),
            Some(_) if broken("version-type") => "1.1.0".to_owned(),
            Some(other) => return Err(Failure::new(code, format!("cniVersion is {other}"))),
        };
        let conf = Self { document, version };
        conf.refuse().map_or(Ok(conf), Err)
    }

    /// What nobody should refuse.
    fn refuse(&self) -> Option<Failure> {
        let unknown = self
            .document
            .keys()
            .find(|key| !KNOWN.contains(&key.as_str()));
        if broken("unknown-keys-refused") && unknown.is_some() {
            return Some(Failure::new(2, format!("unknown key {unknown:?}")));
        }
        let envelope = KNOWN.iter().filter_map(|key| self.document.get(*key));
        if broken("null-refused") && envelope.into_iter().any(Value::is_null) {
            return Some(Failure::new(6, "null"));
        }
        if broken("empty-ipam-refused")
            && self
                .get("ipam")
                .is_some_and(|ipam| ipam.get("type").is_none())
        {
            return Some(Failure::new(7, "ipam without a type"));
        }
        let runtime = &self
            .document
            .get("runtimeConfig")
            .cloned()
            .unwrap_or_default();
        let ports = runtime["portMappings"].as_array().into_iter().flatten();
        if broken("capital-ports-refused")
            && ports.into_iter().any(|port| port.get("hostPort").is_none())
        {
            return Some(Failure::new(6, "port mapping without hostPort"));
        }
        let annotations = runtime.get("io.kubernetes.cri.pod-annotations");
        if broken("annotations-null-refused") && annotations.is_some_and(|map| !map.is_object()) {
            return Some(Failure::new(6, "annotations are no map"));
        }
        None
    }

    /// The network's name.
    pub fn name(&self) -> Result<String, Failure> {
        match self.document.get("name") {
            None | Some(Value::Null) if broken("name-missing") => Ok("unnamed".to_owned()),
            Some(Value::String(name)) if name.is_empty() && broken("name-missing") => {
                Ok("unnamed".to_owned())
            }
            None | Some(Value::Null) => Err(Failure::new(7, "missing network name")),
            Some(Value::String(name)) if name.is_empty() => {
                Err(Failure::new(7, "missing network name"))
            }
            Some(Value::String(name)) if broken("name-unchecked") => {
                Ok(name.replace(['/', ':'], "_"))
            }
            Some(Value::String(name)) if is_identifier(name) && !Self::is_fussy(name) => {
                Ok(name.clone())
            }
            Some(Value::String(_)) if broken("error-quotes") => {
                let document = Value::Object(self.document.clone());
                Err(Failure::new(7, "invalid name").details(document.to_string()))
            }
            Some(Value::String(name)) => {
                Err(Failure::new(7, "invalid characters found in network name").details(name))
            }
            Some(other) => Err(Failure::new(6, format!("name is {other}"))),
        }
    }

    fn is_fussy(name: &str) -> bool {
        broken("name-lower-only") && name.contains(char::is_uppercase)
    }

    /// The whole document.
    pub fn document(&self) -> &Map<String, Value> {
        &self.document
    }

    /// A key whose value is not null.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.document.get(key).filter(|value| !value.is_null())
    }

    /// The IPAM plugin that gives addresses, if not this one.
    pub fn ipam(&self) -> Option<&str> {
        self.get("ipam")?
            .get("type")?
            .as_str()
            .filter(|name| !name.is_empty())
    }

    /// Where what was made is written down.
    pub fn data_dir(&self) -> PathBuf {
        PathBuf::from(self.text("dataDir").unwrap_or("/run/broken-cni"))
    }

    /// The file that stands for the daemon, if there is to be one.
    pub fn daemon(&self) -> Option<PathBuf> {
        self.text("daemon").map(PathBuf::from)
    }

    /// The network of 256 addresses to give from, by its first.
    pub fn subnet(&self) -> Ipv4Addr {
        let first = self.text("subnet").and_then(|text| text.parse().ok());
        first.unwrap_or(Ipv4Addr::new(10, 99, 0, 0))
    }

    /// Bytes; a number or a text with one.
    pub fn mtu(&self) -> Result<Option<u32>, Failure> {
        let Some(value) = self.get("mtu") else {
            return Ok(None);
        };
        let number = match value {
            Value::String(_) if broken("mtu-text-refused") => None,
            Value::String(text) => text.parse().ok(),
            other => other.as_u64().and_then(|number| u32::try_from(number).ok()),
        };
        match number.filter(|mtu| (576..=9001).contains(mtu)) {
            Some(mtu) => Ok(Some(mtu)),
            None if broken("mtu-malformed-ignored") => Ok(None),
            None => Err(Failure::new(7, format!("invalid mtu: {value}"))),
        }
    }

    /// Whether it is to stand behind other plugins only.
    pub fn is_chained_only(&self) -> bool {
        self.get("chainedOnly") == Some(&Value::Bool(true))
    }

    fn text(&self, key: &str) -> Option<&str> {
        self.get(key)?.as_str()
    }
}

/// The document, alone or with what follows it.
fn first(bytes: &[u8]) -> Result<Value, String> {
    if !broken("stdin-trailing") {
        return serde_json::from_slice(bytes).map_err(|error| error.to_string());
    }
    let mut values = serde_json::Deserializer::from_slice(bytes).into_iter();
    let first = values.next().unwrap_or(Ok(Value::Null));
    first.map_err(|error| error.to_string())
}
