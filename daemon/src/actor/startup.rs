//! Getting to know the node: the state on the disk, the pods in the kernel, instance metadata. None of it blocks the
//! socket: an ADD that comes too early waits.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use futures::stream::FuturesUnordered;
use ipam::desired::pod::alias_of;
use ipam::desired::{ALIAS_PREFIX, GROUP_BASE};
use ipam::{Attachment, AttachmentKey, Event, PodInterface, Pool, Snapshot};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use tracing::{error, info, warn};

use super::effects::{self, Effect, Identified, Ports, Retry};
use super::layout::Layouts;
use super::{Actor, Handle, translate};
use crate::dataplane::{DataplaneError, ObservedPod, PodRemoval};
use crate::node::NodeFacts;
use crate::settings::Settings;
use crate::store::StoreHandle;
use crate::store::checkpoint::{Allocation, CheckpointError, encode};

/// Version of our part of the checkpoint.
pub const SCHEMA: u32 = 1;
/// Network name of the shipped configuration, for pods found in the kernel, which does not tell it.
const DEFAULT_NETWORK: &str = "aws-cni";
/// Between two tries to learn something at start-up.
const AGAIN: Duration = Duration::from_millis(500);

/// Our part of the checkpoint.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Persisted {
    /// [`SCHEMA`].
    pub schema: u32,
    /// /proc/sys/kernel/random/boot_id of the boot that its times belong to.
    pub boot_id: String,
    /// The node.
    pub node: Option<NodeFacts>,
    /// The pool.
    pub pool: Snapshot,
}

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
    /// Unlike that of any other process: part of every client token.
    pub token_seed: String,
}

impl Start {
    /// Makes the actor and the handle to it.
    pub fn actor(self) -> (Actor, Handle) {
        let (sender, commands) = mpsc::unbounded_channel();
        let now = self.ports.clock.now();
        let resumed = resume(self.state, &self.boot_id, now);
        let actor = Actor {
            observed: false,
            pool: resumed.pool,
            facts: resumed.facts,
            claimed: resumed.claimed,
            settings: self.settings,
            ports: self.ports,
            store: self.store,
            boot_id: self.boot_id,
            token_seed: self.token_seed,
            seq: 0,
            dirty: false,
            commands,
            running: FuturesUnordered::new(),
            working: HashMap::new(),
            waiting: VecDeque::new(),
            gave_up: Vec::new(),
            linked: BTreeSet::new(),
            attached: BTreeMap::new(),
            laid_out: false,
            layouts: Layouts::default(),
            reasons: Vec::new(),
            wake_at: None,
            ec2_calls: BTreeMap::new(),
            stopping: None,
        };
        (actor, Handle::new(sender))
    }
}

/// What a checkpoint is worth.
#[derive(Default)]
struct Resumed {
    pool: Pool,
    facts: Option<NodeFacts>,
    claimed: Option<String>,
}

/// The pool from the disk, as it is after a restart. A state that contradicts itself is not used: what lives in the
/// kernel is found there. Within a boot the machine cannot have become another one; after it, metadata has to agree
/// first, since an image of a used disk may have been started.
fn resume(state: Option<Persisted>, boot_id: &str, now: ipam::Timestamp) -> Resumed {
    let Some(state) = state else {
        return Resumed::default();
    };
    let same_boot = state.boot_id == boot_id;
    let restored = Pool::try_from(state.pool).and_then(|mut pool| {
        pool.apply(Event::Restarted { now, same_boot })?;
        Ok(pool)
    });
    match restored {
        Ok(pool) => Resumed {
            pool,
            claimed: state.node.as_ref().map(|node| node.instance_id.clone()),
            facts: state.node.filter(|_| same_boot),
        },
        Err(violation) => {
            error!(%violation, "the checkpoint contradicts itself and is not used; live pods are looked for in the kernel");
            Resumed::default()
        }
    }
}

/// A pod's link that no state names: what an ADD left that was cut off.
fn leftover(pod: ObservedPod) -> PodRemoval {
    let ifname = pod.alias.rsplit('/').next().unwrap_or_default().to_owned();
    let address = pod.address.unwrap_or(Ipv4Addr::UNSPECIFIED);
    warn!(link = %pod.name, alias = %pod.alias, %address, "link of an unanswered ADD is removed");
    PodRemoval {
        alias: pod.alias,
        host_ifindex: Some(pod.ifindex),
        interface: PodInterface::Created,
        ifname,
        address,
    }
}

