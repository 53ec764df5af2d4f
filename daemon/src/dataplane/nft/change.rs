//! From the table that stands to the one that should, in one transaction that keeps the table, its chains and its map.

use serde_json::{Value, json};

use super::TABLE;
use super::ruleset::{Chain, Ruleset};
use super::table::Table;

/// Commands for `nft -j -f -`.
#[derive(Debug, PartialEq)]
pub(super) struct Change {
    /// The chains written and elements changed, and so on.
    pub(super) what: Vec<String>,
    commands: Vec<Value>,
}

impl Change {
    pub(super) fn document(&self) -> Value {
        json!({ "nftables": self.commands })
    }

    fn push(&mut self, verb: &str, object: &str, mut body: Value) {
        body["family"] = json!("ip");
        if object == "table" {
            body["name"] = json!(TABLE);
        } else {
            body["table"] = json!(TABLE);
        }
        self.commands.push(json!({ verb: { object: body } }));
    }
}

/// The transaction that turns `found` into `wanted`; nothing is in it if there is nothing to do. Chains come before what
/// jumps to them, and go after it.
pub(super) fn between(found: &Table, wanted: &Ruleset) -> Change {
    let mut change = Change {
        what: Vec::new(),
        commands: Vec::new(),
    };
    if !found.exists {
        change.push("add", "table", json!({}));
    }
    if !found.counter {
        change.what.push("counter unmapped".to_owned());
        change.push("add", "counter", json!({ "name": "unmapped" }));
    }
    if !found.map {
        change.what.push("map eni_of_veth".to_owned());
        let map = json!({ "name": "eni_of_veth", "type": "devgroup", "map": "verdict" });
        change.push("add", "map", map);
    }
    for chain in &wanted.chains {
        declare(&mut change, found, chain);
    }
    delete_elements(&mut change, found, wanted);
    for chain in &wanted.chains {
        rewrite(&mut change, found, chain);
    }
    add_elements(&mut change, found, wanted);
    let unwanted = |name: &&String| wanted.chains.iter().all(|chain| chain.name != **name);
    let unwanted: Vec<&String> = found.chains.keys().filter(unwanted).collect();
    for name in &unwanted {
        change.push("flush", "chain", json!({ "name": name }));
    }
    for name in unwanted {
        change.what.push(format!("not chain {name}"));
        change.push("delete", "chain", json!({ "name": name }));
    }
    change
}

fn declare(change: &mut Change, found: &Table, chain: &Chain) {
    let standing = found.chains.get(&chain.name);
    if standing.is_some_and(|standing| standing.hook == chain.hook) {
        return;
    }
    if standing.is_some() {
        // A hook cannot be changed. None of ours is jumped to, so the chain may go and come back.
        change.push("flush", "chain", json!({ "name": chain.name }));
        change.push("delete", "chain", json!({ "name": chain.name }));
    }
    let mut body = json!({ "name": chain.name });
    if let Some(hook) = &chain.hook {
        body["type"] = json!(hook.kind);
        body["hook"] = json!(hook.hook);
        body["prio"] = json!(hook.priority);
        body["policy"] = json!("accept");
    }
    change.push("add", "chain", body);
}

/// Writes a chain's rules again if they are not exactly the wanted ones in the wanted order.
fn rewrite(change: &mut Change, found: &Table, chain: &Chain) {
    let fingerprints: Vec<String> = chain.rules.iter().map(fingerprint).collect();
    let standing = found.chains.get(&chain.name);
    let standing = standing.filter(|standing| standing.hook == chain.hook);
    if standing.is_some_and(|standing| standing.rules == fingerprints) {
        return;
    }
    change.what.push(format!("chain {}", chain.name));
    change.push("flush", "chain", json!({ "name": chain.name }));
    for (rule, comment) in chain.rules.iter().zip(fingerprints) {
        let body = json!({ "chain": chain.name, "comment": comment, "expr": rule });
        change.push("add", "rule", body);
    }
}

fn delete_elements(change: &mut Change, found: &Table, wanted: &Ruleset) {
    for (group, verdict) in &found.elements {
        if wanted.elements.get(group) != Some(verdict) {
            if !wanted.elements.contains_key(group) {
                change.what.push(format!("not element {group}"));
            }
            change.push("delete", "element", element(*group, verdict));
        }
    }
}

fn add_elements(change: &mut Change, found: &Table, wanted: &Ruleset) {
    for (group, verdict) in &wanted.elements {
        if found.elements.get(group) != Some(verdict) {
            change.what.push(format!("element {group}"));
            change.push("add", "element", element(*group, verdict));
        }
    }
}

fn element(group: u32, verdict: &Value) -> Value {
    json!({ "name": "eni_of_veth", "elem": [[group, verdict]] })
}

/// FNV-1a, 64 bits, of a rule's JSON: the same in every build, so that a restart with the same layout changes nothing.
/// A collision would need two versions of one rule in one place to agree in 64 bits.
fn fingerprint(rule: &Value) -> String {
    const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0000_0100_0000_01b3;
    let hash = rule.to_string().bytes().fold(OFFSET, |hash, octet| {
        (hash ^ u64::from(octet)).wrapping_mul(PRIME)
    });
    format!("berth {hash:016x}")
}
