//! Where addresses come from: the right ENI, the right number, and no ENI more than it takes.

use std::time::Duration;

use ipam::{Action, FailureKind, Limits, Reason, Verb};

use crate::cloud::primary_id;
use crate::node::{End, Node};

/// An m5.large: 3 ENIs of 10 addresses, the first of each its own (EC2 user guide, "IP addresses per network interface").
pub const M5_LARGE: Limits = Limits {
    enis: 3,
    slots_per_eni: 9,
    prefixes: true,
};

const SECOND: Duration = Duration::from_secs(1);

fn creates(node: &Node) -> u32 {
    node.started.get(&Verb::Create).copied().unwrap_or(0)
}

/// A node whose `pods` run.
pub fn with_pods(limits: Limits, pods: u32) -> Node {
    let mut node = Node::settled(limits);
    node.ask(pods);
    while node.waiting > 0 || !node.flights.is_empty() {
        node.run(SECOND);
    }
    node
}

#[test]
fn a_new_node_holds_two() {
    let node = Node::settled(M5_LARGE);
    assert_eq!(node.free(), 2);
    assert_eq!(node.cloud.enis[&primary_id()].secondary.len(), 2);
    assert_eq!(node.started[&Verb::Assign], 1);
}

#[test]
fn half_an_hour_after_its_last_pod_a_node_keeps_one() {
    let mut node = Node::new(M5_LARGE, 0, 7);
    node.run(Duration::from_secs(3600));
    assert_eq!(node.free(), 1);
    node.ask(1);
    node.run(Duration::from_secs(1800));
    assert_eq!((node.free(), node.pods.len()), (1, 1));
    node.remove(0, SECOND);
    node.run(Duration::from_secs(1800));
    assert_eq!(node.free(), 1);
    // When that one is taken too, the next is asked for.
    node.ask(1);
    assert!(node.under_way().contains(&Verb::Assign));
}

#[test]
fn bound_pods_are_asked_for_before_their_adds_come() {
    let mut node = Node::new(M5_LARGE, 0, 7);
    node.run(10 * SECOND);
    node.bound = 4;
    node.react();
    assert_eq!(node.under_way(), [Verb::Assign]);
    node.run(5 * SECOND);
    assert_eq!(node.free(), 6);
    node.bound = 0;
    node.ask(4);
    assert_eq!((node.waiting, node.free()), (0, 2));
}

#[test]
fn eight_pods_live_on_the_primary_with_one_to_spare() {
    let mut node = with_pods(M5_LARGE, 8);
    node.run(Duration::from_secs(300));
    assert_eq!((node.free(), creates(&node)), (1, 0));
    assert_eq!(node.last_plan.reasons, []);
}

#[test]
fn the_ninth_pod_makes_a_second_eni_with_the_reserve() {
    let mut node = with_pods(M5_LARGE, 8);
    node.ask(1);
    assert_eq!(node.waiting, 0, "the ninth has the primary's last one");
    // The reserve may be short for a second.
    node.advance(SECOND);
    let create = node.flights.iter().find_map(|f| match &f.action {
        Action::Create {
            device_index,
            count,
            ..
        } => Some((*device_index, *count)),
        _ => None,
    });
    assert_eq!(create, Some((1, 2)));
    node.run(Duration::from_secs(300));
    assert_eq!((node.free(), creates(&node)), (2, 1));
}

#[test]
fn a_new_eni_brings_what_the_waiting_pods_need() {
    let mut node = Node::settled(M5_LARGE);
    node.ask(14);
    // Two had the reserve, seven more fit on the primary; five wait for the new ENI, which brings the reserve too: one and
    // a tenth of fourteen.
    let asked: Vec<u32> = node
        .flights
        .iter()
        .map(|f| match &f.action {
            Action::Assign { count, .. } => *count,
            Action::Create { count, .. } => *count,
            other => panic!("{other}"),
        })
        .collect();
    assert_eq!(asked, [7, 8]);
    node.run(Duration::from_secs(30));
    assert_eq!((node.waiting, node.free(), creates(&node)), (0, 3, 1));
}

#[test]
fn pods_that_come_while_a_call_is_under_way_take_the_room_that_is_there() {
    let mut node = Node::settled(M5_LARGE);
    node.ask(3);
    assert_eq!(node.under_way(), [Verb::Assign]);
    node.ask(3);
    assert_eq!(node.under_way(), [Verb::Assign], "the primary has room");
    node.run(Duration::from_secs(30));
    assert_eq!((node.waiting, creates(&node)), (0, 0));
}

#[test]
fn pods_that_come_while_an_eni_is_on_its_way_go_there() {
    let mut node = with_pods(M5_LARGE, 9);
    node.run(Duration::from_secs(10));
    node.ask(2);
    assert_eq!(node.waiting, 0);
    node.run(Duration::from_secs(10));
    let mut node = with_pods(M5_LARGE, 8);
    node.ask(1);
    node.advance(SECOND);
    node.end_the(Verb::Create, End::Answer);
    assert_eq!(node.under_way(), [Verb::Attach]);
    node.ask(4);
    assert_eq!(creates(&node), 1, "the ENI that is being attached has room");
    node.run(Duration::from_secs(10));
    assert_eq!((node.waiting, creates(&node)), (0, 1));
}

