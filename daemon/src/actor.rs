//! The one owner of the node's state.
//!
//! The actor selects over requests, finished effects and the next deadline; it decides with `ipam`, and everything that
//! takes time is an effect: a future that ends in an `Effect`, which is taken in like anything else. What happens in
//! one turn is written in one checkpoint (group commit), and what must be durable waits for that write.
//!
//! `add`, `del`, `check` and `gc` hold the verbs, `sweep` what becomes of DELs that never come, `bound` whose ADDs will come, `planner` what is asked of
//! EC2, `layout` when the node is laid out, `repair` that it stays so, `startup` and `recovery` how a node and its pods are
//! got to know, `vpc` what may change around them, `effects` what touches the world.

mod add;
mod bound;
mod check;
mod del;
mod document;
mod effects;
mod explaining;
mod failure;
mod gc;
mod handle;
mod joined;
mod layout;
mod persisted;
mod planner;
mod recovery;
mod repair;
mod reporting;
mod split;
mod startup;
mod sweep;
#[cfg(test)]
mod tests;
mod translate;
mod vpc;

pub use effects::Ports;
pub use handle::{Handle, Stopped};
pub use persisted::{Persisted, SCHEMA};
pub use startup::Start;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::future::Future;
use std::net::Ipv4Addr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures::stream::{FuturesUnordered, StreamExt};
use ipam::{AttachmentKey, EniId, Event, History, Pool, Reason, Returning, Subnet, Timestamp};
use tokio::sync::{mpsc, watch};
use tracing::{error, info};

use crate::degraded::Degraded;
use crate::metrics::Metrics;
use crate::node::NodeFacts;
use crate::readiness::Readiness;
use crate::settings::Settings;
use crate::store::StoreHandle;
use add::AddJob;
use bound::Bound;
use check::CheckJob;
use del::DelJob;
use document::Told;
use effects::Effect;
use handle::Command;
use layout::Layouts;
use recovery::Recovery;
use repair::Repairs;
use sweep::Sweep;
use vpc::SecurityGroups;

/// How many events are taken in before their checkpoint is written: a burst shares one write, but nobody waits for ever.
const TURN: usize = 256;
/// How long a stop may take.
pub const STOP_WITHIN: Duration = Duration::from_secs(5);

type Running = Pin<Box<dyn Future<Output = Effect> + Send>>;
type Unsaid = Box<dyn FnOnce() + Send>;

/// What is going on for one attachment. Requests for it run one after another.
#[derive(Default)]
struct Working {
    /// The ADD whose links are being made.
    add: Option<AddJob>,
    /// The DEL whose links are being taken away.
    del: Option<DelJob>,
    /// Those that come after.
    queue: VecDeque<Job>,
}

/// A request about one attachment.
enum Job {
    Add(AddJob),
    Del(DelJob),
    Check(CheckJob),
}

impl Job {
    fn key(&self) -> AttachmentKey {
        match self {
            Self::Add(job) => translate::key(&job.request.id),
            Self::Del(job) => translate::key(&job.request.id),
            Self::Check(job) => translate::key(&job.request.id),
        }
    }
}

/// The owner of the pool.
pub struct Actor {
    pool: Pool,
    /// What plans remember.
    history: History,
    /// How full the subnet is, as far as EC2 tells of it.
    subnet: Option<Subnet>,
    /// Tells who watches the subnet whether it matters to this node.
    concerned: watch::Sender<bool>,
    /// The pods that had the addresses that rest.
    former: BTreeMap<Ipv4Addr, String>,
    facts: Option<NodeFacts>,
    /// The instance that the checkpoint is of, until metadata has said who we are.
    claimed: Option<String>,
    settings: Arc<Settings>,
    ports: Ports,
    store: StoreHandle,
    boot_id: String,
    token_seed: String,
    /// Sequence number of the newest state handed to the store.
    seq: u64,
    /// Whether the state has changed since, and somebody waits for it to be written.
    dirty: bool,
    /// What was handed to the store last.
    told: Told,
    /// What is logged of requests once their answers are on their way.
    unsaid: Vec<Unsaid>,
    commands: mpsc::UnboundedReceiver<Command>,
    /// Effects of this turn.
    begun: Vec<Running>,
    running: FuturesUnordered<Running>,
    working: HashMap<AttachmentKey, Working>,
    /// Attachments whose links a DEL takes away, or took away before the last daemon ended.
    leaving: BTreeSet<AttachmentKey>,
    waiting: VecDeque<AddJob>,
    /// Pods whose ADD timed out, and whose runtime will come again.
    gave_up: Returning<String>,
    bound: Bound,
    /// Secondary ENIs whose link is there, so that the node's layout has them.
    linked: BTreeSet<EniId>,
    /// The attached ENIs by device index, as metadata listed them at the start.
    attached: BTreeMap<u32, EniId>,
    /// Whether the node's layout stands: before that no pod is wired.
    laid_out: bool,
    layouts: Layouts,
    recovery: Recovery,
    sweep: Sweep,
    repairs: Repairs,
    groups: SecurityGroups,
    reasons: Vec<Reason>,
    /// Why calls rest that no pod waits for.
    beside: Vec<Reason>,
    wake_at: Option<Timestamp>,
    metrics: Metrics,
    degraded: Degraded,
    /// Who this node is, for those outside.
    known: watch::Sender<Option<NodeFacts>>,
    /// Unix seconds.
    started_at: u64,
    /// What the last step of getting to know the node met, if it failed.
    start_failure: Option<String>,
    stopping: Option<Timestamp>,
    readiness: watch::Sender<Readiness>,
    /// How the conflist stands, as its keeper said last.
    conflist: String,
}

