//! Cilium's model: its watermark, its reports, its release.

use std::time::Duration;

use fleet::random::{Purpose, stream};
use fleet::rivals::cilium::{CiliumNode, Operator, Watermark};
use ipam::{Action, Limits, Timestamp, Verb};

use crate::world::{World, limits, subnet};

fn world(limits: Limits, length: u8) -> World {
    let random = stream(1, Purpose::Node, 0, 0);
    let operator = Operator::default();
    let node = CiliumNode::new(Watermark::default(), limits, &operator, random);
    World::new(node, limits, subnet(length))
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A node's day: eight free ones at 0, 3, 18 and 38 pods.
#[test]
fn eight_are_kept_free() {
    let mut world = world(limits(4, 30), 22);
    let steps = [0, 3, 18, 38].map(|pods| {
        (world.pods.len()..pods).for_each(|pod| world.bind(pod));
        world.serve_all();
        world.run(seconds(60));
        world.held()
    });
    assert_eq!(steps, [8, 11, 26, 46]);
    assert_eq!(world.cloud.attached().count(), 2);
}

/// More pods than the watermark are pending: as many are asked for.
#[test]
fn pods_that_pend_are_asked_for_at_once() {
    let mut world = world(limits(4, 30), 22);
    world.run(seconds(30));
    (0..28).for_each(|pod| world.bind(pod));
    assert_eq!((world.pods.len(), world.refused), (8, 20));
    world.run(seconds(60));
    assert_eq!(world.pods.len(), 28);
    let asked: Vec<u32> = (world.calls.iter())
        .map(|(_, action)| action.asks_for())
        .filter(|asked| *asked > 0)
        .collect();
    // At boot; when the operator hears of the first pod, and sees twenty that have no address; and when it hears of all: one
    // is all that the ENI has room for, then seven on another.
    assert_eq!(asked, [8, 20, 1, 7]);
}

#[test]
fn pods_that_have_gone_do_not_pend() {
    let mut world = world(limits(4, 30), 22);
    world.run(seconds(30));
    (0..28).for_each(|pod| world.bind(pod));
    (0..28).for_each(|pod| world.unbind(pod));
    world.run(seconds(60));
    // The report of the first one is on its way; the rest have gone when the operator asks.
    assert_eq!(world.held(), 9);
}

#[test]
fn reports_are_a_quarter_of_a_minute_apart() {
    let mut world = world(limits(4, 30), 22);
    world.run(seconds(60));
    for pod in 0..20 {
        world.bind(pod);
        world.run(seconds(3));
    }
    let assigned: Vec<Timestamp> = (world.calls.iter())
        .filter(|(_, action)| action.verb() == Verb::Assign)
        .map(|(at, _)| *at)
        .collect();
    let gaps = assigned.windows(2).map(|pair| pair[1].since(pair[0]));
    assert!(gaps.min().unwrap() >= seconds(14), "{assigned:?}");
    assert_eq!(world.refused, 0);
}

#[test]
fn what_is_too_many_goes_after_three_minutes() {
    let mut world = world(limits(4, 30), 22);
    (0..20).for_each(|pod| world.bind(pod));
    world.serve_all();
    world.run(seconds(60));
    assert_eq!(world.held(), 28);
    (0..15).for_each(|pod| world.unbind(pod));
    world.run(seconds(180));
    assert_eq!(world.held(), 28);
    world.run(seconds(90));
    assert_eq!(world.held(), 13);
    world.run(seconds(600));
    assert_eq!(world.held(), 13);
}

#[test]
fn it_takes_what_a_small_subnet_has() {
    // 11 addresses, one of them the primary's.
    let mut world = world(limits(4, 30), 28);
    (0..10).for_each(|pod| world.bind(pod));
    world.serve_all();
    world.run(seconds(300));
    assert_eq!(world.held(), 10);
    assert_eq!(world.cloud.refusals, []);
}

#[test]
fn the_limit_of_the_operator_is_the_clusters() {
    let operator = Operator::default();
    let mut worlds: Vec<World> = (0..30)
        .map(|node| {
            let random = stream(1, Purpose::Node, node, 0);
            let limits = limits(4, 30);
            let node = CiliumNode::new(Watermark::default(), limits, &operator, random);
            World::new(node, limits, subnet(24))
        })
        .collect();
    for _ in 0..60 {
        let tenth = Duration::from_millis(100);
        worlds.iter_mut().for_each(|world| world.run(tenth));
    }
    let mut calls: Vec<&(Timestamp, Action)> = worlds.iter().flat_map(|w| &w.calls).collect();
    calls.sort_by_key(|(at, _)| *at);
    let start = calls[0].0;
    let after = |n: usize| calls[n].0.since(start);
    assert_eq!(calls.len(), 30);
    assert!(after(19) <= Duration::from_millis(400), "{:?}", after(19));
    assert!(after(29) >= Duration::from_millis(2_200), "{:?}", after(29));
}
