//! The state as `berthd status` shows it.

use std::net::Ipv4Addr;

use ipam::{Address, AddressState, Attachment, Eni, EniState, Ownership, Reason, Tally, Timestamp};

use super::Actor;
use crate::readiness::{Readiness, Standing};
use crate::report::{
    AddressCounts, AttachmentReport, EniReport, ReasonReport, Report, ReserveReport, WaitingReport,
};

fn counts(tally: Tally) -> AddressCounts {
    AddressCounts {
        held: tally.held(),
        used: tally.assigned,
        cooling: tally.cooling,
        free: tally.free,
        quarantined: tally.quarantined,
        unassigning: tally.unassigning,
    }
}

fn reserve(standing: &ipam::Standing) -> ReserveReport {
    ReserveReport {
        low: standing.reserve.low,
        high: standing.reserve.high,
        keep: standing.reserve.keep,
        surplus: standing.surplus(),
    }
}

fn address_state(address: &Address, now: Timestamp) -> String {
    match &address.state {
        AddressState::Free { .. } if address.missed.is_some() => {
            "free, but not shown by EC2".to_owned()
        }
        AddressState::Free { .. } => "free".to_owned(),
        AddressState::Assigned { to } => format!("used by {to}"),
        AddressState::Cooling { until } => {
            format!("cooling for {} s more", until.since(now).as_secs())
        }
        AddressState::Quarantined { since } => {
            format!("quarantined for {} s", now.since(*since).as_secs())
        }
        AddressState::Unassigning => "unassigning".to_owned(),
        AddressState::Gone { .. } => "given back".to_owned(),
    }
}

fn eni_state(state: EniState) -> &'static str {
    match state {
        EniState::Created => "created",
        EniState::Attaching { .. } => "attaching",
        EniState::Ready { .. } => "ready",
        EniState::Draining => "draining",
        EniState::Detached => "detached",
    }
}

fn ownership(ownership: Ownership) -> &'static str {
    match ownership {
        Ownership::Primary => "primary",
        Ownership::Ours => "ours",
        Ownership::Foreign => "foreign",
    }
}

fn attachment(attachment: &Attachment) -> AttachmentReport {
    AttachmentReport {
        network: attachment.key.network.clone(),
        container_id: attachment.key.container_id.clone(),
        ifname: attachment.key.ifname.clone(),
        pod: attachment
            .pod
            .as_ref()
            .map(|pod| format!("{}/{}", pod.namespace, pod.name)),
        address: attachment.address,
        eni: attachment.eni.to_string(),
        since: attachment.wall_nanos,
    }
}

impl Actor {
    pub(super) fn report(&self) -> Report {
        let facts = self.facts.as_ref();
        let limits = facts.map(crate::node::NodeFacts::limits);
        Report {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            instance_id: facts.map(|f| f.instance_id.clone()),
            instance_type: facts.map(|f| f.instance_type.clone()),
            subnet_id: facts.map(|f| f.primary.subnet_id.clone()),
            started_at: self.started_at,
            written_at: self.ports.clock.wall().as_secs(),
            serving: self.not_serving().is_none(),
            not_serving: self.not_serving(),
            max_enis: limits.map_or(0, |l| l.enis),
            addresses_per_eni: limits.map_or(0, |l| {
                l.slots_per_eni * self.settings.pool.layout_on(l).addresses_per_slot()
            }),
            enis: self.pool.enis().map(|eni| self.eni_report(eni)).collect(),
            addresses: counts(Tally::of(
                self.pool
                    .addresses()
                    .map(|(_, a)| a)
                    .filter(|a| a.is_held()),
            )),
            reserve: self
                .view(&self.token_seed)
                .map(|view| reserve(&ipam::standing(&view, self.now()))),
            attachments: self.pool.attachments().map(attachment).collect(),
            waiting: self.waiting_report(),
            expected: self.bound.count(),
            intents: self
                .pool
                .intents()
                .map(|(_, intent)| {
                    let doubt = if intent.doubtful.is_some() {
                        " (outcome unknown)"
                    } else {
                        ""
                    };
                    format!("{}{doubt}", intent.action)
                })
                .collect(),
            reasons: self.all_reasons().map(|r| self.told(r)).collect(),
            degraded: self.degraded.report(),
            described_at: self.described_at(),
            checkpoint_failure: self.checkpoint_failure(),
            tombstones_waiting: self.metrics.tombstones(),
            subnet_free_addresses: self.metrics.subnets(),
            ec2_calls: self.metrics.ec2_calls(),
            repairs: self.metrics.repairs(),
            disputes: self.repairs.disputes(self.now()),
            conflist: self.conflist.clone(),
            settings: self.settings.report(),
        }
    }

