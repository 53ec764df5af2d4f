//! What an explanation is made from: a copy of what the actor has, so that it is worked out without keeping the actor from
//! pods. Brings the pods of the demand and their names together with what the core says, and its clock with the wall's.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::Duration;

use ipam::address::Block;
use ipam::explain::{self, Next, Why as Held};
use ipam::policy::Policy;
use ipam::policy::reserve::RECENT;
use ipam::{
    Demand, History, Pool, PoolSettings, Reason, Standing, Subnet, Timestamp, View,
    explain::AddressNote as A,
};

use super::{
    AddressNote, EniNote, Explanation, NextNote, PodNote, PrefixNote, ReserveNote, StepNote,
    SubnetNote, words,
};
use crate::node::NodeFacts;
use crate::report::ReasonReport;

/// A pod without an address.
#[derive(Clone, Debug)]
pub struct Asking {
    /// `namespace/name`, or the container's id.
    pub pod: String,
    /// `waiting`, `gave-up` or `bound`.
    pub state: &'static str,
    /// Since when its ADD waits.
    pub since: Option<Timestamp>,
    /// Until when it waits, or is remembered.
    pub until: Option<Timestamp>,
}

/// The actor's state at one moment.
#[derive(Clone, Debug)]
pub struct Scene {
    /// The node.
    pub facts: NodeFacts,
    /// The pool.
    pub pool: Pool,
    /// What plans remember.
    pub history: History,
    /// The operator's settings.
    pub settings: PoolSettings,
    /// What the last plan was given.
    pub demand: Demand,
    /// The same.
    pub subnet: Option<Subnet>,
    /// The pods of the demand, in the order in which they are served.
    pub asking: Vec<Asking>,
    /// What pods wait for.
    pub waits_for: Reason,
    /// Who had the addresses that rest.
    pub former: BTreeMap<Ipv4Addr, String>,
    /// The core's time.
    pub now: Timestamp,
    /// The wall's at that moment, since the Unix epoch.
    pub wall: Duration,
}

impl Scene {
    /// Works the explanation out.
    pub fn explain(&self) -> Explanation {
        let view = View {
            pool: &self.pool,
            limits: self.facts.limits(),
            settings: &self.settings,
            demand: self.demand,
            subnet: self.subnet,
            history: &self.history,
            token_seed: "explain",
        };
        let told = ipam::explain(&view, self.now);
        Explanation {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            instance_id: self.facts.instance_id.clone(),
            instance_type: self.facts.instance_type.clone(),
            written_ms: self.wall_ms(self.now),
            reserve: self.reserve(&told.standing),
            subnet: self.subnet.map(|subnet| SubnetNote {
                id: self.facts.primary.subnet_id.clone(),
                free: subnet.free,
                size: subnet.size,
            }),
            reasons: told.reasons.iter().map(|r| self.reason(r)).collect(),
            next: self.steps(&told),
            pods: self.pods(&told),
            enis: self.enis(&told),
            prefixes: self.prefixes(&told),
            addresses: told.addresses.iter().map(|a| self.address(a)).collect(),
        }
    }

    fn wall_ms(&self, at: Timestamp) -> u64 {
        let ahead = self.wall + at.since(self.now);
        let wall = ahead.saturating_sub(self.now.since(at));
        u64::try_from(wall.as_millis()).unwrap_or(u64::MAX)
    }

    fn reason(&self, reason: &Reason) -> ReasonReport {
        ReasonReport::told(reason, self.now)
    }

    fn reserve(&self, standing: &Standing) -> ReserveNote {
        let (levels, balance) = (standing.reserve, standing.balance);
        let served = standing.last_pod.filter(|_| !standing.need.fresh);
        let shrinks = standing.last_pod.map(|last| last.after(RECENT));
        let shrinks = shrinks.filter(|at| *at > self.now && standing.policy == Policy::Own);
        ReserveNote {
            low: levels.low,
            high: levels.high,
            keep: levels.keep,
            free: balance.free,
            coming: balance.coming,
            wanted: balance.wanted,
            surplus: standing.surplus(),
            deficit: standing.deficit(),
            last_pod_ms: served.map(|at| self.wall_ms(at)),
            shrinks_ms: shrinks.map(|at| self.wall_ms(at)),
            why: words::reserve(standing),
        }
    }