impl Actor {
    /// Runs until it is told to stop.
    pub async fn run(mut self) {
        self.start_up();
        loop {
            if !self.unsaid.is_empty() {
                // Pods were answered in this turn: that goes out before anything else is done.
                tokio::task::yield_now().await;
            }
            self.serve();
            if !self.begun.is_empty() {
                // Who writes begins before the kernel is asked: the thread that asks it may take this one's processor
                // at once, and the write would begin when that is done.
                tokio::task::yield_now().await;
            }
            self.begin_effects();
            self.keep_house();
            if self.stopped() {
                break;
            }
            self.running.extend(self.begun.drain(..));
            let wake = self.sleep_until_deadline();
            tokio::select! {
                command = self.commands.recv() => match command {
                    Some(command) => self.command(command),
                    None => self.stop(),
                },
                Some(effect) = self.running.next() => self.effect(effect),
                () = wake => {}
            }
            self.drain();
        }
        self.last_words().await;
    }

    /// Takes in what else is there by now, so that it shares the turn.
    fn drain(&mut self) {
        for _ in 0..TURN {
            if let Ok(command) = self.commands.try_recv() {
                self.command(command);
                continue;
            }
            match futures::FutureExt::now_or_never(self.running.next()) {
                Some(Some(effect)) => self.effect(effect),
                _ => return,
            }
        }
    }

    /// Begins the end of a turn, with all that somebody waits for: time passes, who can be served is, and what changed is
    /// written.
    fn serve(&mut self) {
        let now = self.now();
        self.note(Event::Tick { now });
        self.serve_waiting();
        self.write();
    }

    /// Ends it: what is missing is planned, and what that changed is written too.
    fn keep_house(&mut self) {
        for say in self.unsaid.drain(..) {
            say();
        }
        self.forget();
        self.expect();
        self.plan();
        self.compare();
        self.note_waits();
        self.sweep();
        self.write();
        self.tell_readiness();
    }

    fn now(&self) -> Timestamp {
        self.ports.clock.now()
    }

    /// Changes the pool. A violation is a bug or a lie from outside: said loudly, never fatal.
    fn note(&mut self, event: Event) -> bool {
        match self.pool.apply(event) {
            Ok(()) => true,
            Err(violation) => {
                error!(%violation, "event refused");
                false
            }
        }
    }

    /// Marks the state as changed; answers the sequence number under which it will be durable.
    fn changed(&mut self) -> u64 {
        self.dirty = true;
        self.seq + 1
    }

    /// Whether the disk has the state as it is.
    fn is_written(&self) -> bool {
        !self.dirty && self.store.durable().borrow().seq >= self.seq
    }

    fn write(&mut self) {
        if !self.dirty {
            return;
        }
        self.seq += 1;
        self.dirty = false;
        let document = self.document();
        self.store.submit(self.seq, document);
    }

    /// Logs something once the answers of this turn are on their way.
    fn say(&mut self, words: impl FnOnce() + Send + 'static) {
        self.unsaid.push(Box::new(words));
    }

    /// Begins with the end of the turn, after the write that the effect may wait for.
    fn run_effect(&mut self, effect: impl Future<Output = Effect> + Send + 'static) {
        self.begun.push(Box::pin(effect));
    }

    /// Begins what is to be done before the house is kept.
    fn begin_effects(&mut self) {
        // It is polled again before this task sleeps, and then by who wakes it.
        let mut nobody = Context::from_waker(Waker::noop());
        for mut effect in self.begun.drain(..) {
            let done = effect.as_mut().poll(&mut nobody);
            self.running.push(match done {
                Poll::Ready(done) => Box::pin(std::future::ready(done)),
                Poll::Pending => effect,
            });
        }
    }

