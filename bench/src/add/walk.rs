//! A walk from few to many pods: at each stop the same number on a node of berth and on one of the floor, both measured in
//! turns, and peers beside them where they are wanted.

use std::time::Duration;

use anyhow::{Context, bail};
use e2e::cluster::Member;
use e2e::node::Node;

use super::chain::{BERTH, Chain};
use super::contest::{Contest, Times, empty, fill};
use super::contestant::{Contestant, Pod, whole};
use super::floor::Floor;
use super::stand::{FLOOR_PODS, device_of, launch, stock};
use super::{peers, share};
use crate::section::Bench;

/// One walk.
pub struct Walk<'a> {
    /// Behind `add` and `del` in the rows' names.
    pub suffix: &'a str,
    /// What the nodes are.
    pub instance_type: &'a str,
    /// Of berth's daemon.
    pub settings: &'a [(&'a str, &'a str)],
    /// The stops.
    pub pods: &'a [u32],
    /// ADDs and DELs of each at each stop.
    pub rounds: usize,
    /// The same with peers, where there are no pods and where there are some.
    pub beside_peers: Option<[usize; 2]>,
}

impl Walk<'_> {
    /// Walks, and adds rows and figures.
    ///
    /// # Errors
    /// An ADD or DEL failed.
    pub fn go(&self, bench: &mut Bench) -> anyhow::Result<()> {
        let mut cluster = launch(self.instance_type, 2, self.settings)?;
        let [Member { node, .. }, Member { node: bare, .. }] = &mut cluster.members[..] else {
            bail!("two nodes were asked for");
        };
        let floor = Floor::start(bare.netns(), bare.dir(), FLOOR_PODS)?;
        let (mut ours, mut its): (Vec<Pod>, Vec<Pod>) = (Vec::new(), Vec::new());
        for &pods in self.pods {
            self.say(bench, pods, "");
            stock(node, pods)?;
            let berth = Chain::of_berth(node)?;
            its.extend(fill(&floor, pods as usize - its.len())?);
            ours.extend(fill(&berth, pods as usize - ours.len())?);
            self.note_eni(bench, node, &berth, pods)?;
            let mark = share::mark(&node.log())?;
            let both: [&dyn Contestant; 2] = [&floor, &berth];
            self.hold(bench, &both, pods, self.rounds, "")?;
            share::record(bench, &node.log(), mark, self.suffix, pods)?;
            if let Some([alone, among]) = self.beside_peers {
                self.say(bench, pods, ", peers");
                let peers = peers::all(node.netns(), node.dir(), &bench.peers)?;
                let peers = peers.iter().map(|peer| peer as &dyn Contestant);
                let bare = floor.bare();
                let both = both.into_iter().chain([&bare as &dyn Contestant]);
                let all: Vec<&dyn Contestant> = both.chain(peers).collect();
                let rounds = if pods == 0 { alone } else { among };
                self.hold(bench, &all, pods, rounds, " peers")?;
            }
        }
        Ok(())
    }

    fn say(&self, bench: &Bench, pods: u32, with: &str) {
        let suffix = self.suffix.trim_start();
        let said = format!("{suffix} {pods} pods{with}");
        bench.progress.set_message(said.trim_start().to_owned());
    }

    fn hold(
        &self,
        bench: &mut Bench,
        contestants: &[&dyn Contestant],
        pods: u32,
        rounds: usize,
        suffix: &str,
    ) -> anyhow::Result<()> {
        let times = Contest::of(contestants, u64::from(pods)).hold(rounds)?;
        let suffix = format!("{}{suffix}", self.suffix);
        for (who, times) in contestants.iter().zip(&times) {
            record(bench, &suffix, who.name(), pods, times);
        }
        Ok(())
    }

    /// Says which ENI the next pod is on.
    fn note_eni(
        &self,
        bench: &mut Bench,
        node: &Node,
        berth: &Chain<'_>,
        pods: u32,
    ) -> anyhow::Result<()> {
        let mut probe = fill(berth, 1)?;
        let address = probe.first().and_then(Pod::address);
        let device = device_of(node, address.context("an ADD without an address")?)?;
        empty(berth, &mut probe)?;
        let name = format!("eni{}", self.suffix);
        let device = f64::from(device);
        bench.record.figure(&name, BERTH, pods, device, "device");
        Ok(())
    }
}

/// Rows of the whole and, of a chain, of each plugin.
pub(super) fn record(bench: &mut Bench, suffix: &str, who: &str, pods: u32, times: &Times) {
    for (verb, spent) in [("add", &times.adds), ("del", &times.dels)] {
        let name = format!("{verb}{suffix}");
        let all: Vec<Duration> = spent.iter().map(whole).collect();
        bench.record.times(&name, who, pods, &all);
        let plugins = spent.first().map(Vec::as_slice).unwrap_or_default();
        for (index, (plugin, _)) in plugins.iter().enumerate().filter(|_| plugins.len() > 1) {
            let its = spent.iter().filter_map(|spent| spent.get(index));
            let its: Vec<Duration> = its.map(|(_, time)| *time).collect();
            let who = format!("{who}: {plugin}");
            bench.record.times(&name, &who, pods, &its);
        }
    }
}
