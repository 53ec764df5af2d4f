//! How outcomes of actions change the pool. One small function an outcome.

use std::net::Ipv4Addr;
use std::time::Duration;

use ipnet::Ipv4Net;

use crate::action::{Action, CreatedEni, Failure, FailureKind, Intent, IntentId, Outcome, Verb};
use crate::address::{Address, AddressState, Block, named};
use crate::eni::{Eni, EniId, EniState, Ownership};
use crate::pool::{Pool, Violation};
use crate::time::Timestamp;

/// How often an attach may meet a wrong state in a row before its ENI is given up.
const ATTACH_TRIES: u32 = 5;

/// How often an attached ENI's link may be awaited in vain, 30 s each time, before the ENI is given up: what users have
/// seen of slow ones lay below 150 s (cilium#47570), and what was not there after three minutes was the host's fault
/// (amazon-ecs-agent#1520).
const CONNECT_TRIES: u32 = 6;

/// How long no ENI is made after one was given up for its missing link: the next one may well meet the same.
const AFTER_NO_LINK: Duration = Duration::from_secs(60);

impl Pool {
    /// Closes an action with its outcome; one in doubt stays open.
    pub(super) fn finish(
        &mut self,
        id: IntentId,
        outcome: Outcome,
        now: Timestamp,
    ) -> Result<(), Violation> {
        let intent = self
            .intents
            .get(&id)
            .cloned()
            .ok_or(Violation::NoIntent(id))?;
        let outcome = self.credible(outcome);
        self.learn(&intent.action, &outcome, now);
        if let Outcome::Failed(failure) = &outcome
            && leaves_doubt(&intent, failure.kind)
        {
            if let Some(intent) = self.intents.get_mut(&id) {
                intent.doubt(now);
            }
            return Ok(());
        }
        self.intents.remove(&id);
        match outcome {
            Outcome::Failed(failure) => {
                self.failed(&intent.action, &failure, now);
                Ok(())
            }
            outcome => self.succeeded(id, intent, outcome, now),
        }
    }

    /// Remembers how the call went, for those that follow.
    fn learn(&mut self, action: &Action, outcome: &Outcome, now: Timestamp) {
        let Outcome::Failed(failure) = outcome else {
            self.budget.passed(action.verb(), now);
            return self.troubles.clear(action);
        };
        if failure.kind == FailureKind::Throttled {
            self.budget.throttled(action.verb(), now);
        }
        let primary = (self.enis.values()).find(|eni| eni.ownership == Ownership::Primary);
        let node = primary.map_or("", |eni| eni.id.0.as_str());
        self.troubles.note(action, failure, node, now);
    }

    /// An answer of Describe without the primary ENI, which is where we run, is no answer.
    fn credible(&self, outcome: Outcome) -> Outcome {
        let Outcome::Described(described) = &outcome else {
            return outcome;
        };
        let shown = |eni: &Eni| described.enis.iter().any(|shown| shown.id == eni.id);
        let mut primary = self
            .enis
            .values()
            .filter(|e| e.ownership == Ownership::Primary);
        if primary.all(shown) {
            return outcome;
        }
        Outcome::Failed(Failure {
            kind: FailureKind::Refused,
            message: "DescribeNetworkInterfaces did not show the primary ENI".to_owned(),
        })
    }

    fn succeeded(
        &mut self,
        id: IntentId,
        intent: Intent,
        outcome: Outcome,
        now: Timestamp,
    ) -> Result<(), Violation> {
        match (intent.action, outcome) {
            (Action::Create { device_index, .. }, Outcome::Created(eni)) => {
                self.created(*eni, device_index, now)
            }
            (Action::Attach { eni, device_index }, Outcome::Attached { attachment_id }) => {
                let eni = self.eni_mut(&eni)?;
                eni.device_index = device_index;
                eni.attachment_id = Some(attachment_id);
                // A Describe may have shown it before the answer came.
                if eni.state == EniState::Created {
                    eni.state = EniState::Attaching { since: now };
                }
                Ok(())
            }
            (Action::Protect { eni }, Outcome::Done) => {
                self.eni_mut(&eni)?.delete_on_termination = true;
                Ok(())
            }
            (Action::Connect { eni }, Outcome::Done) => {
                self.eni_mut(&eni)?.state = EniState::Ready { since: now };
                Ok(())
            }
            (
                Action::Assign { eni, .. },
                Outcome::Assigned {
                    addresses,
                    prefixes,
                },
            ) => self.hold(&eni, &addresses, &prefixes, now),
            (
                Action::Unassign {
                    eni,
                    addresses,
                    prefixes,
                },
                Outcome::Done,
            ) => {
                let gone = AddressState::Gone { since: now };
                self.unassigned(&eni, &addresses, &prefixes, &gone);
                Ok(())
            }
            (Action::Detach { eni }, Outcome::Done) => self.detached(&eni),
            (Action::Delete { eni }, Outcome::Done) => {
                self.forget_eni(&eni, now);
                Ok(())
            }
            (Action::Describe, Outcome::Described(described)) => {
                self.described(&described, intent.started, now)
            }
            _ => Err(Violation::WrongOutcome(id)),
        }
    }

