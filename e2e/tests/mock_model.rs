//! The mock's state machine under arbitrary calls: it never hands out what EC2 would refuse, and never refuses what
//! EC2 would hand out.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::time::SystemTime;

use e2e::mock::state::{Assign, CreateEni, RESERVED_PER_SUBNET, State, limits_of};
use e2e::mock::{Code, Refusal};
use ipnet::Ipv4Net;
use proptest::prelude::*;

/// A call; numbers choose among what exists at the time, sometimes nothing.
#[derive(Clone, Debug)]
enum Op {
    Launch {
        kind: &'static str,
        subnet: usize,
    },
    Create {
        subnet: usize,
        secondary: u32,
        token: Option<u8>,
    },
    Attach {
        eni: usize,
        instance: usize,
        index: u32,
    },
    Finish {
        eni: usize,
    },
    Assign {
        eni: usize,
        count: u32,
    },
    AssignPrefixes {
        eni: usize,
        count: u32,
    },
    UnassignPrefix {
        eni: usize,
        prefix: usize,
    },
    AssignThis {
        eni: usize,
        host: u32,
    },
    Unassign {
        eni: usize,
        address: usize,
    },
    Detach {
        eni: usize,
    },
    FinishDetach {
        eni: usize,
    },
    Delete {
        eni: usize,
    },
    DeleteOnTermination {
        eni: usize,
        of: usize,
        value: bool,
    },
    Terminate {
        instance: usize,
    },
}

fn op() -> impl Strategy<Value = Op> {
    let n = 0_usize..12;
    prop_oneof![
        1 => (prop::sample::select(vec!["m5.large", "t3.small", "m3.medium", "no.such"]), 0_usize..3)
            .prop_map(|(kind, subnet)| Op::Launch { kind, subnet }),
        4 => (0_usize..4, 0_u32..12, prop::option::of(0_u8..4))
            .prop_map(|(subnet, secondary, token)| Op::Create { subnet, secondary, token }),
        4 => (n.clone(), 0_usize..4, 0_u32..4)
            .prop_map(|(eni, instance, index)| Op::Attach { eni, instance, index }),
        3 => n.clone().prop_map(|eni| Op::Finish { eni }),
        6 => (n.clone(), 0_u32..9).prop_map(|(eni, count)| Op::Assign { eni, count }),
        3 => (n.clone(), 0_u32..3).prop_map(|(eni, count)| Op::AssignPrefixes { eni, count }),
        2 => (n.clone(), 0_usize..3).prop_map(|(eni, prefix)| Op::UnassignPrefix { eni, prefix }),
        3 => (n.clone(), 0_u32..40).prop_map(|(eni, host)| Op::AssignThis { eni, host }),
        4 => (n.clone(), 0_usize..6).prop_map(|(eni, address)| Op::Unassign { eni, address }),
        2 => n.clone().prop_map(|eni| Op::Detach { eni }),
        2 => n.clone().prop_map(|eni| Op::FinishDetach { eni }),
        2 => n.clone().prop_map(|eni| Op::Delete { eni }),
        1 => (n.clone(), n, any::<bool>())
            .prop_map(|(eni, of, value)| Op::DeleteOnTermination { eni, of, value }),
        1 => (0_usize..4).prop_map(|instance| Op::Terminate { instance }),
    ]
}

fn cidr(text: &str) -> Ipv4Net {
    text.parse().unwrap()
}

fn empty() -> State {
    // A /27 has 27 addresses to give, a /28 has 11: both run dry soon. Neither has a prefix to give; a /26 has two.
    let subnets = [
        (cidr("10.0.1.0/27"), "us-west-2a".to_owned()),
        (cidr("10.0.2.16/28"), "us-west-2b".to_owned()),
        (cidr("10.0.3.64/26"), "us-west-2a".to_owned()),
    ];
    State::new(&[cidr("10.0.0.0/16")], &subnets, 7).unwrap()
}

fn nth<V>(map: &BTreeMap<String, V>, n: usize) -> String {
    map.keys()
        .nth(n)
        .cloned()
        .unwrap_or_else(|| "nothing".to_owned())
}

