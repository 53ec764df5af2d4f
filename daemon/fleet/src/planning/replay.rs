//! A trace in place of stated pods: its pods, on the nodes that were asked for, or on as many as it needs.

use std::ops::Range;
use std::time::Duration;

use super::catalogue::Catalogue;
use super::cluster::Group;
use super::problem::Problem;
use crate::trace::{File, Trace};
use crate::workloads::placement::Life;
use crate::workloads::replay::{in_window, sparse};

/// Pods that are there when the trace begins are bound within this time.
const BEFORE: Duration = Duration::from_secs(60);
/// What is deleted with the second it was scheduled in still lived.
const SHORTEST: Duration = Duration::from_secs(1);

/// The pods of a trace, in order of time from when all nodes have joined.
#[derive(Clone, Debug)]
pub struct Replay {
    /// The file they are from.
    pub source: String,
    /// They.
    pub lives: Vec<Life>,
    /// The trace's window: what is before leads up to it.
    pub window: Range<Duration>,
}

impl Replay {
    /// Reads a trace; nothing if it cannot be read, which is among the problems then. Also the group of nodes that it needs,
    /// if `catalogue` has their type.
    pub(super) fn read(
        pods: File<'_>,
        nodes: File<'_>,
        catalogue: &Catalogue,
        problems: &mut Vec<Problem>,
    ) -> Option<(Self, Option<Group>)> {
        let trace = match Trace::read(pods, nodes) {
            Ok(trace) => trace,
            Err(why) => {
                problems.push(Problem::Trace {
                    why: why.to_string(),
                });
                return None;
            }
        };
        let (mut lives, window) = in_window(&trace, 1);
        let group = needed(&trace, &lives, &window, catalogue);
        for life in &mut lives {
            life.until = life.until.max(life.from + SHORTEST);
        }
        lives.retain(|life| life.from < window.end);
        let replay = Self {
            source: trace.source.name().to_owned(),
            lives,
            window,
        };
        Some((replay, group))
    }

    /// Its pods when all nodes have joined after `joined`; `within` draws a time of a range.
    pub(super) fn after(
        &self,
        joined: Duration,
        mut within: impl FnMut(&Range<Duration>) -> Duration,
    ) -> Vec<Life> {
        let start = joined..joined + BEFORE;
        let mut lives = self.lives.clone();
        for life in &mut lives {
            life.from += joined;
            life.until += joined;
            if life.from < start.end {
                life.from = within(&start);
                life.until = life.until.max(life.from + SHORTEST);
            }
        }
        lives.sort_by_key(|life| life.from);
        lives
    }
}

/// Nodes as the trace had them most, enough for its CPU.
fn needed(
    trace: &Trace,
    lives: &[Life],
    window: &Range<Duration>,
    catalogue: &Catalogue,
) -> Option<Group> {
    let (shape, count) = sparse(trace, lives, window);
    Some(Group {
        name: "the trace's nodes".to_owned(),
        kind: catalogue.get(&shape.instance_type)?,
        instance_type: shape.instance_type,
        count: u32::try_from(count).ok()?,
        pods: 0,
        daemonset: 0,
        host_network: 0,
        max_pods: shape.max_pods,
        life: None,
        subnets: Vec::new(),
    })
}