    /// What a refusal teaches. All of these say that nothing was done.
    fn failed(&mut self, action: &Action, failure: &Failure, now: Timestamp) {
        let gone = failure.kind == FailureKind::NotFound;
        let refused = matches!(
            failure.kind,
            FailureKind::EniLimit | FailureKind::Refused | FailureKind::WrongState
        );
        match action {
            // The instance takes no more (somebody else attached one): what was made for it must not stay behind. A
            // wrong state may be one that passes (the ENI is still pending, its place was taken meanwhile).
            Action::Attach { eni, .. } if refused => {
                let passing = failure.kind == FailureKind::WrongState
                    && self
                        .troubles
                        .about(Verb::Attach, eni)
                        .is_some_and(|t| t.failures < ATTACH_TRIES);
                if let (Some(eni), false) = (self.enis.get_mut(eni), passing)
                    && eni.state == EniState::Created
                {
                    eni.state = EniState::Detached;
                }
                self.knowledge.wanted = true;
            }
            Action::Unassign {
                eni,
                addresses,
                prefixes,
            } => {
                let contested = gone || refused;
                // "Not there" may be true of one of them: then they rest until two Describes have shown the rest.
                let state = if contested {
                    AddressState::Quarantined { since: now }
                } else {
                    AddressState::Free { since: now }
                };
                self.unassigned(eni, addresses, prefixes, &state);
                self.knowledge.wanted |= contested;
            }
            Action::Describe => self.knowledge.wanted = true,
            // Whatever came of it, the ENI is not on this instance any more.
            Action::Detach { eni } if gone => {
                self.knowledge.wanted |= self.detached(eni).is_err();
            }
            // It stays for good, so pods may as well use it: its rules and tables are set up again.
            Action::Detach { eni } if failure.kind == FailureKind::AccessDenied => {
                if let Some(eni) = self.enis.get_mut(eni) {
                    eni.state = EniState::Attaching { since: now };
                }
            }
            Action::Connect { eni } if failure.kind == FailureKind::NoLink => {
                self.link_missing(eni, now);
            }
            Action::Delete { eni } if gone => {
                // If EC2 only did not know it yet, Describe finds it again.
                self.forget_eni(eni, now);
                self.knowledge.wanted = true;
            }
            Action::Attach { .. }
            | Action::Assign { .. }
            | Action::Detach { .. }
            | Action::Delete { .. }
            | Action::Protect { .. } => {
                self.knowledge.wanted |=
                    gone || refused || failure.kind == FailureKind::AddressLimit;
            }
            _ => {}
        }
    }

    /// An attached ENI's link did not come once more: after some tries it goes, and others are made later.
    fn link_missing(&mut self, id: &EniId, now: Timestamp) {
        let Some(trouble) = self.troubles.about(Verb::Connect, id) else {
            return;
        };
        if trouble.failures < CONNECT_TRIES || self.tally(id).assigned > 0 {
            return;
        }
        let reason = trouble.reason.clone();
        if let Some(eni) = self.enis.get_mut(id)
            && matches!(eni.state, EniState::Attaching { .. })
            && eni.ownership == Ownership::Ours
        {
            eni.state = EniState::Draining;
            self.troubles
                .hold(Verb::Create, reason, now.after(AFTER_NO_LINK));
        }
    }

