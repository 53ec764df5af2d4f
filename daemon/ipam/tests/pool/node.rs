//! A node to test the core on: it does what the plan says against the small EC2, lets calls end in any order and any
//! way, starts and stops pods, crashes and reboots. After each step the invariants are checked (`invariants.rs`).

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::Ipv4Addr;
use std::time::Duration;

use ipam::action::{Described, DescribedEni};
use ipam::{
    Action, Attachment, AttachmentKey, Demand, Eni, EniId, Event, Failure, FailureKind, History,
    IntentId, Layout, Limits, Outcome, Plan, Pool, PoolSettings, Snapshot, Subnet, Timestamp, Verb,
    View,
};

use crate::cloud::{Cloud, primary_id, small_subnet};
use crate::invariants;

/// Longest that an answer of Describe lags behind; the core's own bounds (30 s and more) must cover it.
pub const STALENESS: Duration = Duration::from_secs(20);

/// A call under way.
#[derive(Clone, Debug)]
pub struct Flight {
    pub id: IntentId,
    pub action: Action,
    pub started: Timestamp,
    /// What EC2 did, once it did.
    pub done: Option<Result<Outcome, FailureKind>>,
    /// What Describe will answer.
    pub shown: Option<Vec<DescribedEni>>,
}

/// How a call ends.
#[derive(Clone, Copy, Debug)]
pub enum End {
    /// With EC2's answer.
    Answer,
    /// Refused without effect, where nothing was done yet.
    Refuse(FailureKind),
    /// Without an answer; what was not done yet may be done or not.
    Lose { done: bool },
}

pub struct Node {
    pub cloud: Cloud,
    pub pool: Pool,
    pub history: History,
    pub now: Timestamp,
    pub settings: PoolSettings,
    pub waiting: u32,
    pub bound: u32,
    pub subnet: Option<Subnet>,
    pub flights: Vec<Flight>,
    pub pods: BTreeMap<AttachmentKey, Ipv4Addr>,
    /// Links of pods that are gone, and when they go too.
    pub links: Vec<(Ipv4Addr, Timestamp)>,
    /// Addresses that rest after their pod.
    pub resting: BTreeMap<Ipv4Addr, Timestamp>,
    /// ENIs with an Assign whose answer was lost, and when.
    pub doubts: BTreeMap<EniId, Timestamp>,
    /// ENIs that an answer to a Create named.
    pub named_enis: BTreeSet<EniId>,
    /// Events that the pool refused.
    pub violations: Vec<String>,
    /// How many actions of each kind were started.
    pub started: BTreeMap<Verb, u32>,
    pub last_plan: Plan,
    past: VecDeque<(Timestamp, Vec<DescribedEni>)>,
    saved: String,
    pub incarnation: u32,
    named: u32,
}

impl Node {
    /// A node with single addresses that has just been started.
    pub fn new(limits: Limits, secondary: usize, seed: u64) -> Self {
        let cloud = Cloud::new(limits, small_subnet(), secondary, seed);
        let settings = PoolSettings {
            layout: Layout::Singles,
            ..PoolSettings::default()
        };
        Self::on(cloud, settings)
    }

    /// A node of this cloud that has just been started.
    pub fn on(cloud: Cloud, settings: PoolSettings) -> Self {
        let mut node = Self {
            cloud,
            pool: Pool::default(),
            history: History::default(),
            now: Timestamp::from_secs(100),
            settings,
            waiting: 0,
            bound: 0,
            subnet: None,
            flights: Vec::new(),
            pods: BTreeMap::new(),
            links: Vec::new(),
            resting: BTreeMap::new(),
            doubts: BTreeMap::new(),
            named_enis: BTreeSet::new(),
            violations: Vec::new(),
            started: BTreeMap::new(),
            last_plan: Plan::default(),
            past: VecDeque::new(),
            saved: String::new(),
            incarnation: 0,
            named: 0,
        };
        node.apply(Event::Identified {
            primary: Box::new(primary(&node.cloud, node.now)),
        });
        node.save();
        node.react();
        node
    }

