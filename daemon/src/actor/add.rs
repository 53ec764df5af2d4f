//! ADD: an address from the pool, or a wait for one; then the links and the checkpoint side by side; then the answer.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use berth_cni::contract::{AddRequest, Added, Outcome};
use ipam::{AttachmentKey, Demand, Event, Reason, Timestamp, desired};
use tokio::sync::oneshot;
use tracing::{info, warn};

use super::effects::{self, Effect};
use super::split::{Split, ms, timed, timed_since};
use super::{Actor, failure, translate};
use crate::dataplane::{DataplaneError, PodLinks};

/// Of an ADD that did not wait.
const SERVED_AT_ONCE: &str = "none";
/// Of an ADD whose address is on its way without trouble.
const IN_FLIGHT: &str = "InFlight";

/// An ADD on its way.
pub(super) struct AddJob {
    pub request: AddRequest,
    pub invocation: String,
    pub arrived: Timestamp,
    pub deadline: Timestamp,
    /// What it waited for when it was looked at last, for the metric.
    waits_for: &'static str,
    split: Split,
    netns: Arc<OwnedFd>,
    reply: oneshot::Sender<Outcome>,
}

/// What a pod whose ADD gave up is known by when it comes again.
pub(super) fn named(namespace: &str, name: &str) -> String {
    format!("{namespace}/{name}")
}

impl AddJob {
    pub(super) fn new(
        request: AddRequest,
        invocation: String,
        netns: OwnedFd,
        reply: oneshot::Sender<Outcome>,
    ) -> Self {
        let start = Timestamp::default();
        Self {
            request,
            invocation,
            arrived: start,
            deadline: start,
            waits_for: SERVED_AT_ONCE,
            split: Split::default(),
            netns: Arc::new(netns),
            reply,
        }
    }

    /// Whether nobody waits for the answer any more.
    fn abandoned(&self) -> bool {
        self.reply.is_closed()
    }

    /// What a retry of the runtime has in common with this one: it comes with a new sandbox.
    pub(super) fn pod(&self) -> String {
        match &self.request.pod {
            Some(pod) => named(&pod.namespace, &pod.name),
            None => self.request.id.container_id.clone(),
        }
    }
}

impl Actor {
    pub(super) fn begin_add(&mut self, mut job: AddJob) {
        job.arrived = self.now();
        job.deadline = job.arrived.after(self.settings.add_wait);
        self.gave_up.came(&job.pod());
        if self.stopping.is_some() {
            return self.answer(job, failure::stopping());
        }
        // Those who wait are served first.
        self.waiting.push_back(job);
        self.serve_waiting();
    }

    /// Serves the waiting ADDs in order, as far as there are addresses; lets go of those that waited long enough, or whose
    /// client has gone.
    pub(super) fn serve_waiting(&mut self) {
        for _ in 0..self.waiting.len() {
            let Some(job) = self.waiting.pop_front() else {
                return;
            };
            if job.abandoned() {
                self.cancelled(&translate::key(&job.request.id));
            } else if let Some(job) = self.try_serve(job) {
                if job.deadline <= self.now() {
                    self.give_up(job);
                } else {
                    self.waiting.push_back(job);
                }
            }
        }
    }

    /// Takes an ADD as far as its wiring; gives it back if it must wait.
    fn try_serve(&mut self, job: AddJob) -> Option<AddJob> {
        if !self.laid_out || !self.recovery.done {
            return Some(job);
        }
        let key = translate::key(&job.request.id);
        if let Some(attachment) = self.pool.attachment(&key) {
            // Its first try was cut off, or its answer was lost: the same attachment is wired again.
            if attachment.answered && attachment.invocation != job.invocation {
                self.answer(job, failure::exists(&key.to_string()));
                return None;
            }
            self.note(Event::Reasked {
                key,
                invocation: job.invocation.clone(),
            });
            self.wire(job);
            return None;
        }
        if let Some(other) = self.of_another_network(&key) {
            self.answer(job, failure::exists(&other.to_string()));
            return None;
        }
        let Some((address, eni)) = self.pool.choose() else {
            return Some(job);
        };
        let attachment = translate::attachment(
            &job.request,
            &job.invocation,
            (address, eni),
            (job.arrived, self.ports.clock.wall()),
        );
        if !self.note(Event::Allocated {
            attachment: Box::new(attachment),
        }) {
            return Some(job);
        }
        self.metrics
            .waited(job.waits_for, self.now().since(job.arrived));
        self.wire(job);
        None
    }

