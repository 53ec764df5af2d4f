//! The pods that the kernel has and the state does not name: what an ADD left that was cut off is swept, and live pods
//! whose state was lost are found again. Neither is mistaken for the other.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use ipam::desired::pod::alias_of;
use ipam::desired::{ALIAS_PREFIX, GROUP_BASE};
use ipam::{Attachment, AttachmentKey, EniId, Event, PodInterface};
use tracing::{error, info, warn};

use super::Actor;
use super::effects::{self, Retry};
use crate::dataplane::{DataplaneError, ObservedPod, PodRemoval};

/// Network name of the shipped configuration, for pods found in the kernel, which does not tell it.
const DEFAULT_NETWORK: &str = "aws-cni";

/// How far the pods in the kernel are known.
#[derive(Default)]
pub(super) struct Recovery {
    /// Whether they have been looked for: before that nobody is served.
    pub done: bool,
    /// Whether pods may live that the state does not name: it was lost, and not all of them have been found. Part of the
    /// state, since a crash must not make leftovers of them.
    pub lost: bool,
    /// Links of DELs that came meanwhile: one that was seen just before must not come back to life.
    deleted: BTreeSet<String>,
}

impl Recovery {
    /// Of a state that names all pods, or not.
    pub(super) fn new(lost: bool) -> Self {
        Self {
            lost,
            ..Self::default()
        }
    }
}

/// A link of ours by its alias alone.
fn nameless(alias: String) -> PodRemoval {
    let ifname = alias.rsplit('/').next().unwrap_or_default().to_owned();
    PodRemoval {
        alias,
        host_ifindex: None,
        interface: PodInterface::Created,
        ifname,
        address: Ipv4Addr::UNSPECIFIED,
    }
}

/// A pod's link that no state names: what an ADD left that was cut off.
fn leftover(pod: ObservedPod) -> PodRemoval {
    let address = pod.address.unwrap_or(Ipv4Addr::UNSPECIFIED);
    warn!(link = %pod.name, alias = %pod.alias, %address, "link of an unanswered ADD is removed");
    PodRemoval {
        host_ifindex: Some(pod.ifindex),
        address,
        ..nameless(pod.alias)
    }
}

impl Actor {
    /// The pods that the kernel has. With a state of ours, a link it does not name belongs to an ADD that was never
    /// answered, since answers come after the write; without one, it is all we know of a pod that lives.
    pub(super) fn observed(&mut self, result: Result<Vec<ObservedPod>, DataplaneError>) {
        let pods = match result {
            Ok(pods) => pods,
            Err(error) => {
                warn!(%error, "pods in the kernel not read");
                self.start_failure = Some(error.to_string());
                return self.retry_later(Retry::Observe);
            }
        };
        let needless = self.recovery.done && !self.recovery.lost;
        if needless || self.facts.is_none() {
            // Without facts neither the pods' ENIs nor the node's layout are known: identification asks again.
            return;
        }
        self.let_go(&pods);
        let known: BTreeSet<String> = self.pool.attachments().map(|a| alias_of(&a.key)).collect();
        let unknown = pods.into_iter().filter(|pod| !known.contains(&pod.alias));
        if self.recovery.lost {
            self.recover_all(unknown.collect());
            self.swept(true);
        } else {
            let leftovers = unknown.map(leftover).collect();
            self.run_effect(effects::sweep(self.ports.clone(), leftovers));
        }
    }

    /// Releases what the last daemon was taking away and whose link is gone: its DEL may have been answered. One whose link
    /// is there was not, and neither is it known of one that has none of ours.
    fn let_go(&mut self, pods: &[ObservedPod]) {
        for key in std::mem::take(&mut self.leaving) {
            if self.working.contains_key(&key) {
                // A DEL of this daemon.
                self.leaving.insert(key);
                continue;
            }
            let alias = alias_of(&key);
            let made = |attachment: &Attachment| attachment.interface == PodInterface::Created;
            if self.pool.attachment(&key).is_some_and(made)
                && !pods.iter().any(|pod| pod.alias == alias)
            {
                info!(attachment = %key, "was being deleted when the last daemon ended, and its link is gone: released");
                self.let_rest(key);
            }
        }
        self.changed();
    }

    /// The kernel has no pods but those that the pool knows. Until then no address is given to a pod: it could be one
    /// that a link which is still there has.
    pub(super) fn swept(&mut self, clean: bool) {
        if !clean {
            return self.retry_later(Retry::Observe);
        }
        self.recovery.done = true;
        self.changed();
        self.retry(Retry::LayOut);
    }

    /// What a DEL removes of an attachment that the state does not name, while pods may live that it does not name.
    pub(super) fn unnamed(&mut self, key: &AttachmentKey) -> Option<PodRemoval> {
        if !self.recovery.lost {
            return None;
        }
        let alias = alias_of(key);
        self.recovery.deleted.insert(alias.clone());
        Some(nameless(alias))
    }

    /// Metadata may not list the ENIs of all pods yet; Describe does, so when that has answered this is the last look.
    fn recover_all(&mut self, mut pods: Vec<ObservedPod>) {
        pods.retain(|pod| !self.recovery.deleted.contains(&pod.alias) && !self.recover(pod));
        let last = self.pool.knowledge().complete;
        for pod in &pods {
            error!(link = %pod.name, alias = %pod.alias, last, "a pod's link is there, but its ENI is not known");
        }
        if pods.is_empty() || last {
            self.recovery.lost = false;
            self.recovery.deleted.clear();
        }
    }

    /// A live pod keeps its address. Answers whether it was possible: its ENI is the one of its group.
    fn recover(&mut self, pod: &ObservedPod) -> bool {
        let now = self.now();
        let names = pod
            .alias
            .strip_prefix(ALIAS_PREFIX)
            .and_then(|names| names.split_once('/'));
        let (Some(eni), Some(address), Some((container_id, ifname))) =
            (self.eni_of(pod.group), pod.address, names)
        else {
            return false;
        };
        let key = AttachmentKey {
            network: DEFAULT_NETWORK.to_owned(),
            container_id: container_id.to_owned(),
            ifname: ifname.to_owned(),
        };
        warn!(attachment = %key, %address, eni = %eni, "live pod found in the kernel");
        let attachment = Attachment {
            wall_nanos: u64::try_from(self.ports.clock.wall().as_nanos()).unwrap_or(u64::MAX),
            answered: true,
            host_ifindex: Some(pod.ifindex),
            ..Attachment::bare(key, address, eni, now)
        };
        self.note(Event::Recovered {
            attachment: Box::new(attachment),
            now,
        })
    }

    /// The ENI whose pods' links are in this group, as metadata or EC2 say.
    fn eni_of(&self, group: u32) -> Option<EniId> {
        let device_index = group.wrapping_sub(GROUP_BASE);
        let known = || {
            let mut attached = self.pool.enis().filter(|eni| eni.attachment_id.is_some());
            let eni = attached.find(|eni| eni.device_index == device_index && eni.is_managed());
            eni.map(|eni| eni.id.clone())
        };
        self.attached.get(&device_index).cloned().or_else(known)
    }
}
