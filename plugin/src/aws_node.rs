//! Recognises a `prevResult` of aws-node, which the runtime hands to whoever is the plugin when the pod goes, and reads
//! from it what that left on the host. Whether that is still there, and still the pod's, is the daemon's to find out.

use alloc::borrow::ToOwned;
use alloc::vec::Vec;

use serde_json::Value;

use crate::contract::AwsNodeLink;
use crate::prev_result::listed;

/// aws-node lists an interface that does not exist, to keep numbers in: a VLAN's in `mac`, a device's in `sandbox`.
const DUMMY_PREFIX: &str = "dummy";

/// The links of an ordinary pod of aws-node's; none if anything looks otherwise. One with a VLAN is a pod with security
/// groups of its own, whose links are laid out in another way.
pub(crate) fn links(previous: Option<&Value>) -> Vec<AwsNodeLink> {
    let list = |key| previous.and_then(|result| result.get(key)?.as_array());
    let (Some(interfaces), Some(ips)) = (list("interfaces"), list("ips")) else {
        return Vec::new();
    };
    let is_dummy = |interface: &&Value| {
        text(interface, "name").starts_with(DUMMY_PREFIX)
            && text(interface, "mac") == "0"
            && text(interface, "sandbox").parse::<u32>().is_ok()
    };
    if !interfaces.iter().any(|interface| is_dummy(&interface)) {
        return Vec::new();
    }
    ips.iter().filter_map(|ip| link(interfaces, ip)).collect()
}

/// An address points to the interface in the container, and that stands behind its end on the host.
fn link(interfaces: &[Value], ip: &Value) -> Option<AwsNodeLink> {
    let inside = usize::try_from(ip.get("interface")?.as_u64()?).ok()?;
    let host = interfaces.get(inside.checked_sub(1)?)?;
    let host_ifname = Some(text(host, "name")).filter(|name| !name.is_empty())?;
    let on_host = text(host, "sandbox").is_empty();
    Some(AwsNodeLink {
        host_ifname: host_ifname.to_owned(),
        address: listed(ip)?.address,
        table: text(interfaces.get(inside)?, "mac").parse().ok()?,
    })
    .filter(|_| on_host)
}

fn text<'a>(interface: &'a Value, key: &str) -> &'a str {
    interface[key].as_str().unwrap_or_default()
}
