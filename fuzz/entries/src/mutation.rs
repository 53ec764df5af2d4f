//! Spoilt copies of good inputs, the same ones for the same seed on every machine: a stand-in for a fuzzer where there is
//! no instrumentation. JSON is spoilt as a tree every other time, and XML element by element, so that what comes out gets
//! past the parser.

use serde_json::{Map, Value, json};

/// Texts that have been somebody's undoing.
const TOKENS: [&str; 30] = [
    "null",
    "true",
    "0",
    "-1",
    "1",
    "255",
    "256",
    "65536",
    "4294967295",
    "4294967296",
    "18446744073709551615",
    "-9223372036854775808",
    "1e999",
    "0.5",
    "\"\"",
    "\"\\u0000\"",
    "\"\\ud800\"",
    "[]",
    "{}",
    "[[[[[[[[",
    "{\"\":",
    "10.0.0.1/33",
    "10.0.0.1/32",
    "::1/128",
    "../..",
    "\n",
    "=",
    ";",
    "not found",
    "\u{feff}",
];

/// Spoils inputs.
#[derive(Clone, Debug)]
pub struct Mutator {
    state: u64,
}

impl Mutator {
    /// The one of this seed.
    pub fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// A copy of one of `inputs`, spoilt in one to four places.
    pub fn spoil(&mut self, inputs: &[Vec<u8>]) -> Vec<u8> {
        let mut data = self.pick(inputs).cloned().unwrap_or_default();
        for _ in 0..=self.below(4) {
            let other = self.pick(inputs).cloned().unwrap_or_default();
            data = match self.below(2) {
                0 => self.spoil_tree(&data, &other),
                _ => self.spoil_bytes(data, &other),
            };
        }
        data
    }

    /// A number below `limit`, 0 for 0 (splitmix64 by Steele, Lea and Flood).
    pub fn below(&mut self, limit: usize) -> usize {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        let limit_u64 = u64::try_from(limit).unwrap_or(u64::MAX).max(1);
        usize::try_from(mixed % limit_u64).unwrap_or(0)
    }

    /// A copy of one of `inputs`, an XML document, with one to three elements emptied, filled with something else, doubled,
    /// renamed or taken away; every fourth is spoilt as bytes instead.
    pub fn spoil_markup(&mut self, inputs: &[Vec<u8>]) -> Vec<u8> {
        if self.below(4) == 0 {
            return self.spoil(inputs);
        }
        let document = self.pick(inputs).cloned().unwrap_or_default();
        let mut document = String::from_utf8_lossy(&document).into_owned();
        for _ in 0..=self.below(3) {
            document = self.spoil_element(document);
        }
        document.into_bytes()
    }

    fn spoil_element(&mut self, mut document: String) -> String {
        let opening: Vec<_> = document.match_indices('<').map(|(at, _)| at).collect();
        let found = self.pick(&opening).and_then(|at| element(&document, *at));
        let Some((whole, inside)) = found else {
            return document;
        };
        match self.below(5) {
            0 => document.replace_range(whole, ""),
            1 => {
                let twice = document[whole.clone()].to_owned();
                document.insert_str(whole.end, &twice);
            }
            2 => document.replace_range(inside, ""),
            3 => document.replace_range(whole.start + 1..whole.start + 2, "X"),
            _ => {
                let token = TOKENS[self.below(TOKENS.len())].replace(['<', '&'], "");
                document.replace_range(inside, &token);
            }
        }
        document
    }

