//! What a namespace holds, in a form that can be compared: links, addresses, routes, rules, permanent neighbours,
//! netfilter, and the sysctls of its interfaces.
//!
//! Normalised: what changes by itself (ifindexes, handles, counters, timers, operational state, and the IPv6 link-local
//! and multicast entries that each link gets a second or two after it came up) is left out, so two snapshots are equal
//! when nobody configured anything in between. Qdiscs are not looked at: they go with their link.

mod ruleset;
mod sysctl;

use std::collections::BTreeMap;
use std::fmt;
use std::io::Write;
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};
use serde_json::Value;

use super::{Netns, output};

/// The section of sysctls.
pub const SYSCTL: &str = "sysctl";

/// The configuration of one namespace at one moment: lines by section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    sections: BTreeMap<String, Vec<String>>,
}

/// One line that only one of two snapshots has, or a section whose lines changed places.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Only the later one has it.
    Added(String, String),
    /// Only the earlier one has it.
    Removed(String, String),
    /// The same lines in another order, where order matters (the rules of a chain).
    Reordered(String),
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Added(section, line) => write!(f, "+ {section}: {line}"),
            Self::Removed(section, line) => write!(f, "- {section}: {line}"),
            Self::Reordered(section) => write!(f, "~ {section}: same lines, other order"),
        }
    }
}

impl Snapshot {
    /// Reads the state of `netns` by `ip -json` and `nft -j`.
    ///
    /// # Errors
    /// One of the programs failed or printed what is not JSON.
    pub fn take(netns: &Netns) -> anyhow::Result<Self> {
        let mut sections = BTreeMap::new();
        let mut put = |section: &str, mut lines: Vec<String>| {
            lines.sort();
            sections.insert(section.to_owned(), lines);
        };
        let [links, addresses4, routes4, rules4, neighbours4] = json(netns, "-4")?;
        let [_, addresses6, mut routes6, rules6, neighbours6] = json(netns, "-6")?;
        routes6.retain(|route| !is_automatic(&route["dst"]) && !is_of_address(route));
        put("link", lines(&links, link));
        put(
            "address",
            [addresses(&addresses4), addresses(&addresses6)].concat(),
        );
        put("route", lines(&routes4, selected));
        put("route6", lines(&routes6, selected));
        put("rule", lines(&rules4, selected));
        put("rule6", lines(&rules6, selected));
        put(
            "neighbour",
            [lines(&neighbours4, selected), lines(&neighbours6, selected)].concat(),
        );
        put(SYSCTL, netns.run(sysctl::lines)?);
        let ruleset =
            netns.run(|| output(Command::new("nft").args(["-j", "list", "ruleset"])))??;
        let ruleset = serde_json::from_str(&ruleset).context("nft -j list ruleset")?;
        sections.extend(ruleset::sections(&ruleset));
        if ruleset::has_xtables(&ruleset) {
            // nft's JSON names an xtables match or target but not its arguments
            let saved = netns.run(|| output(&mut Command::new("iptables-save")))??;
            sections.insert("iptables-save".to_owned(), ruleset::iptables_lines(&saved));
        }
        Ok(Self { sections })
    }

    /// The lines of one section (`link`, `address`, `route`, `route6`, `rule`, `rule6`, `neighbour`, `sysctl`, `nft ...`),
    /// none if absent.
    #[must_use]
    pub fn section(&self, name: &str) -> &[String] {
        self.sections.get(name).map_or(&[], Vec::as_slice)
    }

    /// How many lines there are in all sections.
    #[must_use]
    pub fn lines(&self) -> usize {
        self.sections.values().map(Vec::len).sum()
    }

    /// What `later` has more, has less or has in another order, by section.
    #[must_use]
    pub fn changes(&self, later: &Self) -> Vec<Change> {
        let mut names: Vec<&String> = self.sections.keys().chain(later.sections.keys()).collect();
        names.sort();
        names.dedup();
        let mut changes = Vec::new();
        for name in names {
            let (before, after) = (self.section(name), later.section(name));
            if name == SYSCTL {
                changes.extend(sysctl::changes(before, after));
                continue;
            }
            let removed = without(before, after)
                .into_iter()
                .map(|line| Change::Removed(name.clone(), line));
            let added = without(after, before)
                .into_iter()
                .map(|line| Change::Added(name.clone(), line));
            let count = changes.len();
            changes.extend(removed.chain(added));
            if changes.len() == count && before != after {
                changes.push(Change::Reordered(name.clone()));
            }
        }
        changes
    }
}

