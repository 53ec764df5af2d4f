//! Amazon VPC CNI's daemon (aws-node, "ipamd"), IPv4, as of version 1.23, with any warm targets: single addresses or prefixes,
//! targets of ENIs, addresses and prefixes, MAX_ENI.
//!
//! What it does, in aws/amazon-vpc-cni-k8s, pkg/ipamd/ipamd.go unless said otherwise:
//!
//! - **Start** (`nodeInit`): one step of growth, then it serves. A step that ends in an error other than a full subnet ends the
//!   daemon, and kubelet starts it again: at once the first time, then after 10 s, 20 s, 40 s, up to 300 s (Kubernetes, "Pod
//!   Lifecycle", How Pods handle problems with containers).
//!   Until it serves, each ADD fails.
//! - **Loop** (`StartNodeIPPoolManager`): sleeps 2.5 s, looks at the pool, acts, sleeps 2.5 s; so a look each 5 s plus the time of
//!   what it did. One look grows by one call at most (one ENI filled, or one made), or shrinks, and frees one ENI at most.
//! - **Growth** (`increaseDatastorePool`, file `growth`): not within 120 s of an answer `Insufficient*`. The first of its ENIs, in
//!   random order, with room; one address where the number was refused; another ENI where the subnet is full; then a new ENI.
//! - **Shrinking** (`tryUnassignCidrsFromAll`, file `release`): once in 30 s, whatever no pod has, resting addresses included.
//! - **ENIs** go when they are 60 s old, without pods and resting addresses, and the targets hold without them; detach, 2 s,
//!   delete.
//! - **ADD** never waits: without a usable address it fails at once, and wakes nobody. Resting addresses (30 s) are not usable,
//!   yet count as free in all of the above (#2896).
//!
//! # Bias
//!
//! The model flatters aws-node: a start costs no time (seconds to a minute on a node), nor do the Describes before its calls, nor
//! the set-up of an ENI; instance metadata never lies, and its polls have no jitter; EC2's buckets are its cluster's alone; what
//! it gives up after twelve tries is tried for ever; looks that would find nothing changed cost nothing. Reconciliation is there
//! only for what a failed Unassign left on an ENI. Left out too: nodes that restart, trunk ENIs, custom networking, more than
//! one network card, and the subnets that it would find by tags.

mod call;
mod growth;
mod release;
mod targets;

use std::time::Duration;

use ipam::{Action, EniId, FailureKind, IntentId, Limits, Outcome, PoolSettings, Timestamp};
use ipnet::Ipv4Net;

use self::call::Call;
use self::growth::Growing;
use self::release::Shrinking;
use self::targets::Targets;
use crate::node::{Input, Node, Output};
use crate::random::Random;
use crate::rivals::store::Store;

/// From one look at the pool to the next, if there is nothing to do.
const LOOP: Duration = Duration::from_secs(5);

/// From the start to the first look.
const FIRST_LOOK: Duration = Duration::from_millis(2500);

/// insufficientCidrErrorCooldown.
const SUBNET_REST: Duration = Duration::from_secs(120);

/// kubelet's first delay before it starts a container again that failed twice, and its longest.
const RESTART: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(300));

/// A node that runs aws-node.
#[derive(Debug)]
pub struct AwsNode {
    targets: Targets,
    cooldown: Duration,
    store: Store,
    random: Random,
    phase: Phase,
    serves: bool,
    restarts: u32,
    calls: u64,
    /// When EC2 last said that the subnet is full.
    insufficient: Option<Timestamp>,
    /// When it last gave addresses back.
    decreased: Option<Timestamp>,
    /// When it last changed the pool.
    acted: Option<Timestamp>,
    /// What a failed Unassign left on an ENI, and since when the store does not have it.
    forgotten: Vec<(EniId, Vec<Ipv4Net>, Timestamp)>,
    woken_at: Option<Timestamp>,
    out: Vec<Output>,
}

/// Where the daemon is.
#[derive(Clone, Debug)]
enum Phase {
    /// Not there; starts at the time, if there is one.
    Off(Option<Timestamp>),
    /// Asleep; looks at the pool at the time, and then each 5 s.
    Asleep(Timestamp),
    /// In a step of growth.
    Growing(Growing),
    /// Gives back.
    Shrinking(Shrinking),
}

impl AwsNode {
    /// A node whose aws-node has these settings. `random` is its own.
    pub fn new(settings: &PoolSettings, limits: Limits, max_pods: u32, random: Random) -> Self {
        Self {
            targets: Targets::of(settings, limits, max_pods),
            cooldown: settings.cooldown,
            store: Store::new(settings.cooldown),
            random,
            phase: Phase::Off(None),
            serves: false,
            restarts: 0,
            calls: 0,
            insufficient: None,
            decreased: None,
            acted: None,
            forgotten: Vec::new(),
            woken_at: None,
            out: Vec::new(),
        }
    }

    fn call(&mut self, action: Action, at: Timestamp) -> Call {
        self.calls += 1;
        Call::new(IntentId(self.calls), action, at)
    }

    /// Does the next thing that is due; answers whether there was one.
    fn go_on(&mut self, now: Timestamp) -> bool {
        if self.next_wake(now).is_none_or(|at| at > now) {
            return false;
        }
        match &mut self.phase {
            Phase::Off(_) => self.start(now),
            Phase::Asleep(_) => self.look(now),
            Phase::Growing(growing) => match growing.make(now) {
                Some(output) => self.out.push(output),
                None => self.eni_is_ready(now),
            },
            Phase::Shrinking(shrinking) => self.out.extend(shrinking.call.make(now)),
        }
        true
    }

