//! A mock cloud with nodes in it, each with its own `berthd`: what the demo and the crash test start from.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use tokio::runtime::Runtime;

use crate::mock::state::{Eni, REGION};
use crate::mock::{Cloud, CloudConfig, Node as Instance, NodeSpec};
use crate::netns::Netns;
use crate::node::Node;
use crate::node::pod::Pod;

/// How long a daemon may take until it listens. A machine with two processors and much to do is slow.
pub const DAEMON_PATIENCE: Duration = Duration::from_secs(20);

/// A node and what the cloud knows about it.
#[derive(Debug)]
pub struct Member {
    /// The node.
    pub node: Node,
    /// Its instance.
    pub instance: Instance,
}

/// The cloud and its nodes. Dropping it stops the daemons first, then removes the cloud, then the nodes.
#[derive(Debug)]
pub struct Cluster {
    cloud: Cloud,
    /// The nodes in the order they were launched.
    pub members: Vec<Member>,
    // after the cloud, which it serves
    _runtime: Runtime,
}

impl Cluster {
    /// Builds the cloud and launches `count` nodes of `instance_type`; no daemon runs yet.
    ///
    /// # Errors
    /// Namespaces cannot be made, or the mock refuses.
    pub fn launch(config: CloudConfig, instance_type: &str, count: usize) -> anyhow::Result<Self> {
        Self::launch_with(config, instance_type, count, &[])
    }

    /// As [`Cluster::launch`], with settings for the daemons.
    ///
    /// # Errors
    /// As [`Cluster::launch`].
    pub fn launch_with(
        config: CloudConfig,
        instance_type: &str,
        count: usize,
        settings: &[(&str, &str)],
    ) -> anyhow::Result<Self> {
        let runtime = Runtime::new().context("cannot start the mock's runtime")?;
        let name = config.name.clone();
        let cloud = runtime.block_on(Cloud::start(config))?;
        let mut members = Vec::new();
        for number in 1..=count {
            let environment = [&[("AWS_REGION", REGION)], settings].concat();
            let node = Node::create(&format!("{name}-n{number}"), &environment)?;
            let spec = NodeSpec::new(instance_type).in_netns(node.netns().path());
            let instance = runtime.block_on(cloud.add_node(spec))?;
            // as kubelet's host is set up
            node.netns().sysctl("net.ipv4.ip_forward", "1")?;
            members.push(Member { node, instance });
        }
        Ok(Self {
            cloud,
            members,
            _runtime: runtime,
        })
    }

    /// The cloud, to look at and to disturb.
    #[must_use]
    pub fn cloud(&self) -> &Cloud {
        &self.cloud
    }

    /// The namespace that is the internet.
    ///
    /// # Errors
    /// The cloud was made without packets.
    pub fn internet(&self) -> anyhow::Result<Netns> {
        Netns::existing(
            self.cloud
                .internet()
                .context("this cloud has no internet")?,
        )
    }

    /// The namespace of the VPC's router, from where every ENI is one link away.
    ///
    /// # Errors
    /// The cloud was made without packets.
    pub fn router(&self) -> anyhow::Result<Netns> {
        Netns::existing(self.cloud.router().context("this cloud has no router")?)
    }

    /// Somebody else takes all that the nodes' subnet has left: what nodes have too much, they give back at once then,
    /// instead of some minutes later.
    ///
    /// # Errors
    /// The mock refuses.
    pub fn fill_subnet(&self) -> anyhow::Result<()> {
        let state = self.cloud.state();
        let free = state.subnet(&state.first_subnet)?.free();
        // One is the new ENI's own.
        if free > 0 {
            self.cloud.occupy(None, free)?;
        }
        Ok(())
    }

    /// Starts all daemons at once.
    ///
    /// # Errors
    /// One did not come up.
    pub fn start_daemons(&self) -> anyhow::Result<()> {
        thread::scope(|scope| {
            let start = |member: &'_ Member| member.node.start_daemon(DAEMON_PATIENCE);
            let starts: Vec<_> = self
                .members
                .iter()
                .map(|member| scope.spawn(move || start(member)))
                .collect();
            starts.into_iter().try_for_each(|thread| {
                thread
                    .join()
                    .unwrap_or_else(|_| anyhow::bail!("a start panicked"))
            })
        })
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for member in &self.members {
            // a node without a daemon is as good
            let _ = member.node.kill_daemon();
        }
    }
}

impl Member {
    /// Waits until what EC2 holds for this node is what the daemon's status says, secondary addresses by ENI, with no
    /// call in flight.
    ///
    /// # Errors
    /// They still differ after `patience`; the difference is spelt out.
    pub fn settled(&self, cloud: &Cloud, patience: Duration) -> anyhow::Result<usize> {
        let deadline = Instant::now() + patience;
        loop {
            let differs = self.differs(cloud)?;
            if differs.is_empty() {
                return Ok(self.holdings(cloud).len());
            }
            ensure!(
                Instant::now() < deadline,
                "{}: after {patience:?} EC2 and the daemon differ: {}",
                self.node.netns().name(),
                differs.join("; ")
            );
            thread::sleep(Duration::from_millis(100));
        }
    }

    fn differs(&self, cloud: &Cloud) -> anyhow::Result<Vec<String>> {
        let status = self.node.status()?;
        if status.enis.is_empty() {
            return Ok(vec!["the daemon knows no ENI".to_owned()]);
        }
        let daemon: BTreeSet<(Ipv4Addr, String)> = status.holdings().into_iter().collect();
        let ec2 = self.holdings(cloud);
        let only = |who: &'static str| {
            move |(address, eni): &(Ipv4Addr, String)| format!("only {who} has {address} on {eni}")
        };
        let mut differs: Vec<String> = ec2.difference(&daemon).map(only("EC2")).collect();
        differs.extend(daemon.difference(&ec2).map(only("the daemon")));
        differs.extend(
            status
                .intents
                .iter()
                .map(|intent| format!("in flight: {intent}")),
        );
        Ok(differs)
    }

    /// The addresses that EC2 holds for this node's pods, single ones and those of prefixes, with their ENIs.
    #[must_use]
    pub fn holdings(&self, cloud: &Cloud) -> BTreeSet<(Ipv4Addr, String)> {
        let enis = cloud.enis_of(&self.instance.instance_id);
        let of_eni = |eni: &Eni| -> Vec<(Ipv4Addr, String)> {
            eni.reachable()
                .filter(|address| *address != eni.primary)
                .map(|address| (address, eni.id.clone()))
                .collect()
        };
        enis.iter().flat_map(of_eni).collect()
    }

    /// The address of the node itself.
    #[must_use]
    pub fn address(&self) -> Ipv4Addr {
        self.instance.address
    }
}

/// Whether two of `pods` have one address, and which.
#[must_use]
pub fn shared_address<'a>(pods: impl IntoIterator<Item = &'a Pod>) -> Option<Ipv4Addr> {
    let mut seen = BTreeSet::new();
    pods.into_iter()
        .map(|pod| pod.address)
        .find(|address| !seen.insert(*address))
}
