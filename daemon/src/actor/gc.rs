//! GC: releases what the runtime does not name, each attachment as its DEL would. Attachments of other networks, and
//! those whose ADD is under way, are left alone.

use std::collections::BTreeSet;
use std::time::Duration;

use berth_cni::contract::{DelRequest, GcRequest, Outcome};
use ipam::abandoned::is_cached;
use ipam::{Attachment, AttachmentKey};
use tokio::sync::oneshot;
use tracing::{info, warn};

use super::del::DelJob;
use super::effects::Effect;
use super::{Actor, Job, failure, translate};
use crate::sandboxes::CacheError;

/// How long the plugin of an ADD that was cut off may still come again: it gives up after 25 s (`plugin/src/env.rs`).
const MAY_COME_AGAIN: Duration = Duration::from_secs(25);

/// A GC on its way.
pub(super) struct GcJob {
    pub request: GcRequest,
    pub reply: oneshot::Sender<Outcome>,
}

impl Actor {
    pub(super) fn begin_gc(&mut self, job: GcJob) {
        if self.stopping.is_some() {
            return answer(job, failure::stopping());
        }
        if !self.recovery.done {
            return answer(job, failure::starting());
        }
        let sandboxes = self.ports.sandboxes.clone();
        self.run_effect(async move {
            Effect::CacheRead {
                results: sandboxes.results().await,
                job,
            }
        });
    }

    /// Releases what is stale, all at once, and answers when the last DEL has.
    pub(super) fn collect(&mut self, job: GcJob, results: Result<Vec<String>, CacheError>) {
        let cached = results.inspect_err(|error| {
            warn!(%error, "attachments that were found in the kernel are not collected");
        });
        let stale = self.stale(&job.request, cached.as_deref().ok());
        let ends: Vec<_> = stale
            .into_iter()
            .map(|key| (key.to_string(), self.release(&key)))
            .collect();
        self.run_effect(async move {
            let mut outcomes = Vec::new();
            for (attachment, end) in ends {
                let outcome = end.await.unwrap_or_else(|_| failure::stopping());
                outcomes.push((attachment, outcome));
            }
            Effect::Collected { job, outcomes }
        });
    }

    pub(super) fn collected(&mut self, job: GcJob, outcomes: Vec<(String, Outcome)>) {
        let (network, total) = (&job.request.network, outcomes.len());
        let outcome = failure::of_collection(outcomes).unwrap_or(Outcome::Collected);
        match &outcome {
            Outcome::Failed(failure) => {
                warn!(verb = "gc", result = %failure.reason, network, msg = %failure.msg, "cni request");
            }
            _ => info!(
                verb = "gc",
                result = "ok",
                network,
                released = total,
                "cni request"
            ),
        }
        answer(job, outcome);
    }

    /// Runs a DEL that no runtime asked for. What it ends in comes by the receiver, for who wants to know.
    pub(super) fn release(&mut self, key: &AttachmentKey) -> oneshot::Receiver<Outcome> {
        let (reply, end) = oneshot::channel();
        let request = DelRequest {
            id: translate::id(key),
            pod: None,
            aws_node: Vec::new(),
        };
        self.request(Job::Del(DelJob::new(request, None, reply)));
        end
    }

    /// The attachments of the network that are not valid. Of one that was found in the kernel the network is only assumed,
    /// so it stays unless no runtime's cache names it in any network.
    fn stale(&self, request: &GcRequest, cached: Option<&[String]>) -> Vec<AttachmentKey> {
        let valid: BTreeSet<(&str, &str)> = request
            .valid
            .iter()
            .map(|valid| (valid.container_id.as_str(), valid.ifname.as_str()))
            .collect();
        let now = self.now();
        let certain = |attachment: &Attachment| {
            !attachment.is_recovered()
                || cached.is_some_and(|results| !is_cached(&attachment.key, results))
        };
        let under_way = |attachment: &Attachment| {
            self.working.contains_key(&attachment.key)
                || !attachment.answered && now.since(attachment.since) < MAY_COME_AGAIN
        };
        let stale = self.pool.attachments().filter(|attachment| {
            let key = &attachment.key;
            key.network == request.network
                && !valid.contains(&(key.container_id.as_str(), key.ifname.as_str()))
                && certain(attachment)
                && !under_way(attachment)
        });
        stale.map(|attachment| attachment.key.clone()).collect()
    }
}

/// A client that has gone needs no answer.
fn answer(job: GcJob, outcome: Outcome) {
    let _ = job.reply.send(outcome);
}
