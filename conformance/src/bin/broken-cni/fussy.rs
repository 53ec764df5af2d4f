//! What single verbs refuse that nobody should.

use serde_json::Value;

use crate::conf::{Conf, KNOWN};
use crate::failure::Failure;
use crate::rules::broken;

/// Why `verb` refuses the configuration of so many bytes, if it does.
pub fn refuse(verb: &str, conf: &Conf, size: usize) -> Option<Failure> {
    let has_unknown = || {
        let mut keys = conf.document().keys();
        keys.any(|key| !KNOWN.contains(&key.as_str()))
    };
    if broken("status-unknown-keys-refused") && verb == "STATUS" && has_unknown() {
        return Some(Failure::new(2, "unknown key"));
    }
    if broken("gc-1m-at-most") && verb == "GC" && size > 1 << 20 {
        return Some(Failure::new(7, "too large"));
    }
    if broken("prev-null-refused") && conf.document().get("prevResult") == Some(&Value::Null) {
        return Some(Failure::new(7, "prevResult is null"));
    }
    let runtime = conf.get("runtimeConfig").cloned().unwrap_or_default();
    let mut ports = runtime["portMappings"].as_array().into_iter().flatten();
    if broken("lower-ports-refused") && ports.any(|port| port.get("HostPort").is_none()) {
        return Some(Failure::new(6, "port mapping without HostPort"));
    }
    let rate = runtime["bandwidth"]["ingressRate"].as_u64();
    if broken("rate-31-bits") && rate.is_some_and(|rate| i32::try_from(rate).is_err()) {
        return Some(Failure::new(6, "no such bandwidth"));
    }
    None
}
