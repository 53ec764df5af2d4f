//! The wire between `berth-cni` and `berthd`: what is asked, what is answered, and the limits both sides keep.
//!
//! One request and one reply per connection on a unix stream socket, each a big-endian `u32` length followed by
//! that many bytes of JSON. A request that needs the pod's network namespace carries its descriptor (SCM_RIGHTS)
//! on the first byte. This module has no I/O; `frame` does the framing for blocking sockets.

use alloc::string::String;
use alloc::vec::Vec;
use core::net::Ipv4Addr;
use core::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// Version of this wire. Both sides refuse another one by name, so that a plugin and a daemon of different
/// releases fail with a sentence instead of a decoding error.
pub const PROTOCOL: u32 = 2;

/// Where the daemon listens (directory 0700, socket 0600).
pub const SOCKET_PATH: &str = "/run/berth/berthd.sock";

/// Where a DEL that found no daemon leaves its tombstone, one JSON [`DelRequest`] a file.
pub const TOMBSTONE_DIR: &str = "/run/berth/tombstones";

/// How lately a daemon that does not answer must have been alive for STATUS to succeed still: a restart is no failure, and
/// a STATUS that fails makes the whole node NotReady.
pub const ALIVE_WITHIN: Duration = Duration::from_secs(60);

/// The extension, in place of the socket's, of the file beside it whose modification time says when the daemon was last
/// alive: `/run/berth/berthd.alive`.
pub const HEARTBEAT_EXTENSION: &str = "alive";

/// What every `berth-cni` says of itself when it is called without a verb, and so has in it: by this `berthd` tells the
/// plugin's file from somebody else's of that name.
pub const PLUGIN_MARK: &str = "the CNI plugin of berth, version";

/// The largest frame, in bytes: as much as the plugin accepts on stdin.
pub const MAX_FRAME: usize = 8 << 20;

/// [`Failure::reason`] of a daemon that is on its way out and has done nothing: as good as one that is away already, so
/// the plugin asks the next one.
pub const STOPPING: &str = "DaemonStopping";

/// One request. `invocation` names the plugin process that asks: a request repeated by the same process after a
/// lost connection converges on what the first one did, one from another process is a second ADD.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// [`PROTOCOL`] of the sender.
    pub protocol: u32,
    /// Unique per plugin process, opaque to the daemon.
    pub invocation: String,
    /// What is asked.
    pub ask: Ask,
}

/// What a request asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verb", rename_all = "kebab-case")]
pub enum Ask {
    /// Give the sandbox an address and an interface. Needs exactly one descriptor: the pod's network namespace.
    Add(AddRequest),
    /// Take back what an ADD gave. Carries the namespace's descriptor when it still exists, else none.
    Del(DelRequest),
    /// Compare what an ADD gave with what stands. Needs exactly one descriptor: the pod's network namespace.
    Check(CheckRequest),
    /// Take back what every attachment of a network has that the runtime does not name; no descriptor.
    Gc(GcRequest),
    /// Whether there is a daemon that takes ADDs; no descriptor.
    Status,
    /// The daemon's state for people and tools (`berthd status`); no descriptor.
    State,
    /// Why the node holds what it holds, and what comes next (`berthd explain`), answered as [`Outcome::State`] too; no
    /// descriptor. Asked by `berthd` only: one that does not know it says so.
    Explain,
}

/// The CNI attachment: the key of all state (CNI spec, "Section 2: Execution Protocol").
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct AttachmentId {
    /// Network name of the configuration list.
    pub network: String,
    /// `CNI_CONTAINERID`.
    pub container_id: String,
    /// `CNI_IFNAME`.
    pub ifname: String,
}

/// The pod as `CNI_ARGS` names it; absent for runtimes that are not Kubernetes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PodName {
    /// `K8S_POD_NAMESPACE`.
    pub namespace: String,
    /// `K8S_POD_NAME`.
    pub name: String,
    /// `K8S_POD_UID`, where the runtime sends it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<String>,
}

/// What ADD asks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddRequest {
    /// The attachment to make.
    pub id: AttachmentId,
    /// The pod, if the runtime said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod: Option<PodName>,
    /// `CNI_NETNS` as given: for logs and the runtime caches only, the descriptor is what is used.
    pub netns: String,
    /// Whether the interface is to be made or one that an earlier plugin of the chain made gets the address.
    pub interface: Interface,
    /// Prefix of the host veth's name, from the plugin's configuration (`vethPrefix`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub veth_prefix: Option<String>,
    /// MTU of the pod's interface in bytes, from the plugin's configuration (`mtu`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mtu: Option<u32>,
}

