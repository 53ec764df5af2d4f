//! What changes around the node while it lives: the VPC's CIDRs, the primary ENI's security groups, the wall clock.

use std::time::Duration;

use ec2::fake::FakeSetup;
use ec2::{Action, Kind};
use ipnet::Ipv4Net;
use tokio::time::sleep;

use super::invariants::live;
use super::node::{A_WHILE, MINUTE, Node, SECOND};
use crate::report::DegradedReport;

fn cidr(text: &str) -> Ipv4Net {
    text.parse().unwrap()
}

/// The security groups of each ENI, the primary's first.
fn groups(node: &Node) -> Vec<Vec<String>> {
    let holdings = node.cloud.holdings();
    holdings
        .into_values()
        .map(|eni| eni.security_groups)
        .collect()
}

#[tokio::test(start_paused = true)]
async fn a_cidr_that_comes_or_goes_is_in_the_layout_within_a_minute() {
    let node = Node::ready().await;
    let old = FakeSetup::default().vpc_cidrs;
    let new = [old.clone(), vec![cidr("100.64.0.0/16")]].concat();
    node.cloud.set_vpc_cidrs(&new);
    sleep(MINUTE).await;
    let mut wanted = new.clone();
    wanted.sort_unstable();
    assert_eq!(node.kernel.node().unwrap().internal_cidrs, wanted);
    assert_eq!(node.on_disk().node.unwrap().vpc_cidrs, new);
    // It is the node's own doing, and so no repair.
    assert!(node.report().await.repairs.is_empty());
    node.cloud.set_vpc_cidrs(&old);
    sleep(MINUTE).await;
    assert_eq!(node.kernel.node().unwrap().internal_cidrs, old);
}

#[tokio::test(start_paused = true)]
async fn metadata_that_is_away_or_knows_no_cidr_changes_nothing() {
    let node = Node::ready().await;
    let before = node.kernel.node();
    node.cloud.set_vpc_cidrs(&[]);
    sleep(MINUTE).await;
    node.cloud.set_metadata_away(true);
    sleep(MINUTE).await;
    assert_eq!(node.kernel.node(), before);
    assert!(!node.on_disk().node.unwrap().vpc_cidrs.is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_primarys_security_groups_become_those_of_our_enis_old_and_new() {
    let node = Node::ready().await;
    let pods = node.added_at_once(0..12).await;
    sleep(A_WHILE).await;
    assert_eq!(groups(&node).len(), 2);
    node.cloud
        .set_primary_security_groups(&["sg-new", "sg-other"]);
    sleep(MINUTE).await;
    let more = node.added_at_once(12..22).await;
    sleep(A_WHILE).await;
    let all = groups(&node);
    assert_eq!(all, vec![["sg-new", "sg-other"]; 3]);
    let answers = [pods, more].concat();
    node.assert_sound(&live(0..22, &answers)).await;
}

#[tokio::test(start_paused = true)]
async fn groups_that_differ_at_the_start_are_set_and_equal_ones_are_left_alone() {
    let mut node = Node::ready().await;
    node.added_at_once(0..12).await;
    sleep(A_WHILE).await;
    let asked = node.cloud.count(Action::ModifyNetworkInterfaceAttribute);
    node.restart().await;
    sleep(A_WHILE).await;
    assert_eq!(
        node.cloud.count(Action::ModifyNetworkInterfaceAttribute),
        asked
    );
    node.kill().await;
    node.cloud.set_primary_security_groups(&["sg-new"]);
    node.boot();
    sleep(2 * MINUTE).await;
    assert_eq!(groups(&node), vec![["sg-new"]; 2]);
}

#[tokio::test(start_paused = true)]
async fn groups_that_may_not_be_set_are_a_reason_until_they_may() {
    let node = Node::ready().await;
    node.added_at_once(0..12).await;
    let action = Action::ModifyNetworkInterfaceAttribute;
    sleep(A_WHILE).await;
    node.cloud.set_failing(action, Some(Kind::AccessDenied));
    node.cloud.set_primary_security_groups(&["sg-new"]);
    sleep(MINUTE).await;
    let degraded = node.report().await.degraded;
    let told = |entry: &DegradedReport| entry.feature == "security-groups";
    let entry = degraded.iter().find(|entry| told(entry)).unwrap();
    assert!(entry.remedy.contains("allow ec2:Modify"), "{entry:?}");
    assert!(node.cloud.count(action) < 10);
    node.cloud
        .set_failing(action, Some(Kind::CredentialsRefused));
    sleep(MINUTE).await;
    let degraded = node.report().await.degraded;
    let entry = degraded.iter().find(|entry| told(entry)).unwrap();
    assert!(entry.remedy.contains("clock"), "{entry:?}");
    node.cloud.set_failing(action, None);
    sleep(MINUTE).await;
    assert_eq!(groups(&node), vec![["sg-new"]; 2]);
    assert!(!node.report().await.degraded.iter().any(told));
}

/// A freed address, and a restart, while somebody sets the wall clock to each of these in turn; the calls to EC2.
async fn story(walls: [Duration; 2]) -> usize {
    let mut node = Node::ready().await;
    let answers = node.added_at_once(0..9).await;
    node.set_wall_clock(walls[0]);
    node.deleted("p0").await;
    sleep(SECOND).await;
    node.set_wall_clock(walls[1]);
    sleep(20 * SECOND).await;
    // The address rests for 30 s by the boot clock, whatever the wall says.
    assert_eq!(node.report().await.addresses.cooling, 1);
    node.restart().await;
    sleep(15 * SECOND).await;
    assert_eq!(node.report().await.addresses.cooling, 0);
    node.assert_sound(&live(1..9, &answers[1..])).await;
    node.cloud.calls().len()
}

#[tokio::test(start_paused = true)]
async fn a_wall_clock_that_jumps_means_nothing() {
    let year = Duration::from_secs(365 * 24 * 3600);
    let steady = story([54 * year; 2]).await;
    let jumping = story([90 * year, Duration::ZERO]).await;
    assert_eq!(steady, jumping);
}
