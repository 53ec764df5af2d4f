//! What the operator gets for a node, call by call.

use ipam::action::CreatedEni;
use ipam::{Action, AddressMode, EniId, FailureKind, IntentId, Outcome, Timestamp};
use ipnet::Ipv4Net;
use rand::RngExt;

use super::CiliumNode;
use crate::node::Output;
use crate::rivals::store::{StoredEni, nets};

/// What the operator does for the node.
#[derive(Clone, Debug)]
pub(super) enum Doing {
    Nothing,
    /// Asks how full the subnet is.
    Looking,
    /// Has a call's turn at the time.
    Queued(Call, Timestamp),
    Calling(Call),
    /// Publishes what it got at the time.
    Publishing(EniId, Vec<Ipv4Net>, Timestamp),
}

/// A call that the operator makes for the node.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub id: IntentId,
    pub action: Action,
    /// The ENI that it is about, if that is new.
    eni: Option<(Box<CreatedEni>, u32)>,
}

impl CiliumNode {
    /// The operator begins to get what the node lacks, unless it does already.
    pub(super) fn maintain(&mut self) {
        if matches!(self.doing, Doing::Nothing) && self.needed() > 0 && self.has_room() {
            self.doing = Doing::Looking;
            self.out.push(Output::LookAtSubnet);
        }
    }

    /// Whether an ENI has room, or the instance has for one.
    pub(super) fn has_room(&self) -> bool {
        self.eni_with_room().is_some() || (self.store.enis().len() as u32) < self.limits.enis
    }

    fn eni_with_room(&self) -> Option<&StoredEni> {
        let room = |eni: &&StoredEni| eni.stock().cidrs < self.limits.slots_per_eni;
        self.store.enis().iter().find(room)
    }

    /// The subnet has so many free addresses.
    pub(super) fn allocate(&mut self, free: u32, now: Timestamp) {
        let pending = u32::try_from(self.pending.len()).unwrap_or(u32::MAX);
        let wanted = self.watermark.asks(self.needed(), pending).min(free);
        self.doing = Doing::Nothing;
        if self.needed() == 0 || wanted == 0 {
            return;
        }
        let mode = AddressMode::Secondary;
        let action = match self.eni_with_room() {
            Some(eni) => Action::Assign {
                eni: eni.id.clone(),
                mode,
                count: wanted.min(self.limits.slots_per_eni - eni.stock().cidrs),
            },
            None => Action::Create {
                token: format!("cilium-{:016x}", self.random.random::<u64>()),
                device_index: self.store.free_index(),
                mode,
                count: wanted.min(self.limits.slots_per_eni),
            },
        };
        self.queue(action, None, now);
    }

    /// Makes a call when it is its turn.
    pub(super) fn queue(
        &mut self,
        action: Action,
        eni: Option<(Box<CreatedEni>, u32)>,
        now: Timestamp,
    ) {
        self.calls += 1;
        let id = IntentId(self.calls);
        // The wait for a link is the agent's and costs no call.
        let at = match action {
            Action::Connect { .. } => now,
            _ => self.operator.reserve(now),
        };
        self.doing = Doing::Queued(Call { id, action, eni }, at);
    }

    /// A call has ended: the next one of its kind of work follows, or what it brought is published.
    pub(super) fn ended(&mut self, id: IntentId, outcome: Outcome, now: Timestamp) {
        let call = match std::mem::replace(&mut self.doing, Doing::Nothing) {
            Doing::Calling(call) if call.id == id => call,
            doing => return self.doing = doing,
        };
        match (call.action, outcome, call.eni) {
            (
                Action::Assign { eni, .. },
                Outcome::Assigned {
                    addresses,
                    prefixes,
                },
                _,
            ) => self.publish(eni, nets(&addresses, &prefixes), now),
            (Action::Create { device_index, .. }, Outcome::Created(eni), _) => {
                let action = Action::Attach {
                    eni: eni.id.clone(),
                    device_index,
                };
                self.queue(action, Some((eni, device_index)), now);
            }
            (Action::Attach { eni, .. }, Outcome::Attached { .. }, made) => {
                self.queue(Action::Protect { eni }, made, now);
            }
            (Action::Protect { eni }, Outcome::Done, made) => {
                self.queue(Action::Connect { eni }, made, now);
            }
            (Action::Connect { .. }, Outcome::Done, Some((eni, device_index))) => {
                self.store.add_eni(eni.id.clone(), device_index, now);
                self.publish(eni.id.clone(), nets(&eni.addresses, &eni.prefixes), now);
            }
            // As Cilium does: an ENI that is not attached is of no use.
            (Action::Attach { eni, .. }, Outcome::Failed(_), _) => {
                self.queue(Action::Delete { eni }, None, now);
            }
            (Action::Delete { .. }, Outcome::Failed(f), _) if f.kind == FailureKind::NotFound => {}
            // What has begun is brought to its end; what else failed waits for the next look.
            (
                action @ (Action::Protect { .. }
                | Action::Connect { .. }
                | Action::Delete { .. }
                | Action::Unassign { .. }),
                Outcome::Failed(_),
                made,
            ) => {
                self.queue(action, made, now);
            }
            _ => {}
        }
    }

    fn publish(&mut self, eni: EniId, nets: Vec<Ipv4Net>, now: Timestamp) {
        let at = self.operator.refreshes(now);
        self.doing = Doing::Publishing(eni, nets, at);
    }
}