    /// A node that knows itself and has its first reserve.
    pub fn settled(limits: Limits) -> Self {
        let mut node = Self::new(limits, 0, 7);
        node.run(Duration::from_secs(10));
        node
    }

    pub fn apply(&mut self, event: Event) {
        let told = format!("{event:?}");
        if let Err(violation) = self.pool.apply(event) {
            self.violations.push(format!("{violation}: {told}"));
        }
    }

    pub fn save(&mut self) {
        self.saved = serde_json::to_string(&self.pool.snapshot()).expect("a snapshot is JSON");
    }

    /// What a plan depends on.
    pub fn view<'a>(&'a self, token_seed: &'a str) -> View<'a> {
        View {
            pool: &self.pool,
            limits: self.cloud.limits,
            settings: &self.settings,
            demand: Demand {
                waiting: self.waiting,
                bound: self.bound,
            },
            subnet: self.subnet,
            history: &self.history,
            token_seed,
        }
    }

    /// Takes the time in, serves who waits, and starts what the plan says until it says nothing more.
    pub fn react(&mut self) {
        self.apply(Event::Tick { now: self.now });
        self.serve();
        for _ in 0..8 {
            let plan = self.plan();
            invariants::of_plan(self, &plan);
            self.last_plan = plan.clone();
            self.history = plan.history.clone();
            if plan.actions.is_empty() {
                invariants::of_rest(self, &plan);
                invariants::of_state(self);
                return;
            }
            for (id, action) in plan.actions {
                self.start(id, action);
            }
        }
        panic!("plans do not end: {:?}", self.last_plan);
    }

    fn start(&mut self, id: IntentId, action: Action) {
        invariants::of_action(self, id, &action);
        *self.started.entry(action.verb()).or_default() += 1;
        let now = self.now;
        self.apply(Event::Started {
            id,
            action: action.clone(),
            now,
        });
        if action.is_durable() {
            self.save();
        }
        self.flights.push(Flight {
            id,
            action,
            started: now,
            done: None,
            shown: None,
        });
    }

    fn serve(&mut self) {
        while self.waiting > 0
            && let Some((address, eni)) = self.pool.choose()
        {
            self.waiting -= 1;
            self.named += 1;
            invariants::of_hand_out(self, address, &eni);
            let attachment = attachment(&format!("c{:04}", self.named), address, eni, self.now);
            self.pods.insert(attachment.key.clone(), address);
            self.apply(Event::Allocated {
                attachment: Box::new(attachment),
            });
        }
    }

    /// Pods ask for addresses.
    pub fn ask(&mut self, pods: u32) {
        self.waiting += pods;
        self.react();
    }

    /// A pod's links stand and its ADD is answered, which waited for the disk.
    pub fn answer(&mut self, which: usize) {
        let Some(key) = self.pods.keys().nth(which % self.pods.len().max(1)) else {
            return;
        };
        let key = key.clone();
        self.apply(Event::Wired {
            key: key.clone(),
            host_ifindex: 7,
        });
        self.apply(Event::Answered { key });
        self.save();
        self.react();
    }

    /// A pod goes; its link stays for `link` more.
    pub fn remove(&mut self, which: usize, link: Duration) {
        let Some(key) = self.pods.keys().nth(which % self.pods.len().max(1)) else {
            return;
        };
        let key = key.clone();
        let address = self.pods.remove(&key).expect("a pod of the test");
        let until = self.now.after(self.settings.cooldown);
        self.resting.insert(address, until);
        self.links.push((address, self.now.after(link)));
        self.apply(Event::Released { key, until });
        self.save();
        self.react();
    }

    pub fn advance(&mut self, by: Duration) {
        self.remember();
        self.now = self.now.after(by);
        let now = self.now;
        self.links.retain(|(_, until)| *until > now);
        self.resting.retain(|_, until| *until > now);
        self.past.retain(|(at, _)| now.since(*at) <= STALENESS);
        self.react();
    }

