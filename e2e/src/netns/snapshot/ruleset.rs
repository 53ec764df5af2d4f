//! An nftables ruleset (`nft -j list ruleset`) as comparable lines; reads, never writes.

use std::collections::BTreeMap;

use serde_json::Value;

/// Keys that change without anyone configuring anything.
const VOLATILE: [&str; 6] = ["handle", "packets", "bytes", "expires", "index", "used"];

/// One section with all tables, chains, sets, maps and counters, and one for each chain with its rules in order.
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
        let (section, line) = match object.get("rule") {
            Some(rule) => (chain(rule), rule["expr"].to_string()),
            None => ("nft objects".to_owned(), object.to_string()),
        };
        sections.entry(section).or_default().push(line);
    }
    if let Some(objects) = sections.get_mut("nft objects") {
        objects.sort();
    }
    sections
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

/// Drops the volatile keys at every depth and sorts the elements of sets and maps.
fn normal(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let kept = map
                .iter()
                .filter(|(key, _)| !VOLATILE.contains(&key.as_str()));
            let pair = |(key, value): (&String, &Value)| {
                let mut value = normal(value);
                if let ("elem", Value::Array(elements)) = (key.as_str(), &mut value) {
                    elements.sort_by_key(Value::to_string);
                }
                (key.clone(), value)
            };
            Value::Object(kept.map(pair).collect())
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
        let map = |elements: Value| json!({"map": {"name": "m", "handle": 3, "elem": elements}});
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
