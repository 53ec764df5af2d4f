//! Prefixes: asked for whole, packed, given back whole; single addresses where there are none; and the switch between the
//! two under running pods.

use std::time::Duration;

use ipam::policy::WarmTargets;
use ipam::{Block, Event, Layout, Limits, PoolSettings, Reason, Verb};
use ipnet::Ipv4Net;

use crate::cloud::{Cloud, large_subnet, primary_id};
use crate::node::{End, Node, attachment};

/// An m5.large.
const M5_LARGE: Limits = Limits {
    enis: 3,
    slots_per_eni: 9,
    prefixes: true,
};

const SINGLES: PoolSettings = PoolSettings {
    cooldown: Duration::from_secs(30),
    max_eni: None,
    layout: Layout::Singles,
    targets: WarmTargets {
        addresses: None,
        minimum: None,
        enis: None,
        prefixes: None,
    },
};

const SECOND: Duration = Duration::from_secs(1);

fn on(cloud: Cloud) -> Node {
    let settings = PoolSettings {
        layout: Layout::Prefixes,
        ..PoolSettings::default()
    };
    Node::on(cloud, settings)
}

fn cloud(limits: Limits) -> Cloud {
    Cloud::new(limits, large_subnet(), 0, 7)
}

/// A node with prefixes whose `pods` run.
fn with_pods(pods: u32) -> Node {
    let mut node = on(cloud(M5_LARGE));
    node.run(10 * SECOND);
    serve(&mut node, pods);
    node
}

fn serve(node: &mut Node, pods: u32) {
    node.ask(pods);
    while node.waiting > 0 || !node.flights.is_empty() {
        node.run(SECOND);
    }
    // The reserve may be short for a second.
    node.run(3 * SECOND);
}

fn remove_all(node: &mut Node) {
    while !node.pods.is_empty() {
        node.remove(0, SECOND);
    }
}

/// Single addresses and prefixes of the primary.
fn held(node: &Node) -> (usize, usize) {
    let primary = &node.cloud.enis[&primary_id()];
    (primary.secondary.len(), primary.prefixes.len())
}

#[test]
fn a_new_node_holds_one_prefix() {
    let node = with_pods(0);
    assert_eq!((held(&node), node.free()), ((0, 1), 16));
    assert_eq!(node.started[&Verb::Assign], 1);
}

#[test]
fn thirty_pods_live_on_one_eni_in_two_prefixes() {
    let mut node = with_pods(30);
    assert_eq!((held(&node), node.free()), ((0, 2), 2));
    node.run(600 * SECOND);
    assert_eq!((held(&node), node.free()), ((0, 2), 2));
    assert_eq!(node.started.get(&Verb::Create), None);
    // The thirty-second takes the last one, and the reserve comes by the next prefix.
    serve(&mut node, 2);
    assert_eq!((held(&node), node.free()), ((0, 3), 16));
}

#[test]
fn a_new_eni_brings_prefixes() {
    let mut node = with_pods(0);
    node.ask(9 * 16 + 20);
    node.run(60 * SECOND);
    assert_eq!((node.waiting, node.started[&Verb::Create]), (0, 1));
    let prefixes: Vec<usize> = node
        .cloud
        .attached()
        .map(|(_, e)| e.prefixes.len())
        .collect();
    assert_eq!(prefixes, [9, 2]);
}

#[test]
fn pods_fill_the_fullest_prefix_and_the_emptied_one_goes_whole() {
    let mut node = with_pods(20);
    assert_eq!(held(&node), (0, 2));
    let fullest = |node: &Node| {
        let prefixes = node.pool.prefixes_of(&primary_id()).into_iter();
        prefixes.max_by_key(|(_, tally)| tally.used()).unwrap().0
    };
    let full = fullest(&node);
    // Three of the fullest go, and rest, and three others come.
    for _ in 0..3 {
        let there = |ip: &_| full.contains(ip);
        let pod = node.pods.values().position(there).unwrap();
        node.remove(pod, SECOND);
    }
    node.run(40 * SECOND);
    serve(&mut node, 3);
    assert_eq!(node.pool.prefixes_of(&primary_id())[&full].used(), 16);
    // The four of the other one go, and four more: sixteen are too many beside three, when they have rested.
    let other = |ip: &_| !full.contains(ip);
    while let Some(pod) = node.pods.values().position(other) {
        node.remove(pod, SECOND);
    }
    for _ in 0..4 {
        node.remove(0, SECOND);
    }
    // Others have been too many for longer: when those are old enough, these go along.
    node.run(250 * SECOND);
    assert_eq!(held(&node), (0, 2));
    node.run(15 * SECOND);
    assert_eq!((held(&node), node.free()), ((0, 1), 4));
    assert_eq!(node.started[&Verb::Unassign], 1);
}

#[test]
fn a_prefix_that_the_reserve_needs_stays() {
    let mut node = with_pods(16);
    assert_eq!((held(&node), node.free()), ((0, 2), 16));
    node.run(3000 * SECOND);
    // The one that is kept is one of the second.
    assert_eq!((held(&node), node.free()), ((0, 2), 16));
    node.remove(0, SECOND);
    node.run(3000 * SECOND);
    assert_eq!((held(&node), node.free()), ((0, 1), 1));
}

