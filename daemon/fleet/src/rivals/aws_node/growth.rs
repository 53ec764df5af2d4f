//! One step of growth: fill an ENI, or make one.

use std::time::Duration;

use ipam::action::CreatedEni;
use ipam::{Action, EniId, Outcome, Timestamp};
use rand::RngExt;

use super::call::Call;
use super::release::{Shrinking, Step, Then};
use super::{AwsNode, Phase, is_insufficient};
use crate::node::Output;
use crate::rivals::store::{Stock, from_anywhere, nets};

/// First wait between two looks at instance metadata for a new ENI; doubled each time (`WaitForENIAndIPsAttached`).
const POLL: Duration = Duration::from_millis(100);

/// Longest of these waits.
const POLL_MOST: Duration = Duration::from_secs(60);

/// How far a step of growth is.
#[derive(Clone, Debug)]
pub(super) enum Growing {
    /// An ENI is filled.
    Fill {
        call: Call,
        eni: EniId,
        /// Whether it asks for one after its number was refused.
        is_for_one: bool,
        /// ENIs with room that come next if the subnet has none.
        others: Vec<EniId>,
    },
    /// An ENI is made.
    Make {
        call: Call,
        stage: Stage,
        device_index: u32,
    },
    /// An ENI's link is there; instance metadata is looked at next at this time.
    Seen {
        eni: Box<CreatedEni>,
        device_index: u32,
        at: Timestamp,
    },
}

/// How far an ENI is that is made.
#[derive(Clone, Debug)]
pub(super) enum Stage {
    Create,
    Attach(Box<CreatedEni>),
    Protect(Box<CreatedEni>),
    /// Its link is awaited, looked for since the time.
    Connect(Box<CreatedEni>, Timestamp),
}

impl Growing {
    pub fn call(&mut self) -> Option<&mut Call> {
        match self {
            Self::Fill { call, .. } | Self::Make { call, .. } => Some(call),
            Self::Seen { .. } => None,
        }
    }

    pub fn due(&self) -> Option<Timestamp> {
        match self {
            Self::Fill { call, .. } | Self::Make { call, .. } => call.due(),
            Self::Seen { at, .. } => Some(*at),
        }
    }

    /// Makes its call, if there is one to make.
    pub fn make(&mut self, now: Timestamp) -> Option<Output> {
        self.call()?.make(now)
    }
}

impl AwsNode {
    /// Whether an ENI has room, or the instance has for one.
    pub(super) fn can_grow(&self, stock: Stock) -> bool {
        let enis = self.store.enis().len() as u32;
        stock.cidrs < enis * self.targets.slots_per_eni || self.takes_an_eni()
    }

    fn takes_an_eni(&self) -> bool {
        (self.store.enis().len() as u32) < self.targets.enis
    }

    /// Begins a step of growth.
    pub(super) fn grow(&mut self, now: Timestamp) {
        let slots = self.targets.slots_per_eni;
        let enis = self.store.enis();
        let order = from_anywhere(enis, &mut self.random);
        let with_room = order
            .map(|at| &enis[at])
            .filter(|eni| eni.stock().cidrs < slots);
        let with_room: Vec<EniId> = with_room.map(|eni| eni.id.clone()).collect();
        self.fill_one_of(with_room, now);
    }

    fn fill_one_of(&mut self, mut enis: Vec<EniId>, now: Timestamp) {
        if enis.is_empty() {
            return self.make_an_eni(now);
        }
        let eni = enis.remove(0);
        let room = self.room_of(&eni);
        let count = room.min(self.targets.wanted(self.store.stock()));
        self.fill(eni, count, false, enis, now);
    }

    fn room_of(&self, eni: &EniId) -> u32 {
        let eni = self.store.enis().iter().find(|e| e.id == *eni);
        eni.map_or(0, |eni| self.targets.slots_per_eni - eni.stock().cidrs)
    }

    fn fill(
        &mut self,
        eni: EniId,
        count: u32,
        is_for_one: bool,
        others: Vec<EniId>,
        now: Timestamp,
    ) {
        let action = Action::Assign {
            eni: eni.clone(),
            mode: self.targets.mode,
            count,
        };
        let call = self.call(action, now);
        self.phase = Phase::Growing(Growing::Fill {
            call,
            eni,
            is_for_one,
            others,
        });
    }

    /// Makes an ENI if the instance takes one more; it comes with what the targets lack.
    fn make_an_eni(&mut self, now: Timestamp) {
        let targets = self.targets;
        let count = targets
            .wanted(self.store.stock())
            .min(targets.slots_per_eni);
        if !self.takes_an_eni() || count == 0 {
            return self.sized(now);
        }
        let device_index = self.store.free_index();
        let action = Action::Create {
            token: format!("aws-node-{:016x}", self.random.random::<u64>()),
            device_index,
            mode: targets.mode,
            count,
        };
        self.make(Stage::Create, device_index, action, now);
    }

