//! Whatever pods do, and however EC2 answers: no address serves twice or before it has rested, nothing that a pod has goes,
//! limits hold (all checked by `World` at each step), and in the end everybody is served.

use std::time::Duration;

use fleet::node::Node;
use fleet::random::{Purpose, stream};
use fleet::rivals::cilium::Watermark;
use fleet::rivals::{AwsNode, CiliumNode, Operator};
use ipam::policy::WarmTargets;
use ipam::{FailureKind, Layout, Limits, PoolSettings};
use proptest::prelude::*;

use crate::world::{World, limits, subnet};

const LIMITS: [(u32, u32); 4] = [(2, 4), (3, 6), (4, 15), (3, 2)];

/// What happens.
#[derive(Clone, Debug)]
enum Step {
    Bind(u8),
    Unbind(u8),
    Pass(u16),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        (1..6_u8).prop_map(Step::Bind),
        any::<u8>().prop_map(Step::Unbind),
        any::<u8>().prop_map(Step::Unbind),
        (1..90_u16).prop_map(Step::Pass),
    ];
    proptest::collection::vec(step, 1..60)
}

fn targets() -> impl Strategy<Value = WarmTargets> {
    let target = || proptest::option::of(0..12_u32);
    (target(), target(), target(), target()).prop_map(|(addresses, minimum, enis, prefixes)| {
        WarmTargets {
            // A floor alone serves no more pods than it has addresses (`aws_node`).
            addresses: addresses
                .map(|addresses| addresses.max(1))
                .or(minimum.and(Some(1))),
            minimum,
            enis: enis.map(|enis| enis % 4),
            prefixes: prefixes.map(|prefixes| prefixes % 3),
        }
    })
}

/// One call in `each` (not below 3) fails in some way.
fn faults(each: u64) -> crate::world::Fault {
    let mut seen = 0_u64;
    let kinds = [
        FailureKind::Throttled,
        FailureKind::SubnetFull,
        FailureKind::NotFound,
        FailureKind::NoContiguousBlock,
    ];
    Box::new(move |action, _| {
        seen += 1;
        // An ENI that is there is found.
        let kind = kinds[(seen / each) as usize % kinds.len()];
        let sensible = match kind {
            FailureKind::SubnetFull | FailureKind::NoContiguousBlock => action.asks_for() > 0,
            FailureKind::NotFound => matches!(action, ipam::Action::Attach { .. }),
            _ => true,
        };
        (seen.is_multiple_of(each) && sensible).then_some(kind)
    })
}

/// Plays `steps` with as many pods as the node's addresses serve, then waits.
fn play(node: impl Node + 'static, limits: Limits, cooldown: u64, each: u64, steps: &[Step]) {
    let mut world = World::new(node, limits, subnet(22));
    world.cooldown = Duration::from_secs(cooldown);
    world.fault = Some(faults(each));
    let most = (limits.enis * limits.slots_per_eni) as usize;
    let mut next = 0;
    let mut there: Vec<usize> = Vec::new();
    for step in steps {
        match step {
            Step::Bind(count) => {
                let count = usize::from(*count).min(most - there.len());
                let pods = next..next + count;
                next += count;
                for pod in pods {
                    world.bind(pod);
                    there.push(pod);
                }
            }
            Step::Unbind(which) if !there.is_empty() => {
                let pod = there.swap_remove(usize::from(*which) % there.len());
                world.unbind(pod);
            }
            Step::Unbind(_) => {}
            Step::Pass(seconds) => world.run(Duration::from_secs(u64::from(*seconds))),
        }
    }
    world.fault = None;
    world.run(Duration::from_secs(1_800));
    assert_eq!(world.pods.len(), there.len(), "all are served in the end");
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn aws_node(
        kind in 0..LIMITS.len(),
        prefixes: bool,
        targets in targets(),
        seed: u64,
        each in 3..40_u64,
        steps in steps(),
    ) {
        let (enis, addresses) = LIMITS[kind];
        let limits = limits(enis, addresses);
        let settings = PoolSettings {
            layout: if prefixes { Layout::Prefixes } else { Layout::Singles },
            targets,
            ..PoolSettings::default()
        };
        let node = AwsNode::new(&settings, limits, 737, stream(seed, Purpose::Node, 0, 0));
        play(node, limits, 30, each, &steps);
    }

    #[test]
    fn cilium(kind in 0..LIMITS.len(), seed: u64, each in 3..40_u64, steps in steps()) {
        let (enis, addresses) = LIMITS[kind];
        let limits = limits(enis, addresses);
        let random = stream(seed, Purpose::Node, 0, 0);
        let operator = Operator::default();
        let node = CiliumNode::new(Watermark::default(), limits, &operator, random);
        play(node, limits, 0, each, &steps);
    }
}
