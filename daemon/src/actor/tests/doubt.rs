//! Calls whose answer is lost, with and without effect: nothing is asked twice blindly, nothing is lost or doubled.

use ec2::fake::Call;
use ec2::{Action, Kind};
use tokio::time::sleep;

use super::invariants::{Live, live};
use super::node::{MINUTE, Node, SECOND};

/// What a call of the journal is about, without how much of it.
fn about(call: &Call) -> &str {
    call.target.split(' ').next().unwrap_or_default()
}

/// After a lost answer the same thing is asked again only with a look in between; a Create only with its token.
fn assert_not_blind(node: &Node) {
    let calls = node.cloud.calls();
    for (at, lost) in calls.iter().enumerate() {
        if lost.outcome != Some(Err(Kind::Doubtful)) {
            continue;
        }
        let after = &calls[at + 1..];
        if lost.action == Action::CreateNetworkInterface {
            let next = after.iter().find(|call| call.action == lost.action);
            assert_eq!(next.map(about), Some(about(lost)), "another token");
            continue;
        }
        let again = after
            .iter()
            .position(|call| call.action == lost.action && about(call) == about(lost));
        let looked = after
            .iter()
            .position(|call| call.action == Action::DescribeNetworkInterfaces);
        if let Some(again) = again {
            let blind = looked.is_none_or(|looked| looked > again);
            assert!(!blind, "asked again without a look: {lost:?}");
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Lost {
    /// The answer.
    Reply,
    /// The request: no effect, but nobody can know.
    Request,
}

fn lose(node: &Node, action: Action, lost: Lost, times: usize) {
    match lost {
        Lost::Reply => node.cloud.lose_next_reply(action, times),
        Lost::Request => node.cloud.fail_next(action, Kind::Doubtful, times),
    }
}

/// Twelve pods come, so that a second ENI is made, and go; `action` loses its first answers.
async fn come_and_go(action: Action, lost: Lost, times: usize) {
    let node = Node::start();
    node.cloud.set_default_latency(SECOND / 5);
    node.cloud.set_attach_delay(2 * SECOND);
    node.cloud.set_detach_delay(2 * SECOND);
    lose(&node, action, lost, times);
    let answers = node.added_at_once(0..12).await;
    sleep(MINUTE).await;
    node.assert_sound(&live(0..12, &answers)).await;
    assert_eq!(node.cloud.holdings().len(), 2, "{action} {lost:?}");
    assert_eq!(
        node.held_in_ec2() - 12,
        node.report().await.addresses.free as usize
    );
    let protected = |eni: &ec2::NetworkInterface| {
        let at = eni.attachment.as_ref();
        at.is_some_and(|at| at.delete_on_termination)
    };
    assert!(node.cloud.holdings().values().all(protected));
    for n in 0..12 {
        node.deleted(&format!("p{n}")).await;
    }
    sleep(45 * MINUTE).await;
    node.assert_sound(&Live::new()).await;
    assert_eq!(node.held_in_ec2(), 1, "{action} {lost:?}");
    let doubts = node.cloud.calls();
    let doubts = doubts
        .iter()
        .filter(|call| call.outcome == Some(Err(Kind::Doubtful)));
    assert_eq!(doubts.count(), times, "{action} was not called so often");
    assert_not_blind(&node);
}

#[tokio::test(start_paused = true)]
async fn lost_answers_lose_and_double_nothing() {
    let changes = [
        Action::AssignPrivateIpAddresses,
        Action::CreateNetworkInterface,
        Action::AttachNetworkInterface,
        Action::ModifyNetworkInterfaceAttribute,
        Action::UnassignPrivateIpAddresses,
        Action::DetachNetworkInterface,
        Action::DeleteNetworkInterface,
    ];
    for action in changes {
        for lost in [Lost::Reply, Lost::Request] {
            come_and_go(action, lost, 1).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn answers_lost_again_and_again_lose_and_double_nothing() {
    come_and_go(Action::AssignPrivateIpAddresses, Lost::Request, 3).await;
    come_and_go(Action::CreateNetworkInterface, Lost::Reply, 3).await;
    come_and_go(Action::DescribeNetworkInterfaces, Lost::Request, 3).await;
}

#[tokio::test(start_paused = true)]
async fn what_an_assign_with_a_lost_answer_did_serves_the_pods_that_waited_for_it() {
    let node = Node::start();
    node.cloud
        .lose_next_reply(Action::AssignPrivateIpAddresses, 1);
    let answers = node.added_at_once(0..4).await;
    sleep(MINUTE).await;
    assert_eq!(node.cloud.count(Action::AssignPrivateIpAddresses), 1);
    assert_eq!(node.held_in_ec2(), 4 + 2);
    node.assert_sound(&live(0..4, &answers)).await;
}

#[tokio::test(start_paused = true)]
async fn a_create_with_a_lost_answer_is_asked_again_with_its_token_after_a_restart_too() {
    let mut node = Node::ready().await;
    let action = Action::CreateNetworkInterface;
    node.cloud.set_latency(action, 2 * SECOND);
    let _adds: Vec<_> = (0..12).map(|n| node.add(&format!("p{n}"))).collect();
    // The ENI is made, the answer is on its way.
    sleep(SECOND * 3 / 2).await;
    assert_eq!(node.cloud.holdings().len(), 2);
    node.restart().await;
    let answers = {
        let mut again = Vec::new();
        for n in 0..12 {
            again.push(node.added(&format!("p{n}")).await);
        }
        again
    };
    sleep(MINUTE).await;
    node.assert_sound(&live(0..12, &answers)).await;
    let creates = node.cloud.calls();
    let creates: Vec<&str> = creates
        .iter()
        .filter(|call| call.action == action)
        .map(about)
        .collect();
    assert_eq!(creates.len(), 2);
    assert_eq!(creates[0], creates[1]);
    assert_eq!(node.cloud.holdings().len(), 2);
}
