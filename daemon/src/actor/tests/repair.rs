//! What something else changes in the kernel is mended: soon, once, and without end only at a slow pace.

use tokio::time::sleep;

use super::node::{A_WHILE, MILLISECOND, MINUTE, Node, SECOND, alias};
use crate::dataplane::fake::{Fault, Operation, Verb};
use crate::dataplane::{Object, Part, Parts};

/// The parts of the layout that were compared, one entry a time.
fn compared(node: &Node) -> Vec<Parts> {
    let operations = node.kernel.operations();
    let parts = operations
        .into_iter()
        .filter_map(|operation| match operation {
            Operation::ApplyNode(_, parts) => Some(parts),
            _ => None,
        });
    parts.collect()
}

fn pods_compared(node: &Node) -> Vec<usize> {
    let operations = node.kernel.operations();
    let pods = operations
        .into_iter()
        .filter_map(|operation| match operation {
            Operation::MendPods(pods) => Some(pods.len()),
            _ => None,
        });
    pods.collect()
}

#[tokio::test(start_paused = true)]
async fn what_is_told_of_is_mended_within_a_second_and_counted() {
    let node = Node::ready().await;
    let before = compared(&node).len();
    let damage = [
        (Part::Rules, Object::Rule, "rule"),
        (Part::Enis, Object::EniRoute, "eni_route"),
        (Part::Enis, Object::Sysctl, "sysctl"),
        (Part::Nft, Object::Nft, "nft"),
        (Part::Pods, Object::PodRoute, "pod_route"),
    ];
    for (part, object, name) in damage {
        node.kernel.break_object(part, object, name);
        sleep(SECOND).await;
        assert_eq!(node.report().await.repairs.get(name), Some(&1), "{name}");
    }
    // Each part by itself: a lost rule does not run `nft`.
    let parts = [Part::Rules, Part::Enis, Part::Enis, Part::Nft].map(Parts::from);
    assert_eq!(compared(&node)[before..], parts);
    assert!(node.report().await.disputes.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_notifications_is_one_comparison() {
    let node = Node::ready().await;
    let before = compared(&node).len();
    for _ in 0..1_000 {
        node.kernel.notify(Part::Rules.into());
        tokio::task::yield_now().await;
    }
    sleep(SECOND).await;
    assert_eq!(compared(&node)[before..], [Part::Rules.into()]);
    assert!(node.report().await.repairs.is_empty());
}

#[tokio::test(start_paused = true)]
async fn who_fights_is_answered_at_a_slow_pace_and_named() {
    let node = Node::ready().await;
    let before = compared(&node).len();
    for _ in 0..600 {
        node.kernel.break_object(Part::Rules, Object::Rule, "rule");
        sleep(100 * MILLISECOND).await;
    }
    let runs = compared(&node).len() - before;
    assert!((16..=60).contains(&runs), "{runs} comparisons in a minute");
    let report = node.report().await;
    assert_eq!(report.disputes.len(), 1, "{:?}", report.disputes);
    assert!(
        report.disputes[0].starts_with("rules: mended"),
        "{:?}",
        report.disputes
    );
    // Meanwhile another part is as quick as ever.
    node.kernel.break_object(Part::Nft, Object::Nft, "chain");
    sleep(200 * MILLISECOND).await;
    assert_eq!(node.report().await.repairs.get("nft"), Some(&1));
    // And when it is over, it is over.
    sleep(2 * MINUTE).await;
    let report = node.report().await;
    assert!(report.disputes.is_empty(), "{:?}", report.disputes);
    assert_eq!(report.repairs.get("rule"), Some(&600));
}

#[tokio::test(start_paused = true)]
async fn what_the_kernel_does_not_tell_of_is_found_in_time_without_nft() {
    let node = Node::ready().await;
    let before = compared(&node).len();
    node.kernel
        .break_silently(Part::Enis, Object::Sysctl, "rp_filter");
    sleep(61 * SECOND).await;
    assert_eq!(node.report().await.repairs.get("sysctl"), Some(&1));
    for parts in &compared(&node)[before..] {
        assert!(!parts.contains(Part::Nft), "{parts:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_add_and_a_del_compare_nothing() {
    let node = Node::ready().await;
    let before = (compared(&node).len(), pods_compared(&node).len());
    node.added("a").await;
    node.deleted("a").await;
    sleep(A_WHILE).await;
    assert_eq!((compared(&node).len(), pods_compared(&node).len()), before);
}

#[tokio::test(start_paused = true)]
async fn pods_on_their_way_are_left_to_their_add_or_del() {
    let node = Node::ready().await;
    node.added("a").await;
    node.added("b").await;
    node.kernel.set_delay(Verb::RemovePod, 4 * SECOND);
    let del = node.del("a");
    sleep(SECOND).await;
    node.kernel
        .break_object(Part::Pods, Object::PodRoute, "route");
    sleep(SECOND).await;
    let operations = node.kernel.operations();
    let pods = operations
        .iter()
        .rev()
        .find_map(|operation| match operation {
            Operation::MendPods(pods) => Some(pods.clone()),
            _ => None,
        });
    let aliases: Vec<_> = pods.unwrap().into_iter().map(|pod| pod.alias).collect();
    assert_eq!(aliases, [alias("b")]);
    del.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_refused_repair_is_made_again() {
    let node = Node::ready().await;
    node.kernel.fail_next(Verb::ApplyNode, Fault::Refused, 2);
    node.kernel.fail_next(Verb::MendPods, Fault::Refused, 2);
    node.kernel.break_object(Part::Rules, Object::Rule, "rule");
    node.kernel
        .break_object(Part::Pods, Object::PodLink, "link");
    sleep(2 * A_WHILE).await;
    let repairs = node.report().await.repairs;
    assert_eq!(
        (repairs.get("rule"), repairs.get("pod_link")),
        (Some(&1), Some(&1))
    );
}

#[tokio::test(start_paused = true)]
async fn the_pods_are_compared_when_a_daemon_starts() {
    let mut node = Node::ready().await;
    node.added("a").await;
    node.kill().await;
    node.kernel
        .break_silently(Part::Pods, Object::PodRoute, "route");
    node.boot();
    sleep(A_WHILE).await;
    assert_eq!(pods_compared(&node).last(), Some(&1));
    assert_eq!(node.report().await.repairs.get("pod_route"), Some(&1));
}
