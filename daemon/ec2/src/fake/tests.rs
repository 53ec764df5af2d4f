//! The fake refuses, lags and loses as EC2 does, under paused time.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;
use std::time::Duration;

use super::*;
use crate::port::Metadata;

const SECOND: Duration = Duration::from_secs(1);

fn fake() -> FakeEc2 {
    FakeEc2::new(FakeSetup::default()).unwrap()
}

fn request(token: &str, secondary_addresses: u32) -> CreateNetworkInterface {
    let setup = FakeSetup::default();
    CreateNetworkInterface {
        subnet_id: setup.subnet_id,
        security_groups: setup.security_groups,
        description: "aws-K8S-i-0be27000000000001".to_owned(),
        tags: BTreeMap::from([("owner".to_owned(), "test".to_owned())]),
        secondary_addresses,
        prefixes: 0,
        client_token: token.to_owned(),
    }
}

fn instance() -> String {
    FakeSetup::default().instance_id
}

async fn attached(fake: &FakeEc2, token: &str, device_index: u32) -> (String, String) {
    let eni = fake
        .create_network_interface(&request(token, 2))
        .await
        .unwrap();
    let attachment = fake
        .attach_network_interface(&eni.id, &instance(), device_index)
        .await
        .unwrap();
    (eni.id, attachment)
}

fn kind<T: std::fmt::Debug>(result: Result<T, Ec2Error>) -> Kind {
    result.unwrap_err().kind
}

#[tokio::test(start_paused = true)]
async fn a_repeated_token_gives_the_same_eni_and_another_request_is_refused() {
    let fake = fake();
    let first = fake
        .create_network_interface(&request("t", 3))
        .await
        .unwrap();
    assert_eq!(first.secondary_addresses.len(), 3);
    assert_eq!(
        fake.create_network_interface(&request("t", 3))
            .await
            .unwrap(),
        first
    );
    assert_eq!(fake.holdings().len(), 2);
    let other = fake
        .create_network_interface(&request("t", 4))
        .await
        .unwrap_err();
    assert_eq!(
        (other.kind, &*other.code),
        (Kind::Refused, "IdempotentParameterMismatch")
    );
    assert_eq!(
        kind(fake.create_network_interface(&request("", 1)).await),
        Kind::Refused
    );
}

#[tokio::test(start_paused = true)]
async fn limits_of_the_type_and_the_subnet_hold() {
    let fake = fake();
    let (eni, _) = attached(&fake, "a", 1).await;
    attached(&fake, "b", 2).await;
    let third = fake
        .create_network_interface(&request("c", 0))
        .await
        .unwrap();
    let attach = fake
        .attach_network_interface(&third.id, &instance(), 3)
        .await;
    assert_eq!(kind(attach), Kind::EniLimit);
    assert_eq!(
        fake.assign_private_ip_addresses(&eni, 7)
            .await
            .unwrap()
            .len(),
        7
    );
    assert_eq!(
        kind(fake.assign_private_ip_addresses(&eni, 1).await),
        Kind::AddressLimit
    );

    fake.set_free_in_subnet(2);
    assert_eq!(fake.free_in_subnet(), 2);
    let primary = fake.primary().unwrap();
    assert_eq!(
        kind(fake.assign_private_ip_addresses(&primary, 3).await),
        Kind::SubnetFull
    );
    assert_eq!(
        kind(fake.create_network_interface(&request("d", 2)).await),
        Kind::SubnetFull
    );
    fake.assign_private_ip_addresses(&primary, 2).await.unwrap();
    assert_eq!(fake.free_in_subnet(), 0);
    fake.set_free_in_subnet(5);
    assert_eq!(fake.free_in_subnet(), 5);
}

