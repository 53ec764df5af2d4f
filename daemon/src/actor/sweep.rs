//! The sweep: now and then it looks which attachments have lost link and namespace, and releases those that no runtime
//! names any more. Their DEL was lost: a runtime that was killed, or one that gave up.

use std::collections::BTreeSet;
use std::time::Duration;

use ipam::abandoned::{Abandoned, is_cached};
use ipam::{AttachmentKey, Timestamp};
use tracing::warn;

use super::effects::{Effect, Ports};
use super::{Actor, translate};
use crate::dataplane::{DataplaneError, PodRemoval};
use crate::sandboxes::CacheError;

/// Between two looks: two dumps of the kernel's, and an attachment is released at most two looks after its minute.
const EVERY: Duration = Duration::from_secs(15);

/// How far the sweep is.
#[derive(Default)]
pub(super) struct Sweep {
    abandoned: Abandoned,
    /// When the next look is due; none while one is on its way, or nobody is to be looked for.
    pub due: Option<Timestamp>,
    looking: bool,
    /// Whether it was said that the cache cannot be read.
    told: bool,
}

/// An attachment to look for.
pub(super) struct Suspect {
    key: AttachmentKey,
    links: PodRemoval,
    netns: String,
}

/// What a look found.
pub(super) struct Look {
    /// Those whose link and namespace are gone.
    gone: Vec<Suspect>,
    results: Result<Vec<String>, CacheError>,
}

impl Actor {
    /// Looks when it is time.
    pub(super) fn sweep(&mut self) {
        let idle = self.sweep.looking || self.stopping.is_some() || !self.recovery.done;
        if idle || self.pool.attachments().next().is_none() {
            self.sweep.due = None;
            return;
        }
        let now = self.now();
        if *self.sweep.due.get_or_insert(now.after(EVERY)) > now {
            return;
        }
        self.sweep.due = None;
        self.sweep.looking = true;
        let quiet = |a: &&ipam::Attachment| !self.working.contains_key(&a.key);
        let suspects = self.pool.attachments().filter(quiet).map(|a| Suspect {
            key: a.key.clone(),
            links: translate::removal(a),
            netns: a.netns.clone(),
        });
        self.run_effect(look(self.ports.clone(), suspects.collect()));
    }

    /// Releases who is abandoned. One that was wired anew while the kernel was read has another link now.
    pub(super) fn looked(&mut self, result: Result<Look, DataplaneError>) {
        self.sweep.looking = false;
        let Look { gone, results } = match result {
            Ok(look) => look,
            Err(error) => return warn!(%error, "links of pods not looked for"),
        };
        let still = |suspect: &Suspect| {
            let attachment = self.pool.attachment(&suspect.key);
            !self.working.contains_key(&suspect.key)
                && attachment.is_some_and(|a| translate::removal(a) == suspect.links)
        };
        let gone: BTreeSet<AttachmentKey> = gone
            .into_iter()
            .filter(still)
            .map(|suspect| suspect.key)
            .collect();
        let now = self.now();
        let abandoned = self.sweep.abandoned.looked(&gone, now);
        let results = match results {
            Ok(results) => results,
            Err(error) => return self.tell(&abandoned, &error),
        };
        self.sweep.told = false;
        for key in abandoned {
            if !is_cached(&key, &results) {
                warn!(attachment = %key, "no runtime names it any more, its link and namespace are gone: released");
                drop(self.release(&key));
            }
        }
    }

    /// Nothing is released that some runtime may still name.
    fn tell(&mut self, abandoned: &[AttachmentKey], error: &CacheError) {
        if !abandoned.is_empty() && !self.sweep.told {
            self.sweep.told = true;
            let held = abandoned.len();
            warn!(%error, held, "addresses of pods that are gone are held: which ones a runtime still names cannot be told");
        }
    }
}

async fn look(ports: Ports, suspects: Vec<Suspect>) -> Effect {
    Effect::Looked(looked_for(&ports, suspects).await)
}

async fn looked_for(ports: &Ports, suspects: Vec<Suspect>) -> Result<Look, DataplaneError> {
    let links = suspects.iter().map(|suspect| suspect.links.clone());
    let without = ports.dataplane.without_link(links.collect()).await?;
    let mut gone = Vec::new();
    for suspect in suspects {
        if without.contains(&suspect.links) && !ports.sandboxes.has_netns(&suspect.netns).await {
            gone.push(suspect);
        }
    }
    let results = if gone.is_empty() {
        Ok(Vec::new())
    } else {
        ports.sandboxes.results().await
    };
    Ok(Look { gone, results })
}
