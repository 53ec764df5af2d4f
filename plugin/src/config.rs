//! The network configuration on stdin: its envelope (`cniVersion`, `name`, `prevResult`, `args`) and berth's own keys.
//! Keys that are not ours are ignored whatever they hold; `null` counts as absent, since Go writes it for both.

use alloc::format;
use alloc::string::{String, ToString};

use serde_json::{Map, Value};

use crate::contract::{SOCKET_PATH, TOMBSTONE_DIR};
use crate::env::is_identifier;
use crate::error::{Error, code};

/// A configuration without `cniVersion` means this one (CNI spec 0.2.0), which is not spoken here.
const UNVERSIONED: &str = "0.1.0";

/// aws-node's limit: with 11 hash digits behind it the name has the kernel's 15 bytes.
const VETH_PREFIX_MAX: usize = 4;

/// aws-node's limits for `AWS_VPC_ENI_MTU`, bytes: what every IPv4 host must reassemble (RFC 791), and the VPC's jumbo
/// frame.
const MTU_RANGE: core::ops::RangeInclusive<u32> = 576..=9001;

/// A configuration whose envelope was judged as far as decoding goes.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    document: Map<String, Value>,
}

/// Where the daemon is; `socket` and `tombstones` in the configuration, for tests and unusual hosts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Paths {
    pub(crate) socket: String,
    pub(crate) tombstones: String,
}

/// What the pod's link is to be like; `vethPrefix` and `mtu` in the configuration, as aws-node has them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Link {
    pub(crate) veth_prefix: Option<String>,
    /// Bytes.
    pub(crate) mtu: Option<u32>,
}

impl Config {
    /// Decodes the document. A literal `null` is an empty configuration, as it is for Go.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let broken = |why: String| {
            Error::new(code::DECODING, "network config is not a JSON object").details(why)
        };
        let document = match serde_json::from_slice(bytes) {
            Ok(Value::Object(document)) => document,
            Ok(Value::Null) => Map::new(),
            Ok(_) => return Err(broken("another JSON value stands in its place".into())),
            Err(error) => return Err(broken(error.to_string())),
        };
        let config = Self { document };
        for key in ["cniVersion", "name"] {
            if let Some(value) = config.get(key)
                && !value.is_string()
            {
                return Err(Error::new(
                    code::DECODING,
                    format!("{key} in the network config is not a string"),
                )
                .details(value.to_string()));
            }
        }
        Ok(config)
    }

    /// `cniVersion` as given, not yet judged.
    pub(crate) fn version(&self) -> &str {
        self.text("cniVersion").unwrap_or(UNVERSIONED)
    }

    /// The network's name.
    pub(crate) fn name(&self) -> Result<&str, Error> {
        let name = self
            .text("name")
            .ok_or_else(|| Error::new(code::CONFIG, "missing network name"))?;
        if is_identifier(name) {
            Ok(name)
        } else {
            Err(Error::new(code::CONFIG, "invalid characters found in network name").details(name))
        }
    }

    /// The earlier plugins' result, as raw as it came.
    pub(crate) fn prev_result(&self) -> Option<&Value> {
        self.get("prevResult")
    }

    /// `args.cni.<key>`, where it is a text (CNI conventions, "Args in network config").
    pub(crate) fn cni_arg(&self, key: &str) -> Option<&str> {
        self.document.get("args")?.get("cni")?.get(key)?.as_str()
    }

    /// The value of a key, `null` included, which `get` takes for none.
    pub(crate) fn raw(&self, key: &str) -> Option<&Value> {
        self.document.get(key)
    }

    /// Where the daemon is.
    pub(crate) fn paths(&self) -> Result<Paths, Error> {
        Ok(Paths {
            socket: self.path("socket", SOCKET_PATH)?,
            tombstones: self.path("tombstones", TOMBSTONE_DIR)?,
        })
    }

    /// What the pod's link is to be like.
    pub(crate) fn link(&self) -> Result<Link, Error> {
        Ok(Link {
            veth_prefix: self.veth_prefix()?,
            mtu: self.mtu()?,
        })
    }

    fn path(&self, key: &str, default: &str) -> Result<String, Error> {
        let Some(value) = self.get(key) else {
            return Ok(default.into());
        };
        let path = value.as_str().filter(|path| path.starts_with('/'));
        path.map(String::from)
            .ok_or_else(|| malformed(key, value, "an absolute path"))
    }

    fn veth_prefix(&self) -> Result<Option<String>, Error> {
        let Some(value) = self.get("vethPrefix") else {
            return Ok(None);
        };
        let fits = |prefix: &&str| {
            (1..=VETH_PREFIX_MAX).contains(&prefix.len())
                && prefix.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'))
                // Names that the kernel and the distributions give to other links.
                && !["eth", "vlan", "lo"].contains(prefix)
        };
        let prefix = value.as_str().filter(fits);
        prefix.map(|prefix| Some(prefix.into())).ok_or_else(|| {
            malformed(
                "vethPrefix",
                value,
                "1 to 4 letters or digits, and not eth, vlan or lo",
            )
        })
    }

    /// A number, or a number in a text, as aws-node's template has it.
    fn mtu(&self) -> Result<Option<u32>, Error> {
        let Some(value) = self.get("mtu") else {
            return Ok(None);
        };
        let number = match value {
            Value::String(text) => text.parse().ok(),
            other => other.as_u64().and_then(|number| u32::try_from(number).ok()),
        };
        let mtu = number.filter(|mtu| MTU_RANGE.contains(mtu));
        mtu.map(Some)
            .ok_or_else(|| malformed("mtu", value, "a number of bytes from 576 to 9001"))
    }

    fn get(&self, key: &str) -> Option<&Value> {
        self.document.get(key).filter(|value| !value.is_null())
    }

    fn text(&self, key: &str) -> Option<&str> {
        self.get(key)?.as_str().filter(|text| !text.is_empty())
    }
}

fn malformed(key: &str, value: &Value, wanted: &str) -> Error {
    Error::new(
        code::CONFIG,
        format!("invalid {key} in the network config: {value}"),
    )
    .details(format!("it must be {wanted}"))
}