#[test]
fn a_call_that_must_rest_is_no_reason_for_an_eni() {
    let rests = [
        FailureKind::Throttled,
        FailureKind::AccessDenied,
        FailureKind::CredentialsRefused,
        FailureKind::SubnetFull,
        FailureKind::Unreachable,
        FailureKind::Doubtful,
    ];
    for kind in rests {
        let mut node = Node::settled(M5_LARGE);
        node.ask(3);
        let end = match kind {
            FailureKind::Doubtful => End::Lose { done: false },
            kind => End::Refuse(kind),
        };
        node.end_the(Verb::Assign, end);
        assert_eq!(creates(&node), 0, "{kind:?}");
    }
}

#[test]
fn an_eni_that_takes_no_more_makes_way_for_another() {
    let mut node = Node::settled(M5_LARGE);
    node.ask(3);
    node.end_the(Verb::Assign, End::Refuse(FailureKind::AddressLimit));
    assert_eq!(creates(&node), 1);
    let since = node.now;
    assert_eq!(node.last_plan.reasons, [Reason::Attaching { since }]);
}

#[test]
fn a_full_house_says_so() {
    let mut node = with_pods(M5_LARGE, 27);
    assert_eq!(node.free(), 0);
    node.ask(1);
    assert_eq!(node.last_plan.actions, []);
    assert_eq!(node.last_plan.reasons, [Reason::EniLimit { enis: 3 }]);
    assert_eq!(node.cloud.refusals, []);
}

#[test]
fn max_eni_is_a_lower_limit() {
    let mut node = with_pods(M5_LARGE, 8);
    node.settings.max_eni = Some(1);
    node.ask(2);
    assert_eq!((node.waiting, creates(&node)), (1, 0));
    assert_eq!(node.last_plan.reasons, [Reason::EniLimit { enis: 1 }]);
}

#[test]
fn foreign_enis_count_and_keep_their_places() {
    let mut node = Node::new(M5_LARGE, 0, 7);
    node.cloud.foreign("trunk", false);
    node.run(Duration::from_secs(10));
    node.ask(20);
    node.run(Duration::from_secs(60));
    assert_eq!(creates(&node), 1);
    assert_eq!((node.pods.len(), node.waiting), (18, 2));
    assert_eq!(node.last_plan.reasons, [Reason::EniLimit { enis: 3 }]);
    let places: Vec<u32> = node.pool.enis().map(|e| e.device_index).collect();
    assert_eq!(places.len(), 3);
    assert!(places.contains(&1) && places.contains(&2), "{places:?}");
}

#[test]
fn an_eni_whose_place_was_taken_goes_to_another_one_as_soon_as_that_is_known() {
    let mut node = with_pods(M5_LARGE, 8);
    node.ask(2);
    node.run(SECOND / 2);
    while !node.under_way().contains(&Verb::Attach) {
        node.advance(SECOND);
        let first = node.under_way()[0];
        node.end_the(first, End::Answer);
    }
    node.cloud.foreign("trunk", false);
    // The rests between the tries grow; Describe is asked within 5 s and ends them.
    for _ in 0..4 {
        node.end_the(Verb::Attach, End::Answer);
        while !node.under_way().contains(&Verb::Attach) {
            node.advance(SECOND / 10);
            if node.under_way().contains(&Verb::Describe) {
                node.end_the(Verb::Describe, End::Answer);
                let attach = node.flights.iter().map(|flight| flight.action.clone());
                let places: Vec<_> = attach.filter_map(|action| action.device_index()).collect();
                assert_eq!(places, [2], "attached at once, elsewhere");
                return;
            }
        }
    }
    panic!("no Describe was asked for");
}

#[test]
fn the_fullest_eni_is_packed_and_the_longest_free_goes_first() {
    let mut node = with_pods(M5_LARGE, 12);
    // Two of the primary's nine pods go, at different times.
    for _ in 0..2 {
        node.run(Duration::from_secs(20));
        let on_primary = |ip: &_| node.cloud.holder(*ip) == Some(&primary_id());
        let pod = node.pods.values().position(on_primary);
        node.remove(pod.unwrap(), SECOND);
    }
    node.run(Duration::from_secs(15));
    let free: Vec<_> = node
        .pool
        .addresses_of(&primary_id())
        .filter_map(|(ip, a)| a.free_since().map(|since| (since, ip)))
        .collect();
    assert_eq!(free.len(), 1, "the other one rests still: {free:?}");
    let first = Some((free[0].1, primary_id()));
    assert_eq!(node.pool.choose(), first);
    node.run(Duration::from_secs(20));
    assert_eq!(node.pool.tally(&primary_id()).free, 2);
    assert_eq!(node.pool.choose(), first);
}
