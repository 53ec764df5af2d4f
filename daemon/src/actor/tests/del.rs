//! DEL: what is gone before its answer, what it must not touch, and how long its address rests.

use std::time::Duration;

use berth_cni::contract::Outcome;
use tokio::time::{Instant, sleep};

use super::add::large;
use super::invariants::{Live, live};
use super::node::{A_WHILE, MINUTE, Node, SECOND, added, alias};
use crate::dataplane::fake::{Fault, Verb};

#[tokio::test(start_paused = true)]
async fn it_is_answered_when_the_routes_are_gone_and_the_disk_knows_that_it_leaves() {
    for (write, removal) in [(SECOND, 6 * SECOND), (3 * SECOND, SECOND)] {
        let node = Node::ready().await;
        node.added("p0").await;
        sleep(A_WHILE).await;
        node.disk.take(write);
        node.kernel.set_delay(Verb::RemovePod, removal);
        let del = node.del("p0");
        sleep(2 * SECOND).await;
        let on_disk = node.on_disk();
        let so_far = (node.kernel.pods().len(), on_disk.leaving.len());
        assert_eq!(so_far, if write < removal { (1, 1) } else { (0, 0) });
        assert_eq!(on_disk.pool.attachments.len(), 1);
        assert!(!del.is_finished(), "answered before both were done");
        assert_eq!(del.await.unwrap(), Outcome::Deleted);
        assert!(node.kernel.pods().is_empty());
        assert_eq!(node.on_disk().leaving.len(), 1);
        sleep(A_WHILE + write).await;
        assert!(node.on_disk().pool.attachments.is_empty());
        assert!(node.on_disk().leaving.is_empty());
    }
}

/// The answer is out, the release was not written: the next daemon finds neither a link nor a reason to wait for one.
#[tokio::test(start_paused = true)]
async fn one_that_was_leaving_is_released_by_the_next_daemon() {
    let mut node = Node::ready().await;
    node.added_at_once(0..2).await;
    sleep(A_WHILE).await;
    node.disk.take(SECOND);
    node.deleted("p0").await;
    node.kill().await;
    let on_disk = node.on_disk();
    assert_eq!(
        (on_disk.leaving.len(), on_disk.pool.attachments.len()),
        (1, 2)
    );
    node.disk.take(Duration::ZERO);
    node.restart().await;
    sleep(A_WHILE).await;
    let report = node.report().await;
    assert_eq!((report.attachments.len(), report.addresses.cooling), (1, 1));
    assert!(node.on_disk().leaving.is_empty());
}

/// Its link is there, so its DEL was not answered: it lives, as a runtime that lost the daemon has it, until that comes again.
#[tokio::test(start_paused = true)]
async fn one_that_was_leaving_and_has_its_link_stays() {
    let mut node = Node::ready().await;
    let answer = node.added("p0").await;
    sleep(A_WHILE).await;
    node.kernel.set_delay(Verb::RemovePod, MINUTE);
    let del = node.del("p0");
    sleep(A_WHILE).await;
    assert_eq!(node.on_disk().leaving.len(), 1);
    node.restart().await;
    assert_ne!(del.await.unwrap(), Outcome::Deleted);
    sleep(5 * MINUTE).await;
    node.assert_sound(&live(0..1, &[answer])).await;
    assert!(node.on_disk().leaving.is_empty());
    node.deleted("p0").await;
    sleep(A_WHILE).await;
    node.assert_sound(&Live::new()).await;
}

/// It lives on when its links could not be removed, and no later start takes it for gone.
#[tokio::test(start_paused = true)]
async fn one_whose_links_stay_is_not_leaving_any_more() {
    let node = Node::ready().await;
    node.added("p0").await;
    node.kernel.fail_next(Verb::RemovePod, Fault::Refused, 1);
    assert_ne!(node.del("p0").await.unwrap(), Outcome::Deleted);
    sleep(A_WHILE).await;
    let on_disk = node.on_disk();
    assert_eq!(
        (on_disk.leaving.len(), on_disk.pool.attachments.len()),
        (0, 1)
    );
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
