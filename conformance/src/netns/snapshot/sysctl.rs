//! What `/proc/sys/net` says of each interface; reads, never writes.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::{Change, SYSCTL};

/// What network plugins set, by directory below `/proc/sys/net` (kernel: Documentation/networking/ip-sysctl.rst). Not all
/// that is there: snapshots are taken by the hundred, of hosts with many links.
const KEYS: [(&str, &[&str]); 2] = [
    (
        "ipv4/conf",
        &[
            "accept_local",
            "accept_redirects",
            "arp_announce",
            "arp_filter",
            "arp_ignore",
            "arp_notify",
            "forwarding",
            "proxy_arp",
            "route_localnet",
            "rp_filter",
            "send_redirects",
            "src_valid_mark",
        ],
    ),
    (
        "ipv6/conf",
        &[
            "accept_dad",
            "accept_ra",
            "autoconf",
            "disable_ipv6",
            "forwarding",
            "keep_addr_on_down",
            "proxy_ndp",
        ],
    ),
];

/// What differs of interfaces that both have: those of one that came or went go without saying.
pub(super) fn changes(before: &[String], after: &[String]) -> Vec<Change> {
    let keyed = |lines: &[String]| -> BTreeMap<String, String> {
        let split = |line: &String| line.rsplit_once(' ').map(|(key, _)| key.to_owned());
        let pairs = lines
            .iter()
            .filter_map(|line| Some((split(line)?, line.clone())));
        pairs.collect()
    };
    let (before, mut after) = (keyed(before), keyed(after));
    let in_both = before
        .into_iter()
        .filter_map(|(key, was)| Some((was, after.remove(&key)?)));
    let changed = in_both.filter(|(was, is)| was != is);
    changed
        .flat_map(|(was, is)| {
            [
                Change::Removed(SYSCTL.to_owned(), was),
                Change::Added(SYSCTL.to_owned(), is),
            ]
        })
        .collect()
}

/// `INTERFACE FAMILY/conf/KEY VALUE` of the namespace that the calling thread is in, `all` and `default` among the
/// interfaces. One that goes meanwhile, and a family that the kernel does not have, have no lines.
pub(super) fn lines() -> Vec<String> {
    let mut lines = Vec::new();
    for (place, keys) in KEYS {
        let dir = Path::new("/proc/sys/net").join(place);
        for interface in fs::read_dir(dir).into_iter().flatten().flatten() {
            let name = interface.file_name();
            for key in keys {
                if let Ok(value) = fs::read_to_string(interface.path().join(key)) {
                    let name = name.to_string_lossy();
                    lines.push(format!("{name} {place}/{key} {}", value.trim()));
                }
            }
        }
    }
    lines
}