#[tokio::test(start_paused = true)]
async fn calls_on_the_wrong_thing_or_state_are_refused() {
    let fake = fake();
    let (eni, _) = attached(&fake, "a", 1).await;
    let free = fake
        .create_network_interface(&request("b", 0))
        .await
        .unwrap();
    assert_eq!(
        kind(fake.attach_network_interface("eni-0", &instance(), 2).await),
        Kind::NotFound
    );
    assert_eq!(
        kind(fake.attach_network_interface(&free.id, "i-0", 2).await),
        Kind::NotFound
    );
    assert_eq!(
        kind(
            fake.attach_network_interface(&free.id, &instance(), 1)
                .await
        ),
        Kind::WrongState
    );
    assert_eq!(
        kind(fake.attach_network_interface(&eni, &instance(), 2).await),
        Kind::WrongState
    );
    assert_eq!(
        kind(fake.delete_network_interface(&eni).await),
        Kind::WrongState
    );
    assert_eq!(
        kind(fake.delete_network_interface("eni-0").await),
        Kind::NotFound
    );
    assert_eq!(
        kind(fake.set_delete_on_termination(&eni, "eni-attach-0").await),
        Kind::NotFound
    );
    assert_eq!(
        kind(fake.describe_instance_type("zz1.large").await),
        Kind::NotFound
    );
    let missing = Describe::Ids(vec![eni.clone(), "eni-0".to_owned()]);
    assert_eq!(
        kind(fake.describe_network_interfaces(&missing).await),
        Kind::NotFound
    );
}

#[tokio::test(start_paused = true)]
async fn the_primary_stays_and_an_eni_leaves_only_once() {
    let fake = fake();
    let (eni, attachment) = attached(&fake, "a", 1).await;
    let primary = fake.holdings()[&fake.primary().unwrap()].clone();
    let of_primary = primary.attachment.unwrap().id;
    assert_eq!(
        kind(fake.detach_network_interface(&of_primary).await),
        Kind::Refused
    );
    assert_eq!(
        kind(fake.detach_network_interface("eni-attach-0").await),
        Kind::NotFound
    );
    fake.set_detach_delay(SECOND);
    fake.detach_network_interface(&attachment).await.unwrap();
    assert_eq!(
        kind(fake.detach_network_interface(&attachment).await),
        Kind::WrongState
    );
    tokio::time::sleep(2 * SECOND).await;
    fake.delete_network_interface(&eni).await.unwrap();
    assert!(!fake.holdings().contains_key(&eni));
}

#[tokio::test(start_paused = true)]
async fn unassign_takes_all_or_nothing_and_gives_back_to_the_subnet() {
    let fake = fake();
    let eni = fake
        .create_network_interface(&request("a", 2))
        .await
        .unwrap();
    let before = fake.free_in_subnet();
    let mut addresses = eni.secondary_addresses.clone();
    addresses.extend(eni.primary_address);
    let refused = fake
        .unassign_private_ip_addresses(&eni.id, &addresses, &[])
        .await;
    assert_eq!(kind(refused), Kind::WrongState);
    assert_eq!(fake.free_in_subnet(), before);
    addresses.pop();
    fake.unassign_private_ip_addresses(&eni.id, &addresses, &[])
        .await
        .unwrap();
    assert_eq!(fake.free_in_subnet(), before + 2);
    assert!(!fake.holds(&eni.id, addresses[0]));
    // What was given back is given out again at once.
    assert_eq!(
        fake.assign_private_ip_addresses(&eni.id, 2).await.unwrap(),
        addresses
    );
}

#[tokio::test(start_paused = true)]
async fn an_attach_takes_its_time_and_tells_when_the_link_is_there() {
    let fake = fake();
    fake.set_attach_delay(4 * SECOND);
    fake.set_detach_delay(3 * SECOND);
    let mut links = fake.links();
    let (eni, attachment) = attached(&fake, "a", 1).await;
    assert_eq!(fake.holdings()[&eni].status, NicStatus::Changing);
    assert_eq!(
        kind(fake.detach_network_interface(&attachment).await),
        Kind::WrongState
    );
    let since = Instant::now();
    let mac = fake.holdings()[&eni].mac.clone();
    let appeared = LinkEvent::Appeared {
        eni: eni.clone(),
        mac: mac.clone(),
        device_index: 1,
    };
    assert_eq!(links.recv().await, Some(appeared));
    assert_eq!(since.elapsed().as_secs(), 4);
    assert_eq!(fake.holdings()[&eni].status, NicStatus::InUse);

    fake.set_delete_on_termination(&eni, &attachment)
        .await
        .unwrap();
    assert!(
        fake.holdings()[&eni]
            .attachment
            .as_ref()
            .unwrap()
            .delete_on_termination
    );
    fake.detach_network_interface(&attachment).await.unwrap();
    assert_eq!(
        links.recv().await,
        Some(LinkEvent::Gone {
            eni: eni.clone(),
            mac
        })
    );
    assert_eq!(fake.holdings()[&eni].attachment, None);
    let again = fake
        .attach_network_interface(&eni, &instance(), 1)
        .await
        .unwrap();
    assert_ne!(again, attachment);
}

