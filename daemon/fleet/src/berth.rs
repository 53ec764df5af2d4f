//! berth's node: the loop of berthd's actor, on the same `ipam` code. Links, checkpoint and socket take no time here.

use std::collections::{BTreeSet, VecDeque};
use std::net::Ipv4Addr;
use std::time::Duration;

use ipam::sight::LOOK_EVERY;
use ipam::{
    Attachment, AttachmentKey, Demand, EniId, Event, History, Limits, Pool, PoolSettings,
    Returning, Subnet, Timestamp, View,
};

use crate::node::{Input, Node, Output, PodId};
use crate::random::{Random, between};
use crate::scenario;

/// How long an ADD waits (BERTH_ADD_WAIT_SECONDS).
const ADD_WAIT: Duration = Duration::from_secs(20);

/// A node's pool.
pub struct Berth {
    pool: Pool,
    history: History,
    limits: Limits,
    settings: PoolSettings,
    /// How long after its boot it looks at its subnet for the second time.
    first_look: Duration,
    subnet_size: u32,
    subnet: Option<Subnet>,
    /// Those whose ADD has not come.
    bound: BTreeSet<PodId>,
    waiting: VecDeque<Waiting>,
    gave_up: Returning<PodId>,
    /// When the next look is due, whatever the subnet is like.
    look_at: Option<Timestamp>,
    /// When a nearly full subnet is looked at again, if this node has a stake in it.
    closer_look_at: Option<Timestamp>,
    /// Whether it needs addresses or could give some.
    concerned: bool,
    /// When the last plan wants to be made again.
    plan_at: Option<Timestamp>,
}

/// An ADD that waits.
struct Waiting {
    pod: PodId,
    deadline: Timestamp,
}

impl Berth {
    /// A node that has not booted. `random` says at which moment of each minute it looks at its subnet.
    pub fn new(node: &scenario::Node, mut random: Random) -> Self {
        Self {
            pool: Pool::default(),
            history: History::default(),
            limits: node.limits,
            settings: PoolSettings::default(),
            first_look: between(&mut random, Duration::ZERO, LOOK_EVERY),
            subnet_size: 0,
            subnet: None,
            bound: BTreeSet::new(),
            waiting: VecDeque::new(),
            gave_up: Returning::default(),
            look_at: None,
            closer_look_at: None,
            concerned: false,
            plan_at: None,
        }
    }

    /// The state of the pool.
    pub fn pool(&self) -> &Pool {
        &self.pool
    }

    /// Takes in what happened; answers whether a plan may come out otherwise for it.
    fn note(&mut self, input: Input, turn: &mut Turn) -> bool {
        match input {
            Input::Booted { primary } => {
                // A pool knows of a subnet what DescribeSubnets does not tell by its CIDR, less AWS's five.
                let total = primary
                    .subnet
                    .map_or(0, |net| 1_u32 << (32 - net.prefix_len()));
                self.subnet_size = total.saturating_sub(5);
                self.apply(Event::Identified { primary }, turn);
                turn.outputs.push(Output::LookAtSubnet);
                self.look_at = Some(turn.now.after(self.first_look));
            }
            Input::Bound { pod } => return self.bound.insert(pod),
            Input::Add { pod } => {
                self.bound.remove(&pod);
                self.gave_up.came(&pod);
                let deadline = turn.now.after(ADD_WAIT);
                self.waiting.push_back(Waiting { pod, deadline });
            }
            Input::Del { pod } => {
                let (key, until) = (key(pod), turn.now.after(self.settings.cooldown));
                self.apply(Event::Released { key, until }, turn);
            }
            Input::Ended { id, outcome } => {
                let now = turn.now;
                self.apply(Event::Finished { id, outcome, now }, turn);
            }
            Input::Subnet { free } => {
                let seen = Subnet {
                    free,
                    size: self.subnet_size,
                };
                let soonest = seen.look_after();
                self.closer_look_at = (soonest < LOOK_EVERY).then(|| turn.now.after(soonest));
                return self.subnet.replace(seen) != Some(seen);
            }
            Input::Range { .. } | Input::Woken => return false,
        }
        true
    }

