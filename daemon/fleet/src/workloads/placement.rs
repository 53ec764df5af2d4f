//! Where the scheduler would put pods, as far as it matters here: on the node that is least loaded at that time, by CPU or by
//! number. Nothing is ever refused: a trace says when a pod was scheduled, so it was.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::ops::Range;
use std::time::Duration;

use rand::RngExt;

use crate::random::Random;

/// A pod that is to be placed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Life {
    /// From when on it is on its node.
    pub from: Duration,
    /// Until when.
    pub until: Duration,
    /// How heavily it loads the node: its CPU, or 1 where pods are counted.
    pub load: f64,
}

/// The node, of `nodes`, of each of `lives`, which are in order of their beginning. Of equally loaded ones any.
pub fn spread(lives: &[Life], nodes: &Range<usize>, random: &mut Random) -> Vec<usize> {
    let mut loads = vec![0.0_f64; nodes.len()];
    let mut ends: BinaryHeap<Reverse<(Duration, usize)>> = BinaryHeap::new();
    let mut placed = Vec::with_capacity(lives.len());
    for life in lives {
        while let Some(Reverse((until, gone))) = ends.peek().copied()
            && until <= life.from
        {
            ends.pop();
            let (left, load): (usize, f64) = (placed[gone], lives[gone].load);
            loads[left - nodes.start] -= load;
        }
        let node = least(&loads, random);
        if let Some(load) = loads.get_mut(node) {
            *load += life.load;
        }
        ends.push(Reverse((life.until, placed.len())));
        placed.push(nodes.start + node);
    }
    placed
}

/// Any of the smallest.
fn least(loads: &[f64], random: &mut Random) -> usize {
    let lowest = loads.iter().copied().fold(f64::INFINITY, f64::min);
    // Sums of the same CPUs in another order differ in their last bits.
    let equal = |load: &f64| *load <= lowest + 1e-6;
    let count = loads.iter().filter(|load| equal(load)).count();
    let nth = random.random_range(0..count.max(1));
    let of_them = loads.iter().enumerate().filter(|(_, load)| equal(load));
    of_them.map(|(index, _)| index).nth(nth).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Purpose, stream};

    fn life(from: u64, until: u64, load: f64) -> Life {
        Life {
            from: Duration::from_secs(from),
            until: Duration::from_secs(until),
            load,
        }
    }

    #[test]
    fn the_least_loaded_node_is_taken_and_what_has_gone_does_not_count() {
        let mut random = stream(1, Purpose::Scenario, 0, 0);
        let lives = [
            life(0, 100, 8.0),
            life(1, 10, 4.0),
            life(2, 100, 2.0),
            life(10, 20, 1.0),
        ];
        let placed = spread(&lives, &(5..7), &mut random);
        let (first, other) = (placed[0], 11 - placed[0]);
        // The fourth comes when the second goes: 8 against 2.
        assert_eq!(placed, [first, other, other, other]);
    }

    #[test]
    fn equals_are_drawn_from() {
        let mut random = stream(1, Purpose::Scenario, 0, 0);
        let lives: Vec<_> = (0..300).map(|at| life(at, at + 1, 1.0)).collect();
        let placed = spread(&lives, &(0..3), &mut random);
        for node in 0..3 {
            let share = placed.iter().filter(|placed| **placed == node).count();
            assert!((60..140).contains(&share), "{share}");
        }
    }
}
