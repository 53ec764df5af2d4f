//! The network configuration list that stands where berth's belongs.

use berthd::conflist::{Chain, Change, change};
use serde_json::Value;

/// A list of these bytes. It is refused, left, or replaced by one that says what it should and keeps what others wrote;
/// that one is then left.
pub fn conflist(data: &[u8]) {
    let chain = Chain {
        bandwidth: true,
        ..Chain::default()
    };
    let Ok(Change::Write(document)) = change(&chain, Some(data)) else {
        return;
    };
    assert_eq!(change(&chain, Some(&document)), Ok(Change::None));
    let found: Value = serde_json::from_slice(data).expect("it was not refused");
    let written: Value = serde_json::from_slice(&document).expect("a list");
    assert_eq!(written["plugins"][0]["type"], "berth-cni");
    for (key, value) in found.as_object().expect("a list") {
        if !matches!(key.as_str(), "cniVersion" | "name" | "plugins") {
            assert_eq!(written.get(key), Some(value), "{key}");
        }
    }
    let entries = |list: &Value| list["plugins"].as_array().expect("plugins").clone();
    let own = |entry: &Value| {
        let kind = entry.get("type").and_then(Value::as_str);
        kind.is_some_and(|kind| ["berth-cni", "portmap", "bandwidth", "tuning"].contains(&kind))
    };
    let others = |list: &Value| {
        let mut entries = entries(list);
        entries.retain(|entry| !own(entry));
        entries
    };
    assert_eq!(others(&found), others(&written));
}
