//! The properties: whatever happens, the invariants hold at each step, and the node comes to rest afterwards.

use std::time::Duration;

use ipam::Limits;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::Config;

use crate::convergence;
use crate::node::Node;
use crate::operations::{anything, ordinary};

/// Small, so that everything is full soon: 4 ENIs of 5 addresses in a subnet of 59.
const SMALL: Limits = Limits {
    enis: 4,
    slots_per_eni: 5,
};

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
        seed in any::<u64>(),
        found in 0usize..5,
        ops in vec(anything(), 1..300),
    ) {
        let mut node = Node::new(SMALL, found, seed);
        for op in ops {
            op.run(&mut node);
        }
        convergence::rests(&mut node);
    }
}

proptest! {
    #![proptest_config(config(150))]

    #[test]
    fn without_faults_ec2_never_has_to_refuse(
        seed in any::<u64>(),
        ops in vec(ordinary(), 1..300),
    ) {
        let mut node = Node::new(SMALL, 0, seed);
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
        hours in vec((0usize..20, 0u64..90), 1..12),
    ) {
        let mut node = Node::new(SMALL, 0, seed);
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
            prop_assert!((1..=2).contains(&node.free()), "{} free", node.free());
            let held: usize = node.cloud.enis.values().map(|e| e.secondary.len()).sum();
            prop_assert_eq!(held, pods + node.free() as usize);
        }
        prop_assert_eq!(&node.cloud.refusals, &[]);
    }
}
