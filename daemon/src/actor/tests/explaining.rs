//! What is told of a node by its daemon, and that it comes true: over the minutes that addresses are kept, which only
//! paused time makes short.

use std::time::Duration;

use ec2::InstanceLimits;
use ec2::fake::FakeSetup;
use ipam::Subnet;
use tokio::time::sleep;

use super::node::{A_WHILE, MINUTE, Node, SECOND};
use crate::explanation::Explanation;

/// 15 ENIs of 50 addresses: aws-node's default holds 98 secondary ones for one pod.
fn m6a_32xlarge() -> FakeSetup {
    FakeSetup {
        instance_type: "m6a.32xlarge".to_owned(),
        limits: InstanceLimits {
            enis: 15,
            ipv4_per_eni: 50,
            prefixes: true,
        },
        ..FakeSetup::default()
    }
}

async fn explained(node: &Node) -> Explanation {
    let explained = node.handle().explanation().await.unwrap();
    explained.expect("the node is known")
}

/// Secondary addresses and ENIs, as EC2 has them.
fn held(node: &Node) -> (usize, usize) {
    let enis = node.cloud.holdings();
    let secondary = enis.values().map(|eni| eni.secondary_addresses.len()).sum();
    (secondary, enis.len())
}

#[tokio::test(start_paused = true)]
async fn one_pod_on_a_large_node_holds_two_addresses_when_it_is_said_to() {
    let node = Node::start_with(m6a_32xlarge(), &[]);
    sleep(A_WHILE).await;
    node.added("p0").await;
    sleep(A_WHILE).await;
    assert_eq!(held(&node), (2, 1), "the one beside the pod's is enough");
    // Two more come, and go again.
    node.added_at_once(1..3).await;
    sleep(A_WHILE).await;
    for pod in ["p1", "p2"] {
        node.del(pod).await.unwrap();
    }
    sleep(MINUTE).await;
    let (most, _) = held(&node);
    assert!((3..=5).contains(&most), "{most}");
    let told = explained(&node).await;
    let goes: Vec<u64> = told.addresses.iter().filter_map(|a| a.goes_ms).collect();
    assert_eq!(goes.len(), most - 2, "{told:?}");
    let (first, last) = (*goes.iter().min().unwrap(), *goes.iter().max().unwrap());
    assert!(last - told.written_ms < 30 * 60 * 1000, "{told:?}");
    let until = |at: u64| Duration::from_millis(at - told.written_ms);
    sleep(until(first) - SECOND).await;
    assert_eq!(held(&node), (most, 1));
    sleep(A_WHILE).await;
    assert!(held(&node).0 < most);
    sleep(until(last) - until(first)).await;
    assert_eq!(held(&node), (2, 1));
    sleep(240 * MINUTE).await;
    assert_eq!(held(&node), (2, 1), "for good");
}

#[tokio::test(start_paused = true)]
async fn in_a_full_subnet_a_node_holds_what_its_pods_have() {
    let node = Node::ready().await;
    node.added("p0").await;
    sleep(A_WHILE).await;
    assert_eq!(held(&node), (2, 1));
    let (free, size) = (2, 251);
    node.handle().subnet(Some(Subnet { free, size }));
    sleep(A_WHILE).await;
    assert_eq!(held(&node), (1, 1));
    let told = explained(&node).await;
    assert_eq!(told.subnet.map(|s| (s.free, s.size)), Some((free, size)));
    let pressure = told.reserve.why.iter().any(|why| why.name == "pressure");
    assert!(pressure && told.reserve.keep == 0, "{:?}", told.reserve);
    // Unknown is no pressure.
    node.handle().subnet(None);
    sleep(A_WHILE).await;
    let told = explained(&node).await;
    assert_eq!((told.subnet, told.reserve.keep), (None, 2));
    assert_eq!(held(&node), (3, 1));
}

#[tokio::test(start_paused = true)]
async fn who_had_an_address_last_is_told_while_it_rests() {
    let node = Node::ready().await;
    let address = node.added("p0").await.address;
    node.del("p0").await.unwrap();
    let note = |told: &Explanation| {
        let mut notes = told.addresses.iter();
        notes.find(|note| note.address == address).cloned().unwrap()
    };
    let resting = note(&explained(&node).await);
    assert_eq!(
        (resting.state.as_str(), resting.why.name.as_str()),
        ("cooling", "cooling")
    );
    assert!(
        resting
            .pod
            .as_deref()
            .is_some_and(|pod| pod.ends_with("p0")),
        "{resting:?}"
    );
    assert!(resting.rests_until_ms.is_some());
    sleep(MINUTE).await;
    let free = note(&explained(&node).await);
    assert_eq!((free.state.as_str(), free.pod), ("free", None));
}

#[tokio::test(start_paused = true)]
async fn pods_without_an_address_are_told_by_name_until_they_are_forgotten() {
    let node = Node::ready().await;
    node.cloud.set_free_in_subnet(0);
    node.added_at_once(0..2).await;
    let late = node.add("late");
    sleep(SECOND).await;
    let told = explained(&node).await;
    let pod = &told.pods[0];
    assert_eq!(pod.state, "waiting");
    assert!(pod.pod.ends_with("late"), "{pod:?}");
    let reason = pod.reason.as_ref().map(|reason| reason.name.as_str());
    assert_eq!(reason, Some("SubnetFull"));
    assert!(
        pod.next
            .as_ref()
            .is_some_and(|next| next.at_ms > told.written_ms),
        "{pod:?}"
    );
    drop(late.await.unwrap());
    assert_eq!(explained(&node).await.pods[0].state, "gave-up");
    sleep(MINUTE).await;
    assert_eq!(explained(&node).await.pods, []);
}

#[tokio::test(start_paused = true)]
async fn a_node_that_does_not_know_itself_explains_nothing() {
    let mut node = Node::without_daemon(FakeSetup::default(), &[]);
    node.cloud.set_metadata_away(true);
    node.boot();
    sleep(A_WHILE).await;
    assert_eq!(node.handle().explanation().await.unwrap(), None);
}
