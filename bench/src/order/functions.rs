//! The functions of a program, as `nm` (binutils) lists them.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use anyhow::ensure;
use e2e::netns::output;

/// By address, relative to where the program is loaded.
#[derive(Debug)]
pub(super) struct Functions(BTreeMap<u64, String>);

impl Functions {
    /// Those of `program`.
    pub(super) fn of(program: &Path) -> anyhow::Result<Self> {
        let listed = output(Command::new("nm").arg(program))?;
        let functions: BTreeMap<u64, String> = listed.lines().filter_map(function).collect();
        ensure!(
            !functions.is_empty(),
            "{} has no symbols",
            program.display()
        );
        Ok(Self(functions))
    }

    pub(super) fn addresses(&self) -> impl DoubleEndedIterator<Item = u64> {
        self.0.keys().copied()
    }

    pub(super) fn contains(&self, address: u64) -> bool {
        self.0.contains_key(&address)
    }

    /// From the first function's address to behind the last one's first byte.
    pub(super) fn span(&self) -> (u64, usize) {
        let first = self.addresses().next().unwrap_or_default();
        let last = self.addresses().next_back().unwrap_or_default();
        (first, usize::try_from(last - first + 1).unwrap_or_default())
    }

    /// The names behind addresses, each once.
    pub(super) fn names(&self, addresses: &[u64]) -> Vec<String> {
        let mut seen = std::collections::BTreeSet::new();
        let mut addresses = addresses.to_vec();
        addresses.retain(|address| seen.insert(*address));
        let name = |address| self.0.get(address).cloned();
        addresses.iter().filter_map(name).collect()
    }
}

/// `0000000000a74a00 T main`: the types t and w, local or not, are code.
fn function(line: &str) -> Option<(u64, String)> {
    let mut words = line.split_whitespace();
    let address = u64::from_str_radix(words.next()?, 16).ok()?;
    let kind = words.next()?;
    let name = words.next()?;
    matches!(kind, "t" | "T" | "w" | "W").then(|| (address, name.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_code_with_an_address_is_a_function() {
        let code = function("0000000000a74a00 T main");
        assert_eq!(code, Some((0xa7_4a00, "main".to_owned())));
        assert_eq!(function("0000000000a74a00 d DATA"), None);
        assert_eq!(function("                 w __gmon_start__"), None);
    }
}