    /// Whether a plan is due by its own wish, or because demand ends.
    fn is_due(&self, now: Timestamp) -> bool {
        let ends = self.waiting.iter().map(|waiting| waiting.deadline);
        let mut due = ends.chain(self.gave_up.next()).chain(self.plan_at);
        due.any(|at| at <= now)
    }

    /// Serves the waiting ADDs in order, as far as there are addresses, and lets go of those that waited long enough.
    fn serve_waiting(&mut self, turn: &mut Turn) {
        while let Some(waiting) = self.waiting.front()
            && let Some((address, eni)) = self.pool.choose()
        {
            let pod = waiting.pod;
            self.waiting.pop_front();
            let attachment = Box::new(attachment(pod, address, eni, turn.now));
            self.apply(Event::Allocated { attachment }, turn);
            turn.outputs.push(Output::Serve { pod, address });
        }
        while let Some(waiting) = self.waiting.pop_front_if(|w| w.deadline <= turn.now) {
            self.gave_up.gave_up(waiting.pod, turn.now);
            turn.outputs.push(Output::Refuse { pod: waiting.pod });
        }
    }

    fn demand(&self) -> Demand {
        let count = |len: usize| u32::try_from(len).unwrap_or(u32::MAX);
        Demand {
            waiting: count(self.waiting.len()) + self.gave_up.count(),
            bound: count(self.bound.len()),
        }
    }

    /// Asks the core what to do and begins it.
    fn plan(&mut self, turn: &mut Turn) {
        let view = View {
            pool: &self.pool,
            limits: self.limits,
            settings: &self.settings,
            demand: self.demand(),
            subnet: self.subnet,
            history: &self.history,
            token_seed: "berth",
        };
        let plan = ipam::plan(&view, turn.now);
        self.concerned = plan.concerned;
        self.plan_at = plan.wake_at;
        self.history = plan.history;
        for (id, action) in plan.actions {
            let (now, started) = (turn.now, action.clone());
            let started = Event::Started {
                id,
                action: started,
                now,
            };
            self.apply(started, turn);
            turn.outputs.push(Output::Begin { id, action });
        }
    }

    /// When the subnet is looked at next: as in berthd, but without its jitter after the first look.
    fn next_look(&self) -> Option<Timestamp> {
        let closer = self.closer_look_at.filter(|_| self.concerned);
        closer.into_iter().chain(self.look_at).min()
    }

    fn look(&mut self, turn: &mut Turn) {
        if self.next_look().is_some_and(|at| at <= turn.now) {
            self.look_at = Some(turn.now.after(LOOK_EVERY));
            self.closer_look_at = None;
            turn.outputs.push(Output::LookAtSubnet);
        }
    }

    fn wake(&self) -> Option<Timestamp> {
        let ends = self.waiting.front().map(|waiting| waiting.deadline);
        [self.plan_at, self.next_look(), ends, self.gave_up.next()]
            .into_iter()
            .flatten()
            .min()
    }

    /// Changes the pool. What contradicts its state is a defect of the core or of the model.
    fn apply(&mut self, event: Event, turn: &mut Turn) {
        if let Err(violation) = self.pool.apply(event) {
            let what = violation.to_string();
            turn.outputs.push(Output::Contradiction { what });
        }
    }
}

/// What happens at one moment.
struct Turn {
    now: Timestamp,
    outputs: Vec<Output>,
}

impl Node for Berth {
    fn take(&mut self, input: Input, now: Timestamp) -> Vec<Output> {
        let mut turn = Turn {
            now,
            outputs: Vec::new(),
        };
        self.apply(Event::Tick { now }, &mut turn);
        let due = self.is_due(now);
        let plans = self.note(input, &mut turn) || due;
        self.serve_waiting(&mut turn);
        self.gave_up.forget(now);
        if plans {
            self.plan(&mut turn);
        }
        self.look(&mut turn);
        turn.outputs.extend(self.wake().map(Output::WakeAt));
        turn.outputs
    }
}

fn key(pod: PodId) -> AttachmentKey {
    AttachmentKey {
        network: "aws-cni".to_owned(),
        container_id: pod.to_string(),
        ifname: "eth0".to_owned(),
    }
}

fn attachment(pod: PodId, address: Ipv4Addr, eni: EniId, since: Timestamp) -> Attachment {
    Attachment {
        invocation: pod.to_string(),
        answered: true,
        ..Attachment::bare(key(pod), address, eni, since)
    }
}
