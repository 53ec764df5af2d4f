//! The node's layout, applied one at a time and always as it should be by then: a slow one must not take back what a
//! later one did. What the layout is made of is `ipam`'s.

use ipam::desired::NodeDesired;
use ipam::{EniId, EniState, Failure, IntentId, Mac, Outcome, desired};
use ipnet::Ipv4Net;
use tokio::sync::oneshot;
use tracing::{info, warn};

use super::effects::{self, Retry};
use super::{Actor, translate};
use crate::dataplane::{Changes, DataplaneError, Part, Parts, Unfinished};

/// What waits for a layout.
#[derive(Default)]
pub(super) struct Layouts {
    /// Whether one is being applied.
    applying: bool,
    /// What is due after it.
    due: Parts,
    /// What the next one ends.
    next: Awaiting,
    /// The one that was last found or made to stand as a whole: what is changed of it later was changed by others.
    standing: Option<NodeDesired>,
    /// The prefixes that the last one had.
    prefixes: Vec<Ipv4Net>,
}

/// One that is being applied.
pub(super) struct Applying {
    pub(super) desired: NodeDesired,
    pub(super) parts: Parts,
    pub(super) awaiting: Awaiting,
}

/// What a layout ends.
#[derive(Default)]
pub(super) struct Awaiting {
    /// Connects of these ENIs.
    connects: Vec<IntentId>,
    /// Dropped when the ENIs and prefixes that are about to go stand in it no more.
    leaving: Vec<oneshot::Sender<()>>,
}

impl Actor {
    /// Has the whole layout applied, now or after the one that is being applied.
    pub(super) fn lay_out(&mut self) {
        self.lay_out_parts(Parts::NODE);
    }

    /// Has parts of the layout applied, now or after the one that is being applied.
    pub(super) fn lay_out_parts(&mut self, parts: Parts) {
        self.layouts.due = self.layouts.due.and(parts);
        if self.layouts.applying {
            return;
        }
        let Some(desired) = self.layout() else {
            return;
        };
        self.layouts.applying = true;
        self.layouts.prefixes.clone_from(&desired.prefixes);
        let applying = Applying {
            desired,
            parts: std::mem::take(&mut self.layouts.due),
            awaiting: std::mem::take(&mut self.layouts.next),
        };
        self.repairs.begin(applying.parts, self.now());
        self.run_effect(effects::apply_node(self.ports.clone(), applying));
    }

    pub(super) fn is_laying_out(&self) -> bool {
        self.layouts.applying
    }

    /// The layout for the first time, or again after it failed. Pods may live here while not all ENIs are known yet: a
    /// layout without those would cut them off.
    pub(super) fn lay_out_first(&mut self) {
        let live = self.recovery.lost || self.pool.attachments().next().is_some();
        let partial = !self.pool.knowledge().complete && live;
        if self.recovery.done && !partial {
            self.lay_out();
        }
    }

    /// The link of an ENI is there: the layout is extended by it.
    pub(super) fn link_up(&mut self, id: IntentId, eni: EniId, result: Result<(), Failure>) {
        if let Err(failure) = result {
            return self.performed(id, Outcome::Failed(failure));
        }
        self.linked.insert(eni);
        self.layouts.next.connects.push(id);
        self.lay_out();
    }

    /// Takes what is about to go, and is marked so, out of the layout: an ENI, a prefix. The answer resolves, with an error,
    /// when that is done or has failed.
    pub(super) fn without_leaving(&mut self) -> oneshot::Receiver<()> {
        let (leaving, done) = oneshot::channel();
        self.layouts.next.leaving.push(leaving);
        self.lay_out();
        done
    }

    pub(super) fn node_applied(&mut self, applied: Applying, result: Result<Changes, Unfinished>) {
        self.layouts.applying = false;
        let (changes, error) = match result {
            Ok(changes) => (changes, None),
            Err(Unfinished { changes, error }) => (changes, Some(error)),
        };
        let Applying {
            desired,
            parts,
            awaiting,
        } = applied;
        if self.layouts.standing.as_ref() == Some(&desired) {
            self.mended(parts, &changes);
        } else {
            let changes: Vec<&str> = changes
                .0
                .iter()
                .map(|change| change.what.as_str())
                .collect();
            info!(?changes, "node laid out");
        }
        self.laid_out_as(desired, parts, error.as_ref());
        for id in awaiting.connects {
            let outcome = self.connected(id, error.as_ref());
            self.performed(id, outcome);
        }
        if !self.layouts.due.is_empty() {
            self.lay_out_parts(Parts::NONE);
        }
    }

    /// What a pass over some parts says of the layout as a whole.
    fn laid_out_as(&mut self, desired: NodeDesired, parts: Parts, error: Option<&DataplaneError>) {
        match error {
            None => {}
            // Everything else stands; the ENI without a link is waited for by its own action.
            Some(DataplaneError::NoLink { mac }) => warn!(%mac, "an ENI without a link"),
            Some(error) => {
                warn!(%error, "node not laid out");
                if self.laid_out {
                    self.doubt_later(parts);
                } else {
                    self.start_failure = Some(error.to_string());
                    self.retry_later(Retry::LayOut);
                }
                return;
            }
        }
        if parts == Parts::NODE {
            self.layouts.standing = Some(desired);
        }
        if !self.laid_out {
            self.laid_out = true;
            // Something may have happened to the pods while no daemon ran.
            self.doubt(Part::Pods.into());
        }
    }

    /// What a layout means for one of the ENIs that wait for it: another one's missing link is not its trouble.
    fn connected(&self, id: IntentId, error: Option<&DataplaneError>) -> Outcome {
        match error {
            None => Outcome::Done,
            Some(DataplaneError::NoLink { mac }) if self.mac_of(id).is_some_and(|m| m != *mac) => {
                Outcome::Done
            }
            Some(error) => Outcome::Failed(translate::unlinked(error)),
        }
    }

    fn mac_of(&self, id: IntentId) -> Option<Mac> {
        let (_, intent) = self.pool.intents().find(|(other, _)| *other == id)?;
        Some(self.pool.eni(intent.action.eni()?)?.mac)
    }

    /// Whether prefixes have come or gone since the last layout.
    pub(super) fn prefixes_differ(&self) -> bool {
        !self.pool.prefixes().iter().eq(&self.layouts.prefixes)
    }

    /// The node's layout with all ENIs whose link is there and that stay.
    fn layout(&self) -> Option<NodeDesired> {
        let facts = self.facts.as_ref()?;
        let standing = self.pool.enis().filter(|eni| {
            let attached = matches!(
                eni.state,
                EniState::Ready { .. } | EniState::Attaching { .. }
            );
            // One that has pods has a link, whatever this process has seen of it, and keeps its layout, whosever it has
            // become since.
            let has_pods = self.pool.tally(&eni.id).assigned > 0;
            let linked = eni.device_index == 0 || self.linked.contains(&eni.id);
            attached && (has_pods || eni.is_managed() && linked)
        });
        desired::node(
            standing,
            self.pool.prefixes(),
            &facts.vpc_cidrs,
            &self.settings.network,
        )
    }
}
