//! Answers that were lost: what was asked is found out before it is asked again.

use std::time::Duration;

use ipam::{Action, EniState, FailureKind, Outcome, Verb};

use crate::cloud::primary_id;
use crate::growth::{M5_LARGE, with_pods};
use crate::node::{End, Node};

const SECOND: Duration = Duration::from_secs(1);

fn count(node: &Node, verb: Verb) -> u32 {
    node.started.get(&verb).copied().unwrap_or(0)
}

#[test]
fn a_lost_assign_is_looked_at_before_anything_is_asked_again() {
    for done in [true, false] {
        let mut node = Node::settled(M5_LARGE);
        node.ask(4);
        let asked = count(&node, Verb::Assign);
        node.end_the(Verb::Assign, End::Lose { done });
        assert_eq!(node.under_way(), [Verb::Describe]);
        node.advance(10 * SECOND);
        assert_eq!(count(&node, Verb::Assign), asked);
        node.end_the(Verb::Describe, End::Answer);
        // Done, its addresses serve at once; not done, they are asked for now.
        assert_eq!(node.waiting, if done { 0 } else { 2 });
        assert_eq!(count(&node, Verb::Assign), asked + u32::from(!done));
        node.run(10 * SECOND);
        assert_eq!((node.waiting, node.free()), (0, 2));
        assert_eq!(node.cloud.enis[&primary_id()].secondary.len(), 6);
    }
}

#[test]
fn a_describe_that_began_before_the_loss_does_not_settle_it() {
    let mut node = Node::settled(M5_LARGE);
    node.ask(4);
    node.advance(Duration::from_secs(4000));
    assert_eq!(node.under_way(), [Verb::Assign, Verb::Describe]);
    node.effect(1);
    node.advance(SECOND);
    node.end_the(Verb::Assign, End::Lose { done: true });
    node.end_the(Verb::Describe, End::Answer);
    assert_eq!(node.under_way(), [Verb::Describe], "a second look, at once");
    assert_eq!(node.waiting, 2);
    node.run(3 * SECOND);
    assert_eq!(node.waiting, 0);
}

#[test]
fn a_create_in_doubt_is_repeated_with_its_token_until_ec2_has_looked() {
    let mut node = with_pods(M5_LARGE, 9);
    node.run(300 * SECOND);
    let there = node.cloud.enis.len();
    node.ask(12);
    let token = |node: &Node| {
        node.flights.iter().find_map(|f| match &f.action {
            Action::Create { token, .. } => Some(token.clone()),
            _ => None,
        })
    };
    let first = token(&node);
    assert!(first.is_some());
    node.end_the(Verb::Create, End::Lose { done: true });
    for kind in [
        FailureKind::Throttled,
        FailureKind::AccessDenied,
        FailureKind::CredentialsRefused,
        FailureKind::Unreachable,
    ] {
        node.advance(61 * SECOND);
        assert_eq!(token(&node), first);
        node.end_the(Verb::Create, End::Refuse(kind));
    }
    node.advance(61 * SECOND);
    assert_eq!(token(&node), first);
    node.run(60 * SECOND);
    assert_eq!(node.cloud.enis.len(), there + 1);
    assert_eq!(node.waiting, 0);
}

#[test]
fn a_lost_attach_is_taken_up_though_the_answer_of_describe_is_old() {
    let mut node = with_pods(M5_LARGE, 8);
    node.ask(1);
    node.advance(SECOND);
    node.end_the(Verb::Create, End::Answer);
    node.advance(SECOND);
    node.end_the(Verb::Attach, End::Lose { done: true });
    node.stale(SECOND);
    node.end_the(Verb::Describe, End::Answer);
    node.run(60 * SECOND);
    assert_eq!(node.cloud.enis.len(), 2);
    let ready = |e: &ipam::Eni| matches!(e.state, EniState::Ready { .. });
    assert_eq!(node.pool.enis().filter(|e| ready(e)).count(), 2);
    assert_eq!(count(&node, Verb::Create), 1);
}

#[test]
fn an_address_that_left_one_eni_for_another_stays_there() {
    let mut node = with_pods(M5_LARGE, 12);
    while node.pods.len() > 8 {
        node.remove(8, SECOND);
    }
    while !node.under_way().contains(&Verb::Unassign) {
        node.run(SECOND);
    }
    let at = (node.flights.iter()).position(|f| f.action.verb() == Verb::Unassign);
    let at = at.unwrap();
    let Action::Unassign { addresses, .. } = node.flights[at].action.clone() else {
        panic!("an Unassign");
    };
    node.effect(at);
    // Before the answer comes, a burst makes the node ask for an ENI, and EC2 gives it one of these addresses.
    node.ask(20);
    let create = (node.flights.iter()).position(|f| f.action.verb() == Verb::Create);
    let flight = node.flights.remove(create.unwrap());
    let Ok(Outcome::Created(mut made)) = node.cloud.perform(&flight.action) else {
        panic!("an ENI");
    };
    let other = made.id.clone();
    made.addresses.push(addresses[0]);
    node.cloud.eni_mut(&other).secondary.insert(addresses[0]);
    node.deliver(&flight, Outcome::Created(made));
    node.end_the(Verb::Unassign, End::Answer);
    let held: Vec<_> = node.pool.addresses_of(&other).map(|(ip, _)| ip).collect();
    assert!(held.contains(&addresses[0]));
}

#[test]
fn calls_that_a_crash_cut_off_are_found_out() {
    for done in [0, u64::MAX] {
        let mut node = Node::settled(M5_LARGE);
        node.ask(12);
        assert_eq!(node.under_way(), [Verb::Assign, Verb::Create]);
        node.crash(done, true);
        assert!(!node.under_way().contains(&Verb::Assign), "in doubt");
        node.ask(12);
        node.run(60 * SECOND);
        assert_eq!((node.waiting, node.pods.len()), (0, 14));
        assert_eq!(node.cloud.enis.len(), 2);
    }
}
