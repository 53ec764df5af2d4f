//! EC2 by itself: what it gives, refuses, and shows late.

use std::net::Ipv4Addr;
use std::time::Duration;

use fleet::ec2::Ec2;
use ipam::action::{CreatedEni, Described};
use ipam::{Action, AddressMode, EniId, FailureKind, Limits, Outcome, Timestamp, Verb};
use ipnet::Ipv4Net;

use crate::cluster::{M3_2XLARGE, cluster};

const SMALL: Limits = Limits {
    enis: 2,
    slots_per_eni: 3,
    prefixes: true,
};

fn account(cidr: &str, nodes: usize, limits: Limits, others: f64) -> Ec2 {
    Ec2::new(&cluster(cidr, nodes, limits, 60), 1, others)
}

const fn at(seconds: u64) -> Timestamp {
    Timestamp::from_secs(seconds)
}

fn boot(ec2: &mut Ec2, node: usize) -> EniId {
    ec2.boot(node, at(0)).expect("an address").id
}

fn assign(eni: &EniId, mode: AddressMode, count: u32) -> Action {
    Action::Assign {
        eni: eni.clone(),
        mode,
        count,
    }
}

fn create(mode: AddressMode, count: u32) -> Action {
    Action::Create {
        token: "t".to_owned(),
        device_index: 1,
        mode,
        count,
    }
}

/// What comes of a call on node 0 that is not throttled; and how many addresses more it holds.
fn call(ec2: &mut Ec2, action: &Action, seconds: u64) -> (Outcome, i64) {
    let answer = ec2.end(0, action, false, at(seconds));
    (answer.outcome, answer.held)
}

fn refusal(ec2: &mut Ec2, action: &Action, seconds: u64) -> Option<FailureKind> {
    match call(ec2, action, seconds) {
        (Outcome::Failed(failure), 0) => Some(failure.kind),
        (Outcome::Failed(failure), held) => panic!("{held} held by {failure:?}"),
        _ => None,
    }
}

fn created(ec2: &mut Ec2, action: &Action, seconds: u64) -> CreatedEni {
    match call(ec2, action, seconds) {
        (Outcome::Created(eni), held) => {
            let brought = eni.addresses.len() + 16 * eni.prefixes.len();
            assert_eq!(held, 1 + brought as i64);
            *eni
        }
        other => panic!("{other:?}"),
    }
}

fn described(ec2: &mut Ec2, seconds: u64) -> Described {
    match call(ec2, &Action::Describe, seconds) {
        (Outcome::Described(described), 0) => described,
        other => panic!("{other:?}"),
    }
}

/// The n-th call of a burst on as many nodes.
#[test]
fn a_burst_of_nodes_is_throttled_together() {
    for (verb, others, passed) in [
        (Verb::Assign, 0.0, 100),
        (Verb::Assign, 0.5, 50),
        (Verb::Attach, 0.0, 50),
    ] {
        let mut ec2 = account("10.0.0.0/16", 150, M3_2XLARGE, others);
        let through = (0..150).filter(|node| {
            let eni = boot(&mut ec2, *node);
            let action = match verb {
                Verb::Assign => assign(&eni, AddressMode::Secondary, 1),
                _ => Action::Attach {
                    eni,
                    device_index: 1,
                },
            };
            !ec2.begin(*node, &action, at(10)).throttled
        });
        assert_eq!(through.count(), passed, "{verb:?} with {others}");
    }
}

#[test]
fn limits_of_eni_and_instance_are_kept() {
    let mut ec2 = account("10.0.0.0/24", 1, SMALL, 0.0);
    let eni = boot(&mut ec2, 0);
    let single = AddressMode::Secondary;
    assert_eq!(
        refusal(&mut ec2, &assign(&eni, single, 4), 1),
        Some(FailureKind::AddressLimit)
    );
    assert_eq!(refusal(&mut ec2, &assign(&eni, single, 2), 1), None);
    // A prefix takes one slot.
    assert_eq!(
        refusal(&mut ec2, &assign(&eni, AddressMode::Prefix, 1), 1),
        None
    );
    assert_eq!(
        refusal(&mut ec2, &assign(&eni, single, 1), 1),
        Some(FailureKind::AddressLimit)
    );
    assert_eq!(
        refusal(&mut ec2, &create(single, 4), 1),
        Some(FailureKind::AddressLimit)
    );
    let attach = |eni: &EniId, device_index| Action::Attach {
        eni: eni.clone(),
        device_index,
    };
    let second = created(&mut ec2, &create(single, 3), 10).id;
    let third = created(&mut ec2, &create(single, 0), 10).id;
    assert_eq!(
        refusal(&mut ec2, &attach(&second, 0), 20),
        Some(FailureKind::WrongState)
    );
    assert_eq!(refusal(&mut ec2, &attach(&second, 1), 20), None);
    assert_eq!(
        refusal(&mut ec2, &attach(&second, 2), 20),
        Some(FailureKind::WrongState)
    );
    assert_eq!(
        refusal(&mut ec2, &attach(&third, 2), 20),
        Some(FailureKind::EniLimit)
    );
    assert_eq!(ec2.enis(0, at(20)), 3);
}

