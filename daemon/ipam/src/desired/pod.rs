//! The layout of a pod: a routed veth, as aws-node's pods have it, whose group names the ENI.

use std::net::Ipv4Addr;

use sha1::{Digest, Sha1};

use super::node::group_of;
use super::{ALIAS_PREFIX, POD_GATEWAY, POD_TABLE};
use crate::attachment::{Attachment, AttachmentKey, PodName};
use crate::eni::Eni;
use crate::mac::Mac;
use crate::settings::NetworkSettings;

pub use crate::attachment::PodInterface;

/// All that stands in the kernel for one attachment.
///
/// On the host: the veth with its alias and group, up, and `ip route add <address>/32 dev <veth> table 20512 scope link`.
/// In the pod: `<address>/32` on the interface, `169.254.1.1/32 scope link`, `default via 169.254.1.1`, and a permanent
/// neighbour entry for 169.254.1.1 with the host end's MAC. Where another interface has the default route already, the
/// routes stand in a table of this interface's own, which `from <address>` leads to: what comes from the address must
/// leave by its own link, or it would leave the node by another ENI.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodDesired {
    /// Made by us, or made by a plugin before us.
    pub interface: PodInterface,
    /// Name of the pod's end.
    pub ifname: String,
    /// MAC of the pod's end (of one made by us).
    pub pod_mac: Mac,
    /// Name of the host's end (of one made by us).
    pub host_ifname: String,
    /// MAC of the host's end (of one made by us).
    pub host_mac: Mac,
    /// How the host's end is found again.
    pub alias: String,
    /// Its ENI.
    pub group: u32,
    /// MTU of both ends, bytes.
    pub mtu: u32,
    /// The pod's address.
    pub address: Ipv4Addr,
    /// Next hop in the pod.
    pub gateway: Ipv4Addr,
    /// Table of the host route.
    pub table: u32,
}

/// What every runtime calls a sandbox's first interface.
pub const FIRST_IFNAME: &str = "eth0";

/// The alias of an attachment's host veth.
pub fn alias_of(key: &AttachmentKey) -> String {
    format!("{ALIAS_PREFIX}{}/{}", key.container_id, key.ifname)
}

/// The host veth's name: `prefix` and the first 11 hex digits of SHA-1("namespace.pod"), as aws-node and Calico name it.
/// Without a pod name, or for a second interface, the hash is of "network/container id/ifname".
pub fn host_ifname(prefix: &str, key: &AttachmentKey, pod: Option<&PodName>) -> String {
    let subject = match pod {
        Some(pod) if key.ifname == FIRST_IFNAME => format!("{}.{}", pod.namespace, pod.name),
        _ => format!("{}/{}/{}", key.network, key.container_id, key.ifname),
    };
    let digest = Sha1::digest(subject.as_bytes());
    let hex: String = digest.iter().map(|octet| format!("{octet:02x}")).collect();
    format!("{prefix}{}", &hex[..11])
}

/// The layout of an attachment on the ENI that holds its address.
pub fn pod(attachment: &Attachment, eni: &Eni, settings: &NetworkSettings) -> PodDesired {
    let alias = alias_of(&attachment.key);
    let prefix = attachment
        .veth_prefix
        .as_deref()
        .unwrap_or(&settings.veth_prefix);
    PodDesired {
        interface: attachment.interface,
        ifname: attachment.key.ifname.clone(),
        pod_mac: Mac::from_name(&format!("{alias}/pod")),
        host_ifname: host_ifname(prefix, &attachment.key, attachment.pod.as_ref()),
        host_mac: Mac::from_name(&format!("{alias}/host")),
        alias,
        group: group_of(eni.device_index),
        mtu: attachment.mtu.unwrap_or(settings.pod_mtu),
        address: attachment.address,
        gateway: POD_GATEWAY,
        table: POD_TABLE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(ifname: &str) -> AttachmentKey {
        AttachmentKey {
            network: "aws-cni".into(),
            container_id: "c1".into(),
            ifname: ifname.into(),
        }
    }

    #[test]
    fn the_name_is_aws_nodes() {
        let pod = PodName {
            namespace: "default".into(),
            name: "web-0".into(),
            uid: None,
        };
        let name = host_ifname("eni", &key("eth0"), Some(&pod));
        // printf default.web-0 | sha1sum | cut -c1-11
        assert_eq!(name, "eni0d7763386da");
        assert_eq!(name.len(), 14);
    }

    #[test]
    fn a_second_interface_and_a_nameless_pod_have_names_of_their_own() {
        let pod = PodName {
            namespace: "default".into(),
            name: "web-0".into(),
            uid: None,
        };
        let second = host_ifname("eni", &key("net1"), Some(&pod));
        assert_ne!(second, host_ifname("eni", &key("eth0"), Some(&pod)));
        assert_ne!(
            host_ifname("eni", &key("eth0"), None),
            host_ifname("eni", &key("eth0"), Some(&pod))
        );
    }
}
