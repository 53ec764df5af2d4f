//! DEL: that the attachment is leaving becomes durable while its routes go, then comes the answer; the link itself is the
//! reaper's, and the release is in the next checkpoint. A daemon that starts on one with an attachment that is leaving
//! releases it if its link is gone; if not, the DEL was not answered, and comes again.

use std::future::Future;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use berth_cni::contract::{AwsNodeLink, DelRequest, Outcome};
use ipam::{Attachment, AttachmentKey, Timestamp};
use tokio::sync::oneshot;
use tracing::{info, warn};

use super::effects::{self, Effect};
use super::split::{Split, ms, timed, timed_since};
use super::{Actor, failure, translate};
use crate::dataplane::{Dataplane, DataplaneError};

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
        let dataplane = self.ports.dataplane.clone();
        if let Some((known, removal)) = found.or_else(|| self.unnamed(&key).map(unnamed)) {
            if known != key {
                // Recovered from the kernel, which does not tell the network's name.
                info!(asked = %key, known = %known, "attachment found by container and interface");
            }
            let netns = job.netns.take().map(Arc::new);
            self.leaving.insert(known.clone());
            self.take_away(key, known, job, async move {
                dataplane.remove_pod(&removal, netns).await
            });
        } else if !job.request.aws_node.is_empty() {
            let left = job.request.aws_node.clone();
            info!(attachment = %key, ?left, "attachment of aws-node");
            let removed = async move { remove_aws_node(&*dataplane, &left).await };
            self.take_away(key.clone(), key, job, removed);
        } else if self.is_written() {
            self.answer_del(&key, job, Outcome::Deleted);
        } else {
            self.take_away(key.clone(), key, job, std::future::ready(Ok(())));
        }
    }

    /// Has the kernel's part of an attachment, `known` to the pool by that key, removed while the state is written.
    fn take_away(
        &mut self,
        key: AttachmentKey,
        known: AttachmentKey,
        job: DelJob,
        removed: impl Future<Output = Result<(), DataplaneError>> + Send + 'static,
    ) {
        if let Some(working) = self.working.get_mut(&key) {
            working.del = Some(job);
        }
        let (seq, changed) = (self.changed(), self.now());
        let (clock, durable) = (self.ports.clock.clone(), self.store.durable());
        self.run_effect(async move {
            let ((removed, netlink), (stored, checkpoint)) = tokio::join!(
                timed(&*clock, removed),
                timed_since(&*clock, changed, effects::durable(durable, seq))
            );
            let split = Split {
                checkpoint,
                netlink,
                ..Split::default()
            };
            Effect::Unwired {
                key,
                known,
                removed,
                stored,
                split,
            }
        });
    }

    /// The attachment that a request is about: one that was recovered from the kernel is known by container and interface.
    pub(super) fn find(&self, key: &AttachmentKey) -> Option<&Attachment> {
        let recovered = || self.pool.on_interface(key).find(|a| a.is_recovered());
        self.pool.attachment(key).or_else(recovered)
    }

    /// The links are gone and the disk knows, or not. Without links the address rests either way, and the runtime asks
    /// again.
    pub(super) fn unwired(
        &mut self,
        key: &AttachmentKey,
        known: AttachmentKey,
        removed: Result<(), DataplaneError>,
        stored: Result<(), String>,
        split: Split,
    ) {
        if let Some(job) = self.deleting(key) {
            job.split = split;
        }
        self.leaving.remove(&known);
        // Also of one that stays: no later start may take it for one that went.
        self.changed();
        let outcome = match (removed, stored) {
            (Err(error), _) => failure::removal(&error),
            (Ok(()), stored) => {
                if self.pool.attachment(&known).is_some() {
                    self.let_rest(known);
                }
                stored.map_or_else(|error| failure::disk(&error), |()| Outcome::Deleted)
            }
        };
        self.end_del(key, outcome);
    }

    fn deleting(&mut self, key: &AttachmentKey) -> Option<&mut DelJob> {
        self.working.get_mut(key)?.del.as_mut()
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

/// aws-node made the pod, and has left rules that would catch the next pod with the address.
async fn remove_aws_node(
    dataplane: &dyn Dataplane,
    left: &[AwsNodeLink],
) -> Result<(), DataplaneError> {
    let mut result = Ok(());
    for link in left {
        if let Err(error) = dataplane.remove_aws_node(link).await {
            result = Err(error);
        }
    }
    result
}