    fn start(&mut self, now: Timestamp) {
        match self.targets.too_low(self.store.stock()) {
            true => self.grow(now),
            false => self.sized(now),
        }
    }

    /// One pass of the loop.
    fn look(&mut self, now: Timestamp) {
        self.reconcile(now);
        let stock = self.store.stock();
        if self.targets.too_low(stock) {
            match self.subnet_rests(now) {
                Some(_) => self.sized(now),
                None => self.grow(now),
            }
        } else if self.targets.over(stock) > 0 && self.may_decrease(now) {
            self.decrease(now);
        } else {
            self.sized(now);
        }
    }

    /// The pool has grown or shrunk as far as it does in one pass.
    fn sized(&mut self, now: Timestamp) {
        if !self.serves {
            self.serves = true;
            self.phase = Phase::Asleep(now.after(FIRST_LOOK));
            return;
        }
        if !self.free_an_eni(now) {
            self.phase = Phase::Asleep(now.after(LOOP));
        }
    }

    /// A step of growth has failed, for another reason than the subnet.
    fn failed(&mut self, now: Timestamp) {
        if self.serves {
            return self.sized(now);
        }
        let (first, most) = RESTART;
        let wait = match self.restarts {
            0 => Duration::ZERO,
            times => first.saturating_mul(1 << (times - 1).min(8)).min(most),
        };
        self.restarts += 1;
        self.phase = Phase::Off(Some(now.after(wait)));
    }

    /// Until when it asks for nothing because the subnet was full.
    fn subnet_rests(&self, now: Timestamp) -> Option<Timestamp> {
        let until = self.insufficient?.after(SUBNET_REST);
        (until > now).then_some(until)
    }

    /// The first look from now on that may do something, as things stand. Those before it are left out: they would find all
    /// as it is.
    fn next_look(&self, now: Timestamp) -> Option<Timestamp> {
        let Phase::Asleep(first) = self.phase else {
            return None;
        };
        let stock = self.store.stock();
        let grows = (self.targets.too_low(stock) && self.can_grow(stock))
            .then(|| self.subnet_rests(now).unwrap_or(now));
        let shrinks = (self.targets.over(stock) > 0).then(|| self.decreases_from());
        let due = [grows, shrinks, self.frees_from(), self.reconciles_from()];
        let due = due.into_iter().flatten().min()?.max(now);
        let looks = due.since(first).as_nanos().div_ceil(LOOP.as_nanos());
        Some(first.after(LOOP * u32::try_from(looks).unwrap_or(u32::MAX)))
    }

    fn next_wake(&self, now: Timestamp) -> Option<Timestamp> {
        match &self.phase {
            Phase::Off(start) => *start,
            Phase::Asleep(_) => self.next_look(now),
            Phase::Growing(growing) => growing.due(),
            Phase::Shrinking(shrinking) => shrinking.call.due(),
        }
    }

    fn ended(&mut self, id: IntentId, outcome: &Outcome, now: Timestamp) {
        let call = match &mut self.phase {
            Phase::Growing(growing) => growing.call(),
            Phase::Shrinking(shrinking) => Some(&mut shrinking.call),
            _ => None,
        };
        let Some(call) = call.filter(|call| call.is(id)) else {
            return;
        };
        if call.is_repeated(outcome, now, &mut self.random) {
            return;
        }
        match std::mem::replace(&mut self.phase, Phase::Off(None)) {
            Phase::Growing(growing) => self.grown(growing, outcome, now),
            Phase::Shrinking(shrinking) => self.shrunk(shrinking, outcome, now),
            phase => self.phase = phase,
        }
    }
}

impl Node for AwsNode {
    fn take(&mut self, input: Input, now: Timestamp) -> Vec<Output> {
        match input {
            Input::Booted { primary } => {
                self.store.add_eni(primary.id, primary.device_index, now);
                self.phase = Phase::Off(Some(now));
            }
            Input::Add { pod } => {
                let address = match self.serves {
                    true => self.store.serve(pod, now, &mut self.random),
                    false => None,
                };
                self.out.push(match address {
                    Some(address) => Output::Serve { pod, address },
                    None => Output::Refuse { pod },
                });
            }
            Input::Del { pod } => self.store.release(pod, now),
            Input::Ended { id, outcome } => self.ended(id, &outcome, now),
            Input::Woken => self.woken_at = None,
            Input::Bound { .. } | Input::Subnet { .. } | Input::Range { .. } => {}
        }
        while self.go_on(now) {}
        let wake = self.next_wake(now).map(|at| at.max(now));
        if wake != self.woken_at {
            self.out.extend(wake.map(Output::WakeAt));
            self.woken_at = wake.or(self.woken_at);
        }
        std::mem::take(&mut self.out)
    }
}

/// Whether a call failed because the subnet has no room for what it asks.
fn is_insufficient(outcome: &Outcome) -> bool {
    let kinds = [FailureKind::SubnetFull, FailureKind::NoContiguousBlock];
    matches!(outcome, Outcome::Failed(f) if kinds.contains(&f.kind))
}
