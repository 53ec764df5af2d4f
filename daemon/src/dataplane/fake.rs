//! A stateful stand-in for the kernel, for tests of whoever drives it: pods by alias, links that appear when told, faults
//! and delays on demand, a record of what was asked, and a list of what must never be asked.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::Ipv4Addr;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use berth_cni::contract::AwsNodeLink;
use ipam::desired::check::{HostEnd, ObservedAttachment};
use ipam::desired::{NodeDesired, PodDesired};
use ipam::{Mac, PodInterface};
use tokio::sync::watch;

use super::{
    Changes, Dataplane, DataplaneError, Object, ObservedPod, Part, Parts, PodLinks, PodRemoval,
    StandingPod, Unfinished,
};

/// The fake; clones are handles to the same state.
#[derive(Clone, Debug)]
pub struct FakeDataplane {
    state: Arc<Mutex<State>>,
    links: watch::Sender<BTreeMap<Mac, u32>>,
    doubts: watch::Sender<Parts>,
}

/// What is asked of the kernel; faults and delays are ordered by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verb {
    /// [`Dataplane::mend_node`].
    ApplyNode,
    /// [`Dataplane::wait_link`].
    WaitLink,
    /// [`Dataplane::apply_pod`].
    ApplyPod,
    /// [`Dataplane::remove_pod`].
    RemovePod,
    /// [`Dataplane::observe_pods`].
    ObservePods,
    /// [`Dataplane::observe_attachment`].
    ObserveAttachment,
    /// [`Dataplane::without_link`].
    WithoutLink,
    /// [`Dataplane::remove_aws_node`].
    RemoveAwsNode,
    /// [`Dataplane::mend_pods`].
    MendPods,
}

/// How the kernel refuses, without effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It says no.
    Refused,
    /// The pod has an interface of that name.
    InterfaceExists,
}

/// One call, recorded when it begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    /// With the MACs of the ENIs and the parts.
    ApplyNode(Vec<Mac>, Parts),
    /// With the MAC.
    WaitLink(Mac),
    /// With the alias and the address.
    ApplyPod(String, Ipv4Addr),
    /// With the alias.
    RemovePod(String),
    /// Asked for all pods.
    ObservePods,
    /// With the alias.
    ObserveAttachment(String),
    /// With the aliases that were asked for.
    WithoutLink(Vec<String>),
    /// With what aws-node left.
    RemoveAwsNode(AwsNodeLink),
    /// With the pods.
    MendPods(Vec<StandingPod>),
}

#[derive(Debug, Default)]
struct State {
    /// Links that should appear do not.
    blind: bool,
    pods: BTreeMap<String, ObservedPod>,
    node: Option<NodeDesired>,
    next_ifindex: u32,
    faults: BTreeMap<Verb, VecDeque<Fault>>,
    delays: BTreeMap<Verb, Duration>,
    operations: Vec<Operation>,
    /// What something else changed in each part, until it is mended.
    damage: Vec<(Part, Object, String)>,
    inside: BTreeSet<Ipv4Addr>,
    wrongs: Vec<String>,
}

impl Default for FakeDataplane {
    fn default() -> Self {
        Self {
            state: Arc::new(Mutex::new(State {
                next_ifindex: 100,
                ..State::default()
            })),
            links: watch::Sender::new(BTreeMap::new()),
            doubts: watch::Sender::new(Parts::NONE),
        }
    }
}

impl FakeDataplane {
    /// Our addresses on pods' interfaces that were there before us; they go only by the pod's namespace.
    pub fn inside(&self) -> BTreeSet<Ipv4Addr> {
        self.state().inside.clone()
    }

    /// An ENI's link appears.
    pub fn add_link(&self, mac: Mac) {
        if self.state().blind {
            return;
        }
        self.links.send_modify(|links| {
            let index = u32::try_from(links.len()).unwrap_or_default() + 2;
            links.entry(mac).or_insert(index);
        });
    }

    /// No link of an ENI appears any more, whatever EC2 says; or they do again.
    pub fn set_blind(&self, blind: bool) {
        self.state().blind = blind;
    }

    /// An ENI's link goes away.
    pub fn remove_link(&self, mac: Mac) {
        self.links.send_modify(|links| {
            links.remove(&mac);
        });
    }

    /// Something else changes an object, and the kernel tells of it.
    pub fn break_object(&self, part: Part, object: Object, what: &str) {
        self.break_silently(part, object, what);
        self.notify(part.into());
    }

    /// Something else changes an object, and the kernel tells nobody.
    pub fn break_silently(&self, part: Part, object: Object, what: &str) {
        let damage = (part, object, what.to_owned());
        self.state().damage.push(damage);
    }

    /// The kernel tells of a change.
    pub fn notify(&self, parts: Parts) {
        self.doubts
            .send_modify(|doubts| *doubts = doubts.and(parts));
    }

