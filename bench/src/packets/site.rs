//! All that packets go through, in one place and at the same time: each variant with no other pod, and with some.

use std::hash::{BuildHasher, RandomState};

use anyhow::ensure;
use e2e::cluster::Cluster;
use e2e::netns::Netns;
use e2e::probe::counters::packets;

use super::batch::count_rules;
use super::path::End;
use super::plain::Plain;
use super::stand::{Layout, Stand};
use super::{Extent, Seen, answer, flood};

/// What a packet meets between the two sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Variant {
    /// Routes.
    Plain,
    /// Routes and connection tracking.
    Tracked,
    /// What `berthd` has laid.
    Berth,
    /// What aws-node lays.
    AwsNode,
}

impl Variant {
    /// As it is called in the table.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Tracked => "plain, tracked",
            Self::Berth => "berth",
            Self::AwsNode => "aws-node",
        }
    }
}

/// One thing to be measured.
#[derive(Clone, Copy, Debug)]
pub struct Turn {
    /// What.
    pub variant: Variant,
    /// On the node without other pods, or on the one with.
    full: bool,
    /// How many other pods those are.
    pub pods: u32,
}

/// Two of everything: without other pods, and with.
#[derive(Debug)]
pub struct Site<'a> {
    plain: [Plain; 2],
    tracked: Plain,
    stands: [Stand<'a>; 2],
}

impl<'a> Site<'a> {
    /// Wires them to the VPC's router; there are no other pods yet.
    ///
    /// # Errors
    /// A daemon does not come up, a pod, or a namespace.
    pub fn set_up(cluster: &'a Cluster, router: &Netns) -> anyhow::Result<Self> {
        let [empty, full] = cluster.members.as_slice() else {
            anyhow::bail!("two nodes are needed");
        };
        let tracked = Plain::create(router, 2)?;
        tracked.track()?;
        let mut site = Self {
            plain: [Plain::create(router, 0)?, Plain::create(router, 1)?],
            tracked,
            stands: [Stand::set_up(empty)?, Stand::set_up(full)?],
        };
        site.stands[0].settle(cluster.cloud())?;
        Ok(site)
    }

    /// Adds pods to what is full until there are `pods`.
    ///
    /// # Errors
    /// An ADD failed, or the node does not come to rest.
    pub fn grow(&mut self, cluster: &Cluster, pods: u32) -> anyhow::Result<()> {
        self.plain[1].grow(pods)?;
        self.stands[1].grow(pods)?;
        self.stands[1].settle(cluster.cloud())
    }

    /// Everything once, in an order that is drawn; `pods` are on what is full.
    #[must_use]
    pub fn turns(pods: u32) -> Vec<Turn> {
        let both = [Variant::Plain, Variant::Berth, Variant::AwsNode];
        let turn = |variant, full| Turn {
            variant,
            full,
            pods: if full { pods } else { 0 },
        };
        let mut turns: Vec<Turn> = both
            .into_iter()
            .flat_map(|variant| [turn(variant, false), turn(variant, true)])
            .chain([turn(Variant::Tracked, false)])
            .collect();
        turns.sort_by_cached_key(|turn| RandomState::new().hash_one(turn.full));
        turns
    }

    /// Measures one, from and to `outside`.
    ///
    /// # Errors
    /// A layout cannot be laid, packets are lost, or they take another way than the pod's ENI.
    pub fn measure(
        &mut self,
        turn: Turn,
        outside: End<'_>,
        extent: &Extent,
        seen: &mut Seen,
    ) -> anyhow::Result<()> {
        let place = usize::from(turn.full);
        let stand = &mut self.stands[place];
        let (node, pod, link) = match turn.variant {
            Variant::Plain => self.plain[place].path(),
            Variant::Tracked => self.tracked.path(),
            Variant::Berth => stand.path(Layout::Berth)?,
            Variant::AwsNode => stand.path(Layout::AwsNode)?,
        };
        seen.rules = count_rules(node)?;
        let before = packets(node, &link)?;
        let inwards = flood::flood(outside, pod, extent.flood)?;
        let outwards = flood::flood(pod, outside, extent.flood)?;
        let after = packets(node, &link)?;
        ensure!(
            after.rx - before.rx >= inwards.received && after.tx - before.tx >= outwards.received,
            "the packets took another way than {link}: {before:?} {after:?}"
        );
        seen.inwards.push(inwards.each());
        seen.outwards.push(outwards.each());
        seen.tcp.extend(answer::tcp(outside, pod, extent.answers)?);
        seen.ping
            .extend(answer::ping(outside, pod, extent.answers)?);
        Ok(())
    }
}
