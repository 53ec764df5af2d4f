//! What Describe changes: what it shows that we do not know, and what it does not show that we do.

use std::net::Ipv4Addr;
use std::time::Duration;

use ipam::action::{Described, DescribedEni};
use ipam::ownership::{INSTANCE_TAG, NO_MANAGE_TAG};
use ipam::{AddressState, EniId, Outcome, Ownership, Verb};

use crate::cloud::primary_id;
use crate::growth::{M5_LARGE, with_pods};
use crate::node::{End, Node};

const SECOND: Duration = Duration::from_secs(1);

fn state(node: &Node, ip: Ipv4Addr) -> Option<AddressState> {
    let found = node.pool.addresses().find(|(other, _)| *other == ip);
    found.map(|(_, address)| address.state.clone())
}

fn describes(node: &Node) -> u32 {
    node.started.get(&Verb::Describe).copied().unwrap_or(0)
}

/// The address of the first pod.
fn pod(node: &Node) -> Ipv4Addr {
    *node.pods.values().next().expect("a pod")
}

#[test]
fn a_found_address_is_free_after_two_looks_thirty_seconds_apart() {
    let mut node = Node::new(M5_LARGE, 3, 7);
    let found: Vec<Ipv4Addr> = (node.cloud.enis[&primary_id()].secondary.iter())
        .copied()
        .collect();
    // The link of a pod that nobody knows uses the last one for two minutes.
    let until = node.now.after(120 * SECOND);
    node.links.push((found[2], until));
    node.run(SECOND);
    for ip in &found {
        let quarantined = matches!(state(&node, *ip), Some(AddressState::Quarantined { .. }));
        assert!(quarantined, "{ip}");
    }
    node.run(28 * SECOND);
    node.ask(1);
    assert!(!found.contains(&pod(&node)));
    node.run(20 * SECOND);
    let free = |ip| matches!(state(&node, ip), Some(AddressState::Free { .. }));
    assert_eq!(
        [free(found[0]), free(found[1]), free(found[2])],
        [true, true, false]
    );
    node.run(70 * SECOND);
    assert!(matches!(
        state(&node, found[2]),
        Some(AddressState::Quarantined { .. })
    ));
    node.run(60 * SECOND);
    let left = state(&node, found[2]);
    assert!(
        !matches!(left, Some(AddressState::Quarantined { .. })),
        "{left:?}"
    );
}

#[test]
fn a_missed_address_is_held_back_and_dropped_after_three_misses_over_two_minutes() {
    let mut node = Node::settled(M5_LARGE);
    let (lost, eni) = node.pool.choose().unwrap();
    node.cloud.eni_mut(&eni).secondary.remove(&lost);
    node.save();
    node.crash(0, true);
    node.run(3 * SECOND);
    assert_ne!(node.pool.choose().map(|(ip, _)| ip), Some(lost));
    assert!(matches!(
        state(&node, lost),
        Some(AddressState::Free { .. })
    ));
    node.run(100 * SECOND);
    assert!(matches!(
        state(&node, lost),
        Some(AddressState::Free { .. })
    ));
    node.run(60 * SECOND);
    assert!(matches!(
        state(&node, lost),
        Some(AddressState::Gone { .. })
    ));
    node.run(300 * SECOND);
    assert_eq!(state(&node, lost), None);
}

#[test]
fn an_address_that_is_shown_again_may_be_used_again() {
    let mut node = Node::settled(M5_LARGE);
    let (lost, eni) = node.pool.choose().unwrap();
    node.cloud.eni_mut(&eni).secondary.remove(&lost);
    node.save();
    node.crash(0, true);
    node.run(3 * SECOND);
    node.cloud.eni_mut(&eni).secondary.insert(lost);
    node.run(60 * SECOND);
    let found = node.pool.addresses().find(|(ip, _)| *ip == lost);
    assert!(found.is_some_and(|(_, address)| address.is_free()));
}

#[test]
fn a_missed_address_stays_with_its_pod() {
    let mut node = with_pods(M5_LARGE, 3);
    node.answer(0);
    let ip = pod(&node);
    // Without the check that EC2 still has it, which is what this is about.
    let mut shown = node.cloud.show();
    shown[0].addresses.retain(|other| *other != ip);
    node.save();
    node.crash(0, true);
    for _ in 0..6 {
        while !node.under_way().contains(&Verb::Describe) {
            node.advance(SECOND);
        }
        let at = (node.flights.iter()).position(|f| f.action.verb() == Verb::Describe);
        node.advance(SECOND);
        let flight = node.flights.remove(at.unwrap());
        node.deliver(
            &flight,
            Outcome::Described(Described {
                enis: shown.clone(),
                in_use: vec![ip],
                ..Described::default()
            }),
        );
    }
    assert!(matches!(
        state(&node, ip),
        Some(AddressState::Assigned { .. })
    ));
    // Its pod gone, it is not for the next one.
    let at = node.pods.values().position(|other| *other == ip);
    node.remove(at.unwrap(), SECOND);
    node.advance(40 * SECOND);
    assert_ne!(node.pool.choose().map(|(other, _)| other), Some(ip));
}

#[test]
fn an_answer_without_the_primary_is_no_answer() {
    let mut node = Node::settled(M5_LARGE);
    node.save();
    node.crash(0, true);
    let flight = node.flights.remove(0);
    assert_eq!(flight.action.verb(), Verb::Describe);
    node.deliver(&flight, Outcome::Described(Described::default()));
    assert!(node.pool.enis().all(|eni| eni.missed.is_none()));
    assert!(node.pool.choose().is_some());
    node.run(5 * SECOND);
    assert_eq!(node.pool.knowledge().described.map(|_| ()), Some(()));
    assert!(!node.pool.knowledge().wanted, "asked again");
}