    /// The next `count` calls of `verb` are refused.
    pub fn fail_next(&self, verb: Verb, fault: Fault, count: usize) {
        let mut state = self.state();
        let queue = state.faults.entry(verb).or_default();
        queue.extend(std::iter::repeat_n(fault, count));
    }

    /// Each call of `verb` that begins from now on takes this long, by tokio's clock; its effect is half-way.
    pub fn set_delay(&self, verb: Verb, delay: Duration) {
        self.state().delays.insert(verb, delay);
    }

    /// The machine reboots: no pod, no layout.
    pub fn reboot(&self) {
        let mut state = self.state();
        state.pods.clear();
        state.node = None;
    }

    /// The pods that stand, by alias.
    pub fn pods(&self) -> BTreeMap<String, ObservedPod> {
        self.state().pods.clone()
    }

    /// Something else changes what the kernel has of a pod.
    pub fn damage(&self, alias: &str, damage: impl FnOnce(&mut ObservedPod)) {
        if let Some(pod) = self.state().pods.get_mut(alias) {
            damage(pod);
        }
    }

    /// A pod's link is there again.
    pub fn restore_pod(&self, pod: ObservedPod) {
        self.state().pods.insert(pod.alias.clone(), pod);
    }

    /// A pod's link goes, as it does with its namespace.
    pub fn remove_pod_link(&self, alias: &str) {
        self.state().pods.remove(alias);
    }

    /// What was last applied to the node.
    pub fn node(&self) -> Option<NodeDesired> {
        self.state().node.clone()
    }

    /// Everything asked so far.
    pub fn operations(&self) -> Vec<Operation> {
        self.state().operations.clone()
    }

    /// What was asked and must never be: an address at two pods, a pod on an ENI that the layout lacks.
    pub fn wrongs(&self) -> Vec<String> {
        self.state().wrongs.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One call: recorded, delayed, refused if that was ordered. The effect is in the middle of the delay, so that a
    /// caller that is gone by the answer may or may not have caused it.
    async fn call<T>(
        &self,
        verb: Verb,
        operation: Operation,
        effect: impl FnOnce(&mut State) -> T + Send,
    ) -> Result<T, DataplaneError> {
        let (half, fault) = {
            let mut state = self.state();
            let fault = state.faults.get_mut(&verb).and_then(VecDeque::pop_front);
            state.operations.push(operation.clone());
            (
                state.delays.get(&verb).copied().unwrap_or_default() / 2,
                fault,
            )
        };
        tokio::time::sleep(half).await;
        if let Some(fault) = fault {
            return Err(refusal(fault, &operation));
        }
        let done = effect(&mut self.state());
        tokio::time::sleep(half).await;
        Ok(done)
    }
}

fn refusal(fault: Fault, operation: &Operation) -> DataplaneError {
    match fault {
        Fault::Refused => DataplaneError::Netlink {
            step: "fault on demand",
            object: format!("{operation:?}"),
            source: std::io::ErrorKind::PermissionDenied.into(),
        },
        Fault::InterfaceExists => DataplaneError::InterfaceExists {
            ifname: "eth0".to_owned(),
        },
    }
}

impl State {
    fn lay_out(&mut self, desired: NodeDesired, parts: Parts) -> Changes {
        let laid_out = |group: u32| desired.enis.iter().any(|eni| eni.group == group);
        for pod in self.pods.values().filter(|pod| !laid_out(pod.group)) {
            self.wrongs
                .push(format!("a layout without the ENI of {pod:?}"));
        }
        let mut changes = self.mend(parts);
        let changed = self.node.as_ref() != Some(&desired);
        changes.add_if(changed, Object::Rule, "another layout");
        self.node = Some(desired);
        changes
    }

    fn mend(&mut self, parts: Parts) -> Changes {
        let mut changes = Changes::default();
        self.damage.retain(|(part, object, what)| {
            changes.add_if(parts.contains(*part), *object, what);
            !parts.contains(*part)
        });
        changes
    }

    /// What a pod that stands here looks like; it has its whole inside as long as its link is there.
    fn look(&self, desired: &PodDesired) -> ObservedAttachment {
        let Some(pod) = self.pods.get(&desired.alias) else {
            return ObservedAttachment::default();
        };
        let made = ObservedAttachment::as_made(desired, pod.ifindex);
        ObservedAttachment {
            host: made.host.map(|host| HostEnd {
                name: pod.name.clone(),
                group: pod.group,
                ..host
            }),
            host_route: made
                .host_route
                .filter(|_| pod.address == Some(desired.address)),
            ..made
        }
    }

