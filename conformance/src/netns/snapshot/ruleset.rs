//! An nftables ruleset (`nft -j list ruleset`) as comparable lines; reads, never writes.

use std::collections::BTreeMap;

use serde_json::Value;

/// Where everything but rules goes.
const OBJECTS: &str = "nft objects";

/// Keys that change without anyone configuring anything.
const VOLATILE: [&str; 6] = ["handle", "packets", "bytes", "expires", "index", "used"];

/// One section with all tables, chains, counters, sets and maps, where each element is a line of its own, and one for
/// each chain with its rules in order.
pub(super) fn sections(ruleset: &Value) -> BTreeMap<String, Vec<String>> {
    let mut sections: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let objects = ruleset["nftables"]
        .as_array()
        .map_or(&[][..], Vec::as_slice);
    for object in objects
        .iter()
        .filter(|object| object.get("metainfo").is_none())
    {
        let object = normal(object);
        match object.get("rule") {
            Some(rule) => sections
                .entry(chain(rule))
                .or_default()
                .push(rule["expr"].to_string()),
            None => sections
                .entry(OBJECTS.to_owned())
                .or_default()
                .extend(object_lines(object)),
        }
    }
    if let Some(objects) = sections.get_mut(OBJECTS) {
        objects.sort();
    }
    sections
}

/// An object and its elements, if it is a set or map that has some.
fn object_lines(mut object: Value) -> Vec<String> {
    let mut lines = Vec::new();
    for kind in ["set", "map"] {
        let Some(container) = object.get_mut(kind).and_then(Value::as_object_mut) else {
            continue;
        };
        let elements = container.remove("elem");
        let name = format!(
            "{kind} {} {} {}",
            container["family"], container["table"], container["name"]
        );
        let elements = elements
            .as_ref()
            .and_then(Value::as_array)
            .into_iter()
            .flatten();
        lines.extend(elements.map(|element| format!("{name} element {element}").replace('"', "")));
    }
    lines.push(object.to_string());
    lines
}

/// Whether a rule was written by iptables-nft.
pub(super) fn has_xtables(ruleset: &Value) -> bool {
    match ruleset {
        Value::Object(map) => map.contains_key("xt") || map.values().any(has_xtables),
        Value::Array(items) => items.iter().any(has_xtables),
        _ => false,
    }
}

/// `iptables-save` without the comment lines (they carry the time) and the counters of chains.
pub(super) fn iptables_lines(saved: &str) -> Vec<String> {
    let kept = saved.lines().filter(|line| !line.starts_with('#'));
    let bare = |line: &str| line.split(" [").next().unwrap_or(line).to_owned();
    kept.map(|line| {
        if line.starts_with(':') {
            bare(line)
        } else {
            line.to_owned()
        }
    })
    .collect()
}

fn chain(rule: &Value) -> String {
    format!("nft {} {} {}", rule["family"], rule["table"], rule["chain"]).replace('"', "")
}

/// Drops the volatile keys at every depth.
fn normal(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let kept = map
                .iter()
                .filter(|(key, _)| !VOLATILE.contains(&key.as_str()));
            Value::Object(
                kept.map(|(key, value)| (key.clone(), normal(value)))
                    .collect(),
            )
        }
        Value::Array(items) => Value::Array(items.iter().map(normal).collect()),
        other => other.clone(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn counters_and_handles_do_not_count_but_elements_and_rule_order_do() {
        let rule = |expr: &str, handle: u32| {
            json!({"rule": {"family": "ip", "table": "t", "chain": "c", "handle": handle,
                "expr": [{"counter": {"packets": handle, "bytes": 1}}, {expr: null}]}})
        };
        let map = |elements: Value| json!({"map": {"family": "ip", "table": "t", "name": "m", "handle": 3, "elem": elements}});
        let ruleset = |objects: Vec<Value>| sections(&json!({"nftables": objects}));
        let base = ruleset(vec![map(json!([1, 2])), rule("accept", 1), rule("drop", 2)]);
        assert_eq!(
            base,
            ruleset(vec![map(json!([2, 1])), rule("accept", 8), rule("drop", 9)])
        );
        assert_ne!(
            base,
            ruleset(vec![map(json!([1])), rule("accept", 1), rule("drop", 2)])
        );
        assert_ne!(
            base,
            ruleset(vec![map(json!([1, 2])), rule("drop", 2), rule("accept", 1)])
        );
    }
}