    /// Keeps what Describe would show now, for later stale answers.
    fn remember(&mut self) {
        let shown = self.cloud.show();
        self.past.push_back((self.now, shown));
    }

    /// EC2 does what a call asks, and does not say so yet.
    pub fn effect(&mut self, which: usize) {
        let count = self.flights.len();
        if count > 0 && self.flights[which % count].done.is_none() {
            self.remember();
            self.perform(which % count);
            invariants::of_state(self);
        }
    }

    fn perform(&mut self, at: usize) {
        let action = self.flights[at].action.clone();
        let done = self.cloud.perform(&action);
        self.flights[at].done = Some(done);
        if action == Action::Describe && self.flights[at].shown.is_none() {
            self.flights[at].shown = Some(self.cloud.show());
        }
    }

    /// A Describe under way will answer as it was `age` ago.
    pub fn stale(&mut self, age: Duration) {
        let (now, past) = (self.now, &self.past);
        let old = past.iter().rev().find(|(at, _)| now.since(*at) >= age);
        let describe = |f: &&mut Flight| f.action == Action::Describe && f.shown.is_none();
        if let (Some((_, shown)), Some(flight)) = (old, self.flights.iter_mut().find(describe)) {
            flight.shown = Some(shown.clone());
        }
    }

    /// A call ends.
    pub fn end(&mut self, which: usize, end: End) {
        if self.flights.is_empty() {
            return;
        }
        let at = which % self.flights.len();
        let outcome = match end {
            End::Refuse(kind) if self.may_refuse(at, kind) => failed(kind),
            End::Lose { done } => {
                if done && self.flights[at].done.is_none() {
                    self.perform(at);
                }
                failed(FailureKind::Doubtful)
            }
            End::Answer | End::Refuse(_) => self.outcome(at),
        };
        let flight = self.flights.remove(at);
        self.deliver(&flight, outcome);
    }

    /// The one call of this kind that is under way ends.
    pub fn end_the(&mut self, verb: Verb, end: End) {
        let at = self.flights.iter().position(|f| f.action.verb() == verb);
        let at = at.unwrap_or_else(|| panic!("no {verb:?} under way: {:?}", self.flights));
        self.end(at, end);
    }

    /// The actions under way.
    pub fn under_way(&self) -> Vec<Verb> {
        self.flights.iter().map(|f| f.action.verb()).collect()
    }

    /// EC2 refuses only what it has not done; a repeated Create that made its ENI the first time is answered, unless the
    /// call does not get as far as that.
    fn may_refuse(&self, at: usize, kind: FailureKind) -> bool {
        let flight = &self.flights[at];
        let early = matches!(
            kind,
            FailureKind::Throttled
                | FailureKind::AccessDenied
                | FailureKind::CredentialsRefused
                | FailureKind::Unreachable
        );
        let made = matches!(&flight.action, Action::Create { token, .. } if self.cloud.tokens.contains_key(token));
        flight.done.is_none() && (early || !made)
    }

    fn outcome(&mut self, at: usize) -> Outcome {
        if self.flights[at].done.is_none() {
            self.remember();
            self.perform(at);
        }
        let flight = &self.flights[at];
        match flight.done.clone() {
            Some(Ok(_)) if flight.action == Action::Describe => Outcome::Described(Described {
                enis: flight.shown.clone().unwrap_or_default(),
                in_use: self.in_use(),
                ..Described::default()
            }),
            Some(Ok(outcome)) => outcome,
            Some(Err(kind)) => failed(kind),
            None => failed(FailureKind::Unreachable),
        }
    }

    /// Addresses that the kernel uses: of pods, and of links that have not gone yet.
    fn in_use(&self) -> Vec<Ipv4Addr> {
        let links = self.links.iter().map(|(ip, _)| *ip);
        self.pods.values().copied().chain(links).collect()
    }

