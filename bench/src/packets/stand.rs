//! A node with pods that the real `berthd` has wired, all on secondary ENIs, and the two layouts that it can have.

use std::net::Ipv4Addr;
use std::thread;
use std::time::Duration;

use anyhow::{Context, ensure};
use e2e::aftermath::{as_before, eventually};
use e2e::cluster::{DAEMON_PATIENCE, Member};
use e2e::mock::Cloud;
use e2e::netns::snapshot::Snapshot;
use e2e::netns::{Netns, output};
use e2e::node::pod::Pod;
use serde_json::Value;

use super::aws_node::{self, Host, HostPod};
use super::path::End;

/// 15 ENIs with 49 secondary addresses each: the most that there is, and most rules by ENI.
pub const INSTANCE_TYPE: &str = "c5.18xlarge";
/// Secondary addresses of an ENI of [`INSTANCE_TYPE`].
const PER_ENI: usize = 49;
/// Freed addresses of the primary ENI stay away until the bench is over, so that pods go to the others.
pub const SETTINGS: [(&str, &str); 1] = [("IP_COOLDOWN_PERIOD", "3600")];
/// ADDs at once.
const AT_ONCE: usize = 10;
/// Until a daemon that was stopped has mended everything, on a machine with much to do.
const MENDED: Duration = Duration::from_secs(30);

/// What a node's packets meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// As `berthd` lays it.
    Berth,
    /// As aws-node would have laid it for the same pods; `berthd` is stopped meanwhile.
    AwsNode,
}

/// A node and its pods. The last one is measured: its rules, where there are rules for pods, are the last ones, and its
/// ENI's are the last of the ENIs'.
#[derive(Debug)]
pub struct Stand<'a> {
    member: &'a Member,
    pods: Vec<Pod>,
    /// As berth has it; `None` after pods have come.
    berth: Option<Snapshot>,
    laid: Layout,
    host: Host,
    host_pods: Vec<HostPod>,
}

impl<'a> Stand<'a> {
    /// A node with one pod, on a secondary ENI: the primary's addresses are used up once.
    ///
    /// # Errors
    /// A daemon did not start, or an ADD or DEL failed.
    pub fn set_up(member: &'a Member) -> anyhow::Result<Self> {
        member.node.start_daemon(DAEMON_PATIENCE)?;
        let mut stand = Self {
            member,
            pods: Vec::new(),
            berth: None,
            laid: Layout::Berth,
            host: Host {
                address: member.address(),
                enis: Vec::new(),
            },
            host_pods: Vec::new(),
        };
        let fillers = stand.fill_primary()?;
        stand.pods = stand.add("pod-0", 1)?;
        for filler in fillers {
            member.node.del_pod(filler)?;
        }
        Ok(stand)
    }

    /// Pods on all addresses of the primary ENI. Those that come while the next ENI is attached may go there.
    fn fill_primary(&self) -> anyhow::Result<Vec<Pod>> {
        let mut fillers = Vec::new();
        for _ in 0..PER_ENI {
            let status = self.member.node.status()?;
            let primary = status.enis.iter().find(|eni| eni.device_index == 0);
            let used = primary.map_or(0, |eni| eni.addresses.used);
            let missing = PER_ENI.saturating_sub(usize::try_from(used)?);
            if missing == 0 {
                return Ok(fillers);
            }
            fillers.extend(self.add(&format!("filler-{}", fillers.len()), missing)?);
        }
        anyhow::bail!("the primary ENI is not full with {} pods", fillers.len())
    }

    /// Adds pods until there are `others` beside the measured one.
    ///
    /// # Errors
    /// An ADD failed.
    pub fn grow(&mut self, others: u32) -> anyhow::Result<()> {
        self.lay(Layout::Berth)?;
        let missing = (usize::try_from(others)? + 1).saturating_sub(self.pods.len());
        let prefix = format!("pod-{}", self.pods.len());
        let new = self.add(&prefix, missing)?;
        self.pods.extend(new);
        self.berth = None;
        Ok(())
    }

