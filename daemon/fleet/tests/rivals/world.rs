//! One node of another network, a runtime that asks again, and a cloud that answers each call after a fixed time. It checks at
//! each step what no network may do.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::time::Duration;

use fleet::node::{Input, Node, Output, PodId};
use ipam::{Action, Eni, Failure, FailureKind, IntentId, Limits, Outcome, Timestamp, Verb};
use ipnet::Ipv4Net;

use crate::cloud::{Cloud, primary_id};

/// kubelet comes again after a refusal.
const RETRY: Duration = Duration::from_secs(10);

/// What answers instead of EC2, when it is not the cloud.
pub type Fault = Box<dyn FnMut(&Action, Timestamp) -> Option<FailureKind>>;

pub struct World {
    pub cloud: Cloud,
    pub now: Timestamp,
    /// Which address each running pod has.
    pub pods: BTreeMap<PodId, Ipv4Addr>,
    /// Pods that ask, or will again.
    pub waiting: BTreeSet<PodId>,
    pub refused: usize,
    /// Calls that EC2 got.
    pub calls: Vec<(Timestamp, Action)>,
    /// Ranges of nodes that have one.
    pub range: Option<Ipv4Net>,
    pub latency: Duration,
    pub fault: Option<Fault>,
    /// How long an address must rest before another pod has it.
    pub cooldown: Duration,
    freed: BTreeMap<Ipv4Addr, Timestamp>,
    node: Box<dyn Node>,
    events: BTreeMap<(Timestamp, u64), Input>,
    under_way: BTreeSet<IntentId>,
    wake: Option<Timestamp>,
    next: u64,
}

/// An ENI's limits where only their numbers matter.
pub fn limits(enis: u32, addresses_per_eni: u32) -> Limits {
    Limits {
        enis,
        slots_per_eni: addresses_per_eni - 1,
        prefixes: true,
    }
}

/// A subnet of this length.
pub fn subnet(length: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(10, 0, 0, 0), length)
}

impl World {
    pub fn new(node: impl Node + 'static, limits: Limits, subnet: Ipv4Net) -> Self {
        let cloud = Cloud::new(limits, subnet, 0, 7);
        let now = Timestamp::from_secs(100);
        let mut world = Self {
            now,
            pods: BTreeMap::new(),
            waiting: BTreeSet::new(),
            refused: 0,
            calls: Vec::new(),
            range: None,
            latency: Duration::from_millis(300),
            fault: None,
            cooldown: Duration::ZERO,
            freed: BTreeMap::new(),
            node: Box::new(node),
            events: BTreeMap::new(),
            under_way: BTreeSet::new(),
            wake: None,
            next: 0,
            cloud,
        };
        let primary = Box::new(primary(&world.cloud, now));
        world.at(Duration::ZERO, Input::Booted { primary });
        world
    }

    fn at(&mut self, after: Duration, input: Input) {
        self.next += 1;
        let at = self.now.after(after);
        self.events.insert((at, self.next), input);
    }

    /// Lets time pass.
    pub fn run(&mut self, time: Duration) {
        let end = self.now.after(time);
        loop {
            let event = self.events.keys().next().map(|(at, _)| *at);
            let next = event.into_iter().chain(self.wake).min();
            let Some(next) = next.filter(|next| *next <= end) else {
                break;
            };
            self.now = next;
            match event == Some(next) {
                true => {
                    let (_, input) = self.events.pop_first().unwrap();
                    if let Input::Ended { id, .. } = &input {
                        self.under_way.remove(id);
                    }
                    self.tell(input);
                }
                false => {
                    self.wake = None;
                    self.tell(Input::Woken);
                }
            }
        }
        self.now = end;
    }

    /// Until nobody waits.
    pub fn serve_all(&mut self) {
        let start = self.now;
        while !self.waiting.is_empty() {
            self.run(Duration::from_secs(1));
            assert!(self.now.since(start) < Duration::from_secs(3600), "starved");
        }
    }

    pub fn bind(&mut self, pod: PodId) {
        self.waiting.insert(pod);
        self.tell(Input::Bound { pod });
        self.tell(Input::Add { pod });
    }

    pub fn unbind(&mut self, pod: PodId) {
        self.waiting.remove(&pod);
        self.events
            .retain(|_, input| !matches!(input, Input::Add { pod: p } if *p == pod));
        if let Some(address) = self.pods.remove(&pod) {
            self.freed.insert(address, self.now);
        }
        self.tell(Input::Del { pod });
    }

