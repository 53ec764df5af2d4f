//! /28 prefixes: asked for as a whole, packed with pods, kept over a restart, and given back as a whole.

use ec2::Action;
use ec2::fake::FakeSetup;
use tokio::time::sleep;

use super::invariants::{Live, live};
use super::node::{A_WHILE, MINUTE, Node};

const ON: [(&str, &str); 1] = [("ENABLE_PREFIX_DELEGATION", "true")];
const ASSIGN: Action = Action::AssignPrivateIpAddresses;
/// What nobody wants any more is given back within it.
const A_LONG_WHILE: u32 = 60;

async fn ready() -> Node {
    let node = Node::start_with(FakeSetup::default(), &ON);
    sleep(A_WHILE).await;
    node
}

/// Prefixes and single addresses that EC2 has for the node.
fn held(node: &Node) -> (usize, usize) {
    let enis = node.cloud.holdings();
    let prefixes = enis.values().map(|eni| eni.prefixes.len()).sum();
    let singles = enis.values().map(|eni| eni.secondary_addresses.len()).sum();
    (prefixes, singles)
}

#[tokio::test(start_paused = true)]
async fn pods_fill_prefixes_that_go_back_whole() {
    let mut node = ready().await;
    assert_eq!(held(&node), (1, 0));
    let answers = node.added_at_once(0..40).await;
    sleep(A_WHILE).await;
    assert_eq!(held(&node), (3, 0), "48 addresses for 40 pods");
    assert_eq!(node.cloud.holdings().len(), 1, "one ENI is enough");
    node.assert_sound(&live(0..40, &answers)).await;

    // The pods of the first prefix stay; a restart changes nothing, and asks EC2 for none.
    let asked = node.cloud.count(ASSIGN);
    for n in 16..40 {
        node.deleted(&format!("p{n}")).await;
    }
    node.restart().await;
    sleep(A_WHILE).await;
    assert_eq!((held(&node), node.cloud.count(ASSIGN)), ((3, 0), asked));
    let stay = live(0..16, &answers[..16]);
    node.assert_sound(&stay).await;

    sleep(A_LONG_WHILE * MINUTE).await;
    let (prefixes, singles) = held(&node);
    assert!((1..=2).contains(&prefixes) && singles == 0, "{prefixes}");
    assert!(node.cloud.count(Action::UnassignPrivateIpAddresses) <= 2);
    node.assert_sound(&stay).await;
    for n in 0..16 {
        node.deleted(&format!("p{n}")).await;
    }
    sleep(A_LONG_WHILE * MINUTE).await;
    assert_eq!(held(&node), (1, 0));
    node.assert_sound(&Live::new()).await;
}

#[tokio::test(start_paused = true)]
async fn a_daemon_that_is_killed_over_an_assign_finds_its_prefix() {
    let mut node = ready().await;
    let answers = node.added_at_once(0..16).await;
    sleep(A_WHILE).await;
    assert_eq!(held(&node), (2, 0));
    node.cloud.set_latency(ASSIGN, A_WHILE);
    let more = node.added_at_once(16..32).await;
    // The reserve is asked for; EC2 has done it by then, and nobody has heard of it.
    sleep(A_WHILE * 3 / 4).await;
    assert_eq!(held(&node), (3, 0));
    node.restart().await;
    sleep(MINUTE).await;
    let all = [answers, more].concat();
    node.assert_sound(&live(0..32, &all)).await;
    let asked = node.cloud.count(ASSIGN);
    let last = node.added_at_once(32..40).await;
    assert_eq!(node.cloud.count(ASSIGN), asked, "there was one already");
    node.assert_sound(&live(0..40, &[all, last].concat())).await;
}

#[tokio::test(start_paused = true)]
async fn single_addresses_serve_while_no_block_is_free() {
    let node = Node::without_daemon(FakeSetup::default(), &ON);
    node.cloud.set_fragmented(true);
    let mut node = node;
    node.boot();
    let answers = node.added_at_once(0..7).await;
    let (prefixes, singles) = held(&node);
    assert!(prefixes == 0 && singles >= 7, "{singles}");
    let reasons = node.report().await.reasons;
    assert!(
        reasons.iter().any(|r| r.name == "NoContiguousBlock"),
        "{reasons:?}"
    );
    // Once there are blocks, more pods get prefixes; who has a single address keeps it.
    node.cloud.set_fragmented(false);
    sleep(15 * MINUTE).await;
    let more = node.added_at_once(7..30).await;
    sleep(A_WHILE).await;
    assert!(held(&node).0 >= 1);
    let all = [answers, more].concat();
    node.assert_sound(&live(0..30, &all)).await;
}
