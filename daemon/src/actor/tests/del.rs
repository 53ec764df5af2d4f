//! DEL: what is gone before its answer, what it must not touch, and how long its address rests.

use berth_cni::contract::Outcome;
use tokio::time::{Instant, sleep};

use super::add::large;
use super::invariants::{Live, live};
use super::node::{A_WHILE, MINUTE, Node, SECOND, added, alias};
use crate::dataplane::fake::Verb;

#[tokio::test(start_paused = true)]
async fn routes_go_first_then_the_release_is_written_then_it_is_answered() {
    let node = Node::ready().await;
    node.added("p0").await;
    sleep(A_WHILE).await;
    node.disk.take(SECOND);
    node.kernel.set_delay(Verb::RemovePod, SECOND);
    let del = node.del("p0");
    sleep(SECOND * 3 / 4).await;
    assert!(node.kernel.pods().is_empty());
    sleep(SECOND).await;
    assert!(!del.is_finished(), "answered before it was on disk");
    assert_eq!(node.on_disk().pool.attachments.len(), 1);
    assert_eq!(del.await.unwrap(), Outcome::Deleted);
    assert!(node.on_disk().pool.attachments.is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_is_not_there_is_deleted() {
    let node = Node::ready().await;
    let writes = node.disk.written().len();
    node.deleted("never-was").await;
    node.added("p0").await;
    node.deleted("p0").await;
    node.deleted("p0").await;
    let (one, two) = (node.del("p0"), node.del("p0"));
    assert_eq!(one.await.unwrap(), Outcome::Deleted);
    assert_eq!(two.await.unwrap(), Outcome::Deleted);
    assert!(node.disk.written().len() <= writes + 4);
    sleep(A_WHILE).await;
    node.assert_sound(&Live::new()).await;
}

#[tokio::test(start_paused = true)]
async fn a_del_comes_before_the_daemon_knows_its_node() {
    let mut node = Node::ready().await;
    node.added("p0").await;
    node.cloud.set_metadata_away(true);
    node.cloud.set_unreachable(true);
    node.restart().await;
    node.deleted("p0").await;
    assert!(node.kernel.pods().is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_address_is_not_given_again_before_it_has_rested() {
    let node = Node::ready().await;
    node.cloud.set_free_in_subnet(0);
    let first = node.added("p0").await;
    let second = node.added("p1").await;
    sleep(A_WHILE).await;
    node.deleted("p0").await;
    let deleted = Instant::now();
    sleep(15 * SECOND).await;
    // Nothing else can be had, so this one waits for it.
    let next = node.added("p2").await;
    assert_eq!(next.address, first.address);
    assert_eq!(deleted.elapsed().as_secs(), 30);
    sleep(A_WHILE).await;
    let live = [("p1", second.address), ("p2", next.address)];
    let live: Live = live.map(|(p, address)| (p.to_owned(), address)).into();
    node.assert_sound(&live).await;
}

#[tokio::test(start_paused = true)]
async fn the_rest_outlives_a_restart() {
    let mut node = Node::ready().await;
    node.cloud.set_free_in_subnet(0);
    let first = node.added("p0").await;
    node.added("p1").await;
    node.deleted("p0").await;
    let deleted = Instant::now();
    sleep(15 * SECOND).await;
    node.restart().await;
    assert_eq!(node.added("p2").await.address, first.address);
    assert_eq!(deleted.elapsed().as_secs(), 30);
}

#[tokio::test(start_paused = true)]
async fn resting_addresses_count_as_used() {
    let node = Node::ready().await;
    node.added_at_once(0..4).await;
    sleep(A_WHILE).await;
    for n in 0..4 {
        node.deleted(&format!("p{n}")).await;
    }
    let answers = node.added_at_once(4..8).await;
    sleep(A_WHILE).await;
    let addresses = node.report().await.addresses;
    assert_eq!((addresses.cooling, addresses.used), (4, 4));
    assert!((1..=2).contains(&addresses.free), "{addresses:?}");
    sleep(20 * MINUTE).await;
    node.assert_sound(&live(4..8, &answers)).await;
    assert_eq!(node.held_in_ec2(), 4 + 1);
}

#[tokio::test(start_paused = true)]
async fn a_late_del_of_the_old_sandbox_leaves_the_new_one_of_the_same_pod_alone() {
    let node = Node::ready().await;
    added(node.add_pod("web-0", "old").await.unwrap());
    let new = added(node.add_pod("web-0", "new").await.unwrap());
    node.deleted("old").await;
    sleep(A_WHILE).await;
    assert_eq!(
        node.kernel.pods().into_keys().collect::<Vec<_>>(),
        [alias("new")]
    );
    node.assert_sound(&Live::from([("new".to_owned(), new.address)]))
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_pod_is_made_anew_a_hundred_times_under_its_name_without_a_pause() {
    let node = Node::start_with(large(), &[]);
    let mut last = added(node.add_pod("web-0", "s0").await.unwrap());
    for n in 1..=100 {
        let before = format!("s{}", n - 1);
        // Half the runtimes' way: the old sandbox goes before the new one comes, or after.
        if n % 2 == 0 {
            node.deleted(&before).await;
        }
        let next = added(node.add_pod("web-0", &format!("s{n}")).await.unwrap());
        if n % 2 == 1 {
            node.deleted(&before).await;
        }
        assert_eq!(next.host_ifname, last.host_ifname);
        assert_ne!(next.address, last.address);
        last = next;
    }
    sleep(A_WHILE).await;
    node.assert_sound(&Live::from([("s100".to_owned(), last.address)]))
        .await;
}
