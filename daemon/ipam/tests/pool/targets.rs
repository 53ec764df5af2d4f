//! aws-node's warm targets, with aws-node's meaning: what its own documents say (`documents`), and what they do not.

use std::time::Duration;

use ipam::policy::WarmTargets;
use ipam::{Layout, Limits, PoolSettings};

use crate::cloud::{Cloud, large_subnet};
use crate::documents::{self, Holdings, Row, T3_SMALL, warm_addresses, warm_enis, warm_prefixes};
use crate::node::Node;

/// A node with these targets whose `pods` run.
fn with_pods(limits: Limits, layout: Layout, targets: WarmTargets, pods: u32) -> Node {
    let settings = PoolSettings {
        layout,
        targets,
        ..PoolSettings::default()
    };
    let mut node = Node::on(Cloud::new(limits, large_subnet(), 0, 7), settings);
    node.run(Duration::from_secs(20));
    node.ask(pods);
    while node.waiting > 0 || !node.flights.is_empty() {
        node.run(Duration::from_secs(1));
    }
    node
}

fn holdings(node: &Node) -> Holdings {
    let enis: Vec<_> = node.cloud.attached().map(|(_, eni)| eni).collect();
    let slots = enis.iter().map(|e| e.secondary.len() + e.prefixes.len());
    let addresses: usize = enis.iter().map(|e| e.pod_addresses().len()).sum();
    Holdings {
        enis: enis.len(),
        slots: slots.sum(),
        unused: addresses - node.pods.len(),
    }
}

fn holding(enis: usize, slots: usize, unused: usize) -> Holdings {
    Holdings {
        enis,
        slots,
        unused,
    }
}

/// The row holds as soon as all pods run, and ten minutes later.
fn check(layout: Layout, (limits, targets, pods, held): Row) -> Node {
    let mut node = with_pods(limits, layout, targets, pods);
    assert_eq!(holdings(&node), held, "{pods} pods, {targets:?}");
    node.run(Duration::from_secs(600));
    assert_eq!(holdings(&node), held, "{pods} pods, {targets:?}, later");
    assert_eq!(node.cloud.refusals, []);
    node
}

#[test]
fn single_addresses() {
    for row in documents::SINGLE_ADDRESSES {
        check(Layout::Singles, row);
    }
}

#[test]
fn prefixes() {
    for row in documents::PREFIXES {
        check(Layout::Prefixes, row);
    }
}

#[test]
fn incidents() {
    for (row, with_primaries) in documents::INCIDENTS {
        let node = check(Layout::Singles, row);
        let held = holdings(&node);
        assert_eq!(held.slots + held.enis, with_primaries);
    }
}

#[test]
fn what_the_pods_leave_goes_down_to_the_target() {
    let prefix = Layout::Prefixes;
    let rows = [
        (Layout::Singles, warm_addresses(2, 5), holding(2, 5, 5)),
        (Layout::Singles, warm_enis(1), holding(1, 3, 3)),
        (prefix, warm_prefixes(1), holding(1, 1, 16)),
        (prefix, warm_addresses(7, 20), holding(1, 2, 32)),
    ];
    for (layout, targets, held) in rows {
        let mut node = with_pods(T3_SMALL, layout, targets, 9);
        while !node.pods.is_empty() {
            node.remove(0, Duration::from_secs(1));
        }
        node.run(Duration::from_secs(600));
        assert_eq!(holdings(&node), held, "{targets:?}");
    }
}

#[test]
fn a_floor_alone_starves_no_pod() {
    let node = with_pods(T3_SMALL, Layout::Singles, warm_addresses(0, 2), 5);
    assert_eq!((node.pods.len(), holdings(&node)), (5, holding(2, 5, 0)));
}

#[test]
fn a_target_of_prefixes_is_met_when_blocks_open() {
    let settings = PoolSettings {
        layout: Layout::Prefixes,
        targets: warm_prefixes(1),
        ..PoolSettings::default()
    };
    let mut cloud = Cloud::new(T3_SMALL, large_subnet(), 0, 7);
    cloud.fragment(0);
    let mut node = Node::on(cloud, settings);
    node.run(Duration::from_secs(30));
    assert_eq!(holdings(&node), holding(1, 2, 2), "berth's own reserve");
    node.cloud.others_give(usize::MAX);
    node.run(Duration::from_secs(600));
    assert_eq!(holdings(&node), holding(1, 1, 16));
}
