//! The properties: whatever happens, the invariants hold at each step, and the node comes to rest afterwards.

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

fn config(cases: u32) -> Config {
    Config {
        cases,
        failure_persistence: None,
        max_shrink_iters: 4000,
        ..Config::default()
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
