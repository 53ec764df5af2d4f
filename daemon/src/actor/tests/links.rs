//! ENIs whose link does not come, and ENIs that may not go: neither stands in the way of the others.

use ec2::{Action, Kind, NicStatus};
use tokio::time::sleep;

use super::node::{A_WHILE, MINUTE, Node, SECOND, added, failed};

/// Nine pods fill the primary ENI; the next one needs another.
async fn full_primary() -> Node {
    let node = Node::ready().await;
    node.kernel.set_blind(true);
    node.added_at_once(0..9).await;
    node
}

async fn has_reason(node: &Node, name: &str) -> bool {
    let prefix = format!("{name}: ");
    let report = node.report().await;
    report
        .reasons
        .iter()
        .any(|r| r.to_string().starts_with(&prefix))
}

#[tokio::test(start_paused = true)]
async fn another_eni_is_made_when_a_link_does_not_come() {
    let node = full_primary().await;
    let failure = failed(node.add("early").await.unwrap());
    assert_eq!(failure.reason, "Attaching");
    node.kernel.set_blind(false);
    let add = node.add("patient");
    sleep(20 * SECOND).await;
    assert!(has_reason(&node, "NoLink").await);
    added(add.await.unwrap());
    assert_eq!(node.cloud.count(Action::CreateNetworkInterface), 2);
    assert_eq!(node.kernel.wrongs(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn an_eni_whose_link_never_comes_is_given_up_and_made_again_later() {
    let node = full_primary().await;
    for n in 0..20 {
        let failure = failed(node.add(&format!("n{n}")).await.unwrap());
        let reason = failure.reason.as_str();
        assert!(
            ["Attaching", "NoLink"].contains(&reason),
            "{n}: {failure:?}"
        );
        if failure.reason == "NoLink" {
            assert!(failure.msg.contains("does not appear"), "{}", failure.msg);
            assert!(failure.details.contains("given up"), "{}", failure.details);
        }
    }
    let gone = node.cloud.count(Action::DeleteNetworkInterface);
    assert!(gone >= 1, "none was given up in {} s", 20 * 20);
    // Both places are tried, each for three minutes, and then a while nothing.
    let hour = node.cloud.count(Action::CreateNetworkInterface);
    sleep(60 * MINUTE).await;
    let hour = node.cloud.count(Action::CreateNetworkInterface) - hour;
    assert!(hour <= 30, "{hour} ENIs were made within an hour");
    // EC2 has nothing of those.
    assert!(node.cloud.holdings().len() <= 3);
    node.kernel.set_blind(false);
    sleep(5 * MINUTE).await;
    node.added("late").await;
    sleep(A_WHILE).await;
    assert!(!has_reason(&node, "NoLink").await);
    assert_eq!(node.kernel.wrongs(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn an_eni_whose_attachment_ended_by_itself_is_replaced() {
    let node = full_primary().await;
    let add = node.add("patient");
    sleep(5 * SECOND).await;
    let primary = node.cloud.primary().unwrap();
    let holdings = node.cloud.holdings();
    let eni = holdings.keys().find(|id| **id != primary).unwrap();
    node.cloud.alter(eni, |eni| {
        eni.attachment = None;
        eni.status = NicStatus::Available;
    });
    node.kernel.set_blind(false);
    assert_eq!(failed(add.await.unwrap()).reason, "Attaching");
    sleep(MINUTE).await;
    let there = node.cloud.holdings();
    assert!(!there.contains_key(eni), "{eni} was not deleted");
    assert_eq!(there.len(), 2, "another one was made");
    node.added("late").await;
    sleep(A_WHILE).await;
    let report = node.report().await;
    assert!(report.enis.iter().all(|eni| eni.state == "ready"));
    assert_eq!(node.kernel.wrongs(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn a_detach_that_is_denied_is_told_and_seldom_tried() {
    let node = Node::ready().await;
    let pods: Vec<String> = (0..12).map(|n| format!("p{n}")).collect();
    node.added_at_once(0..12).await;
    node.cloud
        .set_failing(Action::DetachNetworkInterface, Some(Kind::AccessDenied));
    for pod in &pods {
        node.deleted(pod).await;
    }
    sleep(16 * MINUTE).await;
    assert!(has_reason(&node, "AccessDenied").await);
    let report = node.report().await;
    assert!(
        report.reasons[0]
            .message
            .contains("ec2:DetachNetworkInterface"),
        "{:?}",
        report.reasons
    );
    // What can be given back is.
    assert!(report.addresses.held <= 2, "{:?}", report.addresses);
    // Each time anew it must have been idle for a quarter of an hour; the rests become longer than that.
    sleep(180 * MINUTE).await;
    let tried = node.cloud.count(Action::DetachNetworkInterface);
    sleep(120 * MINUTE).await;
    let tried = node.cloud.count(Action::DetachNetworkInterface) - tried;
    assert!(tried <= 3, "tried {tried} times within two hours");
    node.added_at_once(20..32).await;
    assert_eq!(node.kernel.wrongs(), Vec::<String>::new());
}
