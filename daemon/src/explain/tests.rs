//! The page, and what is picked for one pod, address, prefix or ENI.
#![allow(clippy::unwrap_used)]

use std::net::Ipv4Addr;

use super::*;
use crate::explanation::{
    AddressNote, EniNote, NextNote, PodNote, PrefixNote, ReserveNote, StepNote, SubnetNote, Why,
};
use crate::report::ReasonReport;

/// 2023-11-14, 22:13:20.
const NOW: u64 = 1_700_000_000_000;

fn why(name: &str, message: &str) -> Why {
    Why {
        name: name.into(),
        message: message.into(),
    }
}

fn address(last: u8, state: &str, said: Why) -> AddressNote {
    AddressNote {
        address: Ipv4Addr::new(10, 0, 1, last),
        eni: "eni-1".into(),
        prefix: None,
        state: state.into(),
        since_ms: None,
        too_many_since_ms: None,
        rests_until_ms: None,
        pod: None,
        why: said,
        goes_ms: None,
    }
}

fn addresses() -> Vec<AddressNote> {
    vec![
        AddressNote {
            since_ms: Some(NOW - 250_000),
            too_many_since_ms: Some(NOW - 240_000),
            goes_ms: Some(NOW + 50_000),
            ..address(
                7,
                "free",
                why("surplus", "nobody needs it: 3rd of 3 that go"),
            )
        },
        AddressNote {
            rests_until_ms: Some(NOW + 21_000),
            pod: Some("web/x".into()),
            ..address(8, "cooling", why("cooling", "rests after web/x"))
        },
        AddressNote {
            prefix: Some("10.0.1.16/28".parse().unwrap()),
            pod: Some("web/y".into()),
            ..address(17, "used", why("pod", "web/y has it"))
        },
    ]
}

fn told() -> Explanation {
    Explanation {
        version: "0.1.0".into(),
        instance_id: "i-0abc".into(),
        instance_type: "m5.large".into(),
        written_ms: NOW,
        reserve: ReserveNote {
            low: 1,
            high: 2,
            keep: 2,
            free: 5,
            surplus: 3,
            last_pod_ms: Some(NOW - 180_000),
            shrinks_ms: Some(NOW + 420_000),
            why: vec![why("recent", "a pod came within the last 10 minutes")],
            ..ReserveNote::default()
        },
        subnet: Some(SubnetNote {
            id: "subnet-1".into(),
            free: 40,
            size: 251,
        }),
        reasons: Vec::new(),
        next: vec![StepNote {
            at_ms: NOW + 50_000,
            action: "UnassignPrivateIpAddresses: 10.0.1.7 from eni-1".into(),
        }],
        pods: vec![PodNote {
            pod: "web/z".into(),
            state: "waiting".into(),
            since_ms: Some(NOW - 3_200),
            until_ms: Some(NOW + 16_800),
            address: None,
            reason: Some(ReasonReport {
                name: "Throttled".into(),
                message: "EC2 throttles this account, next try in 1.1 s".into(),
                remedy: "nothing to do".into(),
            }),
            next: Some(NextNote {
                what: "call".into(),
                at_ms: NOW + 1_100,
                message: "AssignPrivateIpAddresses: 2 addresses on eni-1".into(),
            }),
        }],
        enis: vec![EniNote {
            id: "eni-1".into(),
            device_index: 0,
            held: 18,
            why: why("primary", "the primary ENI never leaves"),
            goes_ms: None,
        }],
        prefixes: vec![PrefixNote {
            prefix: "10.0.1.16/28".parse().unwrap(),
            eni: "eni-1".into(),
            why: why("pods", "pinned by 1 pod, 15 free"),
            goes_ms: None,
        }],
        addresses: addresses(),
    }
}

const PAGE: &str = "\
berthd 0.1.0 on i-0abc (m5.large) at 22:13:20 UTC
reserve: below 1 free, more are asked for, up to 2; above 2 free, they are given back
  a pod came within the last 10 minutes
  the last pod came 3m ago
  it becomes smaller in 7m (22:20:20 UTC) unless a pod comes
now: 3 too many; 5 free, 0 on their way, pods without an address: 0
subnet-1 has 40 of 251 addresses left

Pods without an address:
  web/z waits 3.2s: Throttled: EC2 throttles this account, next try in 1.1 s
      next, in 1.1s (22:13:21 UTC): AssignPrivateIpAddresses: 2 addresses on eni-1

Next, if nothing happens:
  in 50s (22:14:10 UTC): UnassignPrivateIpAddresses: 10.0.1.7 from eni-1

ENI    DEV  HELD  WHY
eni-1  0    18    the primary ENI never leaves

PREFIX        ENI    WHY
10.0.1.16/28  eni-1  pinned by 1 pod, 15 free

ADDRESS    ENI    STATE        WHY
10.0.1.7   eni-1  free 4m 10s  nobody needs it: 3rd of 3 that go; too many for 4m; given back in 50s (22:14:10 UTC) unless a pod comes
10.0.1.8   eni-1  cooling      rests after web/x; free in 21s
10.0.1.17  eni-1  used         web/y has it
";

#[test]
fn people_get_a_page() {
    assert_eq!(page::render(&told()), PAGE);
}

#[test]
fn one_thing_is_explained_with_what_it_is_part_of() {
    let picked = |what: &str| {
        let told = choice::of(told(), what).unwrap();
        let addresses: Vec<u8> = (told.addresses.iter())
            .map(|note| note.address.octets()[3])
            .collect();
        (
            addresses,
            told.prefixes.len(),
            told.enis.len(),
            told.pods.len(),
        )
    };
    assert_eq!(picked("10.0.1.7"), (vec![7], 0, 0, 0));
    assert_eq!(picked("10.0.1.17"), (vec![17], 1, 0, 0));
    assert_eq!(picked("10.0.1.16/28"), (vec![17], 1, 0, 0));
    assert_eq!(picked("web/y"), (vec![17], 1, 0, 0));
    assert_eq!(picked("x"), (vec![8], 0, 0, 0));
    assert_eq!(picked("z"), (vec![], 0, 0, 1));
    assert_eq!(picked("eni-1"), (vec![7, 8, 17], 1, 1, 0));
    assert!(choice::of(told(), "10.0.1.1").is_none());
    assert!(choice::of(told(), "web").is_none());
}

#[test]
fn tools_read_what_was_written() {
    let document = serde_json::to_value(told()).unwrap();
    assert_eq!(document["addresses"][0]["why"]["name"], "surplus");
    assert_eq!(
        serde_json::from_value::<Explanation>(document).unwrap(),
        told()
    );
}
