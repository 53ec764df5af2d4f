//! The result of the plugins before this one: judged as far as the protocol goes, otherwise kept as it came.

use std::net::IpAddr;

use serde_json::{Map, Value};

use crate::conf::Conf;
use crate::failure::Failure;
use crate::rules::broken;

/// A result that can be appended to.
#[derive(Clone, Debug)]
pub struct Prev(pub Map<String, Value>);

impl Prev {
    /// The configuration's `prevResult`.
    pub fn of(conf: &Conf) -> Result<Option<Self>, Failure> {
        let Some(value) = conf.get("prevResult") else {
            return Ok(None);
        };
        match Self::parse(value, &conf.version) {
            Err(_) if broken("prev-unchecked") => {
                let document = value.as_object().cloned().unwrap_or_default();
                let lists = document.into_iter().filter(|(_, value)| value.is_array());
                Ok(Some(Self(
                    lists.filter(|(_, list)| list[0].is_object()).collect(),
                )))
            }
            parsed => parsed.map(Some),
        }
    }

    fn parse(value: &Value, version: &str) -> Result<Self, Failure> {
        let Value::Object(document) = value else {
            return invalid("it is no object");
        };
        match document.get("cniVersion") {
            None if broken("prev-unversioned-refused") => return invalid("it has no cniVersion"),
            None | Some(Value::Null) => {}
            Some(Value::String(theirs)) if theirs.is_empty() || theirs == version => {}
            Some(_) if broken("prev-other-version") => {}
            Some(theirs) => {
                return invalid(&format!(
                    "it is of {theirs}, the configuration of {version}"
                ));
            }
        }
        for interface in list(document, "interfaces")? {
            if !interface["name"].is_string() {
                return invalid("an interface has no name");
            }
            let mac = interface["mac"].as_str().unwrap_or_default();
            if broken("mac-opaque-refused") && !mac.is_empty() && !is_mac(mac) {
                return invalid("a mac is none");
            }
            if broken("empty-strings-refused")
                && (interface["mac"] == "" || interface["sandbox"] == "")
            {
                return invalid("a text is empty");
            }
        }
        for ip in list(document, "ips")? {
            if !ip["address"].as_str().is_some_and(is_cidr) {
                return invalid(&format!("address {}", ip["address"]));
            }
            let gateway = ip["gateway"].as_str().unwrap_or_default();
            let is_empty = ip["gateway"] == "" && broken("empty-strings-refused");
            if (!gateway.is_empty() && gateway.parse::<IpAddr>().is_err()) || is_empty {
                return invalid(&format!("gateway {gateway:?}"));
            }
        }
        for route in list(document, "routes")? {
            if !route["dst"].as_str().is_some_and(is_cidr) && !broken("prev-routes-unchecked") {
                return invalid(&format!("dst {}", route["dst"]));
            }
        }
        Ok(Self(document.clone()))
    }

    /// The entries under `key`.
    pub fn list(&self, key: &str) -> &[Value] {
        self.0
            .get(key)
            .and_then(Value::as_array)
            .map_or(&[], Vec::as_slice)
    }

    /// Which interface is the pod's.
    pub fn index_in_sandbox(&self, ifname: &str) -> Option<usize> {
        let inside = |interface: &Value| {
            interface["name"] == ifname
                && interface["sandbox"]
                    .as_str()
                    .is_some_and(|path| !path.is_empty())
        };
        self.list("interfaces").iter().position(inside)
    }
}

/// Six octets in hexadecimal.
pub fn is_mac(text: &str) -> bool {
    let octet = |part: &str| part.len() == 2 && part.bytes().all(|b| b.is_ascii_hexdigit());
    text.split(':').count() == 6 && text.split(':').all(octet)
}

fn is_cidr(text: &str) -> bool {
    let Some((address, length)) = text.split_once('/') else {
        return false;
    };
    let longest = match address.parse() {
        Ok(IpAddr::V4(_)) => 32,
        Ok(IpAddr::V6(_)) => 128,
        Err(_) => return false,
    };
    length.parse::<u8>().is_ok_and(|length| length <= longest)
}

fn list<'a>(document: &'a Map<String, Value>, key: &str) -> Result<&'a [Value], Failure> {
    match document.get(key) {
        None | Some(Value::Null) => Ok(&[]),
        Some(Value::Array(entries)) if entries.iter().all(Value::is_object) => Ok(entries),
        Some(_) => invalid(&format!("{key} is no list of objects")),
    }
}

fn invalid<T>(why: &str) -> Result<T, Failure> {
    Err(Failure::new(7, "invalid prevResult").details(why))
}