    pub fn deliver(&mut self, flight: &Flight, outcome: Outcome) {
        let doubtful = matches!(&outcome, Outcome::Failed(f) if f.kind == FailureKind::Doubtful);
        if doubtful && let Action::Assign { eni, .. } = &flight.action {
            self.doubts.insert(eni.clone(), self.now);
        }
        if let Outcome::Created(eni) = &outcome {
            self.named_enis.insert(eni.id.clone());
        }
        if matches!(outcome, Outcome::Described(_)) {
            self.doubts.retain(|_, since| *since > flight.started);
        }
        self.apply(Event::Finished {
            id: flight.id,
            outcome,
            now: self.now,
        });
        self.react();
    }

    /// The process dies and comes back with what the disk has. What was under way is done or not, as `done` says bit by
    /// bit; its answers are lost. After a reboot (`same_boot` false) the pods are gone and the clock begins anew.
    pub fn crash(&mut self, done: u64, same_boot: bool) {
        for at in 0..self.flights.len() {
            if self.flights[at].done.is_none() && done >> (at % 64) & 1 == 1 {
                self.perform(at);
            }
        }
        self.flights.clear();
        self.incarnation += 1;
        let saved: Snapshot = serde_json::from_str(&self.saved).expect("what was saved");
        self.pool = Pool::try_from(saved).expect("a sound snapshot");
        if !same_boot {
            self.now = Timestamp::from_secs(10);
            self.links.clear();
            self.resting.clear();
            self.past.clear();
        }
        let now = self.now;
        self.apply(Event::Restarted { now, same_boot });
        self.doubts = (self.pool.intents())
            .filter(|(_, i)| i.action.verb() == Verb::Assign)
            .filter_map(|(_, i)| i.action.eni().map(|eni| (eni.clone(), now)))
            .collect();
        for (_, intent) in self.pool.intents() {
            if let Action::Create { token, .. } = &intent.action
                && let Some((id, ..)) = self.cloud.tokens.get(token)
            {
                self.named_enis.remove(id);
            }
        }
        self.pods = (self.pool.attachments())
            .map(|a| (a.key.clone(), a.address))
            .collect();
        self.waiting = 0;
        self.history = History::default();
        self.save();
        self.react();
    }

    /// Lets time pass without faults: each call is answered a second after it began, and the planner is woken when it
    /// asked for it. Ends early when nothing is left to do before `wait` is over.
    pub fn run(&mut self, wait: Duration) {
        let end = self.now.after(wait);
        while self.now < end {
            let second = Duration::from_secs(1);
            if !self.flights.is_empty() {
                self.advance(second);
                self.answer_all();
                continue;
            }
            let wake = self.last_plan.wake_at.unwrap_or(end).min(end);
            self.advance(wake.since(self.now).max(Duration::from_millis(1)));
        }
    }

    /// Answers all that is under way, and what follows from it.
    pub fn drain(&mut self) {
        while !self.flights.is_empty() {
            self.advance(Duration::from_secs(1));
            self.answer_all();
        }
    }

    fn answer_all(&mut self) {
        while self.flights.first().is_some_and(|f| f.started < self.now) {
            self.end(0, End::Answer);
        }
    }

    pub fn free(&self) -> u32 {
        self.pool.enis().map(|e| self.pool.tally(&e.id).free).sum()
    }
}

fn failed(kind: FailureKind) -> Outcome {
    Outcome::Failed(Failure {
        kind,
        message: format!("{kind:?}"),
    })
}

/// The primary ENI as instance metadata names it.
pub fn primary(cloud: &Cloud, now: Timestamp) -> Eni {
    let eni = &cloud.enis[&primary_id()];
    Eni::primary(primary_id(), eni.mac, eni.primary, cloud.subnet, now)
}

pub fn attachment(name: &str, address: Ipv4Addr, eni: EniId, now: Timestamp) -> Attachment {
    let key = AttachmentKey {
        network: "aws-cni".to_owned(),
        container_id: name.to_owned(),
        ifname: "eth0".to_owned(),
    };
    Attachment {
        invocation: "1".to_owned(),
        netns: format!("/run/netns/{name}"),
        ..Attachment::bare(key, address, eni, now)
    }
}
