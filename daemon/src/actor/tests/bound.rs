//! Pods that the API server shows bound to the node: their addresses are there when they ask, and held for nobody else.

use std::time::Duration;

use ec2::Action;
use ec2::fake::FakeSetup;
use tokio::time::{Instant, sleep};

use super::invariants::live;
use super::node::{A_WHILE, MILLISECOND, MINUTE, Node, SECOND, added, failed};
use crate::cluster::fake::{called, pod};
use crate::cluster::{BoundPod, Kind};

/// How long before its ADD a pod is bound, at least: what kubelet takes for a sandbox of its own.
const AHEAD: Duration = Duration::from_millis(100);

fn bind(node: &Node, numbers: std::ops::Range<usize>) {
    numbers.for_each(|n| node.api.bind(pod(&format!("p{n}"))));
}

async fn expected(node: &Node) -> Option<u32> {
    node.report().await.expected
}

#[tokio::test(start_paused = true)]
async fn addresses_are_asked_for_when_pods_are_bound_in_one_call() {
    let node = Node::ready().await;
    node.cloud.set_default_latency(AHEAD);
    let before = node.cloud.count(Action::AssignPrivateIpAddresses);
    bind(&node, 0..6);
    sleep(3 * AHEAD).await;
    assert_eq!(expected(&node).await, Some(6));
    assert_eq!(
        node.cloud.count(Action::AssignPrivateIpAddresses),
        before + 1
    );
    let asked = Instant::now();
    let answers = node.added_at_once(0..6).await;
    assert!(asked.elapsed() < AHEAD, "an ADD waited for EC2");
    assert_eq!(expected(&node).await, Some(0));
    node.assert_sound(&live(0..6, &answers)).await;
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_goes_before_it_asked_gives_its_address_back() {
    let node = Node::ready().await;
    let idle = node.held_in_ec2();
    bind(&node, 0..6);
    sleep(A_WHILE).await;
    assert!(node.held_in_ec2() >= 6);
    for n in 0..6 {
        node.api.remove(&called(&format!("p{n}")));
    }
    sleep(10 * MINUTE).await;
    assert!(node.held_in_ec2() <= idle);
    assert_eq!(expected(&node).await, Some(0));
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_never_asks_counts_only_while_the_api_server_shows_it() {
    let node = Node::ready().await;
    let idle = node.held_in_ec2();
    bind(&node, 0..6);
    sleep(30 * MINUTE).await;
    assert!(node.held_in_ec2() >= 6, "it is still shown");
    node.api.set_failing(Some(Kind::Unreachable));
    sleep(20 * MINUTE).await;
    assert_eq!(expected(&node).await, None);
    assert!(node.held_in_ec2() <= idle);
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_has_gone_and_is_still_shown_wants_nothing() {
    let node = Node::ready().await;
    bind(&node, 0..1);
    sleep(AHEAD).await;
    node.added("p0").await;
    node.deleted("p0").await;
    sleep(A_WHILE).await;
    assert_eq!(expected(&node).await, Some(0));
    // Its successor of the same name is another pod.
    let successor = BoundPod {
        uid: "another".to_owned(),
        ..pod("p0")
    };
    node.api.bind(successor);
    sleep(AHEAD).await;
    assert_eq!(expected(&node).await, Some(1));
}

#[tokio::test(start_paused = true)]
async fn a_pod_whose_address_is_known_by_uid_is_not_its_predecessor() {
    let node = Node::ready().await;
    let mut request = super::node::request("sandbox-1", "web-0");
    if let Some(pod) = &mut request.pod {
        pod.uid = Some("uid-1".to_owned());
    }
    added(node.ask(request, "sandbox-1").await.unwrap());
    let of = |uid: &str| BoundPod {
        uid: uid.to_owned(),
        ..pod("web-0")
    };
    node.api.bind(of("uid-1"));
    sleep(AHEAD).await;
    assert_eq!(expected(&node).await, Some(0));
    node.api.bind(of("uid-2"));
    sleep(AHEAD).await;
    assert_eq!(expected(&node).await, Some(1));
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_waits_is_not_counted_twice_and_one_that_failed_is_expected_again() {
    let node = Node::start_with(FakeSetup::default(), &[("MAX_ENI", "1")]);
    sleep(A_WHILE).await;
    node.added_at_once(0..9).await;
    bind(&node, 9..10);
    sleep(AHEAD).await;
    assert_eq!(expected(&node).await, Some(1));
    let add = node.add("p9");
    sleep(AHEAD).await;
    assert_eq!(expected(&node).await, Some(0), "it waits");
    failed(add.await.unwrap());
    assert_eq!(expected(&node).await, Some(0), "it will come again");
    sleep(31 * SECOND).await;
    assert_eq!(expected(&node).await, Some(1));
}

#[tokio::test(start_paused = true)]
async fn a_restart_asks_for_nothing_for_pods_that_have_theirs() {
    let mut node = Node::ready().await;
    bind(&node, 0..5);
    sleep(AHEAD).await;
    let answers = node.added_at_once(0..5).await;
    sleep(5 * MINUTE).await;
    let (before, held) = (node.cloud.calls().len(), node.held_in_ec2());
    node.restart().await;
    sleep(A_WHILE).await;
    assert_eq!(expected(&node).await, Some(0));
    assert_eq!(node.held_in_ec2(), held);
    let calls = node.cloud.calls().split_off(before);
    let looks = Action::DescribeNetworkInterfaces;
    assert!(calls.iter().all(|call| call.action == looks), "{calls:?}");
    node.assert_sound(&live(0..5, &answers)).await;
}

#[tokio::test(start_paused = true)]
async fn pods_found_in_the_kernel_are_known_by_their_addresses() {
    let mut node = Node::ready().await;
    let answers = node.added_at_once(0..3).await;
    for (n, answer) in answers.iter().enumerate() {
        node.api.bind(BoundPod {
            addresses: vec![answer.address.into()],
            ..pod(&format!("p{n}"))
        });
    }
    node.kill().await;
    node.boot_with(None);
    sleep(A_WHILE).await;
    assert_eq!(expected(&node).await, Some(0));
    assert_eq!(node.report().await.attachments.len(), 3);
}

#[tokio::test(start_paused = true)]
async fn pods_that_will_come_up_again_after_a_reboot_find_their_addresses() {
    let mut node = Node::ready().await;
    bind(&node, 0..5);
    sleep(AHEAD).await;
    node.added_at_once(0..5).await;
    node.reboot().await;
    sleep(5 * MINUTE).await;
    assert_eq!(expected(&node).await, Some(5));
    assert!(node.held_in_ec2() >= 5, "given back under the pods' hands");
    let asked = Instant::now();
    node.added_at_once(0..5).await;
    assert!(asked.elapsed() < MILLISECOND * 50);
}

#[tokio::test(start_paused = true)]
async fn no_more_pods_are_expected_than_the_node_may_run() {
    let node = Node::start();
    node.api.set_allocatable(Some(8));
    // It is asked for with the next list.
    node.api.compact();
    node.api.cut();
    sleep(A_WHILE).await;
    node.added_at_once(0..3).await;
    bind(&node, 3..20);
    sleep(SECOND).await;
    assert_eq!(expected(&node).await, Some(5));
}

#[tokio::test(start_paused = true)]
async fn without_an_api_server_pods_are_served_as_ever() {
    let node = Node::without_daemon(FakeSetup::default(), &[]);
    node.api.set_hanging(true);
    let mut node = node;
    node.boot();
    let answers = node.added_at_once(0..5).await;
    sleep(MINUTE).await;
    assert_eq!(expected(&node).await, None);
    let degraded = node.report().await.degraded;
    assert_eq!(degraded[0].feature, "bound-pods");
    node.assert_sound(&live(0..5, &answers)).await;
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_is_seen_after_it_has_asked_wants_no_second_address() {
    let node = Node::ready().await;
    node.api.set_lag(3 * SECOND);
    sleep(MINUTE).await;
    let calls = node.cloud.count(Action::AssignPrivateIpAddresses);
    bind(&node, 0..1);
    node.added("p0").await;
    sleep(MINUTE).await;
    assert_eq!(expected(&node).await, Some(0));
    let refills = node.cloud.count(Action::AssignPrivateIpAddresses) - calls;
    assert!(refills <= 1, "{refills} calls for one pod");
}
