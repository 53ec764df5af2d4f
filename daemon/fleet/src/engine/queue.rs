//! What is going to happen, in order of time; at the same time in the order in which it was planned.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use ipam::{Action, IntentId, Timestamp};
use ipnet::Ipv4Net;

use crate::node::PodId;

/// Something that is going to happen.
#[derive(Debug)]
pub enum Event {
    /// An instance starts, or tries to.
    Join(usize),
    /// The API server tells a node of a pod.
    Bound(PodId),
    /// A runtime asks for an address.
    Add(PodId),
    /// A runtime gives one back.
    Del(PodId),
    /// EC2 answers.
    Answer {
        /// Whom.
        node: usize,
        /// About what.
        id: IntentId,
        /// It.
        action: Box<Action>,
        /// With RequestLimitExceeded.
        throttled: bool,
    },
    /// DescribeSubnets answers.
    Subnet(usize),
    /// A node has its range, or not.
    Range(usize, Option<Ipv4Net>),
    /// A node wants to be woken; this is its wish of this number.
    Wake(usize, u64),
}

/// Events to come.
#[derive(Debug, Default)]
pub struct Queue {
    heap: BinaryHeap<Entry>,
    planned: u64,
}

#[derive(Debug)]
struct Entry {
    key: Reverse<(Timestamp, u64)>,
    event: Event,
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.key.cmp(&other.key)
    }
}

impl Queue {
    /// Plans an event.
    pub fn at(&mut self, at: Timestamp, event: Event) {
        let key = Reverse((at, self.planned));
        self.planned += 1;
        self.heap.push(Entry { key, event });
    }

    /// The next event, if it comes before `until`.
    pub fn next_before(&mut self, until: Timestamp) -> Option<(Timestamp, Event)> {
        let next = self.heap.peek()?.key.0.0;
        if next >= until {
            return None;
        }
        self.heap.pop().map(|entry| (entry.key.0.0, entry.event))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_time_then_by_plan() {
        let mut queue = Queue::default();
        let at = Timestamp::from_secs;
        for (seconds, pod) in [(5, 0), (3, 1), (5, 2), (3, 3), (9, 4)] {
            queue.at(at(seconds), Event::Add(pod));
        }
        let order: Vec<PodId> = std::iter::from_fn(|| queue.next_before(at(9)))
            .filter_map(|(_, event)| match event {
                Event::Add(pod) => Some(pod),
                _ => None,
            })
            .collect();
        assert_eq!(order, [1, 3, 0, 2]);
    }
}