impl Actor {
    /// Begins to look around.
    pub(super) fn start_up(&mut self) {
        self.retry(Retry::Observe);
        self.retry(Retry::Identify);
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
                self.attached = identified.attached;
                identified.facts
            }
            Err(error) => {
                warn!(%error, "node not identified");
                return self.retry_later(Retry::Identify);
            }
        };
        if (self.claimed.take()).is_some_and(|claimed| claimed != facts.instance_id) {
            error!(instance = %facts.instance_id, "the checkpoint is another instance's and is not used");
            self.pool = Pool::default();
        }
        info!(instance = %facts.instance_id, instance_type = %facts.instance_type, "node identified");
        let primary = Box::new(facts.primary_eni(self.now()));
        let known = self.facts.replace(facts).is_some();
        self.note(Event::Identified { primary });
        self.changed();
        if !known {
            self.retry(Retry::Observe);
        }
        self.retry(Retry::LayOut);
    }

    /// The pods that the kernel has. With a state of ours, a link it does not name belongs to an ADD that was never
    /// answered, since answers come after the write; without one, it is all we know of a pod that lives.
    pub(super) fn observed(&mut self, result: Result<Vec<ObservedPod>, DataplaneError>) {
        let pods = match result {
            Ok(pods) => pods,
            Err(error) => {
                warn!(%error, "pods in the kernel not read");
                return self.retry_later(Retry::Observe);
            }
        };
        if self.observed || self.facts.is_none() {
            // Without facts neither the pods' ENIs nor the node's layout are known: identification asks again.
            return;
        }
        let known: BTreeSet<String> = self.pool.attachments().map(|a| alias_of(&a.key)).collect();
        let unknown = pods.into_iter().filter(|pod| !known.contains(&pod.alias));
        if self.pool.knowledge().complete {
            let leftovers = unknown.map(leftover).collect();
            self.run_effect(effects::sweep(self.ports.clone(), leftovers));
        } else {
            unknown.for_each(|pod| self.recover(&pod));
            self.swept(true);
        }
    }

    /// The kernel has no pods but those that the pool knows. Until then no address is given to a pod: it could be one
    /// that a link which is still there has.
    pub(super) fn swept(&mut self, clean: bool) {
        if !clean {
            return self.retry_later(Retry::Observe);
        }
        self.observed = true;
        self.changed();
        self.retry(Retry::LayOut);
    }

    /// A live pod keeps its address. Its ENI is the one of its group.
    fn recover(&mut self, pod: &ObservedPod) {
        let now = self.now();
        let eni = self
            .attached
            .get(&pod.group.wrapping_sub(GROUP_BASE))
            .cloned();
        let names = pod
            .alias
            .strip_prefix(ALIAS_PREFIX)
            .and_then(|names| names.split_once('/'));
        let (Some(eni), Some(address), Some((container_id, ifname))) = (eni, pod.address, names)
        else {
            error!(link = %pod.name, alias = %pod.alias, "a pod's link is there, but not where it belongs");
            return;
        };
        let key = AttachmentKey {
            network: DEFAULT_NETWORK.to_owned(),
            container_id: container_id.to_owned(),
            ifname: ifname.to_owned(),
        };
        warn!(attachment = %key, %address, eni = %eni, "live pod found in the kernel");
        let attachment = Attachment {
            key,
            pod: None,
            invocation: String::new(),
            interface: PodInterface::Created,
            veth_prefix: None,
            mtu: None,
            netns: String::new(),
            address,
            eni,
            since: now,
            wall_nanos: u64::try_from(self.ports.clock.wall().as_nanos()).unwrap_or(u64::MAX),
            answered: true,
            host_ifindex: Some(pod.ifindex),
        };
        self.note(Event::Recovered {
            attachment: Box::new(attachment),
            now,
        });
    }

    /// The checkpoint: aws-node's allocations, and our part.
    pub(super) fn document(&self) -> Result<Vec<u8>, CheckpointError> {
        let allocations: Vec<Allocation> =
            self.pool.attachments().map(translate::allocation).collect();
        let persisted = Persisted {
            schema: SCHEMA,
            boot_id: self.boot_id.clone(),
            node: self.facts.clone(),
            pool: self.pool.snapshot(),
        };
        encode(&allocations, &persisted)
    }
}
