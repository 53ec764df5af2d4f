//! What is asked after a test has done something: whether it comes true by itself, and whether nothing is left of it.

use std::net::Ipv4Addr;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::ensure;

use crate::netns::snapshot::{Change, Snapshot};
use crate::node::Node;
use crate::node::status::EniStatus;

/// How long something may take that happens by itself, on a machine with much to do.
pub const SOON: Duration = Duration::from_secs(15);

/// Repeats `attempt` until it succeeds; after `patience` its last error is the failure.
///
/// # Errors
/// It never succeeded.
pub fn eventually<T>(
    what: &str,
    patience: Duration,
    mut attempt: impl FnMut() -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let deadline = Instant::now() + patience;
    loop {
        match attempt() {
            Ok(value) => return Ok(value),
            Err(error) if Instant::now() >= deadline => {
                return Err(error.context(format!("{what}: not within {patience:?}")));
            }
            Err(_) => thread::sleep(Duration::from_millis(50)),
        }
    }
}

/// Waits until a node looks as it did `before`, down to the last rule.
///
/// # Errors
/// It still differs after `patience`; the first differences are spelt out.
pub fn as_before(node: &Node, before: &Snapshot, patience: Duration) -> anyhow::Result<()> {
    eventually("the host as before", patience, || {
        none_of(before.changes(&Snapshot::take(node.netns())?))
    })
}

/// Waits until a node has nothing of pods that it did not have `before`. ENIs may have come meanwhile.
///
/// # Errors
/// Something is left after [`SOON`].
pub fn no_pods_left(node: &Node, before: &Snapshot, addresses: &[Ipv4Addr]) -> anyhow::Result<()> {
    eventually("nothing of a pod left", SOON, || {
        let mut changes = before.changes(&Snapshot::take(node.netns())?);
        changes.retain(|change| is_of_a_pod(change, addresses));
        none_of(changes)
    })
}

/// What a node has more or less than `before` that its secondary ENIs do not explain: those come for pods and are kept
/// in reserve for a while.
///
/// # Errors
/// The node or its daemon cannot be asked.
pub fn left_over(node: &Node, before: &Snapshot) -> anyhow::Result<Vec<Change>> {
    let mut changes = before.changes(&Snapshot::take(node.netns())?);
    let enis = node.status()?.enis;
    for eni in enis.iter().filter(|eni| eni.device_index != 0) {
        changes.retain(|change| !belongs_to(change, eni));
    }
    Ok(changes)
}

fn none_of(changes: Vec<Change>) -> anyhow::Result<()> {
    let shown: Vec<_> = changes.iter().take(5).map(Change::to_string).collect();
    ensure!(
        changes.is_empty(),
        "{} lines differ: {}",
        changes.len(),
        shown.join("; ")
    );
    Ok(())
}

/// Whether a line that came speaks of a pod: of its address, its alias, its link, or a link that waits for the reaper.
fn is_of_a_pod(change: &Change, addresses: &[Ipv4Addr]) -> bool {
    let Change::Added(_, line) = change else {
        return false;
    };
    let words = [' ', '/', '"', ',', '[', ']', '{', '}'];
    let is_of_one = |word: &str| {
        let tail = word.strip_prefix("eni").or(word.strip_prefix("gone"));
        // the names of chains end in one digit
        let is_link = tail.is_some_and(|tail| {
            tail.len() > 1 && tail.chars().all(|digit| digit.is_ascii_hexdigit())
        });
        is_link
            || word.starts_with("berth:")
            || word
                .parse()
                .is_ok_and(|address| addresses.contains(&address))
    };
    line.split(words).any(is_of_one)
}

/// Whether `change` is one of the things that a secondary ENI brings: its link and address, its table and the rules
/// that lead there, its chain and its element in the map of veth groups.
fn belongs_to(change: &Change, eni: &EniStatus) -> bool {
    let Change::Added(section, line) = change else {
        return false;
    };
    let device = eni.device_index;
    let has = |word: &str| {
        line.split([' ', '"', '@', ',', '[', ']', '{', '}', ':'])
            .any(|part| part == word)
    };
    let link = format!("eth{device}");
    match section.as_str() {
        "link" | "address" | "route" | "route6" => has(&link),
        // aws-node's tables: device index + 1
        "rule" => {
            let source = eni.primary_address.map(|address| address.to_string());
            has(&(device + 1).to_string())
                && (has("1537") || source.is_some_and(|source| has(&source)))
        }
        _ => {
            section.starts_with("nft")
                && (section.ends_with(&format!(" eni{device}"))
                    || has(&format!("eni{device}"))
                    || has(&link))
        }
    }
}