    fn command(&mut self, command: Command) {
        match command {
            Command::Add(job) => self.request(Job::Add(job)),
            Command::Del(job) => self.request(Job::Del(job)),
            Command::Check(job) => self.request(Job::Check(job)),
            Command::Gc(job) => self.begin_gc(job),
            // The end of the turn finds out who it was.
            Command::Left => {}
            Command::Conflist(words) => self.conflist = words,
            Command::Seen(sight) => self.seen(sight),
            Command::Report(reply) => drop(reply.send(self.report())),
            Command::Explain(reply) => drop(reply.send(self.scene())),
            Command::Subnet(subnet) => self.subnet = subnet,
            Command::Stop => self.stop(),
        }
    }

    /// Runs a request now, or after those before it for the same attachment.
    fn request(&mut self, job: Job) {
        let key = job.key();
        if let Some(working) = self.working.get_mut(&key) {
            working.queue.push_back(job);
            return;
        }
        self.working.insert(key, Working::default());
        self.begin(job);
    }

    fn begin(&mut self, job: Job) {
        match job {
            Job::Add(job) => self.begin_add(job),
            Job::Del(job) => self.begin_del(job),
            Job::Check(job) => self.begin_check(job),
        }
    }

    /// The request for `key` is answered: the next one may run.
    fn finished(&mut self, key: &AttachmentKey) {
        let next = self
            .working
            .get_mut(key)
            .and_then(|working| working.queue.pop_front());
        match next {
            Some(job) => self.begin(job),
            None => {
                self.working.remove(key);
            }
        }
    }

    fn effect(&mut self, effect: Effect) {
        match effect {
            Effect::Wired {
                key,
                links,
                stored,
                split,
            } => self.wired(&key, links, stored, split),
            Effect::Undone {
                key,
                removed,
                failure,
            } => self.undone(&key, removed, failure),
            Effect::Unwired {
                key,
                known,
                removed,
                stored,
                split,
            } => self.unwired(&key, known, removed, stored, split),
            Effect::Checked {
                request,
                reply,
                outcome,
            } => self.checked(&request, reply, outcome),
            Effect::CacheRead { job, results } => self.collect(job, results),
            Effect::Collected { job, outcomes } => self.collected(job, outcomes),
            Effect::Looked(result) => self.looked(result),
            Effect::LinkUp { id, eni, result } => self.link_up(id, eni, result),
            Effect::NodeApplied { applied, result } => self.node_applied(applied, result),
            Effect::Doubted(result) => self.doubted(result),
            Effect::TimeToCompare => self.time_to_compare(),
            Effect::PodsCompared(result) => self.pods_compared(result),
            Effect::Performed { id, outcome } => self.performed(id, outcome),
            Effect::Identified(result) => self.identified(result),
            Effect::Refreshed(result) => self.refreshed(result),
            Effect::Regrouped { groups, results } => self.regrouped(&groups, results),
            Effect::Observed(result) => self.observed(result),
            Effect::Swept { clean } => self.swept(clean),
            Effect::Retry(what) => self.retry(what),
        }
    }

    /// Sleeps until the planner, a waiting ADD or something in doubt wants to be woken; for ever if neither does.
    fn sleep_until_deadline(&self) -> impl Future<Output = ()> + use<> {
        let now = self.now();
        let waiting = self.waiting.iter().map(|job| job.deadline);
        let deadlines = waiting.chain(self.gave_up.next());
        let until = deadlines
            .chain(self.wake_at)
            .chain(self.sweep.due)
            .chain(self.repairs.wake_at(now))
            .chain(self.stopping)
            .min();
        let wait = until.map(|until| until.since(now));
        async move {
            match wait {
                Some(wait) => tokio::time::sleep(wait).await,
                None => std::future::pending().await,
            }
        }
    }

    fn stop(&mut self) {
        if self.stopping.is_none() {
            info!("stopping");
            self.stopping = Some(self.now().after(STOP_WITHIN));
            self.refuse_waiting();
        }
    }

    /// Whether all that was begun for the runtime is finished, or the time for it is over.
    fn stopped(&self) -> bool {
        self.stopping
            .is_some_and(|until| self.working.is_empty() || self.now() >= until)
    }

    async fn last_words(&mut self) {
        let seq = self.changed();
        self.write();
        let stored = effects::durable(self.store.durable(), seq);
        match tokio::time::timeout(STOP_WITHIN, stored).await {
            Ok(Ok(())) => info!("stopped"),
            Ok(Err(error)) => error!(%error, "stopped, but the last state is not on disk"),
            Err(_) => error!("stopped, but the last state did not reach the disk in time"),
        }
    }
}
