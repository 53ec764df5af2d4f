//! Keeps what stands in the kernel as it should be: a notification, or time, puts a part in doubt; the part is compared,
//! and what is found changed is mended, counted and told. How soon is `pace`; what should stand is `ipam`'s.

mod pace;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use ipam::{Attachment, Timestamp, desired};
use tracing::{debug, warn};

use super::Actor;
use super::effects::Effect;
use crate::dataplane::{Changes, DataplaneError, Part, Parts, StandingPod, Unfinished};
use pace::Pace;

/// Between two comparisons of what the kernel may not tell of: routes that went with a link or address in a moment in
/// which notifications were lost, sysctls that it never tells of. One takes some milliseconds.
const EVERY: Duration = Duration::from_secs(60);
/// Until a part that could not be made as it should be is tried again.
const AGAIN: Duration = Duration::from_secs(5);

/// What is in doubt, and what was mended.
#[derive(Default)]
pub(super) struct Repairs {
    /// Since when, or from when on, each part is in doubt.
    doubts: BTreeMap<Part, Timestamp>,
    paces: BTreeMap<Part, Pace>,
    /// Whether the pods' ends are being compared.
    comparing_pods: bool,
}

impl Repairs {
    /// Puts parts in doubt from `when` on.
    fn raise(&mut self, parts: Parts, when: Timestamp) {
        for part in parts.iter() {
            let since = self.doubts.entry(part).or_insert(when);
            *since = when.min(*since);
        }
    }

    /// The parts that may be compared now.
    fn ready(&self, now: Timestamp) -> Parts {
        let ready = self.times().filter(|(_, at)| *at <= now);
        ready.map(|(part, _)| part).collect()
    }

    /// When the next part may be compared, if that is not now: what is ready and waits, waits for another one to end.
    pub(super) fn wake_at(&self, now: Timestamp) -> Option<Timestamp> {
        self.times().map(|(_, at)| at).filter(|at| *at > now).min()
    }

    fn times(&self) -> impl Iterator<Item = (Part, Timestamp)> {
        let ready_at = |(part, since): (&Part, &Timestamp)| {
            let pace = self.paces.get(part).copied().unwrap_or_default();
            (*part, pace.ready_at(*since))
        };
        self.doubts.iter().map(ready_at)
    }

    /// Parts are being compared: what they were doubted for before is being seen to.
    pub(super) fn begin(&mut self, parts: Parts, now: Timestamp) {
        for part in parts.iter() {
            self.doubts.remove(&part);
            self.paces.entry(part).or_default().begin(now);
        }
    }

    /// What something else changes again and again, in words.
    pub(super) fn disputes(&self, now: Timestamp) -> Vec<String> {
        let disputed = |(part, pace): (&Part, &Pace)| {
            let dispute = pace.dispute(now)?;
            Some(format!(
                "{part}: mended {} times in {} s, since something else keeps changing them; compared every 2 s only",
                dispute.times,
                dispute.last.since(dispute.since).as_secs(),
            ))
        };
        self.paces.iter().filter_map(disputed).collect()
    }
}

impl Actor {
    /// Waits for what the kernel tells next.
    pub(super) fn listen(&mut self) {
        let dataplane = self.ports.dataplane.clone();
        self.run_effect(async move { Effect::Doubted(dataplane.doubted().await) });
    }

    /// Puts what netlink can look at in doubt after a while, whatever was told of it.
    pub(super) fn compare_later(&mut self) {
        self.run_effect(async {
            tokio::time::sleep(EVERY).await;
            Effect::TimeToCompare
        });
    }

    pub(super) fn time_to_compare(&mut self) {
        self.doubt(Parts::NETLINK);
        self.compare_later();
    }

    pub(super) fn doubted(&mut self, result: Result<Parts, DataplaneError>) {
        match result {
            Ok(parts) => {
                self.doubt(parts);
                self.listen();
            }
            Err(error) => warn!(%error, "changes in the kernel are not noticed any more"),
        }
    }

    pub(super) fn doubt(&mut self, parts: Parts) {
        debug!(?parts, "in doubt");
        self.repairs.raise(parts, self.now());
    }

    /// Parts could not be made as they should be.
    pub(super) fn doubt_later(&mut self, parts: Parts) {
        self.repairs.raise(parts, self.now().after(AGAIN));
    }

    /// Compares what is in doubt, as far as it is time. Before the first layout there is nothing to compare.
    pub(super) fn compare(&mut self) {
        if !self.laid_out || self.stopping.is_some() {
            return;
        }
        let ready = self.repairs.ready(self.now());
        if ready.contains(Part::Pods) && !self.repairs.comparing_pods {
            self.compare_pods();
        }
        let ready = ready.without(Part::Pods.into());
        if !ready.is_empty() && !self.is_laying_out() {
            self.lay_out_parts(ready);
        }
    }

    fn compare_pods(&mut self) {
        self.repairs.begin(Part::Pods.into(), self.now());
        self.repairs.comparing_pods = true;
        let (dataplane, pods) = (self.ports.dataplane.clone(), self.standing_pods());
        self.run_effect(async move { Effect::PodsCompared(dataplane.mend_pods(pods).await) });
    }

    /// The pods that stand, without those that an ADD or DEL is at: it makes them as they should be, or takes them away.
    fn standing_pods(&self) -> Vec<StandingPod> {
        let busy: BTreeSet<(&str, &str)> = self
            .working
            .keys()
            .map(|key| (key.container_id.as_str(), key.ifname.as_str()))
            .collect();
        let idle = |attachment: &&Attachment| {
            let key = &attachment.key;
            !busy.contains(&(key.container_id.as_str(), key.ifname.as_str()))
        };
        let standing = |attachment: &Attachment| {
            let eni = self.pool.eni(&attachment.eni)?;
            let desired = desired::pod(attachment, eni, &self.settings.network);
            Some(StandingPod {
                interface: desired.interface,
                ifindex: attachment.host_ifindex,
                alias: desired.alias,
                mac: desired.host_mac,
                group: desired.group,
                address: desired.address,
            })
        };
        let attachments = self.pool.attachments().filter(idle);
        attachments.filter_map(standing).collect()
    }

    pub(super) fn pods_compared(&mut self, result: Result<Changes, Unfinished>) {
        self.repairs.comparing_pods = false;
        let changes = result.unwrap_or_else(|Unfinished { changes, error }| {
            warn!(%error, "pods' host ends not mended");
            self.doubt_later(Part::Pods.into());
            changes
        });
        self.mended(Part::Pods.into(), &changes);
    }

    /// Tells and counts what a comparison found changed.
    pub(super) fn mended(&mut self, parts: Parts, changes: &Changes) {
        let now = self.now();
        for change in &changes.0 {
            warn!(object = change.object.name(), what = %change.what, "mended what something else had changed");
            self.metrics.repaired(change.object, 1);
        }
        let changed: Parts = changes
            .0
            .iter()
            .map(|change| change.object.part())
            .collect();
        for part in changed.iter() {
            let pace = self.repairs.paces.entry(part).or_default();
            if pace.mended(now) {
                warn!(%part, "something else keeps changing what berth sets up: it is mended less often from now on");
            }
        }
        if changes.is_empty() {
            debug!(?parts, "compared, nothing had changed");
        }
    }
}
