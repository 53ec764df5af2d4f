//! What a refusal means: the reason that a waiting pod is told, and when the call is made again.

use std::time::Duration;

use ipam::{FailureKind, Reason, Timestamp, Verb};

use crate::growth::M5_LARGE;
use crate::node::{End, Node};

fn denied(action: &str) -> Reason {
    Reason::AccessDenied {
        action: action.to_owned(),
    }
}

/// A refusal of Assign: its reason, and the milliseconds until the next try, once and twice in a row.
fn table(at: Timestamp) -> Vec<(FailureKind, Reason, [u64; 2])> {
    let until = at.after(Duration::from_secs(1));
    let said = |kind: FailureKind| Reason::Refused {
        message: format!("{kind:?}"),
    };
    let unreachable = Reason::ApiUnreachable {
        message: "Unreachable".to_owned(),
    };
    let full = Reason::SubnetFull;
    vec![
        (FailureKind::SubnetFull, full, [1_000, 2_000]),
        (
            FailureKind::Throttled,
            Reason::Throttled { until },
            [1_000, 2_000],
        ),
        (
            FailureKind::AccessDenied,
            denied("AssignPrivateIpAddresses"),
            [10_000, 20_000],
        ),
        (
            FailureKind::CredentialsRefused,
            Reason::CredentialsRefused {
                message: "CredentialsRefused".to_owned(),
            },
            [2_000, 4_000],
        ),
        (
            FailureKind::AddressLimit,
            Reason::AddressLimit,
            [5_000, 10_000],
        ),
        (
            FailureKind::NoContiguousBlock,
            Reason::NoContiguousBlock,
            [60_000, 120_000],
        ),
        (FailureKind::Unreachable, unreachable, [200, 400]),
        (
            FailureKind::Refused,
            said(FailureKind::Refused),
            [2_000, 4_000],
        ),
        (
            FailureKind::NotFound,
            said(FailureKind::NotFound),
            [500, 1_000],
        ),
    ]
}

#[test]
fn a_refused_assign_says_why_and_is_made_again_later_and_later() {
    let probe = Node::settled(M5_LARGE);
    for (kind, reason, waits) in table(probe.now) {
        let mut node = Node::settled(M5_LARGE);
        // Without another ENI to turn to, so that Assign is all there is.
        node.settings.max_eni = Some(1);
        node.ask(4);
        for (turn, wait) in waits.into_iter().enumerate() {
            node.end_the(Verb::Assign, End::Refuse(kind));
            // Some are spread over the second half of their wait, node by node.
            let trouble = node.pool.troubles().last(Verb::Assign);
            let spread = trouble.filter(|trouble| trouble.failures as usize == turn + 1);
            let again = match kind {
                FailureKind::Throttled | FailureKind::SubnetFull => spread.unwrap().until,
                _ => node.now.after(Duration::from_millis(wait)),
            };
            let rest = again.since(node.now).as_millis() as u64;
            assert!((wait / 2..=wait).contains(&rest), "{kind:?}: {rest} ms");
            let reason = match &reason {
                Reason::Throttled { .. } => Reason::Throttled { until: again },
                reason => reason.clone(),
            };
            let told = &node.last_plan.reasons;
            assert!(turn > 0 || told.contains(&reason), "{kind:?}: {told:?}");
            assert!(!node.under_way().contains(&Verb::Assign), "{kind:?}");
            while node.now < again {
                let wake = node.last_plan.wake_at.expect("a wake-up");
                assert!(wake <= again, "{kind:?}: sleeps too long");
                node.advance(wake.since(node.now));
                let made = node.under_way().contains(&Verb::Assign);
                assert_eq!(made, node.now >= again, "{kind:?} at {}", node.now);
            }
            let told = node.last_plan.reasons.first().map(Reason::name);
            assert_eq!(told, Some(reason.name()), "{kind:?}, while it is retried");
        }
        node.run(Duration::from_secs(120));
        assert_eq!((node.waiting, node.free()), (0, 2), "{kind:?}");
    }
}

#[test]
fn the_last_addresses_of_a_subnet_go_to_the_pods_that_wait_for_them() {
    for (left, waiting) in [(4, 4), (3, 6), (1, 5)] {
        let mut node = Node::settled(M5_LARGE);
        node.ask(2);
        node.drain();
        node.run(Duration::from_secs(2));
        node.cloud.others_take(usize::MAX);
        node.cloud.others_give(left);
        let (served, free) = (node.pods.len(), node.free() as usize);
        node.ask(waiting);
        node.run(Duration::from_secs(60));
        assert_eq!(
            node.pods.len(),
            served + (waiting as usize).min(left + free)
        );
    }
}

