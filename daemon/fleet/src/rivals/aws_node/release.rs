//! Giving back: addresses and prefixes that are too many, and an ENI that is not needed.

use std::time::Duration;

use ipam::{Action, EniId, FailureKind, Outcome, Timestamp};
use ipnet::Ipv4Net;

use super::call::Call;
use super::{AwsNode, Phase};
use crate::rivals::store::{Stock, StoredEni, addresses_and_prefixes, from_anywhere};

/// decreaseIPPoolInterval.
const DECREASE_INTERVAL: Duration = Duration::from_secs(30);

/// minENILifeTime (datastore/data_store.go).
const MIN_LIFE: Duration = Duration::from_secs(60);

/// From a detach to the first try to delete.
const AFTER_DETACH: Duration = Duration::from_secs(2);

/// ipReconcileCooldown; and how long after the last action it reconciles (nodeIPPoolReconcileInterval). Both are 60 s.
const RECONCILE: Duration = Duration::from_secs(60);

/// A call that gives back.
#[derive(Clone, Debug)]
pub(super) struct Shrinking {
    pub call: Call,
    what: What,
}

#[derive(Clone, Debug)]
enum What {
    /// Addresses or prefixes of an ENI, and what is to go elsewhere.
    Cidrs {
        eni: EniId,
        nets: Vec<Ipv4Net>,
        left: u32,
        others: Vec<EniId>,
    },
    /// An ENI.
    Eni {
        eni: EniId,
        step: Step,
        tries: u32,
        then: Then,
    },
}

/// How far an ENI is that goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Detach,
    Delete,
}

/// What follows when it has gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Then {
    /// The rest of the pass: the ENI was to be a new one.
    Sized,
    /// Sleep.
    Asleep,
}

impl Step {
    /// First wait between two tries, doubled each time (awsutils.go, `freeENI` and `deleteENI`).
    fn back_off(self) -> Duration {
        match self {
            Self::Detach => Duration::from_millis(200),
            Self::Delete => Duration::from_millis(500),
        }
    }

    fn action(self, eni: &EniId) -> Action {
        let eni = eni.clone();
        match self {
            Self::Detach => Action::Detach { eni },
            Self::Delete => Action::Delete { eni },
        }
    }
}

impl Shrinking {
    /// An ENI goes, from `step` on, at `at`.
    pub fn eni(node: &mut AwsNode, eni: EniId, step: Step, then: Then, at: Timestamp) -> Self {
        Self {
            call: node.call(step.action(&eni), at),
            what: What::Eni {
                eni,
                step,
                tries: 0,
                then,
            },
        }
    }
}

impl AwsNode {
    /// When it may give addresses back again.
    pub(super) fn decreases_from(&self) -> Timestamp {
        let next = self.decreased.map(|last| last.after(DECREASE_INTERVAL));
        next.unwrap_or_default()
    }

    pub(super) fn may_decrease(&self, now: Timestamp) -> bool {
        self.decreases_from() <= now
    }

    /// Gives back what is too many, ENI by ENI.
    pub(super) fn decrease(&mut self, now: Timestamp) {
        self.decreased = Some(now);
        let over = self.targets.over(self.store.stock());
        let enis = self.store.enis();
        let order = from_anywhere(enis, &mut self.random);
        let enis = order.map(|at| enis[at].id.clone()).collect();
        self.unassign(enis, over, now);
    }

    fn unassign(&mut self, mut enis: Vec<EniId>, left: u32, now: Timestamp) {
        while left > 0 && !enis.is_empty() {
            let eni = enis.remove(0);
            let idle = self.idle_of(&eni, left);
            let nets = self.store.remove(&eni, &idle);
            if nets.is_empty() {
                continue;
            }
            let (addresses, prefixes) = addresses_and_prefixes(&nets);
            let action = Action::Unassign {
                eni: eni.clone(),
                addresses,
                prefixes,
            };
            self.acted = Some(now);
            self.phase = Phase::Shrinking(Shrinking {
                call: self.call(action, now),
                what: What::Cidrs {
                    eni,
                    left: left - nets.len() as u32,
                    nets,
                    others: enis,
                },
            });
            return;
        }
        self.sized(now);
    }

    /// Some CIDRs of an ENI that no pod has, in random order.
    fn idle_of(&mut self, eni: &EniId, count: u32) -> Vec<Ipv4Net> {
        let eni = self.store.enis().iter().find(|e| e.id == *eni);
        let idle: Vec<Ipv4Net> = eni.into_iter().flat_map(StoredEni::idle).collect();
        let order = from_anywhere(&idle, &mut self.random);
        order.take(count as usize).map(|at| idle[at]).collect()
    }

