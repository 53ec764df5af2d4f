//! CHECK: it looks, says all that is wrong, changes nothing, and waits for whoever works on its attachment.

use berth_cni::contract::Outcome;
use tokio::time::sleep;

use super::invariants::live;
use super::node::{A_WHILE, MINUTE, Node, SECOND, added, alias, failed};
use crate::dataplane::fake::{Fault, Operation, Verb};

#[tokio::test(start_paused = true)]
async fn what_an_add_made_passes_at_once_and_after_restarts_and_nothing_is_touched() {
    let mut node = Node::ready().await;
    let answer = node.added("p0").await;
    assert_eq!(node.check("p0", &answer).await, Outcome::Checked);
    sleep(MINUTE).await;
    let (writes, pods) = (node.disk.written().len(), node.kernel.pods());
    assert_eq!(node.check("p0", &answer).await, Outcome::Checked);
    assert_eq!(
        (node.disk.written().len(), node.kernel.pods()),
        (writes, pods)
    );
    node.cloud.set_metadata_away(true);
    node.cloud.set_unreachable(true);
    node.restart().await;
    sleep(SECOND).await;
    assert_eq!(node.check("p0", &answer).await, Outcome::Checked);
}

#[tokio::test(start_paused = true)]
async fn all_that_is_wrong_is_said_at_once() {
    let node = Node::ready().await;
    let mut answer = node.added("p0").await;
    let group = node.kernel.pods()[&alias("p0")].group;
    node.kernel.damage(&alias("p0"), |pod| {
        pod.group = 0;
        pod.address = None;
    });
    let failure = failed(node.check("p0", &answer).await);
    assert_eq!((failure.code, &*failure.reason), (102, "AttachmentDamaged"));
    for words in [
        format!("in group 0 instead of {group}"),
        format!("route to {} in table 20512 is missing", answer.address),
    ] {
        assert!(failure.msg.contains(&words), "{words}: {failure:?}");
    }
    node.kernel.remove_pod_link(&alias("p0"));
    answer.pod_mac = "254".to_owned();
    let failure = failed(node.check("p0", &answer).await);
    for words in ["link berth:p0/eth0 is missing", "interface eth0 is missing"] {
        assert!(failure.msg.contains(words), "{words}: {failure:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_not_attached_is_no_success() {
    let mut node = Node::ready().await;
    let answer = node.added("p0").await;
    node.deleted("p0").await;
    let failure = failed(node.check("p0", &answer).await);
    assert_eq!((failure.code, &*failure.reason), (102, "AttachmentUnknown"));
    assert!(failure.msg.contains("aws-cni/p0/eth0"), "{failure:?}");
    // A daemon that has not found its pods yet cannot say so.
    let answer = node.added("p1").await;
    node.cloud.set_metadata_away(true);
    node.kill().await;
    node.boot_with(None);
    let failure = failed(node.check("p1", &answer).await);
    assert_eq!((failure.code, &*failure.reason), (11, "DaemonStarting"));
    node.cloud.set_metadata_away(false);
    sleep(MINUTE).await;
    assert_eq!(node.check("p1", &answer).await, Outcome::Checked);
}

#[tokio::test(start_paused = true)]
async fn it_waits_for_the_del_before_it_and_an_add_waits_for_it() {
    let node = Node::ready().await;
    let answer = node.added("p0").await;
    node.kernel.set_delay(Verb::RemovePod, 2 * SECOND);
    let del = node.del("p0");
    sleep(SECOND).await;
    let failure = failed(node.check("p0", &answer).await);
    assert_eq!(failure.reason, "AttachmentUnknown");
    assert!(del.is_finished());
    let answer = node.added("p1").await;
    node.kernel.set_delay(Verb::ObserveAttachment, 2 * SECOND);
    let (check, del) = tokio::join!(node.check("p1", &answer), async {
        sleep(SECOND).await;
        let del = node.del("p1");
        sleep(SECOND / 2).await;
        assert!(node.kernel.pods().contains_key(&alias("p1")));
        del.await.unwrap()
    });
    assert_eq!((check, del), (Outcome::Checked, Outcome::Deleted));
}

#[tokio::test(start_paused = true)]
async fn a_kernel_that_cannot_be_read_is_an_error_of_its_own() {
    let node = Node::ready().await;
    let answer = added(node.add("p0").await.unwrap());
    node.kernel
        .fail_next(Verb::ObserveAttachment, Fault::Refused, 1);
    let failure = failed(node.check("p0", &answer).await);
    assert_eq!((failure.code, &*failure.reason), (101, "Kernel"));
    assert!(failure.msg.contains("could not be read"), "{failure:?}");
    assert_eq!(node.check("p0", &answer).await, Outcome::Checked);
    let asked = Operation::ObserveAttachment(alias("p0"));
    assert!(node.kernel.operations().contains(&asked));
    sleep(A_WHILE).await;
    node.assert_sound(&live(0..1, &[answer])).await;
}