    /// Notes what those who still wait wait for.
    pub(super) fn note_waits(&mut self) {
        if self.waiting.is_empty() {
            return;
        }
        let reason = match self.waits_for() {
            Reason::Timeout => IN_FLIGHT,
            reason => reason.name(),
        };
        for job in &mut self.waiting {
            job.waits_for = reason;
        }
    }

    /// An attachment of another network to the same interface. Two cannot share one: its link's alias tells container and
    /// interface only, and the DEL of either would take it.
    fn of_another_network(&self, key: &AttachmentKey) -> Option<AttachmentKey> {
        let mut others = self.pool.on_interface(key);
        others.next().map(|other| other.key.clone())
    }

    /// Makes the links while the checkpoint is written.
    fn wire(&mut self, mut job: AddJob) {
        job.split.wait = self.now().since(job.arrived);
        let key = translate::key(&job.request.id);
        let layout = self.pool.attachment(&key).and_then(|attachment| {
            let eni = self.pool.eni(&attachment.eni)?;
            Some(desired::pod(attachment, eni, &self.settings.network))
        });
        let Some(layout) = layout else {
            let outcome = failure::no_address(&Reason::DaemonStarting, self.now());
            return self.answer(job, outcome);
        };
        // Should a DEL of the last daemon have begun to take it away.
        self.leaving.remove(&key);
        // The job keeps it for the way back: on an interface that was there before, our address stands inside.
        let (netns, wait) = (Arc::clone(&job.netns), job.split.wait);
        if let Some(working) = self.working.get_mut(&key) {
            working.add = Some(job);
        }
        let (seq, changed) = (self.changed(), self.now());
        let (ports, durable) = (self.ports.clone(), self.store.durable());
        self.run_effect(async move {
            let ((links, netlink), (stored, checkpoint)) = tokio::join!(
                timed(&*ports.clock, ports.dataplane.apply_pod(&layout, netns)),
                timed_since(&*ports.clock, changed, effects::durable(durable, seq))
            );
            let split = Split {
                wait,
                checkpoint,
                netlink,
            };
            Effect::Wired {
                key,
                links,
                stored,
                split,
            }
        });
    }

    /// The links stand and the state is durable, or not: answers, or takes everything back.
    pub(super) fn wired(
        &mut self,
        key: &AttachmentKey,
        links: Result<PodLinks, DataplaneError>,
        stored: Result<(), String>,
        split: Split,
    ) {
        let Some(job) = self.working.get_mut(key).and_then(|w| w.add.as_mut()) else {
            return;
        };
        job.split = split;
        let (abandoned, netns) = (job.abandoned(), Arc::clone(&job.netns));
        match (links, stored) {
            (Ok(links), Ok(())) if !abandoned => self.answer_added(key, &links),
            (Ok(_), Ok(())) => self.undo(key, netns, None),
            (Err(error), _) => {
                warn!(%key, %error, "pod not wired");
                self.undo(key, netns, Some(failure::dataplane(&error)));
            }
            (Ok(_), Err(error)) => {
                warn!(%key, %error, "allocation not durable");
                self.undo(key, netns, Some(failure::disk(&error)));
            }
        }
    }

    fn answer_added(&mut self, key: &AttachmentKey, links: &PodLinks) {
        self.note(Event::Wired {
            key: key.clone(),
            host_ifindex: links.host_ifindex,
        });
        let job = self
            .working
            .get_mut(key)
            .and_then(|working| working.add.take());
        let (Some(job), Some(attachment)) = (job, self.pool.attachment(key)) else {
            return;
        };
        let waited = self.now().since(job.arrived);
        let added = Added {
            address: attachment.address,
            gateway: desired::POD_GATEWAY,
            host_ifname: links.host_ifname.clone(),
            host_mac: links.host_mac.to_string(),
            pod_mac: links.pod_mac.to_string(),
            mtu: attachment.mtu.unwrap_or(self.settings.network.pod_mtu),
        };
        let (pod, split, metrics) = (job.pod(), job.split, self.metrics.clone());
        let (key_, address, eni) = (key.clone(), attachment.address, attachment.eni.clone());
        let say = move || {
            info!(
                verb = "add", result = "ok", attachment = %key_, pod, %address, %eni, duration_ms = ms(waited),
                wait_ms = ms(split.wait), checkpoint_ms = ms(split.checkpoint),
                netlink_ms = ms(split.netlink), "cni request"
            );
            split.observe_add(&metrics);
        };
        self.say(say);
        if job.reply.send(Outcome::Added(added)).is_err() {
            return self.undo(key, job.netns, None);
        }
        self.note(Event::Answered { key: key.clone() });
        self.finished(key);
    }