    fn make(&mut self, stage: Stage, device_index: u32, action: Action, now: Timestamp) {
        let call = self.call(action, now);
        self.phase = Phase::Growing(Growing::Make {
            call,
            stage,
            device_index,
        });
    }

    /// A call of a step of growth has ended.
    pub(super) fn grown(&mut self, growing: Growing, outcome: &Outcome, now: Timestamp) {
        match growing {
            Growing::Fill {
                eni,
                is_for_one,
                others,
                ..
            } => self.filled(eni, is_for_one, others, outcome, now),
            Growing::Make {
                stage,
                device_index,
                ..
            } => self.made(stage, device_index, outcome, now),
            Growing::Seen { .. } => self.phase = Phase::Growing(growing),
        }
    }

    fn filled(
        &mut self,
        eni: EniId,
        was_for_one: bool,
        others: Vec<EniId>,
        outcome: &Outcome,
        now: Timestamp,
    ) {
        match outcome {
            Outcome::Assigned {
                addresses,
                prefixes,
            } => {
                self.store.add(&eni, nets(addresses, prefixes));
                self.acted = Some(now);
                self.sized(now);
            }
            _ if !was_for_one => self.fill(eni, 1, true, others, now),
            // With subnet discovery, the default, another ENI may be in another subnet.
            _ if is_insufficient(outcome) => self.fill_one_of(others, now),
            _ => self.failed(now),
        }
    }

    fn made(&mut self, stage: Stage, device_index: u32, outcome: &Outcome, now: Timestamp) {
        match (stage, outcome) {
            (Stage::Create, Outcome::Created(eni)) => {
                let action = Action::Attach {
                    eni: eni.id.clone(),
                    device_index,
                };
                self.make(Stage::Attach(eni.clone()), device_index, action, now);
            }
            (Stage::Create, _) => {
                if is_insufficient(outcome) {
                    self.insufficient = Some(now);
                }
                self.sized(now);
            }
            (Stage::Attach(eni), Outcome::Attached { .. }) => {
                let action = Action::Protect {
                    eni: eni.id.clone(),
                };
                self.make(Stage::Protect(eni), device_index, action, now);
            }
            (Stage::Attach(eni), _) => self.undo(eni.id, Step::Delete, now),
            (Stage::Protect(eni), Outcome::Done) => self.await_link(eni, device_index, now, now),
            (Stage::Protect(eni), _) => self.undo(eni.id, Step::Detach, now),
            (Stage::Connect(eni, since), Outcome::Done) => {
                let at = next_poll(since, now);
                self.phase = Phase::Growing(Growing::Seen {
                    eni,
                    device_index,
                    at,
                });
            }
            (Stage::Connect(eni, since), _) => self.await_link(eni, device_index, since, now),
        }
    }

    fn await_link(
        &mut self,
        eni: Box<CreatedEni>,
        device_index: u32,
        since: Timestamp,
        now: Timestamp,
    ) {
        let action = Action::Connect {
            eni: eni.id.clone(),
        };
        self.make(Stage::Connect(eni, since), device_index, action, now);
    }

    fn undo(&mut self, eni: EniId, step: Step, now: Timestamp) {
        let shrinking = Shrinking::eni(self, eni, step, Then::Sized, now);
        self.phase = Phase::Shrinking(shrinking);
    }

    /// The new ENI has been seen: its addresses are the pods' from now on.
    pub(super) fn eni_is_ready(&mut self, now: Timestamp) {
        let phase = std::mem::replace(&mut self.phase, Phase::Off(None));
        if let Phase::Growing(Growing::Seen {
            eni, device_index, ..
        }) = phase
        {
            self.store.add_eni(eni.id.clone(), device_index, now);
            let all = nets(&eni.addresses, &eni.prefixes);
            self.store.add(&eni.id, all);
            self.acted = Some(now);
            self.sized(now);
        }
    }
}

/// The first look at instance metadata that finds what is there at `now`, of those that began at `since`.
fn next_poll(since: Timestamp, now: Timestamp) -> Timestamp {
    let (mut at, mut wait) = (since, POLL);
    while at < now {
        at = at.after(wait);
        wait = (wait * 2).min(POLL_MOST);
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_is_asked_more_and_more_seldom() {
        let since = Timestamp::from_secs(100);
        let after = |ms| since.after(Duration::from_millis(ms));
        let polls = [0, 50, 100, 101, 1_600, 12_800].map(|ms| next_poll(since, after(ms)));
        assert_eq!(polls, [0, 100, 100, 300, 3_100, 25_500].map(after));
        assert_eq!(next_poll(since, after(200_000)), after(222_300));
    }
}
