//! aws-node's model: its pool manager's steps and their timing, and what it does about refusals. Its documents' tables are in
//! `tables`.

use std::time::Duration;

use fleet::random::{Purpose, stream};
use fleet::rivals::AwsNode;
use ipam::policy::WarmTargets;
use ipam::{Action, FailureKind, Layout, Limits, PoolSettings, Timestamp, Verb};

use crate::documents::{T3_SMALL, warm_addresses, warm_enis, warm_prefixes};
use crate::world::{World, limits, subnet};

const SECONDARY: Layout = Layout::Singles;
const PREFIX: Layout = Layout::Prefixes;

/// A node of this type with aws-node, in a subnet of 1,019 addresses.
fn world(limits: Limits, layout: Layout, targets: WarmTargets, seed: u64) -> World {
    let settings = PoolSettings {
        layout,
        targets,
        ..PoolSettings::default()
    };
    let random = stream(seed, Purpose::Node, 0, 0);
    let node = AwsNode::new(&settings, limits, 737, random);
    let mut world = World::new(node, limits, subnet(22));
    world.cooldown = settings.cooldown;
    world
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A node's day: addresses at 0, 3, 18 and 38 pods.
#[test]
fn steps() {
    let m3_2xlarge = limits(4, 30);
    for (mode, targets, held) in [
        (SECONDARY, warm_enis(1), [29, 58, 58, 87]),
        (SECONDARY, warm_addresses(10, 0), [10, 13, 28, 48]),
        (PREFIX, warm_prefixes(1), [16, 32, 48, 64]),
    ] {
        let mut world = world(m3_2xlarge, mode, targets, 1);
        let steps = [0, 3, 18, 38].map(|pods| {
            (world.pods.len()..pods).for_each(|pod| world.bind(pod));
            world.serve_all();
            world.run(seconds(60));
            world.held()
        });
        assert_eq!(steps, held, "{targets:?}");
    }
}

#[test]
fn what_the_pods_leave() {
    for (mode, targets, left) in [
        (SECONDARY, warm_addresses(2, 5), (2, 5)),
        (SECONDARY, warm_enis(1), (1, 3)),
        (PREFIX, warm_prefixes(1), (1, 1)),
        (PREFIX, warm_addresses(7, 20), (1, 2)),
    ] {
        let mut world = world(T3_SMALL, mode, targets, 1);
        (0..9).for_each(|pod| world.bind(pod));
        world.serve_all();
        (0..9).for_each(|pod| world.unbind(pod));
        world.run(seconds(900));
        let enis: Vec<_> = world.cloud.attached().map(|(_, eni)| eni).collect();
        let slots = enis.iter().map(|e| e.secondary.len() + e.prefixes.len());
        assert_eq!((enis.len(), slots.sum()), left, "{targets:?}");
        let calls = world.calls.len();
        world.run(seconds(900));
        assert_eq!(world.calls.len(), calls, "{targets:?} are met");
    }
}

#[test]
fn max_eni_is_a_limit_of_enis() {
    let settings = PoolSettings {
        max_eni: Some(2),
        ..PoolSettings::default()
    };
    let random = stream(1, Purpose::Node, 0, 0);
    let node = AwsNode::new(&settings, T3_SMALL, 737, random);
    let mut world = World::new(node, T3_SMALL, subnet(24));
    (0..6).for_each(|pod| world.bind(pod));
    world.serve_all();
    world.run(seconds(600));
    assert_eq!((world.cloud.attached().count(), world.held()), (2, 6));
}

#[test]
fn a_full_complement_of_pods_needs_no_more() {
    let settings = PoolSettings::default();
    let random = stream(1, Purpose::Node, 0, 0);
    let node = AwsNode::new(&settings, T3_SMALL, 6, random);
    let mut world = World::new(node, T3_SMALL, subnet(24));
    (0..6).for_each(|pod| world.bind(pod));
    world.serve_all();
    world.run(seconds(600));
    assert_eq!(world.held(), 6);
}

#[test]
fn one_eni_a_pass() {
    let mut world = world(limits(4, 15), SECONDARY, warm_enis(3), 1);
    world.run(seconds(60));
    let made: Vec<Timestamp> = (world.calls.iter())
        .filter(|(_, action)| action.verb() == Verb::Create)
        .map(|(at, _)| *at)
        .collect();
    assert_eq!(made.len(), 2, "14 at the start, then 28, then 42");
    // Create, Attach, Protect and Connect take 0.3 s each, then metadata is looked at 0.3 s after the Connect began.
    assert_eq!(made[1].since(made[0]), Duration::from_millis(5_000 + 1_200));
}

#[test]
fn a_pod_that_finds_the_pool_empty_is_refused_at_once() {
    let mut world = world(T3_SMALL, SECONDARY, warm_addresses(1, 1), 1);
    world.run(seconds(30));
    world.bind(0);
    world.bind(1);
    assert_eq!((world.pods.len(), world.refused), (1, 1));
    world.run(seconds(9));
    assert_eq!(world.pods.len(), 1, "nobody wakes the runtime");
    world.run(seconds(2));
    assert_eq!(world.pods.len(), 2);
}

/// Addresses that rest count as free: a node whose pods come as fast as their addresses rest never gets more
/// (aws/amazon-vpc-cni-k8s#2896).
#[test]
fn resting_addresses_starve_pods() {
    let mut world = world(limits(8, 30), SECONDARY, warm_addresses(2, 12), 1);
    world.run(seconds(30));
    for pod in 0..60 {
        world.bind(pod);
        world.run(seconds(3));
        if pod >= 4 {
            world.unbind(pod - 4);
        }
    }
    assert_eq!(world.held(), 12);
    assert!(world.refused > 20, "{} refusals", world.refused);
}

/// MINIMUM_IP_TARGET by itself keeps nothing free above it, and asks for nothing beyond it.
#[test]
fn a_floor_alone_starves_pods() {
    let mut world = world(T3_SMALL, SECONDARY, warm_addresses(0, 2), 1);
    (0..5).for_each(|pod| world.bind(pod));
    world.run(seconds(3_600));
    assert_eq!((world.held(), world.pods.len()), (2, 2));
}

#[test]
fn decreases_are_half_a_minute_apart() {
    let mut world = world(limits(8, 30), SECONDARY, warm_addresses(2, 0), 1);
    (0..20).for_each(|pod| world.bind(pod));
    world.serve_all();
    world.run(seconds(60));
    let settled = world.calls.len();
    for pod in 0..20 {
        world.unbind(pod);
        world.run(seconds(6));
    }
    world.run(seconds(300));
    let given: Vec<Timestamp> = (world.calls[settled..].iter())
        .filter(|(_, action)| action.verb() == Verb::Unassign)
        .map(|(at, _)| *at)
        .collect();
    assert!(given.len() >= 4, "{given:?}");
    let gaps = given.windows(2).map(|pair| pair[1].since(pair[0]));
    assert!(gaps.min().unwrap() >= seconds(30), "{given:?}");
    assert_eq!(world.held(), 2);
}

/// An ENI goes once its last address has rested for half a minute.
#[test]
fn an_eni_with_resting_addresses_stays() {
    let mut world = world(T3_SMALL, SECONDARY, warm_enis(1), 1);
    (0..9).for_each(|pod| world.bind(pod));
    world.serve_all();
    world.run(seconds(120));
    let left = world.now;
    (0..9).for_each(|pod| world.unbind(pod));
    world.run(seconds(300));
    let detached = world.calls.iter().find(|(_, a)| a.verb() == Verb::Detach);
    let after = detached.unwrap().0.since(left);
    assert!((seconds(30)..seconds(35)).contains(&after), "{after:?}");
}

/// One that is less than a minute old stays too.
#[test]
fn a_young_eni_stays() {
    let mut world = world(T3_SMALL, SECONDARY, warm_enis(1), 1);
    world.run(seconds(30));
    world.bind(0);
    world.run(seconds(10));
    let made = world.now;
    world.unbind(0);
    world.run(seconds(300));
    let detached = world.calls.iter().find(|(_, a)| a.verb() == Verb::Detach);
    let after = detached.unwrap().0.since(made);
    assert!((seconds(50)..seconds(65)).contains(&after), "{after:?}");
}

/// Each ENI with room is tried, for what is short and for one, before an ENI is made, which may lie in another subnet.
#[test]
fn another_eni_may_have_another_subnet() {
    let mut world = world(limits(4, 5), SECONDARY, warm_addresses(1, 0), 1);
    (0..7).for_each(|pod| world.bind(pod));
    world.serve_all();
    world.run(seconds(60));
    (0..3).for_each(|pod| world.unbind(pod));
    world.run(seconds(120));
    assert_eq!((world.cloud.attached().count(), world.held()), (2, 5));
    let settled = world.calls.len();
    world.fault = Some(Box::new(|action, _| {
        (action.asks_for() > 0).then_some(FailureKind::SubnetFull)
    }));
    (7..9).for_each(|pod| world.bind(pod));
    world.run(seconds(30));
    let with_room = (world.cloud.attached()).filter(|(_, eni)| eni.secondary.len() < 4);
    let tries: Vec<Verb> = (world.calls[settled..].iter())
        .map(|(_, action)| action.verb())
        .collect();
    let mut expected = vec![Verb::Assign; 2 * with_room.count()];
    expected.push(Verb::Create);
    assert_eq!(tries, expected);
}

#[test]
fn a_full_subnet_rests_for_two_minutes() {
    let mut world = world(limits(8, 30), SECONDARY, warm_enis(1), 1);
    world.run(seconds(30));
    world.fault = Some(Box::new(|action, _| {
        (action.asks_for() > 0).then_some(FailureKind::SubnetFull)
    }));
    world.bind(0);
    let settled = world.calls.len();
    world.run(seconds(300));
    let tries: Vec<Timestamp> = world.calls[settled..].iter().map(|(at, _)| *at).collect();
    assert_eq!(world.count(Verb::Create), tries.len(), "its ENI is full");
    let gaps = tries.windows(2).map(|pair| pair[1].since(pair[0]));
    assert!(gaps.min().unwrap() >= seconds(120), "{tries:?}");
    assert_eq!(tries.len(), 3);
}

/// What EC2 answers to the first calls.
fn first(count: usize, kind: FailureKind, verb: Verb) -> crate::world::Fault {
    let mut left = count;
    Box::new(move |action: &Action, _| {
        let hit = left > 0 && action.verb() == verb;
        left -= usize::from(hit);
        hit.then_some(kind)
    })
}

/// A number three times, then one three times, then the daemon ends: it is started again at once, then after 10 s, 20 s.
#[test]
fn a_start_that_is_throttled_is_made_again() {
    let mut world = world(limits(8, 30), SECONDARY, warm_enis(1), 1);
    world.fault = Some(first(18, FailureKind::Throttled, Verb::Assign));
    world.run(seconds(20));
    world.bind(0);
    assert_eq!(world.refused, 1, "it does not serve yet");
    world.run(seconds(120));
    let asked = |(_, action): &(Timestamp, Action)| action.asks_for();
    let tries: Vec<u32> = world.calls.iter().map(asked).take(19).collect();
    let start = [29, 29, 29, 1, 1, 1];
    assert_eq!(tries, [&start[..], &start, &start, &[29]].concat());
    let waits = [6, 12, 18].map(|n: usize| world.calls[n].0.since(world.calls[n - 1].0));
    assert_eq!(waits, [0, 10, 20].map(|wait| world.latency + seconds(wait)));
    assert_eq!((world.pods.len(), world.held()), (1, 58));
}

#[test]
fn an_eni_that_is_not_attached_is_deleted() {
    let mut world = world(limits(8, 30), SECONDARY, warm_enis(1), 1);
    world.run(seconds(30));
    world.fault = Some(first(3, FailureKind::Throttled, Verb::Attach));
    world.bind(0);
    world.run(seconds(60));
    assert_eq!(world.count(Verb::Delete), 1);
    assert_eq!(world.cloud.enis.len(), 2, "and made again");
    assert_eq!(world.held(), 58);
}

#[test]
fn what_a_failed_unassign_left_comes_back() {
    let mut world = world(limits(8, 30), SECONDARY, warm_addresses(2, 0), 1);
    (0..10).for_each(|pod| world.bind(pod));
    world.serve_all();
    world.run(seconds(60));
    world.fault = Some(first(3, FailureKind::Throttled, Verb::Unassign));
    (0..10).for_each(|pod| world.unbind(pod));
    world.run(seconds(30));
    assert_eq!(world.held(), 12);
    world.run(seconds(300));
    assert_eq!(world.held(), 2);
}

#[test]
fn the_same_seed_gives_the_same_node() {
    let calls = |seed| {
        let mut world = world(limits(4, 15), SECONDARY, warm_addresses(3, 8), seed);
        for pod in 0..80 {
            world.bind(pod);
            world.run(seconds(2));
            if pod >= 20 {
                world.unbind(pod - 20);
            }
        }
        world.run(seconds(600));
        world.calls.clone()
    };
    assert_eq!(calls(5), calls(5));
    assert_ne!(calls(5), calls(6));
}
