//! What `/proc/sys/net` says of each interface; reads, never writes.

use std::fs;
use std::path::Path;

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
