//! Getting to know the node: the state on the disk, the pods in the kernel, instance metadata. None of it blocks the
//! socket: an ADD that comes too early waits.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use futures::stream::FuturesUnordered;
use ipam::{AttachmentKey, Event, Layout, Pool, Returning};
use tokio::sync::{mpsc, watch};
use tracing::{error, info, warn};

use super::bound::Bound;
use super::effects::{self, Effect, Identified, Ports, Retry};
use super::handle::Told;
use super::layout::Layouts;
use super::persisted::Persisted;
use super::recovery::Recovery;
use super::repair::Repairs;
use super::sweep::Sweep;
use super::vpc::SecurityGroups;
use super::{Actor, Handle};
use crate::degraded::Degraded;
use crate::metrics::Metrics;
use crate::node::NodeFacts;
use crate::readiness::Readiness;
use crate::settings::Settings;
use crate::store::StoreHandle;

/// Between two tries to learn something at start-up.
const AGAIN: Duration = Duration::from_millis(500);

/// All that an actor starts with.
pub struct Start {
    /// The settings.
    pub settings: Arc<Settings>,
    /// The world.
    pub ports: Ports,
    /// Where the state goes.
    pub store: StoreHandle,
    /// The state that was found; `None` if there was none that can be used.
    pub state: Option<Persisted>,
    /// This boot's id.
    pub boot_id: String,
    /// What is counted.
    pub metrics: Metrics,
    /// What does not work besides the pool.
    pub degraded: Degraded,
    /// Unlike that of any other process: part of every client token.
    pub token_seed: String,
}

impl Start {
    /// Makes the actor and the handle to it.
    pub fn actor(self) -> (Actor, Handle) {
        let (sender, commands) = mpsc::unbounded_channel();
        let (readiness, ready) = watch::channel(Readiness::Unidentified);
        let now = self.ports.clock.now();
        let started_at = self.ports.clock.wall().as_secs();
        let resumed = resume(self.state, &self.boot_id, now);
        let (known, node) = watch::channel(resumed.facts.clone());
        let (concerned, attention) = watch::channel(false);
        let actor = Actor {
            recovery: Recovery::new(resumed.lost),
            pool: resumed.pool,
            history: ipam::History::default(),
            subnet: None,
            concerned,
            former: BTreeMap::new(),
            facts: resumed.facts,
            claimed: resumed.claimed,
            settings: self.settings,
            ports: self.ports,
            store: self.store,
            boot_id: self.boot_id,
            token_seed: self.token_seed,
            seq: 0,
            dirty: false,
            told: super::document::Told::default(),
            unsaid: Vec::new(),
            commands,
            begun: Vec::new(),
            running: FuturesUnordered::new(),
            working: HashMap::new(),
            leaving: resumed.leaving,
            waiting: VecDeque::new(),
            gave_up: Returning::default(),
            bound: Bound::default(),
            linked: BTreeSet::new(),
            attached: BTreeMap::new(),
            laid_out: false,
            layouts: Layouts::default(),
            sweep: Sweep::default(),
            repairs: Repairs::default(),
            groups: SecurityGroups::default(),
            reasons: Vec::new(),
            beside: Vec::new(),
            wake_at: None,
            metrics: self.metrics.clone(),
            degraded: self.degraded,
            known,
            started_at,
            start_failure: None,
            stopping: None,
            readiness,
            conflist: String::new(),
        };
        let told = Told {
            node,
            readiness: ready,
            concerned: attention,
        };
        (actor, Handle::new(sender, self.metrics, told))
    }
}

/// What a checkpoint is worth.
#[derive(Default)]
struct Resumed {
    pool: Pool,
    facts: Option<NodeFacts>,
    claimed: Option<String>,
    lost: bool,
    leaving: BTreeSet<AttachmentKey>,
}

impl Resumed {
    fn nothing() -> Self {
        Self {
            lost: true,
            ..Self::default()
        }
    }
}

/// The pool from the disk, as it is after a restart. A state that contradicts itself is not used: what lives in the
/// kernel is found there. Within a boot the machine cannot have become another one; after it, metadata has to agree
/// first, since an image of a used disk may have been started.
fn resume(state: Option<Persisted>, boot_id: &str, now: ipam::Timestamp) -> Resumed {
    let Some(state) = state else {
        return Resumed::nothing();
    };
    let same_boot = state.boot_id == boot_id;
    let restored = Pool::try_from(state.pool).and_then(|mut pool| {
        pool.apply(Event::Restarted { now, same_boot })?;
        Ok(pool)
    });
    match restored {
        Ok(pool) => Resumed {
            lost: state.lost || !pool.knowledge().complete,
            leaving: state.leaving,
            pool,
            claimed: state.node.as_ref().map(|node| node.instance_id.clone()),
            facts: state.node.filter(|_| same_boot),
        },
        Err(violation) => {
            error!(%violation, "the checkpoint contradicts itself and is not used; live pods are looked for in the kernel");
            Resumed::nothing()
        }
    }
}

impl Actor {
    /// Begins to look around.
    pub(super) fn start_up(&mut self) {
        self.retry(Retry::Observe);
        self.retry(Retry::Identify);
        self.listen();
        self.compare_later();
        self.refresh_later();
    }

    pub(super) fn retry(&mut self, what: Retry) {
        let ports = self.ports.clone();
        match what {
            Retry::Identify => self.run_effect(effects::identify(ports, self.facts.clone())),
            Retry::Observe => {
                self.run_effect(
                    async move { Effect::Observed(ports.dataplane.observe_pods().await) },
                );
            }
            Retry::LayOut => self.lay_out_first(),
        }
    }

    pub(super) fn retry_later(&mut self, what: Retry) {
        self.run_effect(async move {
            tokio::time::sleep(AGAIN).await;
            Effect::Retry(what)
        });
    }

    /// Metadata said who we are. A checkpoint of another instance is worth nothing here.
    pub(super) fn identified(&mut self, result: Result<Identified, String>) {
        let facts = match result {
            Ok(identified) => {
                self.start_failure = None;
                self.attached = identified.attached;
                identified.facts
            }
            Err(error) => {
                warn!(%error, "node not identified");
                self.start_failure = Some(error);
                return self.retry_later(Retry::Identify);
            }
        };
        if (self.claimed.take()).is_some_and(|claimed| claimed != facts.instance_id) {
            error!(instance = %facts.instance_id, "the checkpoint is another instance's and is not used");
            self.pool = Pool::default();
            self.recovery = Recovery::new(true);
        }
        info!(instance = %facts.instance_id, instance_type = %facts.instance_type, "node identified");
        if self.settings.pool.layout == Layout::Prefixes && !facts.limits().prefixes {
            warn!(
                instance_type = %facts.instance_type,
                "ENABLE_PREFIX_DELEGATION has no effect: this type has no prefixes (not on Nitro), single addresses serve"
            );
        }
        let primary = Box::new(facts.primary_eni(self.now()));
        self.known.send_replace(Some(facts.clone()));
        let known = self.facts.replace(facts).is_some();
        self.note(Event::Identified { primary });
        self.changed();
        if !known {
            self.retry(Retry::Observe);
        }
        self.retry(Retry::LayOut);
    }
}
