//! A daemon that starts on a checkpoint of ours: it serves from it, whoever is away, and trusts it only for this node and
//! this boot.

use std::sync::Arc;

use std::net::Ipv4Addr;

use ec2::fake::FakeSetup;
use ec2::{Action, InstanceLimits};
use tokio::time::{Instant, sleep};

use super::invariants::{Live, live};
use super::node::{A_WHILE, MINUTE, Node, SECOND, added, failed};
use crate::dataplane::fake::Operation;

#[tokio::test(start_paused = true)]
async fn a_restart_changes_nothing() {
    let mut node = Node::ready().await;
    let answers = node.added_at_once(0..20).await;
    sleep(MINUTE).await;
    let (pods, layout, enis) = (
        node.kernel.pods(),
        node.kernel.node(),
        node.cloud.holdings(),
    );
    let changes = node.changes();
    for _ in 0..5 {
        node.restart().await;
        sleep(A_WHILE).await;
    }
    sleep(MINUTE).await;
    assert_eq!(node.kernel.pods(), pods);
    assert_eq!(node.kernel.node(), layout);
    assert_eq!(node.cloud.holdings(), enis);
    assert_eq!(node.changes(), changes);
    node.assert_sound(&live(0..20, &answers)).await;
}

#[tokio::test(start_paused = true)]
async fn add_and_del_are_served_from_stock_while_ec2_and_metadata_are_away() {
    let mut node = Node::ready().await;
    let answers = node.added_at_once(0..12).await;
    sleep(A_WHILE).await;
    let free = node.report().await.addresses.free;
    node.cloud.set_unreachable(true);
    node.cloud.set_metadata_away(true);
    node.restart().await;
    let asked = Instant::now();
    let new = node.added("p12").await;
    node.deleted("p0").await;
    assert!(asked.elapsed() < 2 * SECOND);
    assert!(free >= 1);
    let mut live = live(0..12, &answers);
    live.remove("p0");
    live.insert("p12".to_owned(), new.address);
    node.cloud.set_unreachable(false);
    node.cloud.set_metadata_away(false);
    sleep(5 * MINUTE).await;
    node.assert_sound(&live).await;
}

