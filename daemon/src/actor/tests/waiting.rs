//! ADDs that wait: in order, together, for 20 s at most, and not for clients that have gone.

use ec2::fake::FakeSetup;
use tokio::time::{Instant, sleep};

use super::invariants::{Live, live};
use super::node::{A_WHILE, MINUTE, Node, SECOND, added, alias, failed};
use crate::dataplane::fake::{Operation, Verb};

/// A node whose reserve of two is used up, and whose subnet is full.
async fn exhausted() -> (Node, Live) {
    exhausted_with(&[]).await
}

async fn exhausted_with(settings: &[(&str, &str)]) -> (Node, Live) {
    let node = Node::start_with(FakeSetup::default(), settings);
    sleep(A_WHILE).await;
    node.cloud.set_free_in_subnet(0);
    let answers = node.added_at_once(0..2).await;
    sleep(A_WHILE).await;
    (node, live(0..2, &answers))
}

#[tokio::test(start_paused = true)]
async fn an_add_waits_as_long_as_the_setting_says() {
    let settings = [("BERTH_ADD_WAIT_SECONDS", "7")];
    let node = Node::start_with(Default::default(), &settings);
    node.cloud.set_free_in_subnet(0);
    let asked = Instant::now();
    let failure = failed(node.add("p0").await.unwrap());
    assert_eq!((failure.code, failure.reason.as_str()), (11, "SubnetFull"));
    assert_eq!(asked.elapsed().as_secs(), 7);
}

#[tokio::test(start_paused = true)]
async fn a_waiting_add_is_served_as_soon_as_the_address_is_there() {
    let (node, mut live) = exhausted().await;
    let asked = Instant::now();
    let add = node.add("late");
    sleep(3 * SECOND).await;
    node.cloud.set_free_in_subnet(50);
    live.insert("late".to_owned(), added(add.await.unwrap()).address);
    assert!(asked.elapsed() < 20 * SECOND);
    sleep(A_WHILE).await;
    node.assert_sound(&live).await;
}

#[tokio::test(start_paused = true)]
async fn those_who_wait_are_served_in_the_order_in_which_they_came() {
    let (node, _) = exhausted_with(&[("IP_COOLDOWN_PERIOD", "5")]).await;
    let adds: Vec<_> = (10..15).map(|n| node.add(&format!("p{n}"))).collect();
    sleep(SECOND).await;
    let waiting = node.report().await.waiting;
    let names: Vec<&str> = waiting.iter().map(|w| w.attachment.as_str()).collect();
    let expected: Vec<String> = (10..15).map(|n| format!("aws-cni/p{n}/eth0")).collect();
    assert_eq!(names, expected);
    assert!(waiting.iter().all(|w| w.reason.starts_with("SubnetFull: ")));
    assert!(waiting.iter().all(|w| (900..1100).contains(&w.waited_ms)));
    // Two addresses come back: the first two get them.
    node.deleted("p0").await;
    node.deleted("p1").await;
    sleep(A_WHILE).await;
    let served: Vec<bool> = adds.iter().map(|add| add.is_finished()).collect();
    assert_eq!(served, [true, true, false, false, false]);
    let mut served = Live::new();
    for (add, n) in adds.into_iter().zip(10..12) {
        served.insert(format!("p{n}"), added(add.await.unwrap()).address);
    }
    sleep(MINUTE).await;
    node.assert_sound(&served).await;
}

#[tokio::test(start_paused = true)]
async fn the_demand_of_an_add_that_timed_out_is_remembered_for_half_a_minute() {
    let (node, mut live) = exhausted().await;
    let failure = failed(node.add_pod("web-0", "first-try").await.unwrap());
    assert_eq!(failure.reason, "SubnetFull");
    // Room comes before the runtime does: its address is fetched besides the reserve.
    node.cloud.set_free_in_subnet(50);
    sleep(25 * SECOND).await;
    assert_eq!(node.report().await.addresses.free, 1 + 2);
    let asked = Instant::now();
    let retried = added(node.add_pod("web-0", "second-try").await.unwrap());
    assert!(asked.elapsed() < SECOND);
    live.insert("second-try".to_owned(), retried.address);
    // It has come again, so it is remembered no more: one more pod finds the reserve, and one is enough of it.
    live.insert("p2".to_owned(), node.added("p2").await.address);
    sleep(SECOND).await;
    assert_eq!(node.report().await.addresses.free, 1);
    sleep(A_WHILE).await;
    node.assert_sound(&live).await;
}

