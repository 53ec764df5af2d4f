//! The cluster of the demo with its pods, and the times that were measured on the way.

use std::thread;
use std::time::Duration;

use anyhow::bail;

use super::figures::NamedStatus;
use crate::cluster::{Cluster, Member};
use crate::mock::CloudConfig;
use crate::node::pod::Pod;
use crate::node::programs::BERTH_CNI;
use crate::node::status::EniStatus;
use crate::runtime::attachment::PortMapping;
use crate::runtime::outcome::PluginTime;

/// Port on which the pods of the demo serve.
pub(super) const POD_PORT: u16 = 8080;

/// Port of the node that leads to its first pod; the others follow.
const FIRST_HOST_PORT: u16 = 30_001;

/// The cluster, its pods, and how long `berth-cni` took each time that it succeeded.
pub(super) struct World {
    pub cluster: Cluster,
    pub pods: Vec<Placed>,
    pub adds: Vec<Duration>,
    pub dels: Vec<Duration>,
}

/// A pod, the index of the node that runs it, and the port of that node that leads to it.
pub(super) struct Placed {
    pub node: usize,
    pub host_port: u16,
    pub pod: Pod,
}

impl World {
    /// Launches the nodes and starts their daemons.
    pub(super) fn build(
        config: CloudConfig,
        instance_type: &str,
        nodes: usize,
    ) -> anyhow::Result<Self> {
        let cluster = Cluster::launch(config, instance_type, nodes)?;
        for member in &cluster.members {
            member.node.use_portmap_once()?;
        }
        cluster.start_daemons()?;
        Ok(Self {
            cluster,
            pods: Vec::new(),
            adds: Vec::new(),
            dels: Vec::new(),
        })
    }

    /// The node of a pod.
    pub(super) fn member(&self, placed: &Placed) -> &Member {
        &self.cluster.members[placed.node]
    }

    /// Adds pods number `numbers` on each of `nodes`, all at once, while `meanwhile` runs. The pods that came up are
    /// kept; the failures are returned.
    pub(super) fn add(
        &mut self,
        nodes: &[usize],
        numbers: std::ops::Range<u16>,
        meanwhile: impl FnOnce(&Cluster) -> anyhow::Result<()>,
    ) -> anyhow::Result<Vec<String>> {
        let cluster = &self.cluster;
        let (added, meanwhile) = thread::scope(|scope| {
            let mut threads = Vec::new();
            for &node in nodes {
                for number in numbers.clone() {
                    threads.push(scope.spawn(move || add_one(cluster, node, number)));
                }
            }
            let meanwhile = meanwhile(cluster);
            let added: Vec<_> = threads
                .into_iter()
                .map(thread::ScopedJoinHandle::join)
                .collect();
            (added, meanwhile)
        });
        let mut failures = Vec::new();
        for result in added {
            match result {
                Ok(Ok(placed)) => {
                    self.adds.extend(of_berth(&placed.pod.added.times));
                    self.pods.push(placed);
                }
                Ok(Err(error)) => failures.push(format!("{error:#}")),
                Err(_) => bail!("an ADD panicked"),
            }
        }
        self.pods
            .sort_by_key(|placed| (placed.node, placed.host_port));
        meanwhile.map(|()| failures)
    }

    /// Deletes those pods that `chosen` picks, several at once, and returns how many.
    pub(super) fn delete(&mut self, chosen: impl Fn(&Placed) -> bool) -> anyhow::Result<usize> {
        let (doomed, kept) = std::mem::take(&mut self.pods).into_iter().partition(chosen);
        self.pods = kept;
        let doomed: Vec<Placed> = doomed;
        let count = doomed.len();
        let cluster = &self.cluster;
        let deleted: Vec<_> = thread::scope(|scope| {
            let delete = |placed: Placed| {
                scope.spawn(move || cluster.members[placed.node].node.del_pod(placed.pod))
            };
            let threads: Vec<_> = doomed.into_iter().map(delete).collect();
            threads
                .into_iter()
                .map(thread::ScopedJoinHandle::join)
                .collect()
        });
        for result in deleted {
            match result {
                Ok(deleted) => self.dels.extend(of_berth(&deleted?.times)),
                Err(_) => bail!("a DEL panicked"),
            }
        }
        Ok(count)
    }

    /// What each daemon says.
    pub(super) fn statuses(&self) -> anyhow::Result<Vec<NamedStatus>> {
        let named = |(index, member): (usize, &Member)| -> anyhow::Result<NamedStatus> {
            Ok(NamedStatus {
                node: format!("node-{}", index + 1),
                status: member.node.status()?,
            })
        };
        self.cluster.members.iter().enumerate().map(named).collect()
    }

    /// The pods whose address lies on a secondary ENI, with that ENI, as the daemons say.
    pub(super) fn on_secondary_enis(&self) -> anyhow::Result<Vec<(&Placed, EniStatus)>> {
        let statuses = self.statuses()?;
        let with_eni = |placed| eni_of(&statuses, placed).map(|eni| (placed, eni.clone()));
        let secondary = self
            .pods
            .iter()
            .filter_map(with_eni)
            .filter(|(_, eni)| eni.device_index != 0);
        Ok(secondary.collect())
    }
}

fn eni_of<'a>(statuses: &'a [NamedStatus], placed: &Placed) -> Option<&'a EniStatus> {
    statuses.get(placed.node)?.status.eni_of(placed.pod.address)
}

fn add_one(cluster: &Cluster, node: usize, number: u16) -> anyhow::Result<Placed> {
    let host_port = FIRST_HOST_PORT + number;
    let port = PortMapping {
        host: host_port,
        container: POD_PORT,
    };
    let pod = cluster.members[node]
        .node
        .add_pod(&format!("pod-{}", number + 1), &[port])?;
    Ok(Placed {
        node,
        host_port,
        pod,
    })
}

/// The share of `berth-cni` in a chain.
fn of_berth(times: &[PluginTime]) -> impl Iterator<Item = Duration> + '_ {
    times
        .iter()
        .filter(|time| time.plugin == BERTH_CNI)
        .map(|time| time.elapsed)
}