/// A node with pods on its primary and an idle second ENI, which somebody takes off the instance.
fn robbed() -> (Node, EniId) {
    let mut node = with_pods(M5_LARGE, 9);
    node.run(10 * SECOND);
    let second = EniId("eni-1".to_owned());
    assert!(node.pool.eni(&second).is_some_and(ipam::Eni::is_ready));
    node.cloud.eni_mut(&second).attachment = None;
    (node, second)
}

#[test]
fn an_eni_that_somebody_took_off_is_held_back_then_deleted() {
    let (mut node, second) = robbed();
    node.save();
    node.crash(0, true);
    node.end_the(Verb::Describe, End::Answer);
    node.run(5 * SECOND);
    node.end(0, End::Answer);
    assert_eq!(node.pool.choose(), None, "its addresses are of no use");
    node.run(300 * SECOND);
    assert!(!node.cloud.enis.contains_key(&second));
    assert!(node.pool.eni(&second).is_none());
    assert_eq!(node.free(), 2, "on another one");
}

#[test]
fn a_lost_eni_with_pods_is_not_looked_for_without_end() {
    let mut node = with_pods(M5_LARGE, 10);
    node.answer(9);
    let shown: Vec<_> = (node.cloud.show().into_iter())
        .filter(|eni| eni.id == primary_id())
        .collect();
    node.save();
    node.crash(0, true);
    let before = describes(&node);
    for _ in 0..600 {
        node.advance(SECOND);
        let at = (node.flights.iter()).position(|f| f.action.verb() == Verb::Describe);
        if let Some(at) = at {
            let flight = node.flights.remove(at);
            let enis = shown.clone();
            node.deliver(&flight, shows(enis));
        }
    }
    assert_eq!(node.pool.attachments().count(), 10);
    let looks = describes(&node) - before;
    assert!((4..=20).contains(&looks), "{looks} looks in ten minutes");
}

#[test]
fn an_eni_whose_subnet_is_not_told_yet_is_asked_for_with_patience() {
    let mut node = with_pods(M5_LARGE, 10);
    let mut shown = node.cloud.show();
    shown[1].subnet = None;
    let mut fresh = Node::settled(M5_LARGE);
    fresh.save();
    fresh.crash(0, true);
    let before = describes(&fresh);
    shown[0] = fresh.cloud.show().remove(0);
    for _ in 0..60 {
        fresh.advance(SECOND);
        if !fresh.flights.is_empty() {
            let flight = fresh.flights.remove(0);
            let enis = shown.clone();
            fresh.deliver(&flight, shows(enis));
        }
    }
    let looks = describes(&fresh) - before;
    assert!((8..=15).contains(&looks), "{looks} looks in a minute");
    node.run(SECOND);
}

#[test]
fn leftovers_are_deleted_unless_somebody_claims_them() {
    let mut node = with_pods(M5_LARGE, 9);
    node.run(10 * SECOND);
    let mut theirs = node.cloud.enis[&EniId("eni-1".to_owned())].clone();
    theirs.attachment = None;
    theirs.secondary.clear();
    let mut ours = theirs.clone();
    theirs
        .tags
        .insert(NO_MANAGE_TAG.to_owned(), "true".to_owned());
    theirs.primary = Ipv4Addr::new(10, 0, 0, 60);
    ours.primary = Ipv4Addr::new(10, 0, 0, 61);
    assert!(ours.tags.contains_key(INSTANCE_TAG));
    let (kept, deleted) = (EniId("eni-8".to_owned()), EniId("eni-9".to_owned()));
    node.cloud.enis.insert(kept.clone(), theirs);
    node.cloud.enis.insert(deleted.clone(), ours);
    node.save();
    node.crash(0, true);
    node.run(60 * SECOND);
    assert!(node.cloud.enis.contains_key(&kept));
    assert!(!node.cloud.enis.contains_key(&deleted));
    assert!(node.pool.eni(&kept).is_none(), "it takes no place here");
}

#[test]
fn an_eni_that_is_claimed_later_is_left_alone_with_its_pods() {
    let mut node = with_pods(M5_LARGE, 10);
    (0..10).for_each(|pod| node.answer(pod));
    // What is too much goes before somebody lays a hand on the ENI.
    node.run(Duration::from_secs(1700));
    let second = EniId("eni-1".to_owned());
    let tags = &mut node.cloud.eni_mut(&second).tags;
    tags.insert(NO_MANAGE_TAG.to_owned(), "true".to_owned());
    node.run(Duration::from_secs(3700));
    let known = node.pool.eni(&second).unwrap();
    assert_eq!(known.ownership, Ownership::Foreign);
    assert!(node.pool.tally(&second).assigned > 0);
    while !node.pods.is_empty() {
        node.remove(0, SECOND);
    }
    // The invariants see to it that no action touches it.
    node.run(Duration::from_secs(600));
    assert!(node.cloud.enis.contains_key(&second));
    assert_eq!(node.free(), 1 + node.pool.tally(&second).free);
}

/// What a Describe says of ENIs whose addresses nothing in the kernel uses.
fn shows(enis: Vec<DescribedEni>) -> Outcome {
    Outcome::Described(Described {
        enis,
        ..Described::default()
    })
}
