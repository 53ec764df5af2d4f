//! The table as `nft -j list table` tells it, reduced to what is compared: chains with their hooks, the rules' comments,
//! the map's elements. What the rules do is not read back: nft prints expressions differently than it was given them, and
//! differently from one version to the next. Each rule carries its fingerprint as its comment instead.

use std::collections::BTreeMap;

use serde_json::Value;

use super::TABLE;
use super::ruleset::Hook;

/// The standing table; all empty if there is none.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Table {
    pub(super) exists: bool,
    pub(super) counter: bool,
    pub(super) map: bool,
    pub(super) chains: BTreeMap<String, FoundChain>,
    pub(super) elements: BTreeMap<u32, Value>,
}

#[derive(Debug, Default, PartialEq)]
pub(super) struct FoundChain {
    pub(super) hook: Option<Hook>,
    /// The rules' comments, in order; empty for a rule that has none and so is not ours.
    pub(super) rules: Vec<String>,
}

/// Whether the table is among the answer to `nft -j list tables`.
pub(super) fn is_listed(listing: &Value) -> bool {
    objects(listing)
        .any(|(kind, body)| kind == "table" && body["family"] == "ip" && body["name"] == TABLE)
}

impl Table {
    pub(super) fn parse(listing: &Value) -> Self {
        let mut table = Self::default();
        for (kind, body) in objects(listing) {
            match kind.as_str() {
                "table" => table.exists = true,
                "counter" => table.counter = true,
                "map" => {
                    table.map = true;
                    table.elements = elements(&body["elem"]);
                }
                "chain" => table.chain(text(&body["name"])).hook = hook(body),
                "rule" => {
                    let comment = text(&body["comment"]);
                    table.chain(text(&body["chain"])).rules.push(comment);
                }
                _ => {}
            }
        }
        table
    }

    fn chain(&mut self, name: String) -> &mut FoundChain {
        self.chains.entry(name).or_default()
    }
}

/// The objects of a listing with their kinds.
fn objects(listing: &Value) -> impl Iterator<Item = (&String, &Value)> {
    let objects = listing["nftables"].as_array().into_iter().flatten();
    objects.filter_map(Value::as_object).flatten()
}

fn hook(chain: &Value) -> Option<Hook> {
    Some(Hook {
        kind: chain["type"].as_str()?.to_owned(),
        hook: chain["hook"].as_str()?.to_owned(),
        priority: chain["prio"].as_i64()?,
    })
}

fn elements(listed: &Value) -> BTreeMap<u32, Value> {
    let pairs = listed.as_array().into_iter().flatten();
    pairs
        .filter_map(|pair| {
            let group = u32::try_from(pair[0].as_u64()?).ok()?;
            Some((group, pair[1].clone()))
        })
        .collect()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
