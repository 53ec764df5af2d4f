//! ADDs of berth's plugin alone, without the rest of the chain: a sandbox that is made beforehand, so that only the
//! plugin's own time is taken, from before its start until it has ended.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use e2e::netns::Netns;
use e2e::node::{NETWORK, Node, POD_NAMESPACE};
use e2e::runtime::Runtime;
use e2e::runtime::attachment::{Attachment, random_container_id};
use e2e::runtime::conflist::Version;

/// The runtime of a node whose list is berth and nothing else.
#[derive(Debug)]
pub struct Alone<'a> {
    node: &'a Node,
    runtime: Runtime,
}

/// A pod that does not run yet, or does. Its sandbox goes when it is dropped.
#[derive(Debug)]
pub struct Pod {
    netns: Netns,
    attachment: Attachment,
}

impl Pod {
    /// A sandbox that has no network yet.
    ///
    /// # Errors
    /// The namespace cannot be made.
    pub fn prepare(label: &str) -> anyhow::Result<Self> {
        let netns = Netns::unique(label)?;
        let path = netns.path().to_owned();
        let attachment =
            Attachment::of_pod(POD_NAMESPACE, netns.name(), random_container_id()?, path);
        Ok(Self { netns, attachment })
    }

    /// Its sandbox.
    #[must_use]
    pub fn netns(&self) -> &Netns {
        &self.netns
    }
}

impl<'a> Alone<'a> {
    /// The runtime of `node`.
    ///
    /// # Errors
    /// The list is not one.
    pub fn on(node: &'a Node) -> anyhow::Result<Self> {
        let runtime = node.runtime_of(NETWORK, Version::V1_0_0)?;
        Ok(Self { node, runtime })
    }

    /// The same, but berth's plugin is what lies in `dir` under its name.
    ///
    /// # Errors
    /// As [`Alone::on`].
    pub fn from_dir(node: &'a Node, dir: PathBuf) -> anyhow::Result<Self> {
        let usual = node.runtime_of(NETWORK, Version::V1_0_0)?;
        let list = usual.conflist().clone();
        let runtime = Runtime::new(list, vec![dir], &node.dir().join("alone"));
        Ok(Self { node, runtime })
    }

    /// ADD, and how long the plugin took.
    ///
    /// # Errors
    /// It failed.
    pub fn add(&self, pod: &Pod) -> anyhow::Result<Duration> {
        let added = self.runtime.add(self.node.netns(), &pod.attachment)?;
        let time = added.times.first().context("no plugin ran")?;
        Ok(time.elapsed)
    }

    /// DEL, and how long the plugin took. The sandbox goes too.
    ///
    /// # Errors
    /// It failed.
    pub fn del(&self, pod: Pod) -> anyhow::Result<Duration> {
        let deleted = self.runtime.del(self.node.netns(), &pod.attachment)?;
        let time = deleted.times.first().context("no plugin ran")?;
        Ok(time.elapsed)
    }
}
