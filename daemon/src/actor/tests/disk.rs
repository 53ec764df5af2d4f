//! A disk that refuses: nothing is answered or asked of EC2 that is not written, and all is well again when it works.

use berth_cni::contract::{AddRequest, Interface, Outcome};
use ec2::Action;
use ec2::fake::FakeSetup;
use tokio::time::sleep;

use super::invariants::{Live, live};
use super::node::{A_WHILE, MINUTE, Node, SECOND, added, failed, request};

#[tokio::test(start_paused = true)]
async fn an_add_that_cannot_be_written_fails_and_leaves_nothing() {
    let node = Node::ready().await;
    node.disk.fail(Some("no space left on device"));
    let failure = failed(node.add("p0").await.unwrap());
    assert_eq!((failure.code, failure.reason.as_str()), (103, "Checkpoint"));
    assert!(failure.msg.contains("no space left on device"));
    assert!(failure.details.contains("AWS_VPC_K8S_CNI_BACKING_STORE"));
    assert!(node.kernel.pods().is_empty());
    let report = node.report().await;
    assert!(report.attachments.is_empty());
    assert_eq!(report.addresses.cooling, 1);
    node.disk.fail(None);
    let answer = node.added("p0").await;
    sleep(2 * MINUTE).await;
    node.assert_sound(&live(0..1, &[answer])).await;
}

#[tokio::test(start_paused = true)]
async fn an_add_on_another_plugins_interface_leaves_no_address_inside() {
    let node = Node::ready().await;
    let chained = |sandbox: &str| AddRequest {
        interface: Interface::Existing,
        ..request(sandbox, sandbox)
    };
    node.disk.fail(Some("no space left on device"));
    let failure = failed(node.ask(chained("p0"), "p0").await.unwrap());
    assert_eq!(failure.code, 103);
    assert!(
        node.kernel.inside().is_empty(),
        "{:?}",
        node.kernel.inside()
    );
    node.disk.fail(None);
    let answer = added(node.ask(chained("p0"), "again").await.unwrap());
    assert_eq!(node.kernel.inside(), [answer.address].into());
}

#[tokio::test(start_paused = true)]
async fn ec2_is_not_changed_while_intents_cannot_be_written() {
    let node = Node::without_daemon(FakeSetup::default(), &[]);
    node.disk.fail(Some("read-only file system"));
    let mut node = node;
    node.boot();
    let add = node.add("p0");
    sleep(MINUTE).await;
    assert_eq!(node.changes(), 0);
    let failure = failed(add.await.unwrap());
    assert_eq!(failure.code, 11);
    assert!(failure.msg.contains("read-only file system"), "{failure:?}");
    node.disk.fail(None);
    let answers = node.added_at_once(0..12).await;
    sleep(MINUTE).await;
    node.assert_sound(&live(0..12, &answers)).await;
    assert_eq!(node.cloud.count(Action::CreateNetworkInterface), 1);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_given_back_while_intents_cannot_be_written() {
    let node = Node::ready().await;
    node.added_at_once(0..12).await;
    for n in 0..12 {
        node.deleted(&format!("p{n}")).await;
    }
    let before = node.changes();
    node.disk.fail(Some("read-only file system"));
    sleep(10 * MINUTE).await;
    assert_eq!(node.changes(), before);
    node.disk.fail(None);
    sleep(10 * MINUTE).await;
    node.assert_sound(&Live::new()).await;
    assert_eq!(node.held_in_ec2(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_del_that_cannot_be_written_fails_until_it_is() {
    let mut node = Node::ready().await;
    node.added("p0").await;
    sleep(A_WHILE).await;
    node.disk.fail(Some("no space left on device"));
    let failure = failed(node.del("p0").await.unwrap());
    assert_eq!((failure.code, failure.reason.as_str()), (103, "Checkpoint"));
    assert!(node.kernel.pods().is_empty());
    // The runtime asks again: it must not be told that all is well, since a crash would bring the attachment back.
    assert_eq!(failed(node.del("p0").await.unwrap()).code, 103);
    node.disk.fail(None);
    node.deleted("p0").await;
    assert!(node.on_disk().pool.attachments.is_empty());
    node.restart().await;
    sleep(2 * MINUTE).await;
    node.assert_sound(&Live::new()).await;
}

#[tokio::test(start_paused = true)]
async fn a_slow_disk_delays_but_breaks_nothing() {
    let node = Node::without_daemon(FakeSetup::default(), &[]);
    node.disk.take(2 * SECOND);
    let mut node = node;
    node.boot();
    let answers = node.added_at_once(0..12).await;
    let dels: Vec<_> = (0..6).map(|n| node.del(&format!("p{n}"))).collect();
    for del in dels {
        assert_eq!(del.await.unwrap(), Outcome::Deleted);
    }
    sleep(5 * MINUTE).await;
    node.assert_sound(&live(6..12, &answers[6..])).await;
}
