//! Pods that the API server shows bound to this node and that have not asked for their address yet. Their ADDs come within
//! a second or so; what they will want is asked for before. A pod that has had its address here counts no more, even if it
//! is shown for a while after it has gone.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;

use ipam::Attachment;
use tracing::debug;

use super::Actor;
use super::add::named;
use crate::cluster::{BoundName, BoundPod, Sight};

/// What is known of bound pods.
#[derive(Debug, Default)]
pub(super) struct Bound {
    sight: Sight,
    /// The uids of those in sight that have had their address.
    served: HashSet<String>,
    /// Those that have not; `None` while that is not known.
    expected: Option<Vec<BoundName>>,
}

impl Bound {
    /// How many pods will come and ask; `None` while nobody says.
    pub(super) fn count(&self) -> Option<u32> {
        let expected = self.expected.as_ref()?;
        Some(u32::try_from(expected.len()).unwrap_or(u32::MAX))
    }

    /// Which.
    pub(super) fn expected(&self) -> &[BoundName] {
        self.expected.as_deref().unwrap_or_default()
    }
}

/// Who has an address, by what is known of them.
struct Served<'a> {
    by_name: HashMap<(&'a str, &'a str), &'a Attachment>,
    /// Of those that were found in the kernel, which does not know pods by name.
    by_address: HashMap<IpAddr, &'a Attachment>,
}

impl<'a> Served<'a> {
    fn of(attachments: impl Iterator<Item = &'a Attachment>) -> Self {
        let (mut by_name, mut by_address) = (HashMap::new(), HashMap::new());
        for attachment in attachments {
            match &attachment.pod {
                Some(pod) => {
                    by_name.insert((pod.namespace.as_str(), pod.name.as_str()), attachment);
                }
                None => {
                    by_address.insert(IpAddr::from(attachment.address), attachment);
                }
            }
        }
        Self {
            by_name,
            by_address,
        }
    }

    /// The pod's attachment. One of an earlier pod of the same name, as a StatefulSet makes them, is not its.
    fn attachment(&self, pod: &BoundPod) -> Option<&'a Attachment> {
        let named = (pod.name.namespace.as_str(), pod.name.name.as_str());
        let by_name = self.by_name.get(&named).copied().filter(|attachment| {
            let uid = attachment.pod.as_ref().and_then(|pod| pod.uid.as_ref());
            uid.is_none_or(|uid| *uid == pod.uid)
        });
        by_name.or_else(|| {
            let mut addresses = pod.addresses.iter();
            addresses.find_map(|address| self.by_address.get(address).copied())
        })
    }
}

impl Actor {
    /// The API server showed something, or has been silent for too long.
    pub(super) fn seen(&mut self, sight: Sight) {
        if let Some(pods) = &sight.pods {
            debug!(pods = pods.len(), "bound pods");
            let shown: HashSet<&str> = pods.iter().map(|pod| pod.uid.as_str()).collect();
            let served = &mut self.bound.served;
            served.retain(|uid| shown.contains(uid.as_str()));
        }
        self.bound.sight = sight;
    }

    /// Counts those that will come: none of those that have an address, that ask now, or that have asked lately and will
    /// come again, who are counted as waiting.
    pub(super) fn expect(&mut self) {
        let Some(pods) = &self.bound.sight.pods else {
            self.bound.expected = None;
            return;
        };
        let unserved = |pod: &&BoundPod| !self.bound.served.contains(&pod.uid);
        let mut unserved = pods.iter().filter(unserved).peekable();
        if unserved.peek().is_none() {
            // Nearly always: then nobody's attachment is looked for.
            self.bound.expected = Some(Vec::new());
            return;
        }
        let mut expected = Vec::new();
        let mut newly = Vec::new();
        let served = Served::of(self.pool.attachments());
        for pod in unserved {
            match served.attachment(pod) {
                Some(attachment) if attachment.answered || attachment.is_recovered() => {
                    newly.push(pod.uid.clone());
                }
                // Its links are being made. If that fails, it is expected again.
                Some(_) => {}
                None if self.asks(&pod.name) => {}
                None => expected.push(pod.name.clone()),
            }
        }
        self.bound.served.extend(newly);
        // More than the node may run will not come: kubelet turns them away.
        if let Some(allocatable) = self.bound.sight.allocatable {
            let room = (allocatable as usize).saturating_sub(self.pool.attachments().count());
            expected.truncate(room);
        }
        self.bound.expected = Some(expected);
    }

    /// Whether an ADD of the pod waits, or has given up and will come again.
    fn asks(&self, name: &BoundName) -> bool {
        let named = named(&name.namespace, &name.name);
        let is_it = |pod: &berth_cni::contract::PodName| {
            pod.namespace == name.namespace && pod.name == name.name
        };
        let mut waiting = self.waiting.iter();
        waiting.any(|job| job.request.pod.as_ref().is_some_and(is_it))
            || self.gave_up.iter().any(|gave_up| *gave_up == named)
    }
}
