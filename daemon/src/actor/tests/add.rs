//! ADD: what it answers, what a repeated one does, and what a crash in its middle leaves.

use berth_cni::contract::AddRequest;
use ec2::InstanceLimits;
use ec2::fake::FakeSetup;
use tokio::time::sleep;

use super::invariants::{Live, live};
use super::node::{A_WHILE, MILLISECOND, Node, SECOND, added, alias, failed, request};
use crate::dataplane::fake::Verb;

/// An instance with room for all that a test wants.
pub fn large() -> FakeSetup {
    FakeSetup {
        limits: InstanceLimits {
            enis: 8,
            ipv4_per_eni: 30,
            prefixes: true,
        },
        ..FakeSetup::default()
    }
}

#[tokio::test(start_paused = true)]
async fn the_answer_is_what_stands_in_the_kernel() {
    let node = Node::start_with(FakeSetup::default(), &[("POD_MTU", "1500")]);
    let answer = added(node.add_pod("web-0", "sandbox").await.unwrap());
    let pod = &node.kernel.pods()[&alias("sandbox")];
    assert_eq!(pod.address, Some(answer.address));
    assert_eq!(pod.name, answer.host_ifname);
    // printf default.web-0 | sha1sum | cut -c1-11
    assert_eq!(answer.host_ifname, "eni0d7763386da");
    assert_eq!(answer.gateway.to_string(), "169.254.1.1");
    assert_eq!(answer.mtu, 1500);
    assert_ne!(answer.host_mac, answer.pod_mac);
    let asked = AddRequest {
        mtu: Some(1400),
        ..request("other", "web-1")
    };
    assert_eq!(added(node.ask(asked, "i").await.unwrap()).mtu, 1400);
}

#[tokio::test(start_paused = true)]
async fn an_answered_add_is_on_disk() {
    let node = Node::ready().await;
    node.disk.take(SECOND);
    let add = node.add("p0");
    sleep(SECOND / 2).await;
    assert!(!node.kernel.pods().is_empty(), "wired while it is written");
    assert!(!add.is_finished());
    let address = added(add.await.unwrap()).address;
    let on_disk = node.on_disk().pool.attachments;
    assert_eq!(on_disk.len(), 1);
    assert_eq!(on_disk[0].address, address);
}

#[tokio::test(start_paused = true)]
async fn the_same_process_that_asks_again_gets_the_same_answer() {
    let node = Node::ready().await;
    let first = node.added("p0").await;
    let second = node.added("p0").await;
    assert_eq!(first, second);
    sleep(A_WHILE).await;
    node.assert_sound(&live(0..1, &[first])).await;
}

#[tokio::test(start_paused = true)]
async fn another_process_is_refused_while_the_attachment_stands() {
    let node = Node::ready().await;
    let first = node.added("p0").await;
    let failure = failed(node.add_by("p0", "another").await.unwrap());
    assert_eq!(failure.code, 102);
    assert_eq!(failure.reason, "AttachmentExists");
    assert!(failure.msg.contains("aws-cni/p0/eth0"), "{}", failure.msg);
    sleep(A_WHILE).await;
    node.assert_sound(&live(0..1, &[first])).await;
}

#[tokio::test(start_paused = true)]
async fn two_adds_of_one_attachment_at_once_run_one_after_another() {
    let node = Node::ready().await;
    node.kernel.set_delay(Verb::ApplyPod, SECOND);
    let (one, two) = (node.add_by("p0", "one"), node.add_by("p0", "two"));
    let first = added(one.await.unwrap());
    assert_eq!(failed(two.await.unwrap()).reason, "AttachmentExists");
    sleep(A_WHILE).await;
    node.assert_sound(&live(0..1, &[first])).await;
}

#[tokio::test(start_paused = true)]
async fn each_interface_of_a_sandbox_is_an_attachment_of_its_own() {
    let node = Node::ready().await;
    let first = node.added("p0").await;
    let mut asked = request("p0", "p0");
    asked.id.ifname = "net1".to_owned();
    let second = added(node.ask(asked, "p0").await.unwrap());
    assert_ne!(first.address, second.address);
    assert_ne!(first.host_ifname, second.host_ifname);
    assert_eq!(node.kernel.pods().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn an_add_cut_off_by_a_crash_converges_for_whoever_asks_next() {
    let mut node = Node::ready().await;
    node.kernel.set_delay(Verb::ApplyPod, 2 * SECOND);
    let cut_off = node.add_by("p0", "first");
    // On disk and in the kernel, but not answered.
    sleep(SECOND * 3 / 2).await;
    let stood = node.kernel.pods()[&alias("p0")].clone();
    assert_eq!(node.on_disk().pool.attachments.len(), 1);
    node.restart().await;
    assert_eq!(failed(cut_off.await.unwrap()).code, 11);
    let answer = added(node.add_by("p0", "second").await.unwrap());
    assert_eq!(Some(answer.address), stood.address);
    assert_eq!(node.kernel.pods()[&alias("p0")], stood);
    sleep(A_WHILE).await;
    node.assert_sound(&live(0..1, &[answer])).await;
}

#[tokio::test(start_paused = true)]
async fn a_link_that_no_state_names_is_swept_before_its_address_is_given_again() {
    let mut node = Node::ready().await;
    node.disk.take(MILLISECOND * 500);
    let _cut_off = node.add("p0");
    sleep(MILLISECOND * 250).await;
    assert_eq!(node.kernel.pods().len(), 1);
    node.disk.take(MILLISECOND);
    node.restart().await;
    let answer = node.added("p1").await;
    sleep(A_WHILE).await;
    node.assert_sound(&Live::from([("p1".to_owned(), answer.address)]))
        .await;
}

#[tokio::test(start_paused = true)]
async fn adds_at_once_share_the_writes() {
    let node = Node::start_with(large(), &[]);
    sleep(A_WHILE).await;
    node.disk.take(20 * MILLISECOND);
    let before = node.disk.written().len();
    let answers = node.added_at_once(0..30).await;
    // One for those whom the reserve serves and the intents, one for the rest, and what came of the calls.
    let writes = node.disk.written().len() - before;
    assert!(writes <= 8, "{writes} writes");
    sleep(A_WHILE).await;
    node.assert_sound(&live(0..30, &answers)).await;
}