fn attachment_of(state: &State, n: usize) -> String {
    let eni = state.enis.values().nth(n);
    let attachment = eni.and_then(|e| e.attachment.as_ref());
    attachment.map_or_else(|| "eni-attach-none".to_owned(), |a| a.id.clone())
}

fn apply(state: &mut State, op: &Op) -> Result<(), Refusal> {
    let now = SystemTime::UNIX_EPOCH;
    match op {
        Op::Launch { kind, subnet } => {
            let subnet = nth(&state.subnets, *subnet);
            state.launch(kind, Some(&subnet), now).map(drop)
        }
        Op::Create {
            subnet,
            secondary,
            token,
        } => {
            let request = CreateEni {
                subnet_id: nth(&state.subnets, *subnet),
                secondary: (*secondary > 0).then_some(Assign::Count(*secondary)),
                client_token: token.map(|t| t.to_string()),
                ..CreateEni::default()
            };
            state.create_eni(&request).map(drop)
        }
        Op::Attach {
            eni,
            instance,
            index,
        } => {
            let (eni, instance) = (nth(&state.enis, *eni), nth(&state.instances, *instance));
            state.attach(&eni, &instance, *index, now).map(drop)
        }
        Op::Finish { eni } => {
            let attachment = attachment_of(state, *eni);
            state.plug(&attachment);
            state.finish_attach(&attachment);
            Ok(())
        }
        Op::Detach { eni } => state.detach(&attachment_of(state, *eni)).map(drop),
        Op::FinishDetach { eni } => {
            let attachment = attachment_of(state, *eni);
            if state.detach(&attachment).is_ok() {
                state.unplug(&attachment);
                state.finish_detach(&attachment);
            }
            Ok(())
        }
        Op::Delete { eni } => state.delete_eni(&nth(&state.enis, *eni)),
        Op::DeleteOnTermination { eni, of, value } => {
            let (eni, attachment) = (nth(&state.enis, *eni), attachment_of(state, *of));
            state.set_delete_on_termination(&eni, &attachment, *value)
        }
        Op::Terminate { instance } => state.terminate(&nth(&state.instances, *instance)).map(drop),
        _ => apply_to_addresses(state, op),
    }
}

fn apply_to_addresses(state: &mut State, op: &Op) -> Result<(), Refusal> {
    match op {
        Op::Assign { eni, count } => {
            let eni = nth(&state.enis, *eni);
            state.assign(&eni, &Assign::Count(*count)).map(drop)
        }
        Op::AssignThis { eni, host } => {
            let eni = nth(&state.enis, *eni);
            let address = Ipv4Addr::from(u32::from(Ipv4Addr::new(10, 0, 1, 0)) + host);
            state.assign(&eni, &Assign::These(vec![address])).map(drop)
        }
        Op::Unassign { eni, address } => {
            let id = nth(&state.enis, *eni);
            let eni = state.eni(&id)?;
            let address = eni.addresses().nth(*address).unwrap_or(Ipv4Addr::LOCALHOST);
            state.unassign(&id, &[address], &[])
        }
        Op::AssignPrefixes { eni, count } => {
            let eni = nth(&state.enis, *eni);
            state.assign(&eni, &Assign::Prefixes(*count)).map(drop)
        }
        Op::UnassignPrefix { eni, prefix } => {
            let id = nth(&state.enis, *eni);
            let held = state.eni(&id)?.prefixes.get(*prefix).copied();
            state.unassign(&id, &[], &[held.unwrap_or(cidr("10.0.3.64/28"))])
        }
        _ => unreachable!("{op:?} is not about addresses"),
    }
}