#[test]
fn a_subnet_gives_all_or_nothing() {
    // 27 addresses, one of them the node's; no whole /28.
    let mut ec2 = account("10.0.0.0/27", 1, M3_2XLARGE, 0.0);
    let eni = boot(&mut ec2, 0);
    let full = Some(FailureKind::SubnetFull);
    let no_block = Some(FailureKind::NoContiguousBlock);
    assert_eq!(
        refusal(&mut ec2, &assign(&eni, AddressMode::Prefix, 1), 1),
        no_block
    );
    assert_eq!(
        refusal(&mut ec2, &create(AddressMode::Prefix, 1), 1),
        no_block
    );
    assert_eq!(
        refusal(&mut ec2, &assign(&eni, AddressMode::Secondary, 27), 1),
        full
    );
    assert_eq!(
        refusal(&mut ec2, &create(AddressMode::Secondary, 26), 1),
        full
    );
    assert_eq!(ec2.free(0), 26);
    let made = created(&mut ec2, &create(AddressMode::Secondary, 25), 1);
    assert_eq!((made.addresses.len(), ec2.free(0)), (25, 0));
    assert_eq!(
        refusal(&mut ec2, &create(AddressMode::Secondary, 0), 2),
        full
    );
    let delete = Action::Delete { eni: made.id };
    assert_eq!(call(&mut ec2, &delete, 9), (Outcome::Done, -26));
    assert_eq!(ec2.free(0), 26);
}

#[test]
fn a_prefix_is_given_back_whole_and_what_is_not_there_not_at_all() {
    let mut ec2 = account("10.0.0.0/24", 1, SMALL, 0.0);
    let eni = boot(&mut ec2, 0);
    let prefixes = match call(&mut ec2, &assign(&eni, AddressMode::Prefix, 2), 1) {
        (Outcome::Assigned { prefixes, .. }, 32) => prefixes,
        other => panic!("{other:?}"),
    };
    let unassign = |addresses: Vec<Ipv4Addr>, prefixes: Vec<Ipv4Net>| Action::Unassign {
        eni: eni.clone(),
        addresses,
        prefixes,
    };
    let member = unassign(vec![prefixes[0].network()], vec![]);
    assert_eq!(refusal(&mut ec2, &member, 2), Some(FailureKind::Refused));
    let twice = unassign(vec![], vec![prefixes[0], prefixes[0]]);
    assert_eq!(call(&mut ec2, &twice, 2), (Outcome::Done, -16));
    assert_eq!(refusal(&mut ec2, &twice, 3), Some(FailureKind::Refused));
}

#[test]
fn an_eni_on_its_way_off_cannot_be_deleted_for_two_to_three_seconds() {
    let mut ec2 = account("10.0.0.0/24", 1, M3_2XLARGE, 0.0);
    boot(&mut ec2, 0);
    let eni = created(&mut ec2, &create(AddressMode::Secondary, 5), 10).id;
    let attach = Action::Attach {
        eni: eni.clone(),
        device_index: 1,
    };
    assert_eq!(refusal(&mut ec2, &attach, 20), None);
    let (detach, delete) = (Action::Detach { eni: eni.clone() }, Action::Delete { eni });
    assert_eq!(
        refusal(&mut ec2, &delete, 40),
        Some(FailureKind::WrongState)
    );
    assert_eq!(refusal(&mut ec2, &detach, 40), None);
    assert_eq!(
        refusal(&mut ec2, &detach, 41),
        Some(FailureKind::WrongState)
    );
    assert_eq!(
        refusal(&mut ec2, &delete, 42),
        Some(FailureKind::WrongState)
    );
    assert_eq!(call(&mut ec2, &delete, 43), (Outcome::Done, -6));
    assert_eq!(refusal(&mut ec2, &delete, 44), Some(FailureKind::NotFound));
}

