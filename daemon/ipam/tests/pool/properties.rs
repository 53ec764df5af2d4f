//! The properties: whatever happens, the invariants hold at each step, and the node comes to rest afterwards.

use std::time::Duration;

use ipam::policy::WarmTargets;
use ipam::{Layout, Limits, PoolSettings};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::Config;

use crate::cloud::{Cloud, large_subnet, small_subnet};
use crate::convergence;
use crate::explain;
use crate::node::Node;
use crate::operations::{anything, layout, ordinary, targets};

/// Small, so that everything is full soon: 4 ENIs of 5 addresses in a subnet of 59, or of 251.
const SMALL: Limits = Limits {
    enis: 4,
    slots_per_eni: 5,
    prefixes: true,
};

/// Few enough slots that a subnet of 251 has a prefix for each, whatever blocks the ENIs' own addresses break.
const ROOMY: Limits = Limits {
    enis: 2,
    slots_per_eni: 4,
    prefixes: true,
};

/// What a node is like: with single addresses or prefixes, on Xen, in a small or a larger subnet, with targets or without.
#[derive(Clone, Copy, Debug)]
struct Kind {
    seed: u64,
    /// Addresses that the primary has already.
    found: usize,
    layout: Layout,
    targets: WarmTargets,
    large: bool,
    xen: bool,
}

impl Kind {
    fn node(self) -> Node {
        let limits = Limits {
            prefixes: !self.xen,
            ..SMALL
        };
        let subnet = if self.large {
            large_subnet()
        } else {
            small_subnet()
        };
        let settings = PoolSettings {
            layout: self.layout,
            targets: self.targets,
            ..PoolSettings::default()
        };
        Node::on(Cloud::new(limits, subnet, self.found, self.seed), settings)
    }
}

fn kind() -> impl Strategy<Value = Kind> {
    let xen = prop::bool::weighted(0.1);
    let all = (
        any::<u64>(),
        0usize..5,
        layout(),
        targets(),
        any::<bool>(),
        xen,
    );
    all.prop_map(|(seed, found, layout, targets, large, xen)| Kind {
        seed,
        found,
        layout,
        targets,
        large,
        xen,
    })
}

/// A node with prefixes and berth's own reserve.
fn prefixed(seed: u64) -> Node {
    let settings = PoolSettings {
        layout: Layout::Prefixes,
        ..PoolSettings::default()
    };
    Node::on(Cloud::new(ROOMY, large_subnet(), 0, seed), settings)
}

/// `PROPTEST_CASES` (256 when not set) makes all of them more or fewer, in proportion.
fn config(cases: u32) -> Config {
    let default = Config::default();
    Config {
        cases: default.cases * cases / 256,
        failure_persistence: None,
        max_shrink_iters: 4000,
        ..default
    }
}

proptest! {
    #![proptest_config(config(300))]

    #[test]
    fn whatever_happens_the_invariants_hold_and_the_node_comes_to_rest(
        kind in kind(),
        ops in vec(anything(), 1..300),
    ) {
        let mut node = kind.node();
        for op in ops {
            op.run(&mut node);
        }
        explain::is_whole(&node);
        convergence::rests(&mut node);
    }
}

proptest! {
    #![proptest_config(config(150))]

    /// Whatever has come and gone: what is told of the time to come is what comes, if nothing else does.
    #[test]
    fn what_is_foretold_happens(
        kind in kind(),
        ops in vec(ordinary(), 1..200),
    ) {
        let mut node = kind.node();
        for op in ops {
            op.run(&mut node);
        }
        explain::comes_true(&mut node);
    }
}

proptest! {
    #![proptest_config(config(150))]

    #[test]
    fn without_faults_ec2_never_has_to_refuse(
        seed in any::<u64>(),
        prefixes in any::<bool>(),
        ops in vec(ordinary(), 1..300),
    ) {
        let mut node = if prefixes { prefixed(seed) } else { Node::new(SMALL, 0, seed) };
        for op in ops {
            op.run(&mut node);
        }
        prop_assert_eq!(&node.cloud.refusals, &[]);
        convergence::rests(&mut node);
        prop_assert_eq!(&node.cloud.refusals, &[]);
    }
}

proptest! {
    #![proptest_config(config(40))]

    /// Hours of a node whose number of pods goes up and down: never a used address goes back (the invariants watch each
    /// Unassign, Detach and Delete), and each calm hour ends with the pods' addresses and the reserve.
    #[test]
    fn grow_then_shrink_leaves_the_pods_and_the_reserve(
        seed in any::<u64>(),
        prefixes in any::<bool>(),
        hours in vec((0usize..20, 0u64..90), 1..12),
    ) {
        let mut node = if prefixes { prefixed(seed) } else { Node::new(SMALL, 0, seed) };
        for (pods, pause) in hours {
            while node.pods.len() > pods {
                node.remove(seed as usize % 64, Duration::from_secs(1));
                node.run(Duration::from_secs(pause));
            }
            while node.pods.len() < pods {
                node.ask(1);
                while node.waiting > 0 {
                    node.run(Duration::from_secs(1 + pause % 3));
                }
            }
            node.run(Duration::from_secs(1800));
            prop_assert_eq!(node.pods.len(), pods);
            convergence::reserve(&node, &[]);
            // Half an hour after the last pod one is kept where one is there. The pods that stayed may have been scattered
            // over prefixes, and do not move.
            let most = if prefixes { 16 * pods.max(1) as u32 + 1 } else { 1 };
            prop_assert!(node.free() <= most, "{} free", node.free());
            let held: usize = node.cloud.enis.values().map(|e| e.pod_addresses().len()).sum();
            prop_assert_eq!(held, pods + node.free() as usize);
        }
        prop_assert_eq!(&node.cloud.refusals, &[]);
    }
}
