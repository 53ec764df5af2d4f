//! When an ADD can be served, as those who wait for it are told.

use ec2::fake::FakeSetup;
use tokio::time::sleep;

use super::node::{A_WHILE, MINUTE, Node};
use crate::readiness::Readiness;

fn readiness(node: &Node) -> Readiness {
    node.handle().readiness().borrow().clone()
}

#[tokio::test(start_paused = true)]
async fn a_new_node_is_ready_with_its_first_address() {
    let node = Node::start();
    let mut readiness = node.handle().readiness();
    assert_ne!(*readiness.borrow_and_update(), Readiness::Ready);
    let ready = readiness.wait_for(|now| *now == Readiness::Ready);
    drop(ready.await.unwrap());
    assert!(node.report().await.addresses.free > 0);
}

#[tokio::test(start_paused = true)]
async fn without_metadata_a_new_node_does_not_know_itself() {
    let node = Node::without_daemon(FakeSetup::default(), &[]);
    node.cloud.set_metadata_away(true);
    let mut node = node;
    node.boot();
    sleep(MINUTE).await;
    assert_eq!(readiness(&node), Readiness::Unidentified);
    node.cloud.set_metadata_away(false);
    sleep(A_WHILE).await;
    assert_eq!(readiness(&node), Readiness::Ready);
}

#[tokio::test(start_paused = true)]
async fn a_node_that_got_no_address_says_why() {
    let node = Node::start();
    node.cloud.set_free_in_subnet(0);
    sleep(A_WHILE).await;
    let Readiness::NoAddress(Some(reason)) = readiness(&node) else {
        panic!("{:?}", readiness(&node));
    };
    assert_eq!(reason.name(), "SubnetFull");
}

#[tokio::test(start_paused = true)]
async fn a_node_that_comes_back_to_a_full_subnet_without_ec2_is_ready() {
    let mut node = Node::ready().await;
    node.added_at_once(0..2).await;
    node.cloud.set_free_in_subnet(0);
    node.cloud.set_unreachable(true);
    node.cloud.set_metadata_away(true);
    node.restart().await;
    sleep(A_WHILE).await;
    assert_eq!(readiness(&node), Readiness::Ready);
}