    fn wire(&mut self, desired: &PodDesired) -> PodLinks {
        let laid_out = |node: &NodeDesired| node.enis.iter().any(|e| e.group == desired.group);
        if !self.node.as_ref().is_some_and(laid_out) {
            self.wrongs
                .push(format!("{} wired before its ENI", desired.alias));
        }
        let rival =
            |pod: &&ObservedPod| pod.address == Some(desired.address) && pod.alias != desired.alias;
        if let Some(rival) = self.pods.values().find(rival) {
            self.wrongs
                .push(format!("{} has the address of {rival:?}", desired.alias));
        }
        let ifindex = match self.pods.get(&desired.alias) {
            Some(pod) => pod.ifindex,
            None => {
                self.next_ifindex += 1;
                self.next_ifindex
            }
        };
        let pod = ObservedPod {
            ifindex,
            name: desired.host_ifname.clone(),
            alias: desired.alias.clone(),
            group: desired.group,
            address: Some(desired.address),
        };
        self.pods.insert(desired.alias.clone(), pod);
        PodLinks {
            host_ifindex: ifindex,
            host_ifname: desired.host_ifname.clone(),
            host_mac: desired.host_mac,
            pod_mac: desired.pod_mac,
        }
    }
}

#[async_trait]
impl Dataplane for FakeDataplane {
    async fn mend_node(&self, desired: &NodeDesired, parts: Parts) -> Result<Changes, Unfinished> {
        let macs: Vec<Mac> = desired.enis.iter().map(|eni| eni.mac).collect();
        let operation = Operation::ApplyNode(macs.clone(), parts);
        let changes = self
            .call(Verb::ApplyNode, operation, |state| {
                state.lay_out(desired.clone(), parts)
            })
            .await?;
        let links = self.links.borrow();
        match macs.into_iter().find(|mac| !links.contains_key(mac)) {
            Some(mac) => Err(Unfinished {
                changes,
                error: DataplaneError::NoLink { mac },
            }),
            None => Ok(changes),
        }
    }

    async fn doubted(&self) -> Result<Parts, DataplaneError> {
        let mut doubts = self.doubts.subscribe();
        let raised = doubts.wait_for(|doubts| !doubts.is_empty()).await;
        raised.map_err(|_| DataplaneError::Stopped)?;
        Ok(self.doubts.send_replace(Parts::NONE))
    }

    async fn mend_pods(&self, pods: Vec<StandingPod>) -> Result<Changes, Unfinished> {
        let mended = self
            .call(Verb::MendPods, Operation::MendPods(pods), |state| {
                state.mend(Part::Pods.into())
            })
            .await;
        Ok(mended?)
    }

    async fn wait_link(&self, mac: Mac) -> Result<u32, DataplaneError> {
        self.call(Verb::WaitLink, Operation::WaitLink(mac), |_| ())
            .await?;
        let mut links = self.links.subscribe();
        let found = links.wait_for(|links| links.contains_key(&mac)).await;
        let found = found.map_err(|_| DataplaneError::Stopped)?;
        found.get(&mac).copied().ok_or(DataplaneError::Stopped)
    }

    async fn apply_pod(
        &self,
        desired: &PodDesired,
        _netns: Arc<OwnedFd>,
    ) -> Result<PodLinks, DataplaneError> {
        let operation = Operation::ApplyPod(desired.alias.clone(), desired.address);
        self.call(Verb::ApplyPod, operation, |state| {
            if desired.interface == PodInterface::Existing {
                state.inside.insert(desired.address);
            }
            state.wire(desired)
        })
        .await
    }

    async fn remove_pod(
        &self,
        pod: &PodRemoval,
        netns: Option<Arc<OwnedFd>>,
    ) -> Result<(), DataplaneError> {
        let operation = Operation::RemovePod(pod.alias.clone());
        self.call(Verb::RemovePod, operation, |state| {
            state.pods.remove(&pod.alias);
            if netns.is_some() {
                state.inside.remove(&pod.address);
            }
        })
        .await
    }

    async fn observe_pods(&self) -> Result<Vec<ObservedPod>, DataplaneError> {
        self.call(Verb::ObservePods, Operation::ObservePods, |state| {
            state.pods.values().cloned().collect()
        })
        .await
    }

    async fn observe_attachment(
        &self,
        desired: &PodDesired,
        _host_ifindex: Option<u32>,
        _netns: Arc<OwnedFd>,
    ) -> Result<ObservedAttachment, DataplaneError> {
        let operation = Operation::ObserveAttachment(desired.alias.clone());
        self.call(Verb::ObserveAttachment, operation, |state| {
            state.look(desired)
        })
        .await
    }

    async fn without_link(&self, pods: Vec<PodRemoval>) -> Result<Vec<PodRemoval>, DataplaneError> {
        let aliases = pods.iter().map(|pod| pod.alias.clone()).collect();
        let operation = Operation::WithoutLink(aliases);
        self.call(Verb::WithoutLink, operation, |state| {
            let gone = |pod: &PodRemoval| !state.pods.contains_key(&pod.alias);
            pods.into_iter().filter(gone).collect()
        })
        .await
    }

    async fn remove_aws_node(&self, link: &AwsNodeLink) -> Result<(), DataplaneError> {
        let operation = Operation::RemoveAwsNode(link.clone());
        self.call(Verb::RemoveAwsNode, operation, |_| ()).await
    }
}
