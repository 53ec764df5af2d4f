//! The result of the plugins before us in the list: checked as far as the specification goes, and otherwise kept as it
//! came. `mac` and `sandbox` are opaque texts: aws-node keeps a route table's number in one and a device's in the other.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::net::IpAddr;

use serde_json::{Map, Value};

use crate::contract::ListedAddress;
use crate::error::{Error, code};
use crate::version::Version;

/// A result that can be appended to.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct PrevResult(Map<String, Value>);

impl PrevResult {
    /// Checks a `prevResult`. One without `cniVersion` is taken for the configuration's.
    pub(crate) fn parse(value: &Value, version: Version) -> Result<Self, Error> {
        let Value::Object(document) = value else {
            return Err(invalid("it is not an object"));
        };
        match document.get("cniVersion") {
            None | Some(Value::Null) => {}
            Some(Value::String(theirs)) if theirs.is_empty() || theirs == version.as_str() => {}
            Some(theirs) => {
                return Err(invalid(&format!(
                    "its cniVersion is {theirs}, the configuration's {:?}",
                    version.as_str()
                )));
            }
        }
        for interface in list(document, "interfaces")? {
            if !interface.get("name").is_some_and(Value::is_string) {
                return Err(invalid(&format!("interface without a name: {interface}")));
            }
        }
        let interfaces = list(document, "interfaces")?.len();
        for ip in list(document, "ips")? {
            expect(ip, "address", is_cidr)?;
            // Behind ours a dangling one would point to an interface that is not its own.
            if ip
                .get("interface")
                .is_some_and(|index| !is_index(index, interfaces))
            {
                return Err(invalid(&format!(
                    "no interface {} in {ip}",
                    ip["interface"]
                )));
            }
            if ip
                .get("gateway")
                .is_some_and(|gateway| !gateway.is_null() && gateway != "")
            {
                expect(ip, "gateway", |text| text.parse::<IpAddr>().is_ok())?;
            }
        }
        for route in list(document, "routes")? {
            expect(route, "dst", is_cidr)?;
        }
        Ok(Self(document.clone()))
    }

    /// Index of the interface of that name inside a sandbox: the pod's, if an earlier plugin made it.
    pub(crate) fn position_in_sandbox(&self, ifname: &str) -> Option<usize> {
        self.interfaces()
            .iter()
            .position(|interface| interface["name"] == ifname && has_sandbox(interface))
    }

    /// Whether an interface of that name is listed on the host.
    pub(crate) fn lists_on_host(&self, ifname: &str) -> bool {
        self.interfaces()
            .iter()
            .any(|interface| interface["name"] == ifname && !has_sandbox(interface))
    }

    /// Whether a route to that destination is listed.
    pub(crate) fn has_route(&self, dst: &str) -> bool {
        self.0
            .get("routes")
            .and_then(Value::as_array)
            .is_some_and(|routes| routes.iter().any(|route| route["dst"] == dst))
    }

    /// The IPv4 addresses of the interface with this index. One without an index counts as its: the specification makes
    /// it optional, and the result is of one sandbox.
    pub(crate) fn addresses_of(&self, interface: usize) -> Vec<ListedAddress> {
        let ips = self.0.get("ips").and_then(Value::as_array);
        let ips = ips.map_or(&[] as &[Value], Vec::as_slice);
        let its = |ip: &&Value| match ip.get("interface").and_then(Value::as_u64) {
            Some(index) => usize::try_from(index) == Ok(interface),
            None => true,
        };
        ips.iter().filter(its).filter_map(listed).collect()
    }

    /// The document, for appending.
    pub(crate) fn into_document(self) -> Map<String, Value> {
        self.0
    }

    /// The interfaces in their order.
    pub(crate) fn interfaces(&self) -> &[Value] {
        self.0
            .get("interfaces")
            .and_then(Value::as_array)
            .map_or(&[], Vec::as_slice)
    }
}

/// The IPv4 address of an entry of `ips`.
pub(crate) fn listed(ip: &Value) -> Option<ListedAddress> {
    let (address, length) = ip.get("address")?.as_str()?.split_once('/')?;
    Some(ListedAddress {
        address: address.parse().ok()?,
        prefix_len: length.parse().ok()?,
    })
}

fn has_sandbox(interface: &Value) -> bool {
    interface["sandbox"]
        .as_str()
        .is_some_and(|sandbox| !sandbox.is_empty())
}

/// The objects of a list; absent and `null` are empty.
fn list<'a>(document: &'a Map<String, Value>, key: &str) -> Result<&'a [Value], Error> {
    match document.get(key) {
        None | Some(Value::Null) => Ok(&[]),
        Some(Value::Array(items)) if items.iter().all(Value::is_object) => Ok(items),
        Some(_) => Err(invalid(&format!("{key} is not a list of objects"))),
    }
}

fn expect(item: &Value, key: &str, holds: impl Fn(&str) -> bool) -> Result<(), Error> {
    match item.get(key).and_then(Value::as_str) {
        Some(text) if holds(text) => Ok(()),
        _ => Err(invalid(&format!("{key} is missing or malformed in {item}"))),
    }
}

/// `null` is no index, as Go writes one that is not there.
fn is_index(value: &Value, interfaces: usize) -> bool {
    let index = value.as_u64().map(usize::try_from);
    value.is_null() || matches!(index, Some(Ok(index)) if index < interfaces)
}

fn is_cidr(text: &str) -> bool {
    let Some((address, length)) = text.split_once('/') else {
        return false;
    };
    match (address.parse::<IpAddr>(), length.parse::<u8>()) {
        (Ok(IpAddr::V4(_)), Ok(length)) => length <= 32,
        (Ok(IpAddr::V6(_)), Ok(length)) => length <= 128,
        _ => false,
    }
}

fn invalid(why: &str) -> Error {
    Error::new(code::CONFIG, "invalid prevResult in the network config").details(why)
}
