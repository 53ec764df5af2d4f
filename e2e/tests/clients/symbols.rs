//! Replies of two clouds made comparable: ids become names in the order in which they are first seen, addresses, prefixes
//! and MACs lose their value, messages are left out.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use serde_json::Value;

/// The ids of one cloud.
#[derive(Default)]
pub struct Symbols(BTreeMap<String, String>);

impl Symbols {
    /// `value` with names for ids.
    pub fn of(&mut self, value: &Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.name(text)),
            Value::Array(items) => items.iter().map(|item| self.of(item)).collect(),
            Value::Object(members) => members
                .iter()
                .filter(|(name, _)| *name != "message")
                .map(|(name, member)| (name.clone(), self.of(member)))
                .collect(),
            other => other.clone(),
        }
    }

    fn name(&mut self, text: &str) -> String {
        if text.parse::<Ipv4Addr>().is_ok() {
            return "address".to_owned();
        }
        if text.parse::<Ipv4Net>().is_ok() {
            return "prefix".to_owned();
        }
        if text.len() == 17 && text.matches(':').count() == 5 {
            return "mac".to_owned();
        }
        let kinds = ["eni-attach-", "eni-", "subnet-", "i-", "sg-"];
        let Some(kind) = kinds.iter().find(|kind| text.starts_with(**kind)) else {
            return text.to_owned();
        };
        let seen = self.0.len();
        let name = self.0.entry(text.to_owned());
        name.or_insert_with(|| format!("{kind}#{seen}")).clone()
    }
}
