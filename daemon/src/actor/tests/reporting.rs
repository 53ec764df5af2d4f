//! What the report says of a node that cannot serve, and of one that does.

use std::collections::BTreeMap;

use ec2::Action;
use ec2::fake::FakeSetup;
use tokio::time::sleep;

use super::node::{A_WHILE, Node};

#[tokio::test(start_paused = true)]
async fn a_node_that_does_not_know_itself_says_what_it_met() {
    let mut node = Node::without_daemon(FakeSetup::default(), &[]);
    node.cloud.set_metadata_away(true);
    node.boot();
    sleep(A_WHILE).await;
    let report = node.report().await;
    let why = report.not_serving.unwrap();
    assert!(!report.serving && why.contains("metadata"), "{why}");
    assert!(why.contains(": "), "what it met is missing: {why}");
    node.cloud.set_metadata_away(false);
    sleep(A_WHILE).await;
    let report = node.report().await;
    assert_eq!((report.serving, report.not_serving), (true, None));
    assert!(report.described_at.is_some());
}

#[tokio::test(start_paused = true)]
async fn a_full_subnet_is_no_reason_not_to_serve() {
    let node = Node::ready().await;
    node.cloud.set_free_in_subnet(0);
    node.added_at_once(0..2).await;
    sleep(A_WHILE).await;
    let report = node.report().await;
    assert!(report.serving);
    assert_eq!(report.reasons[0].name, "SubnetFull");
}

#[tokio::test(start_paused = true)]
async fn the_calls_that_are_told_are_those_that_were_made() {
    let node = Node::ready().await;
    node.added_at_once(0..12).await;
    sleep(A_WHILE).await;
    // An intent that does not reach the disk is no call.
    node.disk.fail(Some("disk full"));
    node.del("p0").await.unwrap();
    sleep(A_WHILE).await;
    let mut made: BTreeMap<String, u64> = BTreeMap::new();
    for call in node.cloud.calls() {
        *made.entry(call.action.to_string()).or_default() += 1;
    }
    let report = node.report().await;
    assert!(made.contains_key(&Action::DescribeInstanceTypes.to_string()));
    assert_eq!(report.ec2_calls, made);
    assert!(report.checkpoint_failure.is_some());
    node.disk.fail(None);
    node.del("p1").await.unwrap();
    assert_eq!(node.report().await.checkpoint_failure, None);
}
