//! CHECK: what the state and the runtime say of an attachment, compared with what stands in the kernel. Runs in the line
//! of its attachment, so that no ADD or DEL is caught half-way, and changes nothing.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use berth_cni::contract::{CheckRequest, Outcome};
use ipam::desired;
use ipam::desired::check::deviations;
use tokio::sync::oneshot;
use tracing::{info, warn};

use super::effects::Effect;
use super::{Actor, failure, translate};

/// A CHECK on its way.
pub(super) struct CheckJob {
    pub request: CheckRequest,
    pub netns: OwnedFd,
    pub reply: oneshot::Sender<Outcome>,
}

impl Actor {
    pub(super) fn begin_check(&mut self, job: CheckJob) {
        let key = translate::key(&job.request.id);
        let layout = self.find(&key).and_then(|attachment| {
            let eni = self.pool.eni(&attachment.eni)?;
            let desired = desired::pod(attachment, eni, &self.settings.network);
            Some((desired, attachment.host_ifindex))
        });
        let Some((desired, host_ifindex)) = layout else {
            let CheckJob { request, reply, .. } = job;
            let outcome = if self.recovery.done && !self.recovery.lost {
                failure::unknown(&key.to_string())
            } else {
                failure::starting()
            };
            return self.checked(&request, reply, outcome);
        };
        let dataplane = self.ports.dataplane.clone();
        self.run_effect(async move {
            let CheckJob {
                request,
                netns,
                reply,
            } = job;
            let remembered = translate::remembered(&request);
            let observed = dataplane.observe_attachment(&desired, host_ifindex, Arc::new(netns));
            let outcome = match observed.await {
                Ok(observed) => {
                    failure::of_deviations(&deviations(&desired, &remembered, &observed))
                        .unwrap_or(Outcome::Checked)
                }
                Err(error) => failure::observation(&error),
            };
            Effect::Checked {
                request,
                reply,
                outcome,
            }
        });
    }

    pub(super) fn checked(
        &mut self,
        request: &CheckRequest,
        reply: oneshot::Sender<Outcome>,
        outcome: Outcome,
    ) {
        let key = translate::key(&request.id);
        match &outcome {
            Outcome::Failed(failure) => {
                warn!(verb = "check", result = %failure.reason, attachment = %key, msg = %failure.msg, "cni request");
            }
            _ => info!(verb = "check", result = "ok", attachment = %key, "cni request"),
        }
        // A client that has gone needs no answer.
        let _ = reply.send(outcome);
        self.finished(&key);
    }
}