    fn created(
        &mut self,
        made: CreatedEni,
        device_index: u32,
        now: Timestamp,
    ) -> Result<(), Violation> {
        let eni = Eni {
            id: made.id.clone(),
            mac: made.mac,
            device_index,
            primary_address: Some(made.primary_address),
            subnet: Some(made.subnet),
            ownership: Ownership::Ours,
            state: EniState::Created,
            attachment_id: None,
            delete_on_termination: false,
            learned: now,
            missed: None,
        };
        self.enis.insert(made.id.clone(), eni);
        self.hold(&made.id, &made.addresses, &made.prefixes, now)
    }

    /// EC2 named these addresses in answer to our own call: pods may have them at once.
    fn hold(
        &mut self,
        eni: &EniId,
        addresses: &[Ipv4Addr],
        prefixes: &[Ipv4Net],
        now: Timestamp,
    ) -> Result<(), Violation> {
        let mut violation = Ok(());
        for (ip, block) in named(addresses, prefixes) {
            match self.addresses.get(ip).map(|a| &a.state) {
                Some(AddressState::Assigned { .. }) => {
                    violation = Err(Violation::HeldElsewhere {
                        address: ip,
                        eni: eni.clone(),
                    });
                    self.knowledge.wanted = true;
                }
                // Still resting after its last pod: the same address came back sooner than it may be used.
                Some(AddressState::Cooling { until }) => {
                    let state = AddressState::Cooling { until: *until };
                    self.insert_address(ip, block, eni, state, now);
                }
                _ => {
                    let state = AddressState::Free { since: now };
                    self.insert_address(ip, block, eni, state, now);
                }
            }
        }
        violation
    }

    pub(super) fn insert_address(
        &mut self,
        ip: Ipv4Addr,
        block: Block,
        eni: &EniId,
        state: AddressState,
        now: Timestamp,
    ) {
        let address = Address {
            eni: eni.clone(),
            block,
            state,
            learned: now,
            missed: None,
        };
        self.addresses.put(ip, address);
    }

    /// An Unassign ended. EC2 may have given one of the addresses to another ENI of ours before its answer came: that
    /// one is left alone.
    pub(super) fn unassigned(
        &mut self,
        eni: &EniId,
        addresses: &[Ipv4Addr],
        prefixes: &[Ipv4Net],
        state: &AddressState,
    ) {
        for ip in self.to_unassign(eni, addresses, prefixes) {
            let going = |address: &Address| address.state == AddressState::Unassigning;
            if self.addresses.get(ip).is_some_and(going) {
                self.addresses
                    .change(ip, |address| address.state = state.clone());
            }
        }
    }

    pub(super) fn detached(&mut self, eni: &EniId) -> Result<(), Violation> {
        let eni = self.eni_mut(eni)?;
        eni.state = EniState::Detached;
        eni.attachment_id = None;
        Ok(())
    }

    /// Drops an ENI and all it has. Not while a pod has one of its addresses: its wiring stands in the kernel, and the
    /// address must not reach another pod; nor while the answer to a call about it is still to come. Whoever noticed that
    /// the ENI is gone notices it again.
    pub(super) fn forget_eni(&mut self, eni: &EniId, now: Timestamp) {
        let under_way = |i: &Intent| i.doubtful.is_none() && i.action.eni() == Some(eni);
        if self.tally(eni).assigned > 0 || self.intents.values().any(under_way) {
            return;
        }
        let its = |_, address: &Address| address.eni == *eni && address.is_held();
        self.addresses.change_those(its, |address| {
            address.state = AddressState::Gone { since: now };
            address.missed = None;
        });
        self.enis.remove(eni);
        self.troubles.forget(eni);
        self.intents
            .retain(|_, intent| intent.action.eni() != Some(eni));
    }

    pub(super) fn eni_mut(&mut self, eni: &EniId) -> Result<&mut Eni, Violation> {
        self.enis
            .get_mut(eni)
            .ok_or_else(|| Violation::NoEni(eni.clone()))
    }
}

/// Whether a failure leaves open what the action did: lost answers do, and so does a repeated Create that did not get
/// as far as its token.
fn leaves_doubt(intent: &Intent, kind: FailureKind) -> bool {
    let repeated = intent.doubted && intent.action.verb() == Verb::Create;
    intent.action.is_durable() && (kind == FailureKind::Doubtful || repeated && !kind.looked())
}