#[test]
fn single_addresses_serve_where_no_block_is_free_and_go_when_one_is() {
    let mut fragmented = cloud(M5_LARGE);
    fragmented.fragment(0);
    let mut node = on(fragmented);
    node.run(10 * SECOND);
    assert_eq!(held(&node), (2, 0));
    assert_eq!(node.last_plan.reasons, [Reason::NoContiguousBlock]);
    serve(&mut node, 5);
    assert_eq!(held(&node), (7, 0));
    assert_eq!(
        node.cloud.refusals.len(),
        1,
        "asked for once a minute at most"
    );
    // Blocks open: the next that is needed is a prefix, and free single addresses go.
    node.cloud.others_give(usize::MAX);
    node.run(120 * SECOND);
    assert_eq!(node.last_plan.reasons, []);
    serve(&mut node, 4);
    assert_eq!(held(&node), (7, 1));
    node.remove(0, SECOND);
    node.remove(0, SECOND);
    node.run(400 * SECOND);
    let (singles, prefixes) = held(&node);
    assert_eq!((prefixes, node.pods.len()), (1, 7));
    assert!(singles <= 6, "{singles} single ones");
    remove_all(&mut node);
    node.run(2000 * SECOND);
    assert_eq!(held(&node), (0, 1));
}

#[test]
fn a_refusal_is_answered_with_single_addresses_at_once() {
    let mut node = with_pods(15);
    node.cloud.fragment(0);
    node.ask(2);
    assert_eq!(node.under_way(), [Verb::Assign]);
    node.end_the(Verb::Assign, End::Answer);
    assert_eq!(node.under_way(), [Verb::Assign], "not a moment later");
    assert!(node.last_plan.reasons.contains(&Reason::NoContiguousBlock));
    node.end_the(Verb::Assign, End::Answer);
    assert_eq!((node.waiting, held(&node)), (0, (4, 1)));
}

#[test]
fn xen_has_single_addresses() {
    let xen = Limits {
        prefixes: false,
        ..M5_LARGE
    };
    let mut node = on(cloud(xen));
    node.run(10 * SECOND);
    serve(&mut node, 3);
    assert_eq!(held(&node), (5, 0));
    assert_eq!(
        (&*node.cloud.refusals, &*node.last_plan.reasons),
        (&[][..], &[][..])
    );
}

#[test]
fn switched_on_what_stood_before_serves_and_goes_when_idle() {
    let mut node = Node::on(cloud(M5_LARGE), SINGLES);
    node.run(10 * SECOND);
    serve(&mut node, 5);
    node.settings.layout = Layout::Prefixes;
    node.save();
    node.crash(0, true);
    assert_eq!(node.pods.len(), 5);
    node.run(60 * SECOND);
    assert_eq!(held(&node), (7, 0), "two free ones are reserve enough");
    serve(&mut node, 3);
    assert_eq!(held(&node), (7, 1));
    remove_all(&mut node);
    node.run(2000 * SECOND);
    assert_eq!((held(&node), node.free()), ((0, 1), 16));
}

#[test]
fn switched_off_a_prefix_goes_as_soon_as_it_is_idle_and_single_addresses_take_its_place() {
    let mut node = with_pods(3);
    node.settings.layout = Layout::Singles;
    node.save();
    node.crash(0, true);
    node.run(300 * SECOND);
    assert_eq!((held(&node), node.pods.len()), ((0, 1), 3));
    remove_all(&mut node);
    node.run(500 * SECOND);
    assert_eq!((held(&node), node.free()), ((2, 0), 2));
    assert_eq!(node.cloud.refusals, []);
}

#[test]
fn a_stale_look_makes_no_prefix_of_a_single_address() {
    let mut node = Node::on(cloud(M5_LARGE), SINGLES);
    node.run(10 * SECOND);
    while !node.under_way().contains(&Verb::Describe) {
        node.advance(600 * SECOND);
    }
    // As it was before the prefix was given back, and one of its addresses came again by itself.
    let mut shown = node.cloud.show();
    let ip = shown[0].addresses[0];
    let prefix = Ipv4Net::new(ip, 28).unwrap().trunc();
    shown[0].addresses.retain(|other| *other != ip);
    shown[0].prefixes.push(prefix);
    node.flights[0].shown = Some(shown);
    node.end_the(Verb::Describe, End::Answer);
    let found = node.pool.addresses().find(|(other, _)| *other == ip);
    assert_eq!(found.unwrap().1.block, Block::Single);
    assert!(node.pool.prefixes().is_empty());
}

#[test]
fn describe_tells_how_an_address_came_that_was_found_with_a_pod() {
    let before = with_pods(2);
    let (key, ip) = before.pods.iter().next().unwrap();
    let mut node = on(before.cloud.clone());
    let pod = attachment(&key.container_id, *ip, primary_id(), node.now);
    node.pods.insert(pod.key.clone(), *ip);
    let now = node.now;
    node.apply(Event::Recovered {
        attachment: Box::new(pod),
        now,
    });
    node.run(60 * SECOND);
    let (_, address) = node
        .pool
        .addresses()
        .find(|(other, _)| other == ip)
        .unwrap();
    assert!(matches!(address.block, Block::Prefix(_)), "{address:?}");
    assert_eq!(node.pool.slots(&primary_id()) as usize, held(&node).1);
}

#[test]
fn found_prefixes_rest_until_they_were_seen_twice_and_nothing_uses_them() {
    let node = with_pods(2);
    let used = *node.pods.values().next().unwrap();
    // The checkpoint is lost; the kernel still has the pods' links.
    let mut lost = on(node.cloud.clone());
    let links = node
        .pods
        .values()
        .map(|ip| (*ip, lost.now.after(120 * SECOND)));
    lost.links = links.collect();
    lost.run(20 * SECOND);
    let tally = lost.pool.tally(&primary_id());
    assert_eq!(
        (tally.quarantined, tally.free),
        (16, 16),
        "asks for another meanwhile"
    );
    lost.run(60 * SECOND);
    let tally = lost.pool.tally(&primary_id());
    assert_eq!(tally.quarantined, 2, "of pods whose links are there");
    let (_, address) = lost.pool.addresses().find(|(ip, _)| *ip == used).unwrap();
    assert!(matches!(address.block, Block::Prefix(_)));
}
