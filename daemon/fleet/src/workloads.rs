//! Workloads: what happens in the clusters that policies are compared on. A workload is a [`Scenario`] made from a seed, and
//! for the first four of them from a trace.
//!
//! To add one: a function that builds it ([`build::Builder`]), a variant of [`Workload`] with a name and a sentence, and a
//! line in docs/fleet.md, which a test compares.

pub mod arrival;
pub mod build;
pub mod placement;
pub mod replay;
pub mod scarce;
pub mod steady;

use std::fmt;
use std::str::FromStr;

use crate::scenario::Scenario;
use crate::trace::Trace;
use arrival::ScaleOut;
use build::{Shape, secs};
use replay::Placed;

/// A workload that has a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Workload {
    /// A trace in real time.
    Raw,
    /// A trace sixty times as fast.
    X60,
    /// All days of a trace laid over each other.
    Fold,
    /// The same on few nodes.
    Dense,
    /// Deployments that are rolled.
    Rolling,
    /// Short pods, all at once, each minute.
    Cron,
    /// Short pods at random.
    Batch,
    /// Many pods within a second, twice an hour.
    Burst,
    /// 60 nodes with one pod each.
    Huge60,
    /// 500 of them.
    Huge500,
    /// 150 nodes at once.
    Out150,
    /// The same of small nodes.
    Out150s,
    /// 1,000 nodes at once.
    Out1000,
    /// The same with more pods than an ENI has addresses.
    Out1000d,
    /// A subnet that is nearly full.
    Tight,
    /// A subnet without a free /28.
    Frag,
}

impl Workload {
    /// All of them, the eight steady ones first.
    pub const ALL: [Self; 16] = [
        Self::Raw,
        Self::X60,
        Self::Fold,
        Self::Dense,
        Self::Rolling,
        Self::Cron,
        Self::Batch,
        Self::Burst,
        Self::Huge60,
        Self::Huge500,
        Self::Out150,
        Self::Out150s,
        Self::Out1000,
        Self::Out1000d,
        Self::Tight,
        Self::Frag,
    ];

    /// The eight whose means are `mean8`.
    pub const STEADY: [Self; 8] = [
        Self::Raw,
        Self::X60,
        Self::Fold,
        Self::Dense,
        Self::Rolling,
        Self::Cron,
        Self::Batch,
        Self::Burst,
    ];

    /// What people call it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::X60 => "x60",
            Self::Fold => "fold",
            Self::Dense => "dense",
            Self::Rolling => "rolling",
            Self::Cron => "cron",
            Self::Batch => "batch",
            Self::Burst => "burst",
            Self::Huge60 => "huge60",
            Self::Huge500 => "huge500",
            Self::Out150 => "out150",
            Self::Out150s => "out150s",
            Self::Out1000 => "out1000",
            Self::Out1000d => "out1000d",
            Self::Tight => "tight",
            Self::Frag => "frag",
        }
    }

    /// What happens in it, in a sentence.
    pub const fn about(self) -> &'static str {
        match self {
            Self::Raw => "a trace in real time, spread by CPU over a few large nodes",
            Self::X60 => "the same sixty times as fast; lives shrink too",
            Self::Fold => "all days of the trace laid over one, spread by CPU over many nodes",
            Self::Dense => "the same by number over few nodes",
            Self::Rolling => "10 deployments of 100 pods, each rolled every 30 min in 4 steps",
            Self::Cron => "200 to 300 pods of 15 to 40 s each minute, besides 8 steady ones a node",
            Self::Batch => "pods of 15 to 45 s at random, half an hour at 4/s, half at 1/s",
            Self::Burst => "20 pods in 1 s on every 3x10 node every half hour, for 200 to 400 s",
            Self::Huge60 => "60 m6a.32xlarge with one pod each in a /20",
            Self::Huge500 => "500 of them in the same /20",
            Self::Out150 => "150 8x30 nodes join in 10 s, 33 pods each",
            Self::Out150s => "150 3x10 nodes join in 10 s, 23 pods each",
            Self::Out1000 => "1,000 8x30 nodes join in 30 s, 26 pods each",
            Self::Out1000d => "the same with 43 pods each",
            Self::Tight => "a /22: 620 pods leave 20 nodes while 740 come on 20 others",
            Self::Frag => "a /20 without a free /28: 28 pods on each of 60 4x15 nodes",
        }
    }

    /// Whether it replays a trace.
    pub const fn replays(self) -> bool {
        matches!(self, Self::Raw | Self::X60 | Self::Fold | Self::Dense)
    }

    /// What happens in it, for `seed`, and of `trace` if it replays one.
    pub fn scenario(self, trace: &Trace, seed: u64) -> Scenario {
        let out = |shape, nodes, within, pods| {
            let what = ScaleOut {
                shape,
                nodes,
                within: secs(within),
                pods,
            };
            arrival::scale_out(self.name(), &what, seed)
        };
        match self {
            Self::Raw => replay::in_order(self.name(), trace, 1, seed),
            Self::X60 => replay::in_order(self.name(), trace, 60, seed),
            Self::Fold => replay::folded(self.name(), trace, Placed::ByCpu, seed),
            Self::Dense => replay::folded(self.name(), trace, Placed::ByCount, seed),
            Self::Rolling => steady::rolling(seed),
            Self::Cron => steady::cron(seed),
            Self::Batch => steady::batch(seed),
            Self::Burst => steady::burst(seed),
            Self::Huge60 => arrival::huge(self.name(), 60, seed),
            Self::Huge500 => arrival::huge(self.name(), 500, seed),
            Self::Out150 => out(Shape::m5_4xlarge(), 150, 10, 33),
            Self::Out150s => out(Shape::m5_large(), 150, 10, 23),
            Self::Out1000 => out(Shape::m5_4xlarge(), 1000, 30, 26),
            Self::Out1000d => out(Shape::m5_4xlarge(), 1000, 30, 43),
            Self::Tight => scarce::tight(seed),
            Self::Frag => scarce::frag(seed),
        }
    }
}

impl fmt::Display for Workload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A name that is no workload's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no workload is called `{0}`; `fleet --list` names them")]
pub struct UnknownWorkload(pub String);

impl FromStr for Workload {
    type Err = UnknownWorkload;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL
            .into_iter()
            .find(|workload| workload.name() == name);
        found.ok_or_else(|| UnknownWorkload(name.to_owned()))
    }
}

#[cfg(test)]
mod tests;