    /// Secondary addresses, those of prefixes included.
    pub fn held(&self) -> usize {
        let enis = self.cloud.attached();
        enis.map(|(_, eni)| eni.pod_addresses().len()).sum()
    }

    pub fn count(&self, verb: Verb) -> usize {
        let same = |(_, action): &&(Timestamp, Action)| action.verb() == verb;
        self.calls.iter().filter(same).count()
    }

    fn tell(&mut self, input: Input) {
        for output in self.node.take(input, self.now) {
            match output {
                Output::Begin { id, action } => self.begin(id, action),
                Output::Serve { pod, address } => self.served(pod, address),
                Output::Refuse { pod } => {
                    assert!(self.waiting.contains(&pod), "nobody asked for {pod}");
                    self.refused += 1;
                    self.at(RETRY, Input::Add { pod });
                }
                Output::LookAtSubnet => {
                    let free = self.free();
                    self.at(self.latency, Input::Subnet { free });
                }
                Output::TakeRange { .. } => {
                    let range = self.range;
                    self.at(self.latency, Input::Range { range });
                }
                Output::Contradiction { what } => panic!("{what}"),
                Output::WakeAt(at) => {
                    assert!(at >= self.now, "woken in the past");
                    self.wake = Some(at);
                }
            }
        }
    }

    fn free(&self) -> u32 {
        let total = 1_usize << (32 - self.cloud.subnet.prefix_len());
        let enis = self.cloud.enis.values();
        let taken: usize = enis.map(|eni| 1 + eni.pod_addresses().len()).sum();
        (total - 5 - taken - self.cloud.others.len()) as u32
    }

    fn begin(&mut self, id: IntentId, action: Action) {
        assert!(self.under_way.insert(id), "{id:?} is under way");
        self.check(&action);
        self.calls.push((self.now, action.clone()));
        let fault = self.fault.as_mut().and_then(|f| f(&action, self.now));
        let answer = match fault {
            Some(kind) => Err(kind),
            None => self.cloud.perform(&action),
        };
        let outcome = answer.unwrap_or_else(|kind| {
            assert!(!is_about_limits(kind), "{action} at its limit");
            Outcome::Failed(Failure {
                kind,
                message: format!("{kind:?}"),
            })
        });
        self.at(self.latency, Input::Ended { id, outcome });
    }

    /// Nothing that a pod has is given away. What is given away has rested for all that the node knows when it comes again.
    fn check(&mut self, action: &Action) {
        let used: BTreeSet<Ipv4Addr> = self.pods.values().copied().collect();
        let lost: Vec<Ipv4Addr> = match action {
            Action::Unassign {
                addresses,
                prefixes,
                ..
            } => {
                let inside = |ip: &&Ipv4Addr| prefixes.iter().any(|p| p.contains(*ip));
                let members = used.iter().filter(inside).copied();
                addresses.iter().copied().chain(members).collect()
            }
            Action::Detach { eni } | Action::Delete { eni } => {
                let eni = self.cloud.enis.get(eni);
                eni.map(|eni| eni.pod_addresses().into_iter().collect())
                    .unwrap_or_default()
            }
            _ => Vec::new(),
        };
        let taken: Vec<_> = lost.iter().filter(|ip| used.contains(ip)).collect();
        assert!(taken.is_empty(), "{action} takes {taken:?} away");
        self.freed.retain(|ip, _| !lost.contains(ip));
    }

    fn served(&mut self, pod: PodId, address: Ipv4Addr) {
        assert!(self.waiting.remove(&pod), "{pod} did not ask");
        assert!(
            !self.pods.values().any(|taken| *taken == address),
            "{address} has a pod"
        );
        if let Some(freed) = self.freed.get(&address) {
            assert!(self.now.since(*freed) >= self.cooldown, "{address} rests");
        }
        let ranged = self.range.is_some_and(|range| range.contains(&address));
        let attached = ranged || self.cloud.holder(address).is_some();
        assert!(attached, "{address} is on no ENI");
        self.pods.insert(pod, address);
    }
}

/// Whether the node should have known better than to ask.
fn is_about_limits(kind: FailureKind) -> bool {
    matches!(
        kind,
        FailureKind::AddressLimit | FailureKind::EniLimit | FailureKind::Refused
    )
}

/// The primary ENI as the node finds it.
fn primary(cloud: &Cloud, now: Timestamp) -> Eni {
    let eni = &cloud.enis[&primary_id()];
    Eni::primary(primary_id(), eni.mac, eni.primary, cloud.subnet, now)
}