#[test]
fn a_describe_lies_up_to_two_seconds_behind() {
    let mut stale = 0;
    for seconds in (100..300).step_by(10) {
        let mut ec2 = account("10.0.0.0/24", 1, M3_2XLARGE, 0.0);
        let eni = boot(&mut ec2, 0);
        // Draws of its own for each round.
        (0..seconds).for_each(|_| drop(described(&mut ec2, 1)));
        call(&mut ec2, &assign(&eni, AddressMode::Secondary, 7), seconds);
        let made = created(&mut ec2, &create(AddressMode::Secondary, 3), seconds);
        let shown = described(&mut ec2, seconds + 1);
        let new = shown.enis.iter().any(|eni| eni.id == made.id);
        stale += usize::from(!new);
        // The primary ENI is shown as it is: who asks runs on it.
        assert_eq!(shown.enis[0].addresses.len(), 7);
        let later = described(&mut ec2, seconds + 2);
        let found = later.enis.iter().find(|eni| eni.id == made.id);
        assert_eq!(found.map(|eni| eni.addresses.len()), Some(3));
    }
    // A second of two.
    assert!((4..=16).contains(&stale), "{stale} of 20");
}

#[test]
fn now_and_then_a_new_eni_is_not_known_yet() {
    let mut unknown = 0;
    let mut ec2 = account("10.0.0.0/16", 2000, M3_2XLARGE, 0.0);
    for node in 0..2000 {
        ec2.boot(node, at(0)).expect("an address");
        let eni = match ec2
            .end(node, &create(AddressMode::Secondary, 1), false, at(10))
            .outcome
        {
            Outcome::Created(eni) => eni.id,
            other => panic!("{other:?}"),
        };
        let attach = Action::Attach {
            eni,
            device_index: 1,
        };
        if let Outcome::Failed(failure) = ec2.end(node, &attach, false, at(10)).outcome {
            assert_eq!(failure.kind, FailureKind::NotFound);
            unknown += 1;
            let again = ec2.end(node, &attach, false, at(12)).outcome;
            assert!(matches!(again, Outcome::Attached { .. }), "{again:?}");
        }
    }
    // One in a hundred.
    assert!((8..=36).contains(&unknown), "{unknown} of 2000");
}

/// What a node did before does not change how soon its next ENI's link comes: a policy must not win by luck.
#[test]
fn links_come_as_they_come_whatever_else_is_done() {
    let link_after = |calls: u64| {
        let mut ec2 = account("10.0.0.0/16", 1, M3_2XLARGE, 0.0);
        let primary = boot(&mut ec2, 0);
        for n in 0..calls {
            ec2.begin(0, &assign(&primary, AddressMode::Secondary, 1), at(n));
            described(&mut ec2, n);
        }
        let eni = created(&mut ec2, &create(AddressMode::Secondary, 1), 100).id;
        let attach = Action::Attach {
            eni: eni.clone(),
            device_index: 1,
        };
        assert_eq!(refusal(&mut ec2, &attach, 110), None);
        let connect = Action::Connect { eni };
        let begun = ec2.begin(0, &connect, at(110));
        assert_eq!(refusal(&mut ec2, &connect, 110), Some(FailureKind::NoLink));
        let up = ec2.end(0, &connect, false, begun.answered_at);
        assert_eq!(up.outcome, Outcome::Done);
        begun.answered_at.since(at(110))
    };
    assert_eq!(link_after(0), link_after(50));
    assert!(link_after(0) > Duration::from_millis(300));
}

#[test]
fn ranges_come_from_elsewhere_or_are_cut_out() {
    let mut scenario = cluster("10.0.0.0/22", 5, M3_2XLARGE, 60);
    let ranges = |ranges_in_subnets| {
        scenario.ranges_in_subnets = ranges_in_subnets;
        let mut ec2 = Ec2::new(&scenario, 1, 0.0);
        let given = (0..5).map(|node| ec2.give_range(node, 24, at(0)));
        given
            .map(|range| range.map(|r| r.to_string()))
            .collect::<Vec<_>>()
    };
    let mut ranges = ranges;
    let text = |text: &str| Some(text.to_owned());
    // The first and the last /24 of a /22 have addresses of AWS's.
    assert_eq!(
        ranges(true),
        [text("10.0.1.0/24"), text("10.0.2.0/24"), None, None, None]
    );
    assert_eq!(
        ranges(false)[..2],
        [text("100.64.0.0/24"), text("100.64.1.0/24")]
    );
}
