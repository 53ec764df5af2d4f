//! Calls that no pod waits for, and that the role does not permit: told, seldom repeated, in no pod's way, and made after
//! all when they are permitted.

use std::collections::BTreeSet;

use ec2::fake::FakeSetup;
use ec2::{Action, Kind};
use tokio::time::sleep;

use super::invariants::{Live, live};
use super::node::{A_WHILE, MINUTE, Node};
use super::strangers::of_this_node;

const DETACH: Action = Action::DetachNetworkInterface;
const ACTIONS: [Action; 4] = [
    Action::ModifyNetworkInterfaceAttribute,
    Action::UnassignPrivateIpAddresses,
    DETACH,
    Action::DeleteNetworkInterface,
];
/// What is denied is asked for again within the hour, and an ENI goes in three calls.
const AT_LAST: u32 = 200;

/// A node with all that there is to give back: an ENI that lies around, and what twelve pods have left; and what it said of
/// it within an hour.
async fn node_that_may_not(denied: &[Action]) -> (Node, BTreeSet<String>) {
    let mut node = Node::without_daemon(FakeSetup::default(), &[]);
    node.cloud.leave_available(of_this_node(), 2).unwrap();
    for action in denied {
        node.cloud.set_failing(*action, Some(Kind::AccessDenied));
    }
    node.boot();
    node.added_at_once(0..12).await;
    sleep(A_WHILE).await;
    let mut told = denials(&node).await;
    for n in 0..12 {
        node.deleted(&format!("p{n}")).await;
    }
    for _ in 0..60 {
        sleep(MINUTE).await;
        told.extend(denials(&node).await);
    }
    (node, told)
}

fn words(action: Action) -> String {
    format!("access denied for ec2:{action}")
}

async fn denials(node: &Node) -> BTreeSet<String> {
    let reasons = node.report().await.reasons.into_iter();
    let denied = reasons.filter(|reason| reason.name == "AccessDenied");
    denied.map(|reason| reason.message).collect()
}

/// All is given back, and no reason is left.
async fn assert_given_back(node: &Node) {
    sleep(AT_LAST * MINUTE).await;
    assert_eq!(denials(node).await, BTreeSet::new());
    assert_eq!(node.cloud.holdings().len(), 1, "the primary ENI is left");
    assert!(node.held_in_ec2() <= 2, "{:?}", node.ours_in_ec2());
    node.assert_sound(&Live::new()).await;
}

#[tokio::test(start_paused = true)]
async fn each_is_told_and_made_when_it_is_permitted() {
    for action in ACTIONS {
        let (node, told) = node_that_may_not(&[action]).await;
        assert_eq!(told, BTreeSet::from([words(action)]));
        let asked = node.cloud.count(action);
        sleep(120 * MINUTE).await;
        let asked = node.cloud.count(action) - asked;
        assert!(asked <= 6, "{action}: {asked} times within two hours");
        // Twelve more find their addresses as ever.
        let answers = node.added_at_once(20..32).await;
        sleep(MINUTE).await;
        assert_eq!(node.report().await.attachments.len(), answers.len());
        for n in 20..32 {
            node.deleted(&format!("p{n}")).await;
        }
        node.cloud.set_failing(action, None);
        assert_given_back(&node).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_role_that_permits_none_of_them_still_serves_pods() {
    let (node, told) = node_that_may_not(&ACTIONS).await;
    // What could not be deleted is not detached in the first place.
    let asked = ACTIONS.into_iter().filter(|action| *action != DETACH);
    assert_eq!(told, asked.map(words).collect());
    assert_eq!(node.cloud.count(DETACH), 0);
    let answers = node.added_at_once(0..18).await;
    sleep(MINUTE).await;
    let standing = live(0..18, &answers);
    assert_eq!(node.report().await.attachments.len(), standing.len());
    for n in 0..18 {
        node.deleted(&format!("p{n}")).await;
    }
    for action in ACTIONS {
        node.cloud.set_failing(action, None);
    }
    assert_given_back(&node).await;
}
