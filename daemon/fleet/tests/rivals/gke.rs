//! GKE's model: a range at the start, and nothing after it.

use std::net::Ipv4Addr;
use std::time::Duration;

use fleet::rivals::GkeNode;
use ipnet::Ipv4Net;

use crate::world::{World, limits, subnet};

fn world(max_pods: u32, range: Option<Ipv4Net>) -> World {
    let mut world = World::new(GkeNode::new(max_pods), limits(8, 30), subnet(24));
    world.range = range;
    world
}

#[test]
fn every_pod_is_served_from_the_range_without_a_call() {
    let range = Ipv4Net::new_assert(Ipv4Addr::new(172, 16, 0, 0), 24);
    let mut world = world(110, Some(range));
    world.run(Duration::from_secs(1));
    for pod in 0..1_000 {
        world.bind(pod);
        if pod >= 110 {
            world.unbind(pod - 110);
        }
    }
    assert_eq!((world.pods.len(), world.refused), (110, 0));
    assert!(world.calls.is_empty());
}

#[test]
fn without_a_range_no_pod_is_served() {
    let mut world = world(110, None);
    world.bind(0);
    world.run(Duration::from_secs(60));
    assert_eq!((world.pods.len(), world.refused), (0, 7));
}
