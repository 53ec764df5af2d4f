//! Our part of the checkpoint. An attachment stands there with what aws-node's allocation of it, in the same place of the
//! list before, does not tell: what is written at each ADD and DEL is as small as that.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use ipam::{Address, Attachment, AttachmentKey, EniId, PodInterface, PodName, Snapshot, Timestamp};
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};

use super::translate;
use crate::node::NodeFacts;
use crate::store::checkpoint::{Allocation, CheckpointError, Loaded, encode, load_with};

/// Version of our part of the checkpoint.
pub const SCHEMA: u32 = 2;

/// The state of a daemon, with attachments and addresses in whatever form.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Persisted<A = Arc<Attachment>, D = Arc<Address>> {
    /// Version of this form. One that is not known here makes the file as good as corrupt: a later form that happens to
    /// decode must not be taken for this one.
    #[serde(deserialize_with = "known_schema")]
    pub schema: u32,
    /// /proc/sys/kernel/random/boot_id of the boot that its times belong to.
    pub boot_id: String,
    /// The node.
    pub node: Option<NodeFacts>,
    /// Whether pods may live that the pool does not name, since an earlier state was lost.
    #[serde(default)]
    pub lost: bool,
    /// Attachments whose links were being taken away. Nobody else has their addresses yet.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub leaving: BTreeSet<AttachmentKey>,
    /// The pool.
    pub pool: Snapshot<A, D>,
}

/// What an allocation does not tell of its attachment; see [`Attachment`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Beside {
    /// The pod's UID.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<String>,
    /// The plugin process that asked for it.
    pub invocation: String,
    /// Who made the interface; we, if it is not said.
    #[serde(default = "created", skip_serializing_if = "is_created")]
    pub interface: PodInterface,
    /// `vethPrefix` of the plugin's configuration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub veth_prefix: Option<String>,
    /// `mtu` of the plugin's configuration, bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mtu: Option<u32>,
    /// `CNI_NETNS` as given.
    pub netns: String,
    /// The ENI that holds the address.
    pub eni: EniId,
    /// Since when.
    pub since: Timestamp,
    /// Whether its ADD was answered.
    pub answered: bool,
    /// Index of the host's link, once known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_ifindex: Option<u32>,
}

fn known_schema<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    match u32::deserialize(deserializer)? {
        SCHEMA => Ok(SCHEMA),
        other => Err(D::Error::custom(format!(
            "schema {other} is of another release, this one has {SCHEMA}"
        ))),
    }
}

const fn created() -> PodInterface {
    PodInterface::Created
}

fn is_created(interface: &PodInterface) -> bool {
    *interface == created()
}

impl Beside {
    /// That of an attachment.
    pub fn of(attachment: &Attachment) -> Self {
        Self {
            uid: attachment.pod.as_ref().and_then(|pod| pod.uid.clone()),
            invocation: attachment.invocation.clone(),
            interface: attachment.interface,
            veth_prefix: attachment.veth_prefix.clone(),
            mtu: attachment.mtu,
            netns: attachment.netns.clone(),
            eni: attachment.eni.clone(),
            since: attachment.since,
            answered: attachment.answered,
            host_ifindex: attachment.host_ifindex,
        }
    }

    /// The attachment of both; none if the allocation is not one that we write.
    fn with(self, allocation: &Allocation) -> Option<Attachment> {
        let (namespace, name) = (&allocation.metadata.namespace, &allocation.metadata.name);
        let named = self.uid.is_some() || !namespace.is_empty() || !name.is_empty();
        let attachment = Attachment {
            key: AttachmentKey {
                network: allocation.network_name.clone(),
                container_id: allocation.container_id.clone(),
                ifname: allocation.if_name.clone(),
            },
            pod: named.then(|| PodName {
                namespace: namespace.clone(),
                name: name.clone(),
                uid: self.uid,
            }),
            invocation: self.invocation,
            interface: self.interface,
            veth_prefix: self.veth_prefix,
            mtu: self.mtu,
            netns: self.netns,
            address: allocation.ipv4?,
            eni: self.eni,
            since: self.since,
            wall_nanos: u64::try_from(allocation.allocation_timestamp).ok()?,
            answered: self.answered,
            host_ifindex: self.host_ifindex,
        };
        (translate::allocation(&attachment) == *allocation).then_some(attachment)
    }
}

impl Persisted {
    /// Reads the checkpoint.
    ///
    /// # Errors
    /// Those of [`load_with`].
    pub fn load(path: &Path) -> Result<Loaded<Self>, CheckpointError> {
        load_with(path, Self::joined)
    }

