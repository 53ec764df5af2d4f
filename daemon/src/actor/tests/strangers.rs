//! ENIs of others on the instance: never touched, never used, and their places count as taken.

use std::collections::BTreeMap;

use ec2::Action;
use ec2::fake::{FakeSetup, ForeignEni};
use tokio::time::sleep;

use super::invariants::{Live, live};
use super::node::{A_WHILE, MINUTE, Node, SECOND, failed};

fn no_manage() -> BTreeMap<String, String> {
    let tags = [
        ("node.k8s.amazonaws.com/no_manage", "true"),
        // Even if it was made for pods of this node.
        ("node.k8s.amazonaws.com/instance_id", "i-0be27000000000001"),
    ];
    tags.map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into()
}

/// The tags of an ENI that was made for an instance.
fn made_for(instance: &str) -> BTreeMap<String, String> {
    let key = "node.k8s.amazonaws.com/instance_id";
    BTreeMap::from([(key.to_owned(), instance.to_owned())])
}

/// The tags of one that was made for this node; no place on it is taken by what is not attached.
pub fn of_this_node() -> BTreeMap<String, String> {
    made_for(&FakeSetup::default().instance_id)
}

fn foreign(interface_type: &str, tags: BTreeMap<String, String>) -> ForeignEni {
    ForeignEni {
        tags,
        interface_type: interface_type.to_owned(),
        device_index: 1,
        network_card: 0,
        secondary_addresses: 4,
    }
}

fn assert_never_touched(node: &Node, eni: &str) {
    let calls = node.cloud.calls();
    assert!(
        !calls.iter().any(|call| call.target.contains(eni)),
        "{calls:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn an_eni_of_somebody_else_is_never_touched_and_its_slot_is_taken() {
    for (interface_type, tags) in [
        ("interface", no_manage()),
        ("interface", BTreeMap::new()),
        ("trunk", BTreeMap::new()),
        ("efa-only", BTreeMap::new()),
    ] {
        let mut node = Node::without_daemon(FakeSetup::default(), &[]);
        let theirs = node
            .cloud
            .attach_foreign(foreign(interface_type, tags))
            .unwrap();
        if interface_type == "efa-only" {
            // It has no address at all.
            node.cloud.alter(&theirs, |eni| {
                eni.primary_address = None;
                eni.secondary_addresses.clear();
            });
        }
        let before = node.cloud.holdings()[&theirs].clone();
        node.boot();
        let answers = node.added_at_once(0..18).await;
        assert!(
            answers
                .iter()
                .all(|a| !before.secondary_addresses.contains(&a.address))
        );
        // Three ENIs, one of them theirs.
        assert_eq!(failed(node.add("p18").await.unwrap()).reason, "EniLimit");
        node.restart().await;
        sleep(MINUTE).await;
        node.assert_sound(&live(0..18, &answers)).await;
        let ours = node.report().await.enis;
        let indices: Vec<u32> = ours
            .iter()
            .filter(|eni| eni.ownership != "foreign")
            .map(|eni| eni.device_index)
            .collect();
        assert_eq!(indices, [0, 2]);
        for n in 0..18 {
            node.deleted(&format!("p{n}")).await;
        }
        sleep(15 * MINUTE).await;
        node.assert_sound(&Live::new()).await;
        assert_eq!(node.cloud.holdings()[&theirs], before);
        assert_never_touched(&node, &theirs);
    }
}

#[tokio::test(start_paused = true)]
async fn a_place_that_somebody_takes_meanwhile_is_left_to_them() {
    let node = Node::ready().await;
    node.cloud
        .set_latency(Action::CreateNetworkInterface, 2 * SECOND);
    let adds: Vec<_> = (0..12).map(|n| node.add(&format!("p{n}"))).collect();
    sleep(SECOND).await;
    let theirs = node
        .cloud
        .attach_foreign(foreign("interface", no_manage()))
        .unwrap();
    let mut answers = Vec::new();
    for add in adds {
        answers.push(super::node::added(add.await.unwrap()));
    }
    sleep(5 * MINUTE).await;
    node.assert_sound(&live(0..12, &answers)).await;
    assert_eq!(node.cloud.count(Action::CreateNetworkInterface), 1);
    assert_never_touched(&node, &theirs);
}

#[tokio::test(start_paused = true)]
async fn an_eni_for_which_there_is_no_slot_after_all_is_deleted() {
    let setup = FakeSetup {
        limits: ec2::InstanceLimits {
            enis: 2,
            ipv4_per_eni: 10,
            prefixes: true,
        },
        ..FakeSetup::default()
    };
    let node = Node::start_with(setup, &[]);
    sleep(A_WHILE).await;
    node.cloud
        .set_latency(Action::CreateNetworkInterface, 2 * SECOND);
    let adds: Vec<_> = (0..11).map(|n| node.add(&format!("p{n}"))).collect();
    sleep(SECOND).await;
    node.cloud
        .attach_foreign(foreign("interface", no_manage()))
        .unwrap();
    let mut served = Live::new();
    let mut refused = Vec::new();
    for (n, add) in adds.into_iter().enumerate() {
        match add.await.unwrap() {
            berth_cni::contract::Outcome::Added(added) => {
                served.insert(format!("p{n}"), added.address);
            }
            other => refused.push(failed(other)),
        }
    }
    assert_eq!((served.len(), refused.len()), (9, 2));
    assert!(refused.iter().all(|failure| failure.code == 11));
    sleep(10 * MINUTE).await;
    node.assert_sound(&served).await;
    assert_eq!(node.cloud.holdings().len(), 2, "nothing lies around");
    // Once they are known to have the last slot, nothing is tried any more.
    let creates = node.cloud.count(Action::CreateNetworkInterface);
    assert_eq!(failed(node.add("late").await.unwrap()).reason, "EniLimit");
    assert_eq!(node.cloud.count(Action::CreateNetworkInterface), creates);
}

#[tokio::test(start_paused = true)]
async fn what_a_predecessor_left_lying_around_is_deleted_but_not_what_others_did() {
    let mut node = Node::without_daemon(FakeSetup::default(), &[]);
    let ours = node.cloud.leave_available(of_this_node(), 2).unwrap();
    let theirs = made_for("i-0be27000000000009");
    let theirs = node.cloud.leave_available(theirs, 2).unwrap();
    let marked = node.cloud.leave_available(no_manage(), 2).unwrap();
    node.boot();
    sleep(MINUTE).await;
    let left = node.cloud.holdings();
    assert!(!left.contains_key(&ours));
    assert!(left.contains_key(&theirs) && left.contains_key(&marked));
    assert_never_touched(&node, &theirs);
    assert_never_touched(&node, &marked);
}

#[tokio::test(start_paused = true)]
async fn leaked_enis_stay_where_an_operator_wants_them_to() {
    let keep = [("DISABLE_LEAKED_ENI_CLEANUP", "true")];
    let mut node = Node::without_daemon(FakeSetup::default(), &keep);
    let leaked = node.cloud.leave_available(of_this_node(), 2).unwrap();
    node.boot();
    // One of the daemon's own that it detaches is no leaked one.
    node.added_at_once(0..12).await;
    for n in 0..12 {
        node.deleted(&format!("p{n}")).await;
    }
    sleep(90 * MINUTE).await;
    let left: Vec<String> = node.cloud.holdings().into_keys().collect();
    let primary = node.cloud.primary().unwrap();
    assert_eq!(left.len(), 2, "{left:?}");
    assert!(left.contains(&primary) && left.contains(&leaked));
    assert_never_touched(&node, &leaked);
}