/// What holds in every account of EC2 at every moment.
fn check(state: &State) {
    let mut owners: BTreeMap<Ipv4Addr, &str> = BTreeMap::new();
    for eni in state.enis.values() {
        let subnet = &state.subnets[&eni.subnet_id];
        let first = u32::from(subnet.cidr.network());
        let last = u32::from(subnet.cidr.broadcast());
        for prefix in &eni.prefixes {
            assert_eq!((prefix.prefix_len(), prefix.trunc()), (28, *prefix));
        }
        for address in eni.reachable() {
            let other = owners.insert(address, &eni.id);
            assert_eq!(other, None, "{address} is on {} too", eni.id);
            assert!(
                (first + 4..last).contains(&u32::from(address)),
                "{address} is not to be had in {}",
                subnet.cidr
            );
        }
        if let Some(a) = &eni.attachment {
            let limits = limits_of(&state.instances[&a.instance_id].instance_type).unwrap();
            let slots = eni.addresses().count() + eni.prefixes.len();
            assert!(slots <= limits.ipv4_per_eni as usize);
            assert!(eni.prefixes.is_empty() || limits.takes_prefixes());
            assert!(state.instances[&a.instance_id].running);
        }
    }
    for subnet in state.subnets.values() {
        let here = state.enis.values().filter(|e| e.subnet_id == subnet.id);
        let used: BTreeSet<_> = here.flat_map(|e| e.reachable()).collect();
        assert_eq!(&used, subnet.used());
        let size = u32::from(subnet.cidr.broadcast()) - u32::from(subnet.cidr.network()) + 1;
        assert_eq!(
            subnet.free() as usize,
            size as usize - RESERVED_PER_SUBNET as usize - used.len()
        );
    }
    for (id, instance) in &state.instances {
        let enis = state.enis_of(id);
        assert!(enis.len() <= limits_of(&instance.instance_type).unwrap().enis as usize);
        let indices: BTreeSet<_> = enis
            .iter()
            .map(|e| e.attachment.as_ref().unwrap().device_index)
            .collect();
        assert_eq!(indices.len(), enis.len(), "two ENIs of {id} at one index");
        assert_eq!(
            indices.contains(&0),
            instance.running,
            "the primary ENI lives as long as {id}"
        );
    }
    let macs: BTreeSet<_> = state.enis.values().map(|e| &e.mac).collect();
    assert_eq!(macs.len(), state.enis.len());
}

/// What EC2 would say to an assignment by count, figured out apart from the model.
fn expected_of_assign(state: &State, eni: &str, count: u32) -> Option<Code> {
    let Some(eni) = state.enis.get(eni) else {
        return Some(Code::InvalidNetworkInterfaceIdNotFound);
    };
    if count == 0 {
        return Some(Code::InvalidParameterValue);
    }
    let limit = eni.attachment.as_ref().map(|a| {
        let kind = &state.instances[&a.instance_id].instance_type;
        limits_of(kind).unwrap().ipv4_per_eni as usize
    });
    if limit.is_some_and(|l| 1 + eni.secondary.len() + eni.prefixes.len() + count as usize > l) {
        return Some(Code::PrivateIpAddressLimitExceeded);
    }
    let subnet = &state.subnets[&eni.subnet_id];
    (subnet.free() < count).then_some(Code::InsufficientFreeAddressesInSubnet)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn ec2_never_hands_out_what_it_would_refuse(ops in prop::collection::vec(op(), 1..80)) {
        let mut state = empty();
        for op in ops {
            let before = state.clone();
            let result = apply(&mut state, &op);
            if let Err(refusal) = &result {
                prop_assert_eq!(&before, &state, "{:?} was refused ({}) and changed something", op, refusal);
            }
            if let Op::Assign { eni, count } = op {
                let expected = expected_of_assign(&before, &nth(&before.enis, eni), count);
                prop_assert_eq!(
                    result.err().map(|r| r.code),
                    expected.map(|c| c.as_str().to_owned())
                );
            }
            check(&state);
        }
    }

    #[test]
    fn a_subnet_gives_out_exactly_its_capacity(prefix in 25_u8..=28, seed: u64) {
        let block = Ipv4Net::new(Ipv4Addr::new(10, 0, 4, 0), prefix).unwrap();
        let mut state =
            State::new(&[cidr("10.0.0.0/16")], &[(block, "us-west-2a".to_owned())], seed).unwrap();
        let subnet_id = state.first_subnet.clone();
        let create = CreateEni { subnet_id, ..CreateEni::default() };
        let capacity = 2_u32.pow(u32::from(32 - prefix)) - 5;
        for _ in 0..capacity {
            state.create_eni(&create).unwrap();
        }
        let refusal = state.create_eni(&create).unwrap_err();
        prop_assert!(refusal.is(Code::InsufficientFreeAddressesInSubnet));
        check(&state);
    }
}

