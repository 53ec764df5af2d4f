//! Why a node holds what it holds, and what comes next: for people, from what plans are made of.
//!
//! Nothing is judged here a second time. States are the pool's, levels and reasons the planner's, and when something goes is
//! read off the [`forecast`], which is the planner itself on a copy of the pool. What it says holds unless something
//! happens: a pod that comes or goes, an answer of EC2 that is none.

mod addresses;
mod enis;
mod pods;

pub use addresses::{AddressNote, Why};
pub use enis::{EniNote, EniWhy, PrefixNote};
pub use pods::Next;

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use crate::action::Action;
use crate::address::{Address, Block};
use crate::eni::EniId;
use crate::forecast::{Step, forecast};
use crate::plan::{Standing, View, plan, standing};
use crate::reason::Reason;
use crate::time::Timestamp;

/// What is to be said of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// What it has, and what it should have.
    pub standing: Standing,
    /// Each ENI, by its place on the instance.
    pub enis: Vec<EniNote>,
    /// Each prefix.
    pub prefixes: Vec<PrefixNote>,
    /// Each held address.
    pub addresses: Vec<AddressNote>,
    /// Why the pool is not as it should be; the first is what a waiting pod waits for.
    pub reasons: Vec<Reason>,
    /// What happens next for a pod without an address; none when nothing can be done for it.
    pub next: Option<Next>,
    /// What will be done, and when.
    pub steps: Vec<Step>,
}

/// Explains the node of `view`.
pub fn explain(view: &View<'_>, now: Timestamp) -> Explanation {
    let scene = Scene {
        view,
        now,
        standing: standing(view, now),
        steps: forecast(view, now),
    };
    let departures = scene.departures();
    Explanation {
        standing: scene.standing.clone(),
        enis: scene.enis(&departures),
        prefixes: scene.prefixes(&departures),
        addresses: scene.addresses(&departures),
        reasons: plan(view, now).reasons,
        next: scene.next(),
        steps: scene.steps,
    }
}

/// What an explanation is made from.
struct Scene<'a> {
    view: &'a View<'a>,
    now: Timestamp,
    standing: Standing,
    steps: Vec<Step>,
}

/// When things go, by the forecast; each by its first call.
#[derive(Default)]
struct Departures {
    addresses: BTreeMap<Ipv4Addr, Timestamp>,
    prefixes: BTreeMap<Ipv4Net, Timestamp>,
    enis: BTreeMap<EniId, Timestamp>,
}

impl Departures {
    /// When an address goes, by itself or with what it is part of.
    fn of(&self, ip: Ipv4Addr, address: &Address) -> Option<Timestamp> {
        let prefix = match address.block {
            Block::Prefix(prefix) => self.prefixes.get(&prefix),
            Block::Single | Block::Unknown => None,
        };
        let all = [self.addresses.get(&ip), prefix, self.enis.get(&address.eni)];
        all.into_iter().flatten().copied().min()
    }
}

impl Scene<'_> {
    fn departures(&self) -> Departures {
        let mut departures = Departures::default();
        for step in &self.steps {
            match &step.action {
                Action::Unassign {
                    addresses,
                    prefixes,
                    ..
                } => {
                    for ip in addresses {
                        departures.addresses.entry(*ip).or_insert(step.at);
                    }
                    for prefix in prefixes {
                        departures.prefixes.entry(*prefix).or_insert(step.at);
                    }
                }
                Action::Detach { eni } | Action::Delete { eni } => {
                    departures.enis.entry(eni.clone()).or_insert(step.at);
                }
                _ => {}
            }
        }
        departures
    }
}
