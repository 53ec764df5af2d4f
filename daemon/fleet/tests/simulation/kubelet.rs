//! The runtime's side: refused ADDs come again, pods live from their address on, nodes boot when they can; and what of it is
//! counted.

use std::collections::HashSet;

use fleet::node::{Input, PodId};
use fleet::run::Run;
use fleet::scenario::Scenario;

use crate::cluster::{M3_2XLARGE, cluster, pod};
use crate::scripted::{Script, run};

/// A pool of 29 addresses that refuses when none is free, as aws-node's does.
fn refusing(scenario: &Scenario) -> Run {
    let script = || {
        let mut living: Vec<(PodId, std::net::Ipv4Addr)> = Vec::new();
        move |node: &mut Script<'_>, input, _| match input {
            Input::Add { pod } => match node.addresses.pop() {
                Some(address) => {
                    living.push((pod, address));
                    node.serve(pod, address);
                }
                None => node.refuse(pod),
            },
            Input::Del { pod } => {
                let gone = living.iter().position(|(other, _)| *other == pod);
                let (_, address) = living.remove(gone.expect("a pod that lived"));
                node.addresses.push(address);
            }
            _ => {}
        }
    };
    run(scenario, None, 29, script).expect("no rule broken")
}

#[test]
fn a_burst_beyond_the_pool_fails_and_comes_again() {
    let mut scenario = cluster("10.0.0.0/24", 1, M3_2XLARGE, 300);
    // 29 are served at once; ten of them live 5 s, the others for good. Eleven come too late, one of them for ever.
    scenario.pods = (0..40)
        .map(|n| pod(0, 60, if n < 10 { 5 } else { 1000 }))
        .collect();
    let run = refusing(&scenario);
    let row = &run.row;
    assert_eq!(row.starved, 1);
    assert_eq!(row.served_s, None);
    // Ten come again once; the eleventh from 60.2 s to 300 s each 10 to 12 s.
    assert!((10 + 20..=10 + 24).contains(&row.failed_adds), "{row:?}");
    assert!((row.waited_share - 11.0 / 40.0).abs() < 1e-9, "{row:?}");
    assert!(row.wait_ms.p50 < 1e-9);
    // Of 40 the 99th percentile is the last one: it has waited since 60.2 s.
    assert!((row.wait_ms.max - 239_800.0).abs() < 1e-6, "{row:?}");
    // Ten for 5 s, nineteen for 239.8 s, and the ten that came again.
    let at_once = (10.0 * 5.0 + 19.0 * 239.8) / 300.0;
    let later = run.nodes[0].used - at_once;
    assert!(
        (10.0 * 227.8 / 300.0..=10.0 * 229.8 / 300.0).contains(&later),
        "{later}"
    );
    assert_eq!((run.nodes[0].peak_held, run.row.peak_held), (29, 29));
}

#[test]
fn refused_adds_come_again_after_ten_to_twelve_seconds() {
    let mut scenario = cluster("10.0.0.0/22", 8, M3_2XLARGE, 100);
    scenario.pods = (0..200).map(|n| pod(n % 8, 60, 1000)).collect();
    let script = || {
        let mut refused = HashSet::new();
        move |node: &mut Script<'_>, input, _| {
            if let Input::Add { pod } = input {
                match refused.insert(pod) {
                    true => node.refuse(pod),
                    false => {
                        let address = node.addresses.pop().expect("one of 29 for 25");
                        node.serve(pod, address);
                    }
                }
            }
        }
    };
    let row = run(&scenario, None, 29, script)
        .expect("no rule broken")
        .row;
    assert_eq!((row.failed_adds, row.starved), (200, 0));
    let waits = row.wait_ms;
    assert!((10_800.0..11_200.0).contains(&waits.p50), "{waits:?}");
    assert!((11_950.0..=12_000.0).contains(&waits.max), "{waits:?}");
    let served = row.served_s.expect("all were");
    assert!((served - 60.2 - waits.max / 1e3).abs() < 1e-6, "{served}");
}

#[test]
fn a_subnet_without_an_address_boots_no_node() {
    // 11 addresses for 12 nodes.
    let mut scenario = cluster("10.0.0.0/28", 12, M3_2XLARGE, 600);
    scenario.pods = (0..12).map(|node| pod(node, 60, 1000)).collect();
    let run = run(&scenario, None, 0, || {
        |node: &mut Script<'_>, input, _| {
            if let Input::Add { pod } = input {
                node.refuse(pod);
            }
        }
    })
    .expect("no rule broken");
    let down: Vec<usize> = (0..12).filter(|n| run.nodes[*n].never_booted).collect();
    assert_eq!(down.len(), 1);
    assert_eq!(run.row.starved, 12);
    assert_eq!((run.subnets[0].size, run.subnets[0].fewest_free), (11, 0));
    assert_eq!(run.subnets[0].dry_at, Some(std::time::Duration::ZERO));
}