#[test]
fn addresses_do_not_come_in_order() {
    let mut state = State::new(
        &[cidr("10.0.0.0/16")],
        &[(cidr("10.0.1.0/24"), "a".to_owned())],
        3,
    )
    .unwrap();
    let instance = state
        .launch("m5.24xlarge", None, SystemTime::UNIX_EPOCH)
        .unwrap();
    let eni = state.enis_of(&instance)[0].id.clone();
    let (given, _) = state.assign(&eni, &Assign::Count(40)).unwrap();
    let mut sorted = given.clone();
    sorted.sort();
    assert_ne!(given, sorted);
    // A freed address is not what the next call gets.
    state.unassign(&eni, &given[..1], &[]).unwrap();
    assert_ne!(state.assign(&eni, &Assign::Count(1)).unwrap().0, given[..1]);
}

#[test]
fn a_repeated_token_makes_one_eni() {
    let mut state = empty();
    let create = CreateEni {
        subnet_id: nth(&state.subnets, 0),
        client_token: Some("t".to_owned()),
        secondary: Some(Assign::Count(2)),
        ..CreateEni::default()
    };
    let first = state.create_eni(&create).unwrap();
    assert_eq!(state.create_eni(&create).unwrap(), first);
    assert_eq!(state.enis.len(), 1);
    let other = CreateEni {
        secondary: None,
        ..create
    };
    assert!(
        state
            .create_eni(&other)
            .unwrap_err()
            .is(Code::IdempotentParameterMismatch)
    );
}

#[test]
fn termination_deletes_only_what_goes_with_the_instance() {
    let mut state = empty();
    let instance = state
        .launch(
            "m5.large",
            Some(&nth(&state.subnets, 0)),
            SystemTime::UNIX_EPOCH,
        )
        .unwrap();
    let primary = state.enis_of(&instance)[0].clone();
    let mut extra = Vec::new();
    for index in 1..3 {
        let create = CreateEni {
            subnet_id: primary.subnet_id.clone(),
            ..CreateEni::default()
        };
        let eni = state.create_eni(&create).unwrap().id;
        let attachment = state
            .attach(&eni, &instance, index, SystemTime::UNIX_EPOCH)
            .unwrap();
        state.finish_attach(&attachment);
        extra.push((eni, attachment));
    }
    let (goes, stays) = (&extra[0], &extra[1]);
    state
        .set_delete_on_termination(&goes.0, &goes.1, true)
        .unwrap();
    let done = state.terminate(&instance).unwrap();
    assert_eq!(done.left.join(" "), stays.0);
    assert!(done.deleted.contains(&goes.0) && done.deleted.contains(&primary.id));
    assert_eq!(state.enis.keys().collect::<Vec<_>>(), [&stays.0]);
    assert_eq!(state.enis[&stays.0].status(), "available");
    check(&state);
}

#[test]
fn one_address_in_each_block_leaves_no_prefix() {
    let mut state = State::new(
        &[cidr("10.0.0.0/16")],
        &[(cidr("10.0.1.0/24"), "us-west-2a".to_owned())],
        1,
    )
    .unwrap();
    let subnet_id = state.first_subnet.clone();
    // The first and the last of the sixteen blocks have addresses that AWS keeps.
    let whole = |state: &State| state.subnets[&subnet_id].free_prefixes().count();
    assert_eq!(whole(&state), 14);
    let request = CreateEni {
        subnet_id: subnet_id.clone(),
        ..CreateEni::default()
    };
    let eni = state.create_eni(&request).unwrap().id;
    let before = whole(&state) as u32;
    let (_, given) = state.assign(&eni, &Assign::Prefixes(before)).unwrap();
    assert_eq!((given.len() as u32, whole(&state)), (before, 0));
    state.unassign(&eni, &[], &given).unwrap();
    assert_eq!(whole(&state) as u32, before);

    let taken: Vec<_> = state.subnets[&subnet_id]
        .free_prefixes()
        .map(|block| block.network())
        .collect();
    state.assign(&eni, &Assign::These(taken)).unwrap();
    assert!(state.subnets[&subnet_id].free() > 200);
    let refusal = state.assign(&eni, &Assign::Prefixes(1)).unwrap_err();
    assert!(refusal.is(Code::InsufficientCidrBlocks), "{refusal}");
}