    fn pick<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        from.get(self.below(from.len()))
    }

    fn range(&mut self, length: usize) -> std::ops::Range<usize> {
        let start = self.below(length + 1);
        let most = (length - start).min(32);
        start..start + self.below(most + 1)
    }

    fn spoil_bytes(&mut self, mut data: Vec<u8>, other: &[u8]) -> Vec<u8> {
        let range = self.range(data.len());
        match self.below(6) {
            0 => {
                if let Some(byte) = data.get_mut(range.start) {
                    *byte ^= 1 << self.below(8);
                }
            }
            1 => drop(data.splice(range, None)),
            2 => {
                let twice = data[range.clone()].to_vec();
                drop(data.splice(range.start..range.start, twice));
            }
            3 => {
                let token = TOKENS[self.below(TOKENS.len())];
                drop(data.splice(range, token.bytes()));
            }
            4 => data.truncate(range.start),
            _ => {
                let theirs = self.range(other.len());
                drop(data.splice(range, other[theirs].iter().copied()));
            }
        }
        data
    }

    /// What stands before the first brace, as a header, stays. What is no JSON is spoilt as bytes.
    fn spoil_tree(&mut self, data: &[u8], other: &[u8]) -> Vec<u8> {
        let begin = |data: &[u8]| data.iter().position(|byte| *byte == b'{').unwrap_or(0);
        let (head, tail) = data.split_at(begin(data));
        let Ok(mut tree) = serde_json::from_slice::<Value>(tail) else {
            return self.spoil_bytes(data.to_vec(), other);
        };
        let donor = serde_json::from_slice(&other[begin(other)..]).unwrap_or_default();
        let chosen = self.below(count(&tree));
        let graft = self.graft(donor);
        if let Some(node) = nth(&mut tree, &mut { chosen }) {
            self.spoil_node(node, graft);
        }
        let mut spoilt = head.to_vec();
        spoilt.extend(tree.to_string().into_bytes());
        spoilt
    }

    /// A value to put somewhere: out of another input, or one of the tokens.
    fn graft(&mut self, mut donor: Value) -> Value {
        let chosen = self.below(count(&donor));
        match self.below(3) {
            0 => nth(&mut donor, &mut { chosen })
                .cloned()
                .unwrap_or_default(),
            _ => {
                let token = TOKENS[self.below(TOKENS.len())];
                serde_json::from_str(token).unwrap_or_else(|_| json!(token))
            }
        }
    }

    fn spoil_node(&mut self, node: &mut Value, graft: Value) {
        match (self.below(4), node) {
            (0, Value::Object(members)) => {
                drop(self.member(members).and_then(|key| members.remove(&key)))
            }
            (1, Value::Object(members)) => {
                let key = self.member(members).unwrap_or_default();
                members.insert(key, graft);
            }
            (0, Value::Array(items)) if !items.is_empty() => {
                drop(items.remove(self.below(items.len())));
            }
            (1, Value::Array(items)) => {
                let twice = self.pick(items).cloned().unwrap_or(graft);
                items.push(twice);
            }
            (2, Value::String(text)) => text.push_str(TOKENS[self.below(TOKENS.len())]),
            (_, node) => *node = graft,
        }
    }

    fn member(&mut self, members: &Map<String, Value>) -> Option<String> {
        members.keys().nth(self.below(members.len())).cloned()
    }
}

/// The element that opens at `at`: all of it, and what is between its tags.
fn element(document: &str, at: usize) -> Option<(std::ops::Range<usize>, std::ops::Range<usize>)> {
    let rest = &document[at..];
    let tag_end = rest.find('>')?;
    let name = rest.get(1..tag_end)?.split(' ').next()?;
    let close = format!("</{name}>");
    let inside = tag_end + 1..rest.find(&close)?;
    let whole = at..at + inside.end + close.len();
    (inside.start <= inside.end).then_some((whole, at + inside.start..at + inside.end))
}

/// How many values a tree consists of.
fn count(tree: &Value) -> usize {
    1 + match tree {
        Value::Array(items) => items.iter().map(count).sum(),
        Value::Object(members) => members.values().map(count).sum(),
        _ => 0,
    }
}

/// The value before which `left` others stand.
fn nth<'a>(tree: &'a mut Value, left: &mut usize) -> Option<&'a mut Value> {
    if *left == 0 {
        return Some(tree);
    }
    *left -= 1;
    match tree {
        Value::Array(items) => items.iter_mut().find_map(|item| nth(item, left)),
        Value::Object(members) => members.values_mut().find_map(|item| nth(item, left)),
        _ => None,
    }
}