#[tokio::test(start_paused = true)]
async fn faults_come_before_the_effect_and_lost_replies_after_it() {
    let fake = fake();
    let primary = fake.primary().unwrap();
    let action = Action::AssignPrivateIpAddresses;
    fake.fail_next(action, Kind::Throttled, 2);
    fake.lose_next_reply(action, 1);
    fake.set_failing(action, Some(Kind::AccessDenied));
    let expected = [
        Kind::Throttled,
        Kind::Throttled,
        Kind::Doubtful,
        Kind::AccessDenied,
    ];
    let held = [0, 0, 1, 1];
    for (expected, held) in expected.into_iter().zip(held) {
        assert_eq!(
            kind(fake.assign_private_ip_addresses(&primary, 1).await),
            expected
        );
        assert_eq!(fake.holdings()[&primary].secondary_addresses.len(), held);
    }
    fake.set_failing(action, None);
    fake.set_unreachable(true);
    assert_eq!(
        kind(fake.assign_private_ip_addresses(&primary, 1).await),
        Kind::Unreachable
    );
    fake.set_unreachable(false);
    fake.assign_private_ip_addresses(&primary, 1).await.unwrap();
    assert_eq!(fake.count(action), 6);
    let outcomes: Vec<_> = fake
        .calls()
        .iter()
        .map(|call| call.outcome.unwrap().is_ok())
        .collect();
    assert_eq!(outcomes, [false, false, false, false, false, true]);
}

#[tokio::test(start_paused = true)]
async fn a_call_takes_its_latency_and_a_dropped_one_stays_in_the_log() {
    let fake = fake();
    let primary = fake.primary().unwrap();
    fake.set_latency(Action::AssignPrivateIpAddresses, 2 * SECOND);
    let since = Instant::now();
    fake.assign_private_ip_addresses(&primary, 1).await.unwrap();
    assert_eq!(since.elapsed().as_secs(), 2);
    // Given up after the effect, before the answer.
    let call = fake.assign_private_ip_addresses(&primary, 1);
    assert!(tokio::time::timeout(SECOND * 3 / 2, call).await.is_err());
    assert_eq!(fake.holdings()[&primary].secondary_addresses.len(), 2);
    assert_eq!(fake.calls().last().unwrap().outcome, None);
}

#[tokio::test(start_paused = true)]
async fn describe_and_metadata_answer_from_the_past() {
    let fake = fake();
    let primary = fake.primary().unwrap();
    fake.set_describe_staleness(10 * SECOND);
    fake.set_metadata_lag(5 * SECOND);
    let fresh = fake.assign_private_ip_addresses(&primary, 1).await.unwrap();
    let attached = Describe::AttachedTo(instance());
    for (wait, in_metadata, in_describe) in [(4, 0, 0), (2, 1, 0), (5, 1, 1)] {
        tokio::time::sleep(wait * SECOND).await;
        let seen = fake.describe_network_interfaces(&attached).await.unwrap();
        assert_eq!(seen[0].secondary_addresses.len(), in_describe);
        let seen = fake.interfaces().await.unwrap();
        assert_eq!(seen[0].addresses.len(), 1 + in_metadata);
    }
    assert!(fake.holds(&primary, fresh[0]));
}

#[tokio::test(start_paused = true)]
async fn metadata_fails_and_hides_when_asked_to() {
    let fake = fake();
    let (eni, _) = attached(&fake, "a", 1).await;
    assert_eq!(fake.interfaces().await.unwrap().len(), 2);
    fake.set_hidden_from_metadata(&eni, true);
    assert_eq!(fake.interfaces().await.unwrap().len(), 1);
    fake.fail_next_metadata(1);
    assert!(fake.identity().await.is_err());
    let identity = fake.identity().await.unwrap();
    assert_eq!(
        identity.primary_mac,
        fake.holdings()[&fake.primary().unwrap()].mac
    );
    fake.set_metadata_away(true);
    assert!(fake.interfaces().await.is_err());
}

