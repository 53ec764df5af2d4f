//! The node's layout: it follows the ENIs, and is never taken back to what it was before.

use ec2::Action;
use tokio::time::{Instant, sleep};

use super::invariants::live;
use super::node::{A_WHILE, MINUTE, Node, SECOND, added};
use crate::dataplane::fake::{Fault, Verb};

#[tokio::test(start_paused = true)]
async fn a_slow_layout_does_not_undo_a_later_one() {
    let node = Node::ready().await;
    node.cloud
        .set_latency(Action::CreateNetworkInterface, SECOND);
    node.kernel.set_delay(Verb::ApplyNode, 4 * SECOND);
    let adds: Vec<_> = (0..25).map(|n| node.add(&format!("p{n}"))).collect();
    // The first ENI's layout takes its time; meanwhile the second ENI comes, whose layout would be faster.
    sleep(SECOND * 3 / 2).await;
    node.kernel.set_delay(Verb::ApplyNode, SECOND / 2);
    let mut answers = Vec::new();
    for add in adds {
        answers.push(added(add.await.unwrap()));
    }
    sleep(A_WHILE).await;
    assert_eq!(node.kernel.node().unwrap().enis.len(), 3);
    node.assert_sound(&live(0..25, &answers)).await;
}

#[tokio::test(start_paused = true)]
async fn an_eni_serves_pods_only_when_its_layout_stands() {
    let node = Node::ready().await;
    node.kernel.set_delay(Verb::ApplyNode, 4 * SECOND);
    node.kernel.fail_next(Verb::ApplyNode, Fault::Refused, 1);
    let asked = Instant::now();
    let answers = node.added_at_once(0..12).await;
    assert!(asked.elapsed() >= 4 * SECOND);
    sleep(A_WHILE).await;
    node.assert_sound(&live(0..12, &answers)).await;
}

#[tokio::test(start_paused = true)]
async fn an_eni_whose_link_comes_late_is_waited_for_without_asking_ec2_again() {
    let node = Node::ready().await;
    node.cloud.set_attach_delay(15 * SECOND);
    let answers = node.added_at_once(0..12).await;
    sleep(A_WHILE).await;
    assert_eq!(node.cloud.count(Action::AttachNetworkInterface), 1);
    assert_eq!(node.cloud.count(Action::DescribeNetworkInterfaces), 2);
    node.assert_sound(&live(0..12, &answers)).await;
}

#[tokio::test(start_paused = true)]
async fn pods_wait_for_an_eni_whose_link_takes_minutes() {
    let node = Node::ready().await;
    node.cloud.set_attach_delay(2 * MINUTE);
    let adds: Vec<_> = (0..12).map(|n| node.add(&format!("p{n}"))).collect();
    let mut refused = 0;
    for add in adds {
        if let berth_cni::contract::Outcome::Failed(failure) = add.await.unwrap() {
            assert_eq!((failure.code, failure.reason.as_str()), (11, "Attaching"));
            refused += 1;
        }
    }
    assert_eq!(refused, 3, "nine have room on the primary");
    sleep(5 * MINUTE).await;
    // Half a minute without its link, and it was not counted on any more; nor was it given up.
    assert!(node.cloud.count(Action::CreateNetworkInterface) <= 2);
    for n in 20..23 {
        node.added(&format!("p{n}")).await;
    }
    assert_eq!(node.kernel.wrongs(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn a_link_that_is_missing_keeps_no_other_eni_from_being_used() {
    let node = Node::ready().await;
    let first = node.added_at_once(0..12).await;
    sleep(A_WHILE).await;
    let second = node.cloud.holdings().into_values().nth(1).unwrap();
    node.kernel.remove_link(second.mac.parse().unwrap());
    let answers = node.added_at_once(12..22).await;
    sleep(MINUTE).await;
    assert_eq!(node.cloud.holdings().len(), 3);
    let all = [first, answers].concat();
    node.assert_sound(&live(0..22, &all)).await;
}