#[test]
fn a_subnet_without_room_for_an_eni_says_so() {
    let mut node = Node::settled(M5_LARGE);
    node.ask(8);
    node.drain();
    node.cloud.others_take(usize::MAX);
    node.ask(2);
    node.drain();
    assert_eq!(node.waiting, 1);
    node.run(Duration::from_secs(30));
    assert_eq!(node.last_plan.reasons.first(), Some(&Reason::SubnetFull));
    node.cloud.others_give(10);
    node.run(Duration::from_secs(120));
    assert_eq!(node.waiting, 0);
}

#[test]
fn a_node_that_does_not_know_itself_says_so() {
    let mut node = Node::new(M5_LARGE, 0, 7);
    node.ask(1);
    assert_eq!(node.last_plan.reasons, [Reason::DaemonStarting]);
    node.end_the(Verb::Describe, End::Refuse(FailureKind::AccessDenied));
    let reasons = [denied("DescribeNetworkInterfaces"), Reason::DaemonStarting];
    assert_eq!(node.last_plan.reasons, reasons);
    let again = node.now.after(Duration::from_secs(10));
    assert_eq!(node.last_plan.wake_at, Some(again));
    node.run(Duration::from_secs(20));
    assert_eq!((node.waiting, node.free()), (0, 2));
}

#[test]
fn enis_that_may_not_be_deleted_keep_no_others_from_being_made_and_do_not_pile_up() {
    let mut node = crate::growth::with_pods(M5_LARGE, 12);
    for round in 0..6 {
        while node.pods.len() > 3 {
            node.remove(3, Duration::from_secs(1));
        }
        for _ in 0..3_600 {
            node.advance(Duration::from_secs(1));
            while let Some(flight) = node.flights.first() {
                let end = match flight.action.verb() {
                    Verb::Delete => End::Refuse(FailureKind::AccessDenied),
                    _ => End::Answer,
                };
                node.end(0, end);
            }
        }
        let lying = node.cloud.enis.len() - node.cloud.attached().count();
        assert!(lying <= 1, "round {round}: {lying} lie around");
        node.ask(24);
        node.run(Duration::from_secs(30));
        assert_eq!((node.waiting, node.pods.len()), (0, 27), "round {round}");
    }
}

#[test]
fn a_detach_that_is_not_permitted_does_not_keep_the_eni_from_pods() {
    let mut node = crate::growth::with_pods(M5_LARGE, 27);
    node.run(Duration::from_secs(5));
    while node.pods.len() > 3 {
        node.remove(3, Duration::from_secs(1));
    }
    for _ in 0..1500 {
        node.advance(Duration::from_secs(1));
        while let Some(flight) = node.flights.first() {
            let end = match flight.action.verb() {
                Verb::Detach => End::Refuse(FailureKind::AccessDenied),
                _ => End::Answer,
            };
            node.end(0, end);
        }
    }
    assert!(node.started[&Verb::Detach] < 20);
    assert_eq!(node.cloud.attached().count(), 3);
    node.ask(20);
    node.run(Duration::from_secs(30));
    assert_eq!((node.waiting, node.pods.len()), (0, 23));
}

/// Somebody else deleted what lay around, so nothing is left to try a deletion with.
#[test]
fn enis_go_again_an_hour_after_a_deletion_was_denied() {
    let mut node = crate::growth::with_pods(M5_LARGE, 12);
    let mut denied = None;
    for round in 0..3 {
        while node.pods.len() > 3 {
            node.remove(3, Duration::from_secs(1));
        }
        for _ in 0..3_600 {
            node.advance(Duration::from_secs(1));
            while let Some(flight) = node.flights.first() {
                let deletes = flight.action.verb() == Verb::Delete && denied.is_none();
                let end = if deletes {
                    denied = flight.action.eni().cloned();
                    End::Refuse(FailureKind::AccessDenied)
                } else {
                    End::Answer
                };
                node.end(0, end);
            }
            if let Some(lying) = &denied {
                node.cloud.enis.remove(lying);
            }
        }
        let enis = node.cloud.enis.len();
        assert!(round == 0 || enis == 1, "round {round}: {enis} for 3 pods");
        node.ask(24);
        node.run(Duration::from_secs(30));
    }
    assert!(denied.is_some());
}