    /// Why no ADD can be served, whatever addresses there are.
    fn not_serving(&self) -> Option<String> {
        if self.stopping.is_some() {
            return Some("it stops".to_owned());
        }
        let why = self.readiness_now().obstacle()?;
        Some(match &self.start_failure {
            Some(failure) => format!("{why}: {failure}"),
            None => why.to_owned(),
        })
    }

    fn readiness_now(&self) -> Readiness {
        let used = |(_, address): (_, &Address)| {
            matches!(
                address.state,
                AddressState::Assigned { .. } | AddressState::Cooling { .. }
            )
        };
        let standing = Standing {
            identified: self.facts.is_some(),
            recovered: self.recovery.done,
            laid_out: self.laid_out,
            has_addresses: self.pool.choose().is_some() || self.pool.addresses().any(used),
        };
        Readiness::of(standing, self.reasons.first())
    }

    /// Tells those who watch whether an ADD can be served, if that has changed.
    pub(super) fn tell_readiness(&self) {
        let readiness = self.readiness_now();
        self.readiness.send_if_modified(|told| {
            let changed = *told != readiness;
            *told = readiness;
            changed
        });
    }

    fn told(&self, reason: &Reason) -> ReasonReport {
        ReasonReport::told(reason, self.now())
    }

    fn described_at(&self) -> Option<u64> {
        let ago = self.now().since(self.pool.knowledge().described?);
        Some(self.ports.clock.wall().saturating_sub(ago).as_secs())
    }

    fn checkpoint_failure(&self) -> Option<String> {
        let durable = self.store.durable();
        let disk = durable.borrow();
        let (failed, why) = disk.failed.as_ref()?;
        (*failed > disk.seq).then(|| why.clone())
    }

    /// What pods wait for, then what rests beside that. A daemon that cannot plan yet has one reason before all.
    fn all_reasons(&self) -> impl Iterator<Item = &Reason> {
        let starting = self.waits_for() == Reason::DaemonStarting;
        let first = starting.then_some(&Reason::DaemonStarting);
        let planned = self.reasons.iter().chain(&self.beside);
        let planned = planned.filter(move |r| !starting || **r != Reason::DaemonStarting);
        first.into_iter().chain(planned)
    }

    fn eni_report(&self, eni: &Eni) -> EniReport {
        let now = self.now();
        let held = self.pool.addresses_of(&eni.id);
        EniReport {
            id: eni.id.to_string(),
            mac: eni.mac.to_string(),
            device_index: eni.device_index,
            ownership: ownership(eni.ownership).to_owned(),
            state: eni_state(eni.state).to_owned(),
            primary_address: eni.primary_address,
            addresses: counts(self.pool.tally(&eni.id)),
            held: held
                .map(|(ip, a): (Ipv4Addr, &Address)| (ip, address_state(a, now)))
                .collect(),
            prefixes: self.pool.prefixes_of(&eni.id).into_keys().collect(),
        }
    }

    fn waiting_report(&self) -> Vec<WaitingReport> {
        let now = self.now();
        let reason = match self.waits_for() {
            Reason::Timeout => "its address is on its way".to_owned(),
            reason => self.told(&reason).to_string(),
        };
        self.waiting
            .iter()
            .map(|job| WaitingReport {
                attachment: super::translate::key(&job.request.id).to_string(),
                waited_ms: u64::try_from(now.since(job.arrived).as_millis()).unwrap_or(u64::MAX),
                reason: reason.clone(),
            })
            .collect()
    }
}
