//! A kernel that refuses: what the runtime is told, and that nothing half-made stays behind or is forgotten.

use ec2::fake::FakeSetup;
use tokio::time::sleep;

use super::invariants::{Live, live};
use super::node::{A_WHILE, MILLISECOND, MINUTE, Node, SECOND, alias, failed};
use crate::dataplane::fake::{Fault, Verb};

#[tokio::test(start_paused = true)]
async fn a_pod_that_cannot_be_wired_fails_and_its_address_rests() {
    for (fault, code, reason) in [
        (Fault::Refused, 101, "Kernel"),
        (Fault::InterfaceExists, 102, "InterfaceConflict"),
    ] {
        let node = Node::ready().await;
        node.kernel.fail_next(Verb::ApplyPod, fault, 1);
        let failure = failed(node.add("p0").await.unwrap());
        assert_eq!((failure.code, failure.reason.as_str()), (code, reason));
        assert!(!failure.msg.contains('\n'));
        sleep(A_WHILE).await;
        node.assert_sound(&Live::new()).await;
        assert_eq!(node.report().await.addresses.cooling, 1);
        assert!(node.on_disk().pool.attachments.is_empty());
        let answer = node.added("p0").await;
        sleep(2 * MINUTE).await;
        node.assert_sound(&live(0..1, &[answer])).await;
    }
}

#[tokio::test(start_paused = true)]
async fn links_that_cannot_be_taken_back_keep_their_address_until_their_del() {
    let node = Node::ready().await;
    node.disk.fail(Some("no space left on device"));
    node.kernel.fail_next(Verb::RemovePod, Fault::Refused, 1);
    assert_eq!(failed(node.add("p0").await.unwrap()).code, 103);
    let stays = node.kernel.pods()[&alias("p0")].address.unwrap();
    node.disk.fail(None);
    sleep(2 * MINUTE).await;
    // Whatever pods come: the address of the link that still stands is nobody else's.
    let answers = node.added_at_once(1..9).await;
    assert!(answers.iter().all(|answer| answer.address != stays));
    node.deleted("p0").await;
    sleep(2 * MINUTE).await;
    node.assert_sound(&live(1..9, &answers)).await;
}

#[tokio::test(start_paused = true)]
async fn a_del_that_the_kernel_refuses_fails_and_the_next_one_succeeds() {
    let node = Node::ready().await;
    node.added("p0").await;
    node.kernel.fail_next(Verb::RemovePod, Fault::Refused, 1);
    let failure = failed(node.del("p0").await.unwrap());
    assert_eq!((failure.code, failure.reason.as_str()), (101, "Kernel"));
    assert_eq!(node.report().await.attachments.len(), 1);
    node.deleted("p0").await;
    sleep(A_WHILE).await;
    node.assert_sound(&Live::new()).await;
}

#[tokio::test(start_paused = true)]
async fn no_pod_is_wired_before_the_node_is_laid_out() {
    let mut node = Node::without_daemon(FakeSetup::default(), &[]);
    node.kernel.fail_next(Verb::ObservePods, Fault::Refused, 3);
    node.kernel.fail_next(Verb::ApplyNode, Fault::Refused, 5);
    node.boot();
    let add = node.add("p0");
    sleep(SECOND).await;
    let waiting = node.report().await.waiting;
    assert!(waiting[0].reason.starts_with("DaemonStarting"));
    let answer = super::node::added(add.await.unwrap());
    sleep(A_WHILE).await;
    node.assert_sound(&live(0..1, &[answer])).await;
}

#[tokio::test(start_paused = true)]
async fn a_leftover_link_that_stays_keeps_its_address_from_pods() {
    let mut node = Node::ready().await;
    node.disk.take(MINUTE);
    let _cut_off = node.add("p0");
    sleep(SECOND).await;
    assert_eq!(node.kernel.pods().len(), 1);
    node.disk.take(MILLISECOND);
    node.kernel.fail_next(Verb::RemovePod, Fault::Refused, 3);
    node.restart().await;
    let answers = node.added_at_once(1..5).await;
    sleep(A_WHILE).await;
    node.assert_sound(&live(1..5, &answers)).await;
}
