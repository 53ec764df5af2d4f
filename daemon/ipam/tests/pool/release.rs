//! What is given back, and when.

use std::time::Duration;

use ipam::{Action, EniId, FailureKind, Reason, Verb};

use crate::cloud::primary_id;
use crate::growth::{M5_LARGE, with_pods};
use crate::node::{End, Node};

fn remove_all(node: &mut Node, keep: usize) {
    while node.pods.len() > keep {
        node.remove(node.pods.len() - 1, Duration::from_secs(1));
    }
}

fn attached(node: &Node) -> usize {
    node.cloud.attached().count()
}

#[test]
fn an_eni_without_pods_goes_when_it_was_idle_for_the_age() {
    let mut node = with_pods(M5_LARGE, 12);
    assert_eq!(attached(&node), 2);
    remove_all(&mut node, 3);
    // 30 s of cooldown and 900 s of age.
    node.run(Duration::from_secs(925));
    assert_eq!(attached(&node), 2);
    node.run(Duration::from_secs(15));
    assert_eq!(attached(&node), 1);
    assert_eq!(node.cloud.enis.len(), 1, "detached and deleted");
    node.run(Duration::from_secs(1200));
    assert_eq!(node.cloud.enis[&primary_id()].secondary.len(), 4);
}

/// The pods of one ENI go `gap` before those of the other; which ones go first is `primary_first`.
fn emptied_in_turn(primary_first: bool, gap: Duration) -> Node {
    let mut node = with_pods(M5_LARGE, 12);
    for primary in [primary_first, !primary_first] {
        let there = |node: &Node| {
            let on = |ip: &_| (node.cloud.holder(*ip) == Some(&primary_id())) == primary;
            node.pods.values().position(on)
        };
        while let Some(pod) = there(&node) {
            node.remove(pod, Duration::from_secs(1));
        }
        node.run(gap);
    }
    node
}

#[test]
fn the_reserve_of_a_node_without_pods_is_on_its_primary() {
    for primary_first in [true, false] {
        for gap in [1, 5, 20, 70, 400] {
            let mut node = emptied_in_turn(primary_first, Duration::from_secs(gap));
            node.run(Duration::from_secs(3000));
            assert_eq!(attached(&node), 1, "{primary_first} {gap}");
            assert_eq!(node.free(), 1, "{primary_first} {gap}");
        }
    }
}

/// Two ENIs, the pods of the primary gone, and then its addresses taken from it by somebody else.
fn primary_without_addresses() -> Node {
    let mut node = with_pods(M5_LARGE, 12);
    remove_where(&mut node, Some(&primary_id()));
    node.run(Duration::from_secs(40));
    node.cloud.eni_mut(&primary_id()).secondary.clear();
    node.run(Duration::from_secs(4 * 3600));
    assert_eq!(attached(&node), 2);
    node.settings.targets.addresses = Some(2);
    node
}

/// Removes the pods whose address is on `eni`, all at the same moment.
fn remove_where(node: &mut Node, eni: Option<&EniId>) {
    let on = |node: &Node| {
        let on = |ip: &_| node.cloud.holder(*ip) == eni;
        node.pods.values().position(on)
    };
    while let Some(pod) = on(node) {
        node.remove(pod, Duration::ZERO);
    }
}

#[test]
fn a_reserve_that_is_all_an_eni_has_moves_to_where_there_is_room() {
    let mut node = primary_without_addresses();
    let other = node.pool.enis().find(|e| e.id != primary_id());
    let other = other.expect("a second ENI").id.clone();
    remove_where(&mut node, Some(&other));
    // All become old at one moment: what is asked for on the primary and what is too much here are not in one plan,
    // which the invariants see at each step.
    node.run(Duration::from_secs(300));
    assert_eq!(attached(&node), 1);
    assert!(node.pool.eni(&other).is_none());
    assert!((1..=2).contains(&node.free()), "{}", node.free());
}

