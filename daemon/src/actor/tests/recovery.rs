//! The checkpoint is lost or corrupt while pods live: they keep their addresses, which nobody else gets, and their network.

use berth_cni::contract::Outcome;
use ec2::fake::FakeSetup;
use tokio::time::sleep;

use super::invariants::{Live, live};
use super::node::{A_WHILE, MILLISECOND, MINUTE, Node, SECOND, failed};
use crate::dataplane::fake::Verb;

/// Twelve pods on two ENIs, and a daemon that has lost its state.
async fn lost() -> (Node, Live) {
    let mut node = Node::ready().await;
    let answers = node.added_at_once(0..12).await;
    sleep(A_WHILE).await;
    assert_eq!(node.cloud.holdings().len(), 2);
    node.kill().await;
    (node, live(0..12, &answers))
}

#[tokio::test(start_paused = true)]
async fn live_pods_keep_their_addresses_and_nobody_else_gets_them() {
    let (mut node, mut live) = lost().await;
    node.boot_with(None);
    sleep(MINUTE).await;
    node.assert_sound(&live).await;
    // 27 places in all: whoever comes gets another address.
    for n in 12..27 {
        let sandbox = format!("p{n}");
        let added = node.added(&sandbox).await;
        assert!(!live.values().any(|address| *address == added.address));
        live.insert(sandbox, added.address);
        sleep(A_WHILE).await;
    }
    node.assert_sound(&live).await;
    node.restart().await;
    sleep(MINUTE).await;
    node.assert_sound(&live).await;
}

#[tokio::test(start_paused = true)]
async fn a_recovered_pod_is_deleted_and_its_address_rests() {
    let (mut node, mut live) = lost().await;
    node.boot_with(None);
    sleep(MINUTE).await;
    for (sandbox, network) in [("p0", "aws-cni"), ("p11", "another-name")] {
        let address = live.remove(sandbox).unwrap();
        let outcome = node.del_in(network, sandbox).await.unwrap();
        assert_eq!(outcome, Outcome::Deleted);
        let report = node.report().await;
        let state = report.enis.iter().find_map(|eni| eni.held.get(&address));
        assert!(
            state.unwrap().starts_with("cooling"),
            "{sandbox}: {state:?}"
        );
    }
    sleep(10 * MINUTE).await;
    node.assert_sound(&live).await;
}

#[tokio::test(start_paused = true)]
async fn a_second_add_of_a_recovered_pod_is_refused() {
    let (mut node, live) = lost().await;
    node.boot_with(None);
    let failure = failed(node.add("p3").await.unwrap());
    assert_eq!(failure.reason, "AttachmentExists");
    sleep(A_WHILE).await;
    node.assert_sound(&live).await;
}

#[tokio::test(start_paused = true)]
async fn with_ec2_away_the_layout_stays_and_dels_are_served() {
    let (mut node, mut live) = lost().await;
    let layout = node.kernel.node();
    node.cloud.set_unreachable(true);
    node.boot_with(None);
    let waits = node.add("new");
    sleep(5 * SECOND).await;
    node.deleted("p0").await;
    live.remove("p0");
    let failure = failed(waits.await.unwrap());
    assert_eq!(failure.code, 11);
    assert!(["ApiUnreachable", "DaemonStarting"].contains(&failure.reason.as_str()));
    assert_eq!(
        node.kernel.node(),
        layout,
        "a layout without an ENI that has pods"
    );
    node.cloud.set_unreachable(false);
    sleep(5 * MINUTE).await;
    node.assert_sound(&live).await;
}

#[tokio::test(start_paused = true)]
async fn a_crash_during_the_recovery_recovers_again() {
    let (mut node, live) = lost().await;
    node.cloud.set_unreachable(true);
    node.boot_with(None);
    sleep(A_WHILE).await;
    node.restart().await;
    sleep(A_WHILE).await;
    node.cloud.set_unreachable(false);
    sleep(5 * MINUTE).await;
    node.assert_sound(&live).await;
}

#[tokio::test(start_paused = true)]
async fn an_eni_that_metadata_does_not_list_yet_keeps_its_pods() {
    let (mut node, live) = lost().await;
    let second = node.cloud.holdings().into_keys().nth(1).unwrap();
    node.cloud.set_hidden_from_metadata(&second, true);
    node.boot_with(None);
    sleep(MINUTE).await;
    assert_eq!(node.kernel.wrongs(), Vec::<String>::new());
    node.cloud.set_hidden_from_metadata(&second, false);
    sleep(10 * MINUTE).await;
    node.assert_sound(&live).await;
}

#[tokio::test(start_paused = true)]
async fn pods_of_an_eni_that_is_not_known_yet_are_not_taken_for_leftovers_after_a_crash() {
    let (mut node, live) = lost().await;
    node.disk = Default::default();
    let second = node.cloud.holdings().into_keys().nth(1).unwrap();
    node.cloud.set_hidden_from_metadata(&second, true);
    node.kernel.set_delay(Verb::ObservePods, SECOND);
    node.boot_with(None);
    // EC2 has answered and that is written, but the pods have not been looked for again.
    while node.disk.written().is_empty() || !node.on_disk().pool.knowledge.complete {
        sleep(100 * MILLISECOND).await;
    }
    assert!(node.on_disk().pool.attachments.len() < live.len());
    node.restart().await;
    sleep(MINUTE).await;
    node.assert_sound(&live).await;
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_is_deleted_before_it_is_found_does_not_come_back() {
    let (mut node, mut live) = lost().await;
    node.cloud.set_metadata_away(true);
    node.boot_with(None);
    // Nothing is known yet, but a link has its name.
    node.deleted("p0").await;
    live.remove("p0");
    node.kernel.set_delay(Verb::ObservePods, 4 * SECOND);
    node.cloud.set_metadata_away(false);
    // The kernel has been read, and what it said is on its way.
    sleep(3 * SECOND).await;
    node.deleted("p1").await;
    live.remove("p1");
    sleep(5 * MINUTE).await;
    node.assert_sound(&live).await;
}

#[tokio::test(start_paused = true)]
async fn a_node_without_pods_and_checkpoint_takes_its_addresses_over_when_they_are_certain() {
    let mut node = Node::without_daemon(
        FakeSetup {
            primary_secondary_addresses: 9,
            ..FakeSetup::default()
        },
        &[],
    );
    node.boot();
    sleep(5 * SECOND).await;
    // EC2 shows them, but no answer to a call of ours did: pods may have them after two looks 30 s apart.
    assert_eq!(node.report().await.addresses.quarantined, 9);
    sleep(2 * MINUTE).await;
    let answers = node.added_at_once(0..3).await;
    sleep(10 * MINUTE).await;
    node.assert_sound(&live(0..3, &answers)).await;
    assert!(node.held_in_ec2() <= 5);
}