    /// Takes an ADD back: its links first, then its address, which rests like any other that a pod has had.
    fn undo(&mut self, key: &AttachmentKey, netns: Arc<OwnedFd>, failure: Option<Outcome>) {
        let Some(removal) = self.pool.attachment(key).map(translate::removal) else {
            return self.finished(key);
        };
        let (dataplane, key) = (self.ports.dataplane.clone(), key.clone());
        self.run_effect(async move {
            let gone = dataplane.remove_pod(&removal, Some(netns)).await;
            if let Err(error) = &gone {
                warn!(%key, %error, "links of an undone attachment not removed");
            }
            Effect::Undone {
                key,
                removed: gone.is_ok(),
                failure,
            }
        });
    }

    /// An attachment whose links could not be removed keeps its address until its DEL, or its next ADD.
    pub(super) fn undone(&mut self, key: &AttachmentKey, removed: bool, failure: Option<Outcome>) {
        if removed {
            self.let_rest(key.clone());
        }
        self.changed();
        let job = self
            .working
            .get_mut(key)
            .and_then(|working| working.add.take());
        match (job, failure) {
            (Some(job), Some(failure)) => self.answer(job, failure),
            _ => self.cancelled(key),
        }
    }

    /// Ends an ADD whose client has gone.
    fn cancelled(&mut self, key: &AttachmentKey) {
        info!(verb = "add", result = "cancelled", attachment = %key, "cni request");
        self.finished(key);
    }

    /// Ends an ADD without an attachment.
    fn answer(&mut self, job: AddJob, outcome: Outcome) {
        let key = translate::key(&job.request.id);
        if let Outcome::Failed(failure) = &outcome {
            warn!(
                verb = "add", result = %failure.reason, attachment = %key, pod = job.pod(), msg = %failure.msg,
                duration_ms = ms(self.now().since(job.arrived)), "cni request"
            );
        }
        // A client that has gone needs no answer.
        let _ = job.reply.send(outcome);
        self.finished(&key);
    }

    fn give_up(&mut self, job: AddJob) {
        let reason = self.waits_for();
        self.metrics
            .waited(reason.name(), self.now().since(job.arrived));
        self.gave_up.gave_up(job.pod(), self.now());
        let outcome = failure::no_address(&reason, self.now());
        self.answer(job, outcome);
    }

    /// What the ADDs that wait are waiting for.
    pub(super) fn waits_for(&self) -> Reason {
        if !self.laid_out || !self.recovery.done {
            return Reason::DaemonStarting;
        }
        self.reasons.first().cloned().unwrap_or(Reason::Timeout)
    }

    /// Forgets those that gave up and did not come again in time.
    pub(super) fn forget(&mut self) {
        self.gave_up.forget(self.now());
    }

    /// How many addresses are wanted: by those who wait, and by those who will come again.
    pub(super) fn demand(&self) -> Demand {
        let waiting = u32::try_from(self.waiting_anew().count()).unwrap_or(u32::MAX);
        Demand {
            waiting: waiting.saturating_add(self.gave_up.count()),
            bound: self.bound.count().unwrap_or_default(),
        }
    }

    /// The waiting ADDs that have no address of an earlier try.
    pub(super) fn waiting_anew(&self) -> impl Iterator<Item = &AddJob> {
        let known = |job: &&AddJob| self.pool.attachment(&translate::key(&job.request.id));
        self.waiting.iter().filter(move |job| known(job).is_none())
    }

    pub(super) fn refuse_waiting(&mut self) {
        while let Some(job) = self.waiting.pop_front() {
            self.answer(job, failure::stopping());
        }
    }
}