    /// A call that gives back has ended.
    pub(super) fn shrunk(&mut self, shrinking: Shrinking, outcome: &Outcome, now: Timestamp) {
        match shrinking.what {
            What::Cidrs {
                eni,
                nets,
                left,
                others,
            } => {
                if matches!(outcome, Outcome::Failed(_)) {
                    self.forgotten.push((eni, nets, now));
                }
                self.unassign(others, left, now);
            }
            What::Eni {
                eni,
                step,
                tries,
                then,
            } => self.eni_went(eni, step, tries, then, outcome, now),
        }
    }

    fn eni_went(
        &mut self,
        eni: EniId,
        step: Step,
        tries: u32,
        then: Then,
        outcome: &Outcome,
        now: Timestamp,
    ) {
        let gone = matches!(outcome, Outcome::Failed(f) if f.kind == FailureKind::NotFound);
        let done = gone || !matches!(outcome, Outcome::Failed(_));
        let (step, tries, wait) = match (step, done) {
            (Step::Delete, true) => {
                return match then {
                    Then::Sized => self.sized(now),
                    Then::Asleep => self.phase = Phase::Asleep(now.after(super::LOOP)),
                };
            }
            (Step::Detach, true) => (Step::Delete, 0, AFTER_DETACH),
            (step, false) => {
                let wait = step.back_off() * 2_u32.saturating_pow(tries);
                (step, tries + 1, wait.min(Duration::from_secs(60)))
            }
        };
        let call = self.call(step.action(&eni), now.after(wait));
        self.phase = Phase::Shrinking(Shrinking {
            call,
            what: What::Eni {
                eni,
                step,
                tries,
                then,
            },
        });
    }

    /// Frees an ENI, if there is one to free; answers whether it does.
    pub(super) fn free_an_eni(&mut self, now: Timestamp) -> bool {
        let Some(at) = self.unneeded(Some(now)).next() else {
            return false;
        };
        // Of several that could go, any.
        let all: Vec<usize> = self.unneeded(Some(now)).collect();
        let first = from_anywhere(&all, &mut self.random).next();
        let at = first.map_or(at, |first| all[first]);
        let eni = self.store.enis()[at].id.clone();
        self.store.remove_eni(&eni);
        let shrinking = Shrinking::eni(self, eni, Step::Detach, Then::Asleep, now);
        self.phase = Phase::Shrinking(shrinking);
        true
    }

    /// When the first ENI that is not needed may go.
    pub(super) fn frees_from(&self) -> Option<Timestamp> {
        let enis = self.store.enis();
        self.unneeded(None).map(|at| self.ripe(&enis[at])).min()
    }

    /// Old enough and rested.
    fn ripe(&self, eni: &StoredEni) -> Timestamp {
        let rested = eni.rested(self.cooldown).unwrap_or_default();
        eni.since.after(MIN_LIFE).max(rested)
    }

    /// The ENIs without pods whose absence the targets allow; those that may go at `now`, or all.
    fn unneeded(&self, now: Option<Timestamp>) -> impl Iterator<Item = usize> {
        let enis = self.store.enis();
        let unused = |eni: &StoredEni| !eni.is_primary() && eni.stock().assigned == 0;
        let stock = self.store.stock();
        let looks = (self.targets).look_for_an_eni_to_free(stock, enis.iter().any(unused));
        let candidates = enis
            .iter()
            .enumerate()
            .filter(move |(_, eni)| looks && unused(eni));
        candidates
            .filter(move |(_, eni)| {
                let others = enis.iter().filter(|e| e.id != eni.id);
                let others: Stock = others.map(StoredEni::stock).sum();
                let ripe = now.is_none_or(|now| self.ripe(eni) <= now);
                ripe && self.targets.hold_with(others)
            })
            .map(|(at, _)| at)
    }

    /// When what a failed Unassign left is taken in again.
    pub(super) fn reconciles_from(&self) -> Option<Timestamp> {
        let forgotten = self.forgotten.iter().map(|(_, _, since)| *since).min()?;
        let quiet = self.acted.unwrap_or_default();
        Some(forgotten.max(quiet).after(RECONCILE))
    }

    /// Takes in what is on the ENIs and not in the store.
    pub(super) fn reconcile(&mut self, now: Timestamp) {
        if self.reconciles_from().is_none_or(|from| from > now) {
            return;
        }
        let due = |since: Timestamp| now.since(since) >= RECONCILE;
        let (found, later) = std::mem::take(&mut self.forgotten)
            .into_iter()
            .partition(|(_, _, since)| due(*since));
        self.forgotten = later;
        let found: Vec<(EniId, Vec<Ipv4Net>, Timestamp)> = found;
        for (eni, nets, _) in found {
            self.store.add(&eni, nets);
        }
    }
}