    /// Appends the checkpoint's document.
    ///
    /// # Errors
    /// [`CheckpointError::Encode`].
    pub fn encode(&self, into: &mut Vec<u8>) -> Result<(), CheckpointError> {
        let attachments = &self.pool.attachments;
        let allocations: Vec<_> = attachments
            .iter()
            .map(|a| translate::allocation(a))
            .collect();
        let beside: Vec<_> = attachments.iter().map(|a| Beside::of(a)).collect();
        encode(&allocations, &self.clone().with_attachments(beside), into)
    }

    fn joined(allocations: &[Allocation], member: Persisted<Beside>) -> Result<Self, String> {
        let beside = &member.pool.attachments;
        if beside.len() != allocations.len() {
            let (ours, theirs) = (beside.len(), allocations.len());
            return Err(format!(
                "{ours} attachments do not belong to {theirs} allocations"
            ));
        }
        let both = beside.iter().cloned().zip(allocations);
        let attachments: Option<Vec<_>> = both.map(|(b, a)| b.with(a).map(Arc::new)).collect();
        let attachments = attachments.ok_or("an allocation is not one that berth writes")?;
        Ok(member.with_attachments(attachments))
    }
}

impl<A, D> Persisted<A, D> {
    fn with_attachments<B>(self, attachments: Vec<B>) -> Persisted<B, D> {
        Persisted {
            schema: self.schema,
            boot_id: self.boot_id,
            node: self.node,
            lost: self.lost,
            leaving: self.leaving,
            pool: self.pool.with_attachments(attachments),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use ipam::Pool;

    use super::*;

    fn attachment(last: u8) -> Attachment {
        let key = AttachmentKey {
            network: "aws-cni".to_owned(),
            container_id: format!("c{last}"),
            ifname: "eth0".to_owned(),
        };
        let (address, eni) = ([10, 0, 1, last].into(), EniId("eni-1".to_owned()));
        Attachment::bare(key, address, eni, Timestamp::from_secs(7))
    }

    /// All that can be said of an attachment.
    fn full(last: u8) -> Attachment {
        Attachment {
            pod: Some(PodName {
                namespace: "default".to_owned(),
                name: "web-0".to_owned(),
                uid: Some("0be2".to_owned()),
            }),
            invocation: "5eed".to_owned(),
            interface: PodInterface::Existing,
            veth_prefix: Some("eni".to_owned()),
            mtu: Some(9001),
            netns: "/run/netns/p".to_owned(),
            wall_nanos: 1_795_343_487_743_121_994,
            answered: true,
            host_ifindex: Some(4),
            ..attachment(last)
        }
    }

    fn state(attachments: impl IntoIterator<Item = Attachment>) -> Persisted {
        let attachments = attachments.into_iter().map(Arc::new).collect();
        Persisted {
            schema: SCHEMA,
            boot_id: "b".to_owned(),
            node: None,
            lost: true,
            leaving: [attachment(3).key].into(),
            pool: Pool::default().snapshot_of(Default::default(), attachments),
        }
    }

    fn written(document: &[u8]) -> (tempfile::TempDir, Loaded<Persisted>) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ipam.json");
        std::fs::write(&path, document).unwrap();
        let loaded = Persisted::load(&path).unwrap();
        (dir, loaded)
    }

    #[test]
    fn what_is_written_is_read_and_nothing_is_written_twice() {
        let state = state([full(1), attachment(2)]);
        let mut document = Vec::new();
        state.encode(&mut document).unwrap();
        let text = String::from_utf8(document.clone()).unwrap();
        for once in ["web-0", "10.0.1.1\"", "\"c1\"", "1795343487743121994"] {
            assert_eq!(text.matches(once).count(), 1, "{once} in {text}");
        }
        assert!(!text.contains("\"mtu\":null"), "{text}");
        let (_dir, Loaded::Ours { berth, .. }) = written(&document) else {
            panic!("{text}")
        };
        assert_eq!(berth, state);
    }

    #[test]
    fn attachments_without_their_allocations_are_a_corrupt_file() {
        let mut document = Vec::new();
        state([full(1), attachment(2)])
            .encode(&mut document)
            .unwrap();
        let whole: serde_json::Value = serde_json::from_slice(&document).unwrap();
        let spoilt = |spoil: fn(&mut Vec<serde_json::Value>)| {
            let mut document = whole.clone();
            spoil(document["allocations"].as_array_mut().unwrap());
            written(document.to_string().as_bytes()).1
        };
        for loaded in [
            spoilt(|allocations| drop(allocations.pop())),
            spoilt(|allocations| drop(allocations[0].as_object_mut().unwrap().remove("ipv4"))),
            spoilt(|allocations| allocations[0]["ipv6"] = "2600::1".into()),
            spoilt(|allocations| allocations[0]["allocationTimestamp"] = (-1).into()),
            spoilt(|allocations| allocations[0]["metadata"]["interfacesCount"] = 2.into()),
        ] {
            let Loaded::Corrupt { error, .. } = loaded else {
                panic!("{loaded:?}")
            };
            assert!(error.contains("allocation"), "{error}");
        }
    }
}
