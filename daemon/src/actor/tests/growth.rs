//! How the node's holdings follow its pods: shared calls, one more ENI when needed, giving back, and no polling.

use ec2::Action;
use ec2::fake::FakeSetup;
use tokio::time::{Instant, sleep};

use super::invariants::live;
use super::node::{A_WHILE, MINUTE, Node, SECOND, failed};

/// Changes of EC2 that a burst may cause.
const CHANGES: [Action; 4] = [
    Action::CreateNetworkInterface,
    Action::AttachNetworkInterface,
    Action::ModifyNetworkInterfaceAttribute,
    Action::AssignPrivateIpAddresses,
];

fn changes(node: &Node) -> [usize; 4] {
    CHANGES.map(|action| node.cloud.count(action))
}

#[tokio::test(start_paused = true)]
async fn adds_on_a_fresh_node_wait_for_one_describe_and_share_one_assign() {
    let node = Node::without_daemon(FakeSetup::default(), &[]);
    node.cloud.set_default_latency(SECOND);
    let mut node = node;
    node.boot();
    let answers = node.added_at_once(0..5).await;
    // One look is two pages: what is attached, and what lies around.
    assert_eq!(node.cloud.count(Action::DescribeNetworkInterfaces), 2);
    assert_eq!(changes(&node), [0, 0, 0, 1]);
    // EC2 named the addresses in rising order, and who came first was served first.
    assert!(answers.is_sorted_by(|a, b| a.address < b.address));
    sleep(A_WHILE).await;
    assert_eq!(changes(&node), [0, 0, 0, 1]);
    assert_eq!(node.held_in_ec2(), 5 + 2);
    node.assert_sound(&live(0..5, &answers)).await;
}

#[tokio::test(start_paused = true)]
async fn pods_that_come_one_by_one_always_find_a_reserve() {
    let node = Node::ready().await;
    let mut answers = Vec::new();
    for n in 0..20 {
        let asked = Instant::now();
        answers.push(node.added(&format!("p{n}")).await);
        assert!(asked.elapsed() < SECOND, "p{n} had to wait");
        sleep(A_WHILE).await;
        let free = node.report().await.addresses.free;
        // One and a tenth of them at most.
        assert!((1..=3).contains(&free), "{free} free after {}", n + 1);
    }
    node.assert_sound(&live(0..20, &answers)).await;
}

#[tokio::test(start_paused = true)]
async fn an_idle_node_asks_ec2_for_nothing_but_its_look_each_hour() {
    let node = Node::ready().await;
    let answers = node.added_at_once(0..3).await;
    // Until one of its reserve of two has gone.
    sleep(27 * MINUTE).await;
    let before = node.cloud.calls().len();
    sleep(30 * MINUTE).await;
    assert_eq!(node.cloud.calls().len(), before);
    let looks = node.cloud.count(Action::DescribeNetworkInterfaces);
    sleep(120 * MINUTE).await;
    assert_eq!(node.cloud.calls().len(), before + 4);
    assert_eq!(
        node.cloud.count(Action::DescribeNetworkInterfaces),
        looks + 4
    );
    node.assert_sound(&live(0..3, &answers)).await;
}

#[tokio::test(start_paused = true)]
async fn a_burst_beyond_one_eni_makes_exactly_one_with_its_addresses() {
    let node = Node::ready().await;
    node.cloud.set_default_latency(SECOND / 2);
    node.cloud.set_attach_delay(3 * SECOND);
    let answers = node.added_at_once(0..12).await;
    sleep(A_WHILE).await;
    assert_eq!(node.cloud.count(Action::CreateNetworkInterface), 1);
    assert_eq!(node.cloud.count(Action::AttachNetworkInterface), 1);
    assert_eq!(node.cloud.holdings().len(), 2);
    let second = node.cloud.holdings().into_values().nth(1).unwrap();
    let attachment = second.attachment.unwrap();
    assert!(attachment.delete_on_termination);
    assert_eq!(attachment.device_index, 1);
    // Three pods and the reserve: it came with them, nothing was assigned to it afterwards.
    assert!((4..=6).contains(&second.secondary_addresses.len()));
    let assigned = node.cloud.calls();
    let to_second = |call: &&ec2::fake::Call| {
        call.action == Action::AssignPrivateIpAddresses && call.target.starts_with(&second.id)
    };
    assert_eq!(assigned.iter().filter(to_second).count(), 0);
    let layout = node.kernel.node().unwrap();
    assert_eq!(layout.enis.len(), 2);
    node.assert_sound(&live(0..12, &answers)).await;
}

#[tokio::test(start_paused = true)]
async fn a_full_node_has_nine_pods_an_eni_and_refuses_the_next_after_its_wait() {
    let node = Node::ready().await;
    node.cloud.set_attach_delay(2 * SECOND);
    let answers = node.added_at_once(0..27).await;
    sleep(A_WHILE).await;
    let sizes: Vec<usize> = node.ours_in_ec2().values().map(|held| held.len()).collect();
    assert_eq!(sizes, [9, 9, 9]);
    assert_eq!(node.cloud.count(Action::CreateNetworkInterface), 2);
    let asked = Instant::now();
    let failure = failed(node.add("one-too-many").await.unwrap());
    assert_eq!((failure.code, failure.reason.as_str()), (11, "EniLimit"));
    assert_eq!(asked.elapsed().as_secs(), 20);
    assert!(failure.msg.contains("3 ENIs"), "{}", failure.msg);
    assert!(!failure.details.is_empty());
    node.assert_sound(&live(0..27, &answers)).await;
}

#[tokio::test(start_paused = true)]
async fn max_eni_bounds_the_enis() {
    let node = Node::start_with(FakeSetup::default(), &[("MAX_ENI", "1")]);
    let answers = node.added_at_once(0..9).await;
    let failure = failed(node.add("p9").await.unwrap());
    assert_eq!(failure.reason, "EniLimit");
    assert_eq!(node.cloud.count(Action::CreateNetworkInterface), 0);
    node.assert_sound(&live(0..9, &answers)).await;
}

#[tokio::test(start_paused = true)]
async fn what_pods_leave_is_given_back_down_to_the_reserve() {
    let node = Node::ready().await;
    node.cloud.set_attach_delay(2 * SECOND);
    node.cloud.set_detach_delay(2 * SECOND);
    node.added_at_once(0..27).await;
    for n in 0..27 {
        node.deleted(&format!("p{n}")).await;
    }
    // Not before they have rested, and nobody has wanted them for five minutes after that.
    sleep(5 * MINUTE).await;
    assert_eq!(node.held_in_ec2(), 27);
    sleep(40 * MINUTE).await;
    assert_eq!(node.held_in_ec2(), 1);
    assert_eq!(node.cloud.holdings().len(), 1, "secondary ENIs are deleted");
    assert_eq!(node.kernel.node().unwrap().enis.len(), 1);
    node.assert_sound(&Default::default()).await;
    let calls = node.cloud.calls().len();
    sleep(20 * MINUTE).await;
    assert_eq!(node.cloud.calls().len(), calls, "and then it is quiet");
}
