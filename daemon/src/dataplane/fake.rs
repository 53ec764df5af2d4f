//! A stateful stand-in for the kernel, for tests of whoever drives it: pods by alias, links that appear when told, faults
//! and delays on demand, and a record of what was asked.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use ipam::Mac;
use ipam::desired::{NodeDesired, PodDesired};
use tokio::sync::watch;

use super::{Changes, Dataplane, DataplaneError, ObservedPod, PodLinks, PodRemoval};

/// The fake; clones are handles to the same state.
#[derive(Clone, Debug)]
pub struct FakeDataplane {
    state: Arc<Mutex<State>>,
    links: watch::Sender<BTreeMap<Mac, u32>>,
}

/// One call, recorded when it takes effect or fails.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    /// With the MACs of the ENIs.
    ApplyNode(Vec<Mac>),
    /// With the MAC.
    WaitLink(Mac),
    /// With the alias and the address.
    ApplyPod(String, Ipv4Addr),
    /// With the alias.
    RemovePod(String),
    /// Asked for all pods.
    ObservePods,
}

#[derive(Debug, Default)]
struct State {
    pods: BTreeMap<String, ObservedPod>,
    node: Option<NodeDesired>,
    next_ifindex: u32,
    failures: u32,
    delay: Duration,
    operations: Vec<Operation>,
}

impl Default for FakeDataplane {
    fn default() -> Self {
        Self {
            state: Arc::new(Mutex::new(State {
                next_ifindex: 100,
                ..State::default()
            })),
            links: watch::Sender::new(BTreeMap::new()),
        }
    }
}

impl FakeDataplane {
    /// A node with these ENI links.
    pub fn with_links(macs: impl IntoIterator<Item = Mac>) -> Self {
        let fake = Self::default();
        for mac in macs {
            fake.add_link(mac);
        }
        fake
    }

    /// An ENI's link appears.
    pub fn add_link(&self, mac: Mac) {
        self.links.send_modify(|links| {
            let index = u32::try_from(links.len()).unwrap_or_default() + 2;
            links.entry(mac).or_insert(index);
        });
    }

    /// An ENI's link goes away.
    pub fn remove_link(&self, mac: Mac) {
        self.links.send_modify(|links| {
            links.remove(&mac);
        });
    }

    /// The next `count` changes of pods or the node are refused, without effect.
    pub fn fail_next(&self, count: u32) {
        self.state().failures = count;
    }

    /// Every call takes this long, by tokio's clock.
    pub fn set_delay(&self, delay: Duration) {
        self.state().delay = delay;
    }

    /// A pod that a predecessor left.
    pub fn add_pod(&self, pod: ObservedPod) {
        self.state().pods.insert(pod.alias.clone(), pod);
    }

    /// The pods that stand, by alias.
    pub fn pods(&self) -> BTreeMap<String, ObservedPod> {
        self.state().pods.clone()
    }

    /// What was last applied to the node.
    pub fn node(&self) -> Option<NodeDesired> {
        self.state().node.clone()
    }

    /// Everything asked so far.
    pub fn operations(&self) -> Vec<Operation> {
        self.state().operations.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the time, records, and fails if that was ordered.
    async fn enter(&self, operation: Operation) -> Result<(), DataplaneError> {
        let delay = self.state().delay;
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        let mut state = self.state();
        let object = format!("{operation:?}");
        state.operations.push(operation);
        match state.failures.checked_sub(1) {
            None => Ok(()),
            Some(left) => {
                state.failures = left;
                Err(DataplaneError::Netlink {
                    step: "fault on demand",
                    object,
                    source: std::io::ErrorKind::PermissionDenied.into(),
                })
            }
        }
    }
}

#[async_trait]
impl Dataplane for FakeDataplane {
    async fn apply_node(&self, desired: &NodeDesired) -> Result<Changes, DataplaneError> {
        let macs: Vec<Mac> = desired.enis.iter().map(|eni| eni.mac).collect();
        self.enter(Operation::ApplyNode(macs.clone())).await?;
        let changed = self.state().node.replace(desired.clone()).as_ref() != Some(desired);
        let links = self.links.borrow();
        match macs.into_iter().find(|mac| !links.contains_key(mac)) {
            Some(mac) => Err(DataplaneError::NoLink { mac }),
            None => Ok(Changes {
                rules: u32::from(changed),
                ..Changes::default()
            }),
        }
    }

    async fn wait_link(&self, mac: Mac) -> Result<u32, DataplaneError> {
        self.enter(Operation::WaitLink(mac)).await?;
        let mut links = self.links.subscribe();
        let found = links.wait_for(|links| links.contains_key(&mac)).await;
        let found = found.map_err(|_| DataplaneError::Stopped)?;
        found.get(&mac).copied().ok_or(DataplaneError::Stopped)
    }

    async fn apply_pod(
        &self,
        desired: &PodDesired,
        _netns: OwnedFd,
    ) -> Result<PodLinks, DataplaneError> {
        let alias = desired.alias.clone();
        self.enter(Operation::ApplyPod(alias.clone(), desired.address))
            .await?;
        let mut state = self.state();
        let ifindex = match state.pods.get(&alias) {
            Some(pod) => pod.ifindex,
            None => {
                state.next_ifindex += 1;
                state.next_ifindex
            }
        };
        let pod = ObservedPod {
            ifindex,
            name: desired.host_ifname.clone(),
            alias: alias.clone(),
            group: desired.group,
            address: Some(desired.address),
        };
        state.pods.insert(alias, pod);
        Ok(PodLinks {
            host_ifindex: ifindex,
            host_ifname: desired.host_ifname.clone(),
            host_mac: desired.host_mac,
            pod_mac: desired.pod_mac,
        })
    }

    async fn remove_pod(
        &self,
        pod: &PodRemoval,
        _netns: Option<OwnedFd>,
    ) -> Result<(), DataplaneError> {
        self.enter(Operation::RemovePod(pod.alias.clone())).await?;
        self.state().pods.remove(&pod.alias);
        Ok(())
    }

    async fn observe_pods(&self) -> Result<Vec<ObservedPod>, DataplaneError> {
        self.enter(Operation::ObservePods).await?;
        Ok(self.state().pods.values().cloned().collect())
    }
}
