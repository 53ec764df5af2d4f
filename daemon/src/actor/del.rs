//! DEL: the routes go, the release becomes durable, then the answer; the link itself is the reaper's.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use berth_cni::contract::{DelRequest, Outcome};
use ipam::{Attachment, AttachmentKey, Timestamp};
use tokio::sync::oneshot;
use tracing::{info, warn};

use super::effects::{self, Effect};
use super::split::{Split, ms, timed};
use super::{Actor, failure, translate};
use crate::dataplane::DataplaneError;

/// A DEL on its way.
pub(super) struct DelJob {
    pub request: DelRequest,
    pub netns: Option<OwnedFd>,
    pub reply: oneshot::Sender<Outcome>,
    arrived: Timestamp,
    split: Split,
}

impl DelJob {
    pub(super) fn new(
        request: DelRequest,
        netns: Option<OwnedFd>,
        reply: oneshot::Sender<Outcome>,
    ) -> Self {
        Self {
            request,
            netns,
            reply,
            arrived: Timestamp::default(),
            split: Split::default(),
        }
    }
}

impl Actor {
    /// An attachment that is not known is gone already: that is success (CNI spec, DEL), once it is so on disk too.
    pub(super) fn begin_del(&mut self, mut job: DelJob) {
        job.arrived = self.now();
        let key = translate::key(&job.request.id);
        let unnamed = |removal| (key.clone(), removal);
        let found = self
            .find(&key)
            .map(|attachment| (attachment.key.clone(), translate::removal(attachment)));
        let Some((known, removal)) = found.or_else(|| self.unnamed(&key).map(unnamed)) else {
            if !job.request.aws_node.is_empty() {
                return self.begin_del_after_aws_node(key, job);
            }
            if self.is_written() {
                return self.answer_del(&key, job, Outcome::Deleted);
            }
            if let Some(working) = self.working.get_mut(&key) {
                working.del = Some(job);
            }
            return self.await_release(key);
        };
        let (ports, netns) = (self.ports.clone(), job.netns.take().map(Arc::new));
        if let Some(working) = self.working.get_mut(&key) {
            working.del = Some(job);
        }
        if known != key {
            // Recovered from the kernel, which does not tell the network's name.
            info!(asked = %key, known = %known, "attachment found by container and interface");
        }
        self.run_effect(async move {
            let removed = ports.dataplane.remove_pod(&removal, netns);
            let (result, netlink) = timed(&*ports.clock, removed).await;
            Effect::Unwired {
                key,
                result: result.map(|()| known),
                netlink,
            }
        });
    }

    /// The attachment that a request is about: one that was recovered from the kernel is known by container and interface.
    pub(super) fn find(&self, key: &AttachmentKey) -> Option<&Attachment> {
        let recovered = |a: &&Attachment| a.is_recovered() && a.key.is_same_interface(key);
        self.pool
            .attachment(key)
            .or_else(|| self.pool.attachments().find(recovered))
    }

    /// aws-node made the pod, and has left rules that would catch the next pod with the address.
    fn begin_del_after_aws_node(&mut self, key: AttachmentKey, job: DelJob) {
        let (ports, left) = (self.ports.clone(), job.request.aws_node.clone());
        info!(attachment = %key, ?left, "attachment of aws-node");
        if let Some(working) = self.working.get_mut(&key) {
            working.del = Some(job);
        }
        self.run_effect(async move {
            let begun = ports.clock.now();
            let mut result = Ok(key.clone());
            for link in &left {
                if let Err(error) = ports.dataplane.remove_aws_node(link).await {
                    result = Err(error);
                }
            }
            let netlink = ports.clock.now().since(begun);
            Effect::Unwired {
                key,
                result,
                netlink,
            }
        });
    }

    pub(super) fn unwired(
        &mut self,
        key: &AttachmentKey,
        result: Result<AttachmentKey, DataplaneError>,
        netlink: Duration,
    ) {
        if let Some(job) = self.deleting(key) {
            job.split.netlink = netlink;
        }
        match result {
            Ok(known) => {
                if self.pool.attachment(&known).is_some() {
                    self.let_rest(known);
                }
                self.await_release(key.clone());
            }
            Err(error) => self.end_del(key, failure::removal(&error)),
        }
    }

    fn await_release(&mut self, key: AttachmentKey) {
        let (seq, durable) = (self.changed(), self.store.durable());
        let clock = self.ports.clock.clone();
        self.run_effect(async move {
            let (stored, checkpoint) = timed(&*clock, effects::durable(durable, seq)).await;
            Effect::Released {
                key,
                stored,
                checkpoint,
            }
        });
    }

    fn deleting(&mut self, key: &AttachmentKey) -> Option<&mut DelJob> {
        self.working.get_mut(key)?.del.as_mut()
    }

    /// The release is on disk, or not: the address rests either way, and the runtime asks again.
    pub(super) fn released(
        &mut self,
        key: &AttachmentKey,
        stored: Result<(), String>,
        checkpoint: Duration,
    ) {
        if let Some(job) = self.deleting(key) {
            job.split.checkpoint = checkpoint;
        }
        let outcome = match stored {
            Ok(()) => Outcome::Deleted,
            Err(error) => failure::disk(&error),
        };
        self.end_del(key, outcome);
    }

    fn end_del(&mut self, key: &AttachmentKey, outcome: Outcome) {
        match self
            .working
            .get_mut(key)
            .and_then(|working| working.del.take())
        {
            Some(job) => self.answer_del(key, job, outcome),
            None => self.finished(key),
        }
    }

    fn say_done(&mut self, key: AttachmentKey, job: &DelJob) {
        let (took, split) = (self.now().since(job.arrived), job.split);
        let metrics = self.metrics.clone();
        self.say(move || {
            info!(
                verb = "del", result = "ok", attachment = %key, duration_ms = ms(took),
                checkpoint_ms = ms(split.checkpoint), netlink_ms = ms(split.netlink), "cni request"
            );
            split.observe_del(&metrics);
        });
    }

    fn answer_del(&mut self, key: &AttachmentKey, job: DelJob, outcome: Outcome) {
        match &outcome {
            Outcome::Failed(failure) => {
                warn!(verb = "del", result = %failure.reason, attachment = %key, msg = %failure.msg, "cni request");
            }
            _ => self.say_done(key.clone(), &job),
        }
        // A client that has gone will ask again, or not: the attachment is gone.
        let _ = job.reply.send(outcome);
        self.finished(key);
    }
}