/// The lines of `these` that `those` lack, counting repetitions.
fn without(these: &[String], those: &[String]) -> Vec<String> {
    let mut left: Vec<&String> = those.iter().collect();
    let missing = |line: &&String| match left.iter().position(|other| other == line) {
        Some(at) => {
            left.swap_remove(at);
            false
        }
        None => true,
    };
    these.iter().filter(missing).cloned().collect()
}

/// Links, addresses, routes, rules and neighbours of one family, by one program: snapshots are taken by the hundred.
fn json(netns: &Netns, family: &str) -> anyhow::Result<[Vec<Value>; 5]> {
    let asked = "link show\naddr show\nroute show table all\nrule show\nneigh show nud permanent\n";
    let mut command = Command::new("ip");
    command.args([family, "-json", "-details", "-batch", "-"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = netns.spawn(command.stderr(Stdio::piped()))?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(asked.as_bytes())?;
    }
    let printed = child.wait_with_output()?;
    ensure!(
        printed.status.success(),
        "ip -batch: {}",
        String::from_utf8_lossy(&printed.stderr).trim()
    );
    let mut answers = serde_json::Deserializer::from_slice(&printed.stdout).into_iter();
    let mut next = || {
        let answer = answers.next().context("ip -batch answered too little")?;
        answer.context("ip -batch printed no JSON array")
    };
    Ok([next()?, next()?, next()?, next()?, next()?])
}

fn lines(objects: &[Value], line: fn(&Value) -> String) -> Vec<String> {
    objects.iter().map(line).collect()
}

fn link(link: &Value) -> String {
    let kind = link["linkinfo"]["info_kind"].as_str().unwrap_or("-");
    let text = |key: &str| link[key].as_str().unwrap_or("-").to_owned();
    let up = link["flags"]
        .as_array()
        .is_some_and(|flags| flags.iter().any(|flag| flag == "UP"));
    // a bridge's is the lowest of its ports', unless somebody sets it
    let mac = if kind == "bridge" {
        "-".to_owned()
    } else {
        text("address")
    };
    format!(
        "{} kind {kind} group {} alias {} mtu {} {} mac {mac} master {}",
        text("ifname"),
        text("group"),
        text("ifalias"),
        link["mtu"],
        if up { "up" } else { "down" },
        text("master"),
    )
}

fn addresses(links: &[Value]) -> Vec<String> {
    let of_link = |link: &Value| -> Vec<String> {
        let infos = link["addr_info"].as_array().map_or(&[][..], Vec::as_slice);
        let line = |info: &Value| {
            format!("{} {} {}", link["ifname"], info["local"], info["prefixlen"]).replace('"', "")
        };
        let configured = infos.iter().filter(|info| !is_automatic(&info["local"]));
        configured.map(line).collect()
    };
    links.iter().flat_map(of_link).collect()
}

/// Whether `destination` is IPv6 link-local or multicast: the kernel adds those to each link that comes up, the
/// link-local ones only after it has looked for duplicates.
fn is_automatic(destination: &Value) -> bool {
    let destination = destination.as_str().unwrap_or_default();
    destination.starts_with("fe80:") || destination.starts_with("ff00:")
}

/// Whether the kernel made a route for an address: of IPv6 it does so when it has looked for duplicates, not at once.
fn is_of_address(route: &Value) -> bool {
    route["table"] == "local" && route["protocol"] == "kernel"
}

/// A route or rule as `key value` pairs in a fixed order, without what the kernel changes by itself.
fn selected(object: &Value) -> String {
    // linkdown and the like follow the carrier; a cloned route's expiry is a timer
    const VOLATILE: [&str; 4] = ["flags", "expires", "cache", "pref"];
    let fields = object.as_object().into_iter().flatten();
    let kept = fields.filter(|(key, _)| !VOLATILE.contains(&key.as_str()));
    let pairs: Vec<String> = kept
        .map(|(key, value)| format!("{key} {value}").replace('"', ""))
        .collect();
    pairs.join(" ")
}
