//! GC: what the runtime does not name goes as by its DEL; what it names, what is another network's and what is being added
//! stays.

use berth_cni::contract::{AttachmentId, Outcome};
use tokio::time::sleep;

use super::invariants::{Live, live};
use super::node::{A_WHILE, MILLISECOND, MINUTE, Node, SECOND, added, failed, request};
use crate::dataplane::fake::{Fault, Verb};

#[tokio::test(start_paused = true)]
async fn what_is_not_named_goes_and_its_address_rests() {
    let node = Node::ready().await;
    let answers = node.added_at_once(0..4).await;
    let outcome = node.gc(&["p0", "p2", "never-was"]).await.unwrap();
    assert_eq!(outcome, Outcome::Collected);
    // It is answered when the routes are gone and the disk knows who leaves.
    let on_disk = node.on_disk();
    let staying = on_disk.pool.attachments.len() - on_disk.leaving.len();
    assert_eq!(staying, 2);
    assert_eq!(node.kernel.pods().len(), 2);
    assert_eq!(node.report().await.addresses.cooling, 2);
    sleep(A_WHILE).await;
    let stays = [("p0", answers[0].address), ("p2", answers[2].address)];
    let stays: Live = stays.map(|(p, address)| (p.to_owned(), address)).into();
    node.assert_sound(&stays).await;
    for _ in 0..2 {
        assert_eq!(node.gc(&[]).await.unwrap(), Outcome::Collected);
    }
    sleep(A_WHILE).await;
    node.assert_sound(&Live::new()).await;
}

#[tokio::test(start_paused = true)]
async fn another_network_is_nobodys_business() {
    let node = Node::ready().await;
    let answer = node.added("p0").await;
    assert_eq!(node.gc_of("other", &[]).await.unwrap(), Outcome::Collected);
    node.assert_sound(&live(0..1, &[answer])).await;
}

#[tokio::test(start_paused = true)]
async fn an_add_under_way_is_left_alone_whether_it_is_wired_or_waits() {
    let node = Node::ready().await;
    node.cloud.set_free_in_subnet(0);
    let old = node.added("old").await;
    node.kernel.set_delay(Verb::ApplyPod, 2 * SECOND);
    let wired = node.add("p0");
    let waits = node.add("p1");
    sleep(SECOND).await;
    assert_eq!(node.gc(&[]).await.unwrap(), Outcome::Collected);
    let wired = added(wired.await.unwrap());
    // It gets what the released one had, once that has rested.
    node.cloud.set_free_in_subnet(100);
    let waits = added(waits.await.unwrap());
    assert_ne!(wired.address, old.address);
    sleep(A_WHILE).await;
    node.assert_sound(&live(0..2, &[wired, waits])).await;
}

#[tokio::test(start_paused = true)]
async fn an_add_that_a_crash_cut_off_may_still_come_again() {
    let mut node = Node::ready().await;
    node.kernel.set_delay(Verb::ApplyPod, 4 * SECOND);
    let _cut_off = node.add("p0");
    sleep(SECOND).await;
    assert_eq!(node.on_disk().pool.attachments.len(), 1);
    node.kernel.set_delay(Verb::ApplyPod, MILLISECOND);
    node.restart().await;
    sleep(SECOND).await;
    assert_eq!(node.gc(&[]).await.unwrap(), Outcome::Collected);
    assert_eq!(node.report().await.attachments.len(), 1);
    let answer = node.added("p0").await;
    node.assert_sound(&live(0..1, &[answer])).await;
    // Answered, it is one like any other.
    assert_eq!(node.gc(&[]).await.unwrap(), Outcome::Collected);
    sleep(A_WHILE).await;
    node.assert_sound(&Live::new()).await;
}

#[tokio::test(start_paused = true)]
async fn what_the_kernel_does_not_let_go_is_named_and_the_rest_goes() {
    let node = Node::ready().await;
    let answers = node.added_at_once(0..3).await;
    node.kernel.fail_next(Verb::RemovePod, Fault::Refused, 1);
    let failure = failed(node.gc(&["p1"]).await.unwrap());
    assert_eq!((failure.code, &*failure.reason), (101, "Kernel"));
    assert!(failure.msg.starts_with("1 of 2 attachments"), "{failure:?}");
    assert!(failure.details.starts_with("aws-cni/p"), "{failure:?}");
    assert_eq!(node.report().await.attachments.len(), 2);
    assert_eq!(node.gc(&["p1"]).await.unwrap(), Outcome::Collected);
    sleep(A_WHILE).await;
    let stays = [("p1".to_owned(), answers[1].address)];
    node.assert_sound(&Live::from(stays)).await;
}

#[tokio::test(start_paused = true)]
async fn a_second_interface_is_named_by_itself() {
    let node = Node::ready().await;
    let first = node.added("p0").await;
    let mut second = request("p0", "p0");
    second.id = AttachmentId {
        ifname: "net1".to_owned(),
        ..second.id
    };
    added(node.ask(second, "second").await.unwrap());
    assert_eq!(node.gc(&["p0"]).await.unwrap(), Outcome::Collected);
    sleep(A_WHILE).await;
    node.assert_sound(&live(0..1, &[first])).await;
}

#[tokio::test(start_paused = true)]
async fn before_the_pods_are_known_it_must_be_tried_again() {
    let mut node = Node::ready().await;
    let answer = node.added("p0").await;
    node.cloud.set_metadata_away(true);
    node.kill().await;
    node.boot_with(None);
    let failure = failed(node.gc(&[]).await.unwrap());
    assert_eq!((failure.code, &*failure.reason), (11, "DaemonStarting"));
    node.cloud.set_metadata_away(false);
    sleep(MINUTE).await;
    node.assert_sound(&live(0..1, &[answer])).await;
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_was_found_in_the_kernel_goes_only_if_no_network_remembers_it() {
    let mut node = Node::ready().await;
    let answers = node.added_at_once(0..2).await;
    node.kill().await;
    node.boot_with(None);
    sleep(MINUTE).await;
    // Whose p0 is, the kernel does not tell.
    node.sandboxes.cache("other-net-p0-eth0");
    node.sandboxes.set_unreadable(true);
    assert_eq!(node.gc(&[]).await.unwrap(), Outcome::Collected);
    node.assert_sound(&live(0..2, &answers)).await;
    node.sandboxes.set_unreadable(false);
    assert_eq!(node.gc(&[]).await.unwrap(), Outcome::Collected);
    sleep(A_WHILE).await;
    node.assert_sound(&live(0..1, &answers[..1])).await;
}

#[tokio::test(start_paused = true)]
async fn a_gc_goes_on_when_its_client_has_gone() {
    let node = Node::ready().await;
    node.added_at_once(0..3).await;
    node.kernel.set_delay(Verb::RemovePod, SECOND);
    let gc = node.gc(&[]);
    sleep(SECOND / 2).await;
    gc.abort();
    sleep(A_WHILE).await;
    node.assert_sound(&Live::new()).await;
}
