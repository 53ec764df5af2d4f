//! The sweep: an attachment goes when its link and its namespace have been gone for a minute and no runtime names it. Any
//! of the three keeps it.

use tokio::time::{Instant, sleep};

use super::invariants::{Live, live};
use super::node::{A_WHILE, MINUTE, Node, SECOND, alias, request};
use crate::dataplane::fake::{Fault, Operation, Verb};

/// More than the minute and the two looks that it may take.
const SWEPT: tokio::time::Duration = tokio::time::Duration::from_secs(100);

/// Of a network that nobody knows here: the end is all that is sure of a file's name.
const OTHER_NETWORK: &str = "a-b-p0-eth0";

/// A node with the pod p0, whose sandbox a runtime has.
async fn node_with_a_pod() -> (Node, Live) {
    let node = Node::ready().await;
    node.sandboxes.add_netns("/run/netns/p0");
    node.sandboxes.cache("aws-cni-p0-eth0");
    let answer = node.added("p0").await;
    (node, live(0..1, &[answer]))
}

/// Everything of p0 goes.
fn lose_all(node: &Node) {
    node.kernel.remove_pod_link(&alias("p0"));
    node.sandboxes.remove_netns("/run/netns/p0");
    node.sandboxes.forget("aws-cni-p0-eth0");
    node.sandboxes.forget(OTHER_NETWORK);
}

#[tokio::test(start_paused = true)]
async fn what_nobody_has_any_more_is_released_after_a_minute() {
    let (node, _) = node_with_a_pod().await;
    sleep(5 * MINUTE).await;
    lose_all(&node);
    let lost = Instant::now();
    while !node.report().await.attachments.is_empty() {
        sleep(SECOND).await;
    }
    let took = lost.elapsed();
    assert!((MINUTE..SWEPT).contains(&took), "{took:?}");
    // As by a DEL: the address rests, the disk has it.
    assert_eq!(node.report().await.addresses.cooling, 1);
    let removed = Operation::RemovePod(alias("p0"));
    assert!(node.kernel.operations().contains(&removed));
    sleep(A_WHILE).await;
    node.assert_sound(&Live::new()).await;
}

#[tokio::test(start_paused = true)]
async fn a_link_a_namespace_or_a_runtime_keeps_it() {
    let keepers: [fn(&Node); 2] = [
        |node| node.sandboxes.add_netns("/run/netns/p0"),
        |node| node.sandboxes.cache(OTHER_NETWORK),
    ];
    for keep in keepers {
        let (node, live) = node_with_a_pod().await;
        lose_all(&node);
        keep(&node);
        sleep(10 * MINUTE).await;
        let known = node.report().await.attachments;
        assert_eq!(known[0].address, live["p0"]);
        lose_all(&node);
        sleep(SWEPT).await;
        assert!(node.report().await.attachments.is_empty());
    }
    let (node, live) = node_with_a_pod().await;
    node.sandboxes.remove_netns("/run/netns/p0");
    node.sandboxes.forget("aws-cni-p0-eth0");
    sleep(10 * MINUTE).await;
    node.assert_sound(&live).await;
}

#[tokio::test(start_paused = true)]
async fn a_cache_that_cannot_be_read_keeps_everything() {
    let (node, live) = node_with_a_pod().await;
    node.sandboxes.set_unreadable(true);
    lose_all(&node);
    sleep(10 * MINUTE).await;
    assert_eq!(node.report().await.attachments[0].address, live["p0"]);
    node.sandboxes.set_unreadable(false);
    sleep(A_WHILE * 2).await;
    assert!(node.report().await.attachments.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_link_that_comes_back_begins_the_minute_anew() {
    let (node, live) = node_with_a_pod().await;
    let pod = node.kernel.pods()[&alias("p0")].clone();
    lose_all(&node);
    sleep(SECOND * 50).await;
    node.kernel.restore_pod(pod);
    sleep(SECOND * 20).await;
    node.kernel.remove_pod_link(&alias("p0"));
    sleep(SECOND * 50).await;
    assert_eq!(node.report().await.attachments[0].address, live["p0"]);
    sleep(SWEPT).await;
    assert!(node.report().await.attachments.is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_add_that_was_never_answered_is_released_after_a_restart() {
    let mut node = Node::ready().await;
    node.kernel.set_delay(Verb::ApplyPod, 60 * SECOND);
    let _cut_off = node.add("p0");
    sleep(SECOND).await;
    assert_eq!(node.on_disk().pool.attachments.len(), 1);
    node.restart().await;
    sleep(SECOND * 45).await;
    assert_eq!(node.report().await.attachments.len(), 1);
    sleep(SWEPT).await;
    node.assert_sound(&Live::new()).await;
}

#[tokio::test(start_paused = true)]
async fn one_that_is_wired_anew_while_the_kernel_is_read_stays() {
    let mut node = Node::ready().await;
    let mut add = request("p0", "p0");
    add.netns = "/run/netns/p0".to_owned();
    // Not answered, so that it may be asked for again; each look takes long.
    node.kernel.set_delay(Verb::ApplyPod, 40 * SECOND);
    let _cut_off = node.ask(add.clone(), "one");
    sleep(SECOND).await;
    node.kernel.set_delay(Verb::ApplyPod, SECOND);
    node.kernel.set_delay(Verb::WithoutLink, 12 * SECOND);
    node.restart().await;
    // A look every 15 s and the 12 s that it takes: the one in which the minute ends has seen no link, half-way, and is
    // not taken in yet.
    let looks = |node: &Node| {
        let operations = node.kernel.operations();
        let looks = operations.iter();
        looks
            .filter(|o| matches!(o, Operation::WithoutLink(_)))
            .count()
    };
    while looks(&node) < 4 {
        sleep(SECOND).await;
    }
    sleep(7 * SECOND).await;
    let answer = super::node::added(node.ask(add, "one").await.unwrap());
    sleep(30 * SECOND).await;
    node.assert_sound(&live(0..1, &[answer])).await;
}

#[tokio::test(start_paused = true)]
async fn what_the_kernel_does_not_tell_or_let_go_is_tried_again() {
    let (node, _) = node_with_a_pod().await;
    lose_all(&node);
    node.kernel.fail_next(Verb::WithoutLink, Fault::Refused, 2);
    node.kernel.fail_next(Verb::RemovePod, Fault::Refused, 1);
    sleep(2 * SWEPT).await;
    node.assert_sound(&Live::new()).await;
}