    fn steps(&self, told: &explain::Explanation) -> Vec<StepNote> {
        let note = |step: &ipam::forecast::Step| StepNote {
            at_ms: self.wall_ms(step.at),
            action: words::action(&step.action),
        };
        told.steps.iter().map(note).collect()
    }

    fn pods(&self, told: &explain::Explanation) -> Vec<PodNote> {
        let kept: BTreeMap<u32, Ipv4Addr> = (told.addresses.iter())
            .filter_map(|address| match address.why {
                Held::ForPod { nth } => Some((nth, address.ip)),
                _ => None,
            })
            .collect();
        let note = |(asking, nth): (&Asking, u32)| {
            let address = kept.get(&nth).copied();
            let lacks = address.is_none();
            PodNote {
                pod: asking.pod.clone(),
                state: asking.state.to_owned(),
                since_ms: asking.since.map(|since| self.wall_ms(since)),
                until_ms: asking.until.map(|until| self.wall_ms(until)),
                address,
                reason: lacks.then(|| self.reason(&self.waits_for)),
                next: told.next.as_ref().filter(|_| lacks).map(|n| self.next(n)),
            }
        };
        self.asking.iter().zip(0..).map(note).collect()
    }

    fn next(&self, next: &Next) -> NextNote {
        let (what, at, message) = match next {
            Next::Answer { action, since } => ("answer", since, words::action(action)),
            Next::Call { action, at } => ("call", at, words::action(action)),
            Next::Rested { ip, at } => ("rested", at, format!("{ip} has rested")),
        };
        NextNote {
            what: what.to_owned(),
            at_ms: self.wall_ms(*at),
            message,
        }
    }

    fn enis(&self, told: &explain::Explanation) -> Vec<EniNote> {
        let note = |eni: &explain::EniNote| EniNote {
            id: eni.id.to_string(),
            device_index: eni.device_index,
            held: eni.tally.held(),
            why: words::eni(&eni.why, self.now),
            goes_ms: eni.goes.map(|at| self.wall_ms(at)),
        };
        told.enis.iter().map(note).collect()
    }

    fn prefixes(&self, told: &explain::Explanation) -> Vec<PrefixNote> {
        let note = |it: &explain::PrefixNote| PrefixNote {
            prefix: it.prefix,
            eni: it.eni.to_string(),
            why: words::prefix(&it.tally, it.goes.is_some()),
            goes_ms: it.goes.map(|at| self.wall_ms(at)),
        };
        told.prefixes.iter().map(note).collect()
    }

    fn address(&self, note: &A) -> AddressNote {
        let pod = self.pod_of(note);
        let state = self.pool.address(note.ip);
        AddressNote {
            address: note.ip,
            eni: note.eni.to_string(),
            prefix: match note.block {
                Block::Prefix(prefix) => Some(prefix),
                Block::Single | Block::Unknown => None,
            },
            state: state.map_or("", |a| words::state(&a.state)).to_owned(),
            since_ms: note.since.map(|at| self.wall_ms(at)),
            too_many_since_ms: match note.why {
                Held::Surplus { since, .. } => since.map(|since| self.wall_ms(since)),
                _ => None,
            },
            rests_until_ms: match note.why {
                Held::Cooling { until } => Some(self.wall_ms(until)),
                _ => None,
            },
            why: words::address(&note.why, pod.as_deref()),
            pod,
            goes_ms: note.goes.map(|at| self.wall_ms(at)),
        }
    }

    /// The pod that has an address, had it last or gets it.
    fn pod_of(&self, note: &A) -> Option<String> {
        match &note.why {
            Held::Pod { to } => {
                let pod = self.pool.attachment(to).and_then(|a| a.pod.as_ref());
                let named = pod.map(|pod| format!("{}/{}", pod.namespace, pod.name));
                Some(named.unwrap_or_else(|| to.container_id.clone()))
            }
            Held::Cooling { .. } => self.former.get(&note.ip).cloned(),
            Held::ForPod { nth } => self.asking.get(*nth as usize).map(|a| a.pod.clone()),
            _ => None,
        }
    }
}