#[test]
fn an_eni_stays_until_what_takes_its_place_is_there() {
    let mut node = primary_without_addresses();
    let other = node.pool.enis().find(|e| e.id != primary_id());
    let other = other.expect("a second ENI").id.clone();
    remove_where(&mut node, Some(&other));
    while !node.under_way().contains(&Verb::Assign) {
        match node.under_way().first() {
            Some(verb) => node.end_the(*verb, End::Answer),
            None => node.advance(Duration::from_secs(1)),
        }
    }
    node.end_the(Verb::Assign, End::Refuse(FailureKind::SubnetFull));
    assert_eq!(attached(&node), 2);
    assert_eq!(node.started.get(&Verb::Detach), None);
}

#[test]
fn surplus_goes_when_it_is_old_and_leaves_the_upper_level() {
    let mut node = with_pods(M5_LARGE, 8);
    remove_all(&mut node, 2);
    // 30 s of cooldown and 300 s of age.
    node.run(Duration::from_secs(325));
    assert_eq!(node.free(), 7);
    node.run(Duration::from_secs(15));
    assert_eq!((node.free(), node.pods.len()), (2, 2));
    assert_eq!(node.started[&Verb::Unassign], 1);
    // Ten minutes after the last pod one more is too many, and goes alone another fifteen later.
    node.run(Duration::from_secs(1100));
    assert_eq!(node.free(), 2);
    node.run(Duration::from_secs(100));
    assert_eq!(node.free(), 1);
    assert!(node.cloud.refusals.is_empty());
}

#[test]
fn nothing_is_given_back_while_something_is_asked() {
    let mut node = with_pods(M5_LARGE, 8);
    remove_all(&mut node, 2);
    node.run(Duration::from_secs(325));
    assert_eq!(node.free(), 7, "five too many, and nearly old enough");
    node.ask(8);
    assert_eq!((node.waiting, node.free()), (1, 0));
    assert_eq!(node.under_way(), [Verb::Create]);
    remove_all(&mut node, 3);
    node.advance(Duration::from_secs(20));
    assert_eq!(node.under_way(), [Verb::Create]);
}

#[test]
fn an_eni_is_left_alone_while_a_call_about_it_is_under_way() {
    let mut node = with_pods(M5_LARGE, 8);
    node.ask(1);
    node.advance(Duration::from_secs(1));
    for verb in [Verb::Create, Verb::Attach, Verb::Connect] {
        node.end_the(verb, End::Answer);
    }
    remove_all(&mut node, 0);
    node.advance(Duration::from_secs(30));
    node.advance(Duration::from_secs(910));
    assert_eq!(node.started.get(&Verb::Detach), None, "Protect is not done");
    assert!(node.under_way().contains(&Verb::Protect));
    node.run(Duration::from_secs(10));
    assert_eq!(attached(&node), 1);
}

#[test]
fn a_refused_unassign_leaves_the_addresses_in_question_until_they_were_seen() {
    let mut node = with_pods(M5_LARGE, 8);
    remove_all(&mut node, 2);
    while !node.under_way().contains(&Verb::Unassign) {
        node.run(Duration::from_secs(1));
    }
    let addresses = node.flights.iter().find_map(|f| match &f.action {
        Action::Unassign { addresses, .. } => Some(addresses.clone()),
        _ => None,
    });
    let addresses = addresses.unwrap();
    // Somebody else took one of them off the ENI: EC2 refuses the call, whole.
    let gone = addresses[0];
    node.cloud.eni_mut(&primary_id()).secondary.remove(&gone);
    node.end_the(Verb::Unassign, End::Answer);
    node.ask(7);
    node.run(Duration::from_secs(600));
    assert_eq!(node.waiting, 0);
    assert!(
        node.pool
            .addresses_of(&primary_id())
            .all(|(ip, _)| ip != gone)
    );
}

#[test]
fn pods_wait_for_cooling_addresses_when_nothing_else_can_be_had() {
    let mut node = with_pods(M5_LARGE, 27);
    node.remove(0, Duration::from_secs(1));
    let until = node.now.after(Duration::from_secs(30));
    node.ask(1);
    assert_eq!(
        node.last_plan.reasons,
        [Reason::EniLimit { enis: 3 }, Reason::CoolingOnly { until }]
    );
    assert_eq!(node.last_plan.wake_at, Some(until));
    node.run(Duration::from_secs(31));
    assert_eq!(node.waiting, 0);
}
