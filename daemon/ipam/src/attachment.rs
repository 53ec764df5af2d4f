//! An attachment: one interface of one sandbox, which has one address for as long as it lives.

use std::fmt;
use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

use crate::eni::EniId;
use crate::time::Timestamp;

/// The key of an attachment, as the CNI spec has it (section 2, "a network attachment is identified by ...").
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct AttachmentKey {
    // First, since keys of one interface stand side by side then.
    /// `CNI_CONTAINERID`.
    pub container_id: String,
    /// `CNI_IFNAME`.
    pub ifname: String,
    /// Network name.
    pub network: String,
}

impl AttachmentKey {
    /// Whether both are the same interface of the same sandbox, in whatever network.
    pub fn is_same_interface(&self, other: &Self) -> bool {
        self.container_id == other.container_id && self.ifname == other.ifname
    }
}

impl fmt::Display for AttachmentKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.network, self.container_id, self.ifname)
    }
}

/// The Kubernetes pod behind a sandbox.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PodName {
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// UID, where the runtime tells it.
    pub uid: Option<String>,
}

/// Who made the pod's interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PodInterface {
    /// We do: a veth.
    Created,
    /// A plugin before us did; it gets our address besides its own.
    Existing,
}

/// A live attachment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attachment {
    /// Its key.
    pub key: AttachmentKey,
    /// The pod, if known.
    pub pod: Option<PodName>,
    /// The plugin process that asked for it.
    pub invocation: String,
    /// Who made the interface.
    pub interface: PodInterface,
    /// `vethPrefix` of the plugin's configuration.
    pub veth_prefix: Option<String>,
    /// `mtu` of the plugin's configuration, bytes.
    pub mtu: Option<u32>,
    /// `CNI_NETNS` as given.
    pub netns: String,
    /// Its address.
    pub address: Ipv4Addr,
    /// The ENI that holds the address.
    pub eni: EniId,
    /// Since when.
    pub since: Timestamp,
    /// Since when by the wall clock, Unix nanoseconds: aws-node's `allocationTimestamp`, used for nothing else.
    pub wall_nanos: u64,
    /// Whether its ADD was answered. One that was not may be asked for again by another process.
    pub answered: bool,
    /// Index of the host's link, once known.
    pub host_ifindex: Option<u32>,
}

impl Attachment {
    /// One whose interface berth makes, and of which no more is known than its address: not its pod, nor who asked.
    pub fn bare(key: AttachmentKey, address: Ipv4Addr, eni: EniId, since: Timestamp) -> Self {
        Self {
            key,
            pod: None,
            invocation: String::new(),
            interface: PodInterface::Created,
            veth_prefix: None,
            mtu: None,
            netns: String::new(),
            address,
            eni,
            since,
            wall_nanos: 0,
            answered: false,
            host_ifindex: None,
        }
    }

    /// Whether it was found in the kernel without a state that names it. No plugin process is known for it then, and its
    /// network is an assumption.
    pub fn is_recovered(&self) -> bool {
        self.invocation.is_empty()
    }
}