#[tokio::test(start_paused = true)]
async fn others_attach_leave_alter_and_remove_enis() {
    let fake = fake();
    let tags = BTreeMap::from([("k".to_owned(), "v".to_owned())]);
    let foreign = ForeignEni {
        tags: tags.clone(),
        interface_type: "efa-only".to_owned(),
        device_index: 0,
        network_card: 1,
        secondary_addresses: 0,
    };
    let foreign = fake.attach_foreign(foreign).unwrap();
    assert_ne!(fake.primary().unwrap(), foreign);
    let leftover = fake.leave_available(tags, 1).unwrap();
    let ours = Describe::AvailableWithTag {
        key: "k".to_owned(),
        value: "v".to_owned(),
    };
    let found = fake.describe_network_interfaces(&ours).await.unwrap();
    assert_eq!(
        found.iter().map(|eni| &eni.id).collect::<Vec<_>>(),
        [&leftover]
    );
    assert!(fake.alter(&foreign, |eni| eni.tags.clear()));
    assert!(fake.holdings()[&foreign].tags.is_empty());
    let mut links = fake.links();
    fake.vanish(&foreign);
    assert!(matches!(links.try_recv(), Ok(LinkEvent::Gone { eni, .. }) if eni == foreign));
    assert!(!fake.alter(&foreign, |_| ()));
}

#[tokio::test(start_paused = true)]
async fn prefixes_are_aligned_take_a_slot_each_and_come_back_whole() {
    let fake = fake();
    let primary = fake.primary().unwrap();
    let before = fake.free_in_subnet();
    let given = fake.assign_ipv4_prefixes(&primary, 2).await.unwrap();
    // 10.0.0.0/28 has the four addresses that EC2 keeps.
    let texts: Vec<String> = given.iter().map(ToString::to_string).collect();
    assert_eq!(texts, ["10.0.0.16/28", "10.0.0.32/28"]);
    assert_eq!(fake.free_in_subnet(), before - 32);
    assert!(fake.holds(&primary, given[1].broadcast()));
    fake.assign_private_ip_addresses(&primary, 7).await.unwrap();
    assert_eq!(
        kind(fake.assign_ipv4_prefixes(&primary, 1).await),
        Kind::AddressLimit
    );
    let other = [given[0], "10.0.0.48/28".parse().unwrap()];
    let refused = fake.unassign_private_ip_addresses(&primary, &[], &other);
    assert_eq!(kind(refused.await), Kind::WrongState);
    fake.unassign_private_ip_addresses(&primary, &[], &given[..1])
        .await
        .unwrap();
    assert_eq!(fake.holdings()[&primary].prefixes, given[1..]);
}

#[tokio::test(start_paused = true)]
async fn a_fragmented_subnet_has_addresses_but_no_prefix() {
    let fake = fake();
    let primary = fake.primary().unwrap();
    fake.set_fragmented(true);
    let create = CreateNetworkInterface {
        prefixes: 1,
        ..request("p", 0)
    };
    assert_eq!(
        kind(fake.create_network_interface(&create).await),
        Kind::NoContiguousBlock
    );
    assert_eq!(
        kind(fake.assign_ipv4_prefixes(&primary, 1).await),
        Kind::NoContiguousBlock
    );
    fake.assign_private_ip_addresses(&primary, 1).await.unwrap();
    fake.set_fragmented(false);
    let eni = fake.create_network_interface(&create).await.unwrap();
    assert_eq!(eni.prefixes.len(), 1);
    assert!(!eni.prefixes[0].contains(&eni.primary_address.unwrap()));
}

#[tokio::test(start_paused = true)]
async fn an_instance_on_xen_takes_no_prefix() {
    let mut setup = FakeSetup::default();
    setup.limits.prefixes = false;
    let fake = FakeEc2::new(setup).unwrap();
    let primary = fake.primary().unwrap();
    assert_eq!(
        kind(fake.assign_ipv4_prefixes(&primary, 1).await),
        Kind::Refused
    );
}