#[tokio::test(start_paused = true)]
async fn a_stock_on_a_secondary_eni_is_served_while_ec2_is_away() {
    let mut node = Node::ready().await;
    node.added_at_once(0..11).await;
    sleep(A_WHILE).await;
    node.cloud.set_unreachable(true);
    node.restart().await;
    let new = node.added("p11").await;
    let second = node.cloud.holdings().into_values().nth(1).unwrap();
    assert!(second.secondary_addresses.contains(&new.address));
    assert_eq!(node.kernel.wrongs(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn without_a_checkpoint_and_ec2_an_add_says_what_it_waits_for() {
    let mut node = Node::without_daemon(FakeSetup::default(), &[]);
    node.cloud.set_unreachable(true);
    node.boot();
    let add = node.add("p0");
    sleep(3 * SECOND).await;
    let reason = &node.report().await.waiting[0].reason;
    assert!(
        reason.starts_with("ApiUnreachable: EC2 does not answer"),
        "{reason}"
    );
    let failure = failed(add.await.unwrap());
    assert_eq!(failure.code, 11);
    assert_eq!(failure.reason, "ApiUnreachable");
    assert!(failure.details.contains("EC2 endpoint"));
    // It answers again: nothing else was needed.
    node.cloud.set_unreachable(false);
    let answer = node.added("p0").await;
    sleep(MINUTE).await;
    node.assert_sound(&live(0..1, &[answer])).await;
}

#[tokio::test(start_paused = true)]
async fn without_a_checkpoint_and_metadata_an_add_waits_for_the_daemon_to_start() {
    let mut node = Node::without_daemon(FakeSetup::default(), &[]);
    node.cloud.set_metadata_away(true);
    node.boot();
    let failure = failed(node.add("p0").await.unwrap());
    assert_eq!(
        (failure.code, failure.reason.as_str()),
        (11, "DaemonStarting")
    );
    assert!(node.cloud.calls().is_empty());
    // Long enough for the daemon to forget that it came.
    sleep(MINUTE).await;
    let add = node.add("p0");
    sleep(5 * SECOND).await;
    node.cloud.set_metadata_away(false);
    let answer = added(add.await.unwrap());
    sleep(A_WHILE).await;
    node.assert_sound(&live(0..1, &[answer])).await;
}

#[tokio::test(start_paused = true)]
async fn after_a_reboot_the_pods_are_gone_and_their_addresses_free() {
    let mut node = Node::ready().await;
    node.added_at_once(0..12).await;
    node.reboot().await;
    let answers = node.added_at_once(20..32).await;
    sleep(40 * MINUTE).await;
    node.assert_sound(&live(20..32, &answers)).await;
    assert!(node.held_in_ec2() <= 13);
}

/// The image of a used disk is started as another instance.
#[tokio::test(start_paused = true)]
async fn the_checkpoint_of_another_instance_is_not_used() {
    let mut first = Node::ready().await;
    first.added_at_once(0..12).await;
    for n in 0..12 {
        first.deleted(&format!("p{n}")).await;
    }
    first.kill().await;
    let setup = FakeSetup {
        instance_id: "i-0be27000000000002".to_owned(),
        subnet: "10.0.7.0/24".parse().unwrap(),
        ..FakeSetup::default()
    };
    let mut second = Node::without_daemon(setup, &[]);
    second.cloud.fail_next_metadata(120);
    second.set_boot_id("boot-2");
    second.boot_with(Some(first.on_disk()));
    sleep(40 * SECOND).await;
    assert_eq!(second.cloud.calls(), [], "asked before it knew who it is");
    assert_eq!(second.kernel.operations(), [Operation::ObservePods]);
    sleep(MINUTE).await;
    let answers = second.added_at_once(0..3).await;
    let subnet: ipnet::Ipv4Net = "10.0.7.0/24".parse().unwrap();
    let mine = |address: Ipv4Addr| subnet.contains(&address);
    assert!(answers.iter().all(|answer| mine(answer.address)));
    sleep(5 * MINUTE).await;
    second.assert_sound(&live(0..3, &answers)).await;
    let theirs: Vec<String> = first.cloud.holdings().into_keys().skip(1).collect();
    let calls = second.cloud.calls();
    assert!(
        !calls
            .iter()
            .any(|call| theirs.iter().any(|eni| call.target.contains(eni)))
    );
}

#[tokio::test(start_paused = true)]
async fn a_state_that_contradicts_itself_is_not_used() {
    let mut node = Node::ready().await;
    let answers = node.added_at_once(0..2).await;
    sleep(A_WHILE).await;
    node.kill().await;
    let mut state = node.on_disk();
    let address = state.pool.attachments[0].address;
    Arc::make_mut(&mut state.pool.attachments[1]).address = address;
    node.boot_with(Some(state));
    let third = node.added("p2").await;
    sleep(5 * MINUTE).await;
    let mut live: Live = live(0..2, &answers);
    live.insert("p2".to_owned(), third.address);
    node.assert_sound(&live).await;
}

#[tokio::test(start_paused = true)]
async fn a_known_node_asks_for_its_limits_only_once() {
    let setup = FakeSetup {
        limits: InstanceLimits {
            enis: 2,
            ipv4_per_eni: 5,
            prefixes: true,
        },
        ..FakeSetup::default()
    };
    let mut node = Node::start_with(setup, &[]);
    let answers = node.added_at_once(0..8).await;
    node.restart().await;
    sleep(A_WHILE).await;
    assert_eq!(node.cloud.count(Action::DescribeInstanceTypes), 1);
    assert_eq!(failed(node.add("p8").await.unwrap()).reason, "EniLimit");
    node.assert_sound(&live(0..8, &answers)).await;
}