    fn add(&self, prefix: &str, count: usize) -> anyhow::Result<Vec<Pod>> {
        let mut added = Vec::with_capacity(count);
        while added.len() < count {
            let next = added.len()..count.min(added.len() + AT_ONCE);
            let add = |number| self.member.node.add_pod(&format!("{prefix}-{number}"), &[]);
            let results: Vec<_> = thread::scope(|scope| {
                let threads: Vec<_> = next
                    .map(|number| scope.spawn(move || add(number)))
                    .collect();
                let panicked = |_| Err(anyhow::anyhow!("an ADD panicked"));
                threads
                    .into_iter()
                    .map(|thread| thread.join().unwrap_or_else(panicked))
                    .collect()
            });
            for pod in results {
                added.push(pod?);
            }
        }
        Ok(added)
    }

    /// Waits until the daemon has done all that it wants to do, and looks at what is there then.
    ///
    /// # Errors
    /// It does not come to rest, or a pod is on the primary ENI.
    pub fn settle(&mut self, cloud: &Cloud) -> anyhow::Result<()> {
        self.member.settled(cloud, DAEMON_PATIENCE)?;
        let status = self.member.node.status()?;
        let secondary = status.enis.iter().filter(|eni| eni.device_index > 0);
        // table: device index + 1, as aws-node
        let of_eni =
            |eni: &e2e::node::status::EniStatus| Some((eni.primary_address?, eni.device_index + 1));
        self.host.enis = secondary.filter_map(of_eni).collect();
        let routes = self
            .member
            .node
            .netns()
            .ip(&["-j", "route", "show", "table", "20512"])?;
        let routes: Vec<Value> = serde_json::from_str(&routes)?;
        self.host_pods.clear();
        for route in &routes {
            let address: Ipv4Addr = route["dst"].as_str().context("no dst")?.parse()?;
            let link = route["dev"].as_str().context("no dev")?.to_owned();
            let eni = status
                .eni_of(address)
                .with_context(|| format!("nobody has {address}"))?;
            ensure!(eni.device_index > 0, "{address} is on the primary ENI");
            self.host_pods.push(HostPod {
                address,
                link,
                table: eni.device_index + 1,
            });
        }
        let order = |address| self.pods.iter().position(|pod| pod.address == address);
        self.host_pods.sort_by_key(|pod| order(pod.address));
        ensure!(
            self.host_pods.len() == self.pods.len(),
            "{} of {} pods have a route",
            self.host_pods.len(),
            self.pods.len()
        );
        let looked = eventually("a layout that rests", DAEMON_PATIENCE, || {
            let seen = Snapshot::take(self.member.node.netns())?;
            ensure!(
                seen == Snapshot::take(self.member.node.netns())?,
                "it changes"
            );
            Ok(seen)
        })?;
        self.berth = Some(looked);
        Ok(())
    }

    /// The node's namespace, the pod that is measured and its ENI's link, under a layout.
    ///
    /// # Errors
    /// As [`Stand::lay`]; or nobody has looked at the pods yet.
    pub fn path(&mut self, layout: Layout) -> anyhow::Result<(&Netns, End<'_>, String)> {
        self.lay(layout)?;
        let pod = self.pods.last().context("no pod")?;
        let host_pod = self.host_pods.last().context("no pod")?;
        let end = End {
            netns: &pod.netns,
            address: pod.address,
        };
        let link = format!("eth{}", host_pod.table - 1);
        Ok((self.member.node.netns(), end, link))
    }

    /// Gives the node a layout; nothing is done if it has it.
    ///
    /// # Errors
    /// It cannot be laid, or `berthd` has not mended everything.
    fn lay(&mut self, layout: Layout) -> anyhow::Result<()> {
        if self.laid == layout {
            return Ok(());
        }
        let node = &self.member.node;
        match layout {
            Layout::AwsNode => {
                node.pause_daemon()?;
                // before anything is done that may fail: going back takes away what is there
                self.laid = layout;
                output(
                    node.netns()
                        .command("nft")
                        .args(["delete", "table", "ip", "berth"]),
                )?;
                aws_node::lay(node.netns(), &self.host, &self.host_pods)
            }
            Layout::Berth => {
                aws_node::clear(node.netns(), &self.host_pods)?;
                node.resume_daemon()?;
                self.laid = layout;
                let berth = self
                    .berth
                    .as_ref()
                    .context("nobody has looked at the layout")?;
                as_before(node, berth, MENDED)
            }
        }
    }
}