/// Where the pod's interface comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Interface {
    /// berth is first in the list: it must not exist yet.
    Create,
    /// berth stands behind a plugin that made it: it must exist and be a veth whose peer is on the host.
    Existing,
}

/// What DEL asks; also the content of a tombstone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DelRequest {
    /// The attachment to undo.
    pub id: AttachmentId,
    /// The pod, if the runtime said so: for logs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod: Option<PodName>,
    /// The pod's links as `prevResult` tells them, if aws-node made them; looked at only when the attachment is not ours.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aws_node: Vec<AwsNodeLink>,
}

/// A link that aws-node made for a pod, as its CNI result tells: it keeps the number of the route table in `mac`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AwsNodeLink {
    /// Name of the host's end.
    pub host_ifname: String,
    /// The pod's address.
    pub address: Ipv4Addr,
    /// Route table of the pod's ENI; 254 is the main table.
    pub table: u32,
}

/// What CHECK asks: an attachment, and what the runtime remembers of the pod's interface.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckRequest {
    /// The attachment.
    pub id: AttachmentId,
    /// MAC of the pod's interface, lower case with colons, if `prevResult` has one that is a MAC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mac: Option<String>,
    /// Its IPv4 addresses in `prevResult`.
    pub addresses: Vec<ListedAddress>,
}

/// An address of the pod's interface with the length of its prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListedAddress {
    /// The address, host bits included.
    pub address: Ipv4Addr,
    /// 0 to 32.
    pub prefix_len: u8,
}

/// What GC asks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GcRequest {
    /// Network name of the configuration list: attachments of others are nobody's business here.
    pub network: String,
    /// The attachments that stay.
    pub valid: Vec<ValidAttachment>,
}

/// An attachment that the runtime still knows (CNI spec 1.1.0, `cni.dev/valid-attachments`).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ValidAttachment {
    /// Container id.
    pub container_id: String,
    /// Interface name.
    pub ifname: String,
}

/// One reply.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reply {
    /// [`PROTOCOL`] of the sender.
    pub protocol: u32,
    /// What came of it.
    pub outcome: Outcome,
}

/// A request or a reply that says nothing to this side.
#[derive(Debug)]
pub enum Unreadable {
    /// No JSON, or not of that form.
    Garbled(serde_json::Error),
    /// The other side is of another release.
    OtherProtocol {
        /// Its [`PROTOCOL`].
        theirs: u32,
    },
}

/// Reads a request or a reply. The protocol number is read first: the rest of another protocol's may look like anything.
///
/// # Errors
/// See [`Unreadable`].
pub fn decode<T: DeserializeOwned>(body: &[u8]) -> Result<T, Unreadable> {
    #[derive(Deserialize)]
    struct Head {
        protocol: u32,
    }
    let head: Head = serde_json::from_slice(body).map_err(Unreadable::Garbled)?;
    if head.protocol != PROTOCOL {
        return Err(Unreadable::OtherProtocol {
            theirs: head.protocol,
        });
    }
    serde_json::from_slice(body).map_err(Unreadable::Garbled)
}

/// What came of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Outcome {
    /// The attachment stands.
    Added(Added),
    /// Nothing of the attachment is left that matters to anyone.
    Deleted,
    /// The attachment stands as its ADD left it.
    Checked,
    /// Nothing is left of the attachments that were to go.
    Collected,
    /// ADDs are taken.
    Ready,
    /// What was asked for, free-form JSON for `berthd status` and `berthd explain`.
    State {
        /// The document.
        state: serde_json::Value,
    },
    /// It could not be done.
    Failed(Failure),
}

/// An attachment that stands: all that the CNI result needs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Added {
    /// The pod's address; the host prefix is /32.
    pub address: Ipv4Addr,
    /// Next hop inside the pod, 169.254.1.1 as with aws-node.
    pub gateway: Ipv4Addr,
    /// Name of the host's end of the veth.
    pub host_ifname: String,
    /// MAC of the host's end, lower case with colons.
    pub host_mac: String,
    /// MAC of the pod's end.
    pub pod_mac: String,
    /// MTU of the pod's interface, bytes.
    pub mtu: u32,
}

/// Why a request failed, in the words that end up in the pod's events.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// CNI error code (spec "Error"; 11 = try again later, 100 and up are ours).
    pub code: u32,
    /// The typed reason's name, for tools: `SubnetFull`, `Throttled`, ...
    pub reason: String,
    /// One line, what happened.
    pub msg: String,
    /// One line, why and what to do; may be empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub details: String,
}
