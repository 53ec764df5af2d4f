//! The way out: what waits is refused, what is under way is finished or undone, and the last state is written.

use berth_cni::contract::Outcome;
use ec2::{Action, Kind};
use tokio::time::{Instant, sleep};

use super::invariants::{Live, live};
use super::node::{A_WHILE, MINUTE, Node, SECOND, added, failed};
use crate::dataplane::fake::Verb;

#[tokio::test(start_paused = true)]
async fn adds_that_wait_are_refused_at_once() {
    let mut node = Node::ready().await;
    node.cloud.set_free_in_subnet(0);
    node.added_at_once(0..2).await;
    let adds: Vec<_> = (2..5).map(|n| node.add(&format!("p{n}"))).collect();
    sleep(SECOND).await;
    let stopped = Instant::now();
    node.stop().await;
    for add in adds {
        let failure = failed(add.await.unwrap());
        assert_eq!(failure.code, 11);
        assert!(failure.msg.contains("restarting"), "{}", failure.msg);
    }
    assert!(stopped.elapsed() < SECOND);
}

#[tokio::test(start_paused = true)]
async fn what_is_under_way_is_finished_and_written() {
    let mut node = Node::ready().await;
    let there = node.added("p0").await;
    node.kernel.set_delay(Verb::ApplyPod, 2 * SECOND);
    node.kernel.set_delay(Verb::RemovePod, 3 * SECOND);
    let (add, del) = (node.add("p1"), node.del("p0"));
    sleep(SECOND / 2).await;
    node.stop().await;
    let answer = added(add.await.unwrap());
    assert_eq!(del.await.unwrap(), Outcome::Deleted);
    let state = node.on_disk().pool;
    assert_eq!(state.attachments.len(), 1);
    assert_eq!(state.attachments[0].address, answer.address);
    assert!(state.attachments[0].answered);
    node.boot();
    sleep(2 * MINUTE).await;
    assert_ne!(there.address, answer.address);
    node.assert_sound(&Live::from([("p1".to_owned(), answer.address)]))
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_during_the_stop_is_rolled_back() {
    let mut node = Node::ready().await;
    node.kernel.set_delay(Verb::ApplyPod, 2 * SECOND);
    let add = node.add("p0");
    sleep(SECOND / 2).await;
    node.tell_to_stop();
    add.abort();
    node.stop().await;
    assert!(node.kernel.pods().is_empty());
    assert!(node.on_disk().pool.attachments.is_empty());
}

#[tokio::test(start_paused = true)]
async fn requests_that_come_during_the_stop_are_refused_or_still_served() {
    let mut node = Node::ready().await;
    let first = node.added_at_once(0..2).await;
    node.kernel.set_delay(Verb::ApplyPod, 2 * SECOND);
    let under_way = node.add("p2");
    sleep(SECOND / 2).await;
    node.tell_to_stop();
    let (late_add, late_del) = (node.add("p3"), node.del("p1"));
    assert_eq!(failed(late_add.await.unwrap()).code, 11);
    assert_eq!(late_del.await.unwrap(), Outcome::Deleted);
    node.stop().await;
    let third = added(under_way.await.unwrap());
    node.boot();
    sleep(2 * MINUTE).await;
    let live = [("p0", first[0].address), ("p2", third.address)];
    let live: Live = live.map(|(p, address)| (p.to_owned(), address)).into();
    node.assert_sound(&live).await;
}

#[tokio::test(start_paused = true)]
async fn the_last_state_is_written() {
    let mut node = Node::ready().await;
    node.added("p0").await;
    node.stop().await;
    let attachment = &node.on_disk().pool.attachments[0];
    assert!(attachment.answered);
    assert!(attachment.host_ifindex.is_some());
}

#[tokio::test(start_paused = true)]
async fn a_call_that_rests_is_not_made_again_while_others_are_waited_for() {
    let mut node = Node::ready().await;
    let assign = Action::AssignPrivateIpAddresses;
    node.cloud.fail_next(assign, Kind::Throttled, 1);
    node.kernel.set_delay(Verb::ApplyPod, 4 * SECOND);
    let adds = [node.add("p0"), node.add("p1")];
    sleep(SECOND / 2).await;
    let calls = node.cloud.count(assign);
    node.stop().await;
    assert_eq!(node.cloud.count(assign), calls);
    for add in adds {
        added(add.await.unwrap());
    }
}

#[tokio::test(start_paused = true)]
async fn no_change_of_ec2_is_begun_and_nothing_is_detached() {
    let mut node = Node::ready().await;
    let answers = node.added_at_once(0..12).await;
    node.kernel.set_delay(Verb::RemovePod, 4 * SECOND);
    for n in 4..12 {
        drop(node.del(&format!("p{n}")));
    }
    sleep(SECOND).await;
    let calls = node.cloud.calls().len();
    let enis = node.cloud.holdings();
    node.stop().await;
    sleep(10 * MINUTE).await;
    assert_eq!(node.cloud.calls().len(), calls);
    assert_eq!(node.cloud.holdings(), enis);
    assert_eq!(node.kernel.node().unwrap().enis.len(), 2, "layout stays");
    node.boot();
    sleep(10 * MINUTE).await;
    node.assert_sound(&live(0..4, &answers[..4])).await;
}

#[tokio::test(start_paused = true)]
async fn a_stop_does_not_wait_for_a_kernel_or_a_disk_that_hangs() {
    let mut node = Node::ready().await;
    node.kernel.set_delay(Verb::ApplyPod, 100 * MINUTE);
    let add = node.add("p0");
    sleep(SECOND).await;
    node.disk.take(100 * MINUTE);
    let stopped = Instant::now();
    node.stop().await;
    assert!(stopped.elapsed() <= 11 * SECOND, "{:?}", stopped.elapsed());
    assert_eq!(failed(add.await.unwrap()).code, 11);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_was_under_way_is_looked_into_by_the_next_daemon() {
    let mut node = Node::start();
    let assign = Action::AssignPrivateIpAddresses;
    node.cloud.set_latency(assign, 4 * SECOND);
    sleep(3 * SECOND).await;
    assert_eq!(node.held_in_ec2(), 2, "done, but not answered");
    node.stop().await;
    node.boot();
    let answers = node.added_at_once(0..2).await;
    sleep(A_WHILE).await;
    node.assert_sound(&live(0..2, &answers)).await;
    assert!(node.held_in_ec2() <= 4);
}
