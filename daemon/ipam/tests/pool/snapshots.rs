//! What stands on the disk is believed only if it is sound.

use std::sync::Arc;

use ipam::{AddressState, Pool, Snapshot, Violation};

use crate::growth::{M5_LARGE, with_pods};

/// A sound snapshot with two pods, spoiled by `spoil`.
fn spoiled(spoil: impl FnOnce(&mut Snapshot)) -> Result<Pool, Violation> {
    let mut node = with_pods(M5_LARGE, 2);
    node.ask(3);
    let mut snapshot = node.pool.snapshot();
    assert!(!snapshot.intents.is_empty());
    Pool::try_from(snapshot.clone()).expect("sound before");
    spoil(&mut snapshot);
    Pool::try_from(snapshot)
}

#[test]
fn two_attachments_with_one_address_are_refused() {
    let pool = spoiled(|s| {
        let address = s.attachments[0].address;
        Arc::make_mut(&mut s.attachments[1]).address = address;
    });
    assert!(matches!(pool, Err(Violation::Ownership { .. })), "{pool:?}");
}

#[test]
fn one_attachment_twice_is_refused() {
    let pool = spoiled(|s| s.attachments.push(s.attachments[0].clone()));
    assert!(
        matches!(pool, Err(Violation::AttachmentExists(_))),
        "{pool:?}"
    );
}

#[test]
fn an_attachment_whose_address_is_not_its_own_is_refused() {
    let since = ipam::Timestamp::from_secs(1);
    let pool = spoiled(|s| {
        let ip = s.attachments[0].address;
        let address = Arc::make_mut(s.addresses.get_mut(&ip).unwrap());
        address.state = AddressState::Free { since };
    });
    assert!(matches!(pool, Err(Violation::Ownership { .. })), "{pool:?}");
    let pool = spoiled(|s| {
        let ip = s.attachments[0].address;
        s.addresses.remove(&ip);
    });
    assert!(matches!(pool, Err(Violation::NoAddress(_))), "{pool:?}");
}

#[test]
fn an_assigned_address_without_its_attachment_is_refused() {
    let pool = spoiled(|s| drop(s.attachments.remove(0)));
    assert!(matches!(pool, Err(Violation::Ownership { .. })), "{pool:?}");
}

#[test]
fn an_eni_twice_is_refused() {
    let pool = spoiled(|s| s.enis.push(s.enis[0].clone()));
    assert!(matches!(pool, Err(Violation::EniTwice)), "{pool:?}");
}

#[test]
fn an_action_on_an_eni_that_is_not_there_is_refused() {
    let pool = spoiled(|s| s.enis.clear());
    assert!(matches!(pool, Err(Violation::NoEni(_))), "{pool:?}");
}

#[test]
fn names_of_actions_are_not_used_twice() {
    let mut node = with_pods(M5_LARGE, 2);
    node.ask(3);
    let mut snapshot = node.pool.snapshot();
    snapshot.next_intent = 0;
    let highest = *snapshot.intents.keys().max().unwrap();
    let pool = Pool::try_from(snapshot).unwrap();
    assert!(pool.next_intent() > highest);
}