#[tokio::test(start_paused = true)]
async fn what_was_fetched_for_a_runtime_that_never_came_again_is_given_back() {
    let (node, live) = exhausted().await;
    failed(node.add("never-again").await.unwrap());
    node.cloud.set_free_in_subnet(50);
    sleep(25 * SECOND).await;
    assert_eq!(node.report().await.addresses.free, 3);
    sleep(40 * MINUTE).await;
    assert_eq!(node.report().await.addresses.free, 1);
    node.assert_sound(&live).await;
}

#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_while_it_waits_takes_its_demand_along() {
    let (node, live) = exhausted().await;
    let add = node.add("impatient");
    sleep(SECOND).await;
    assert_eq!(node.report().await.waiting.len(), 1);
    add.abort();
    sleep(SECOND).await;
    assert_eq!(node.report().await.waiting.len(), 0);
    node.cloud.set_free_in_subnet(50);
    // It is some time before the subnet's refusal is forgotten.
    sleep(3 * MINUTE).await;
    // The reserve and nothing for the one who left, who never had an address either.
    assert_eq!(node.report().await.addresses.free, 2);
    let asked = node.kernel.operations();
    let its =
        |asked: &&Operation| matches!(asked, Operation::ApplyPod(a, _) if *a == alias("impatient"));
    assert_eq!(asked.iter().find(its), None);
    node.assert_sound(&live).await;
}

#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_while_its_pod_is_wired_leaves_nothing() {
    let node = Node::ready().await;
    node.kernel.set_delay(Verb::ApplyPod, 2 * SECOND);
    let add = node.add("gone");
    sleep(SECOND / 2).await;
    let before = node.report().await;
    assert_eq!(before.attachments.len(), 1);
    let address = before.attachments[0].address;
    add.abort();
    sleep(4 * SECOND).await;
    assert!(node.kernel.pods().is_empty());
    node.assert_sound(&Live::new()).await;
    let report = node.report().await;
    assert_eq!(report.addresses.cooling, 1, "it may have been used");
    let state = &report.enis[0].held[&address];
    assert!(state.starts_with("cooling"), "{state}");
    assert!(node.on_disk().pool.attachments.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_del_waits_until_the_abandoned_add_is_taken_back() {
    let node = Node::ready().await;
    node.kernel.set_delay(Verb::ApplyPod, 2 * SECOND);
    node.kernel.set_delay(Verb::RemovePod, SECOND);
    let asked = Instant::now();
    let add = node.add("gone");
    sleep(SECOND / 2).await;
    add.abort();
    node.deleted("gone").await;
    assert_eq!(asked.elapsed().as_secs(), 3, "wiring, then its roll-back");
    assert!(node.kernel.pods().is_empty());
    node.assert_sound(&Live::new()).await;
}

#[tokio::test(start_paused = true)]
async fn an_add_behind_an_abandoned_one_of_the_same_attachment_starts_anew() {
    let node = Node::ready().await;
    node.kernel.set_delay(Verb::ApplyPod, 2 * SECOND);
    let first = node.add_by("p0", "one");
    sleep(SECOND / 2).await;
    let second = node.add_by("p0", "two");
    sleep(SECOND / 2).await;
    first.abort();
    let answer = added(second.await.unwrap());
    sleep(A_WHILE).await;
    node.assert_sound(&live(0..1, &[answer])).await;
}

#[tokio::test(start_paused = true)]
async fn the_last_addresses_of_a_subnet_go_to_the_pods_that_wait_for_them() {
    let node = Node::start();
    node.cloud.set_free_in_subnet(2);
    let answers = node.added_at_once(0..2).await;
    sleep(A_WHILE).await;
    node.assert_sound(&live(0..2, &answers)).await;
}
