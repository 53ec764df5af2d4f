//! aws-node's warm targets, with aws-node's meaning: the tables of its own documents (`docs/eni-and-ip-target.md`,
//! `docs/prefix-and-ip-target.md`), except for the rows that its own algorithm does not yield.

use std::time::Duration;

use ipam::policy::WarmTargets;
use ipam::{AddressMode, Limits, PoolSettings};

use crate::cloud::{Cloud, large_subnet};
use crate::node::Node;

const T3_SMALL: Limits = Limits {
    enis: 3,
    slots_per_eni: 3,
    prefixes: true,
};

const P3DN: Limits = Limits {
    enis: 15,
    slots_per_eni: 49,
    prefixes: true,
};

const M4_4XLARGE: Limits = Limits {
    enis: 8,
    slots_per_eni: 29,
    prefixes: false,
};

const fn warm_enis(enis: u32) -> WarmTargets {
    WarmTargets {
        enis: Some(enis),
        addresses: None,
        minimum: None,
        prefixes: None,
    }
}

const fn warm_prefixes(prefixes: u32) -> WarmTargets {
    WarmTargets {
        prefixes: Some(prefixes),
        enis: None,
        addresses: None,
        minimum: None,
    }
}

const fn warm_addresses(addresses: u32, minimum: u32) -> WarmTargets {
    WarmTargets {
        addresses: Some(addresses),
        minimum: Some(minimum),
        enis: None,
        prefixes: None,
    }
}

/// A node with these targets whose `pods` run.
fn with_pods(limits: Limits, mode: AddressMode, targets: WarmTargets, pods: u32) -> Node {
    let settings = PoolSettings {
        mode,
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

/// ENIs, slots (single addresses or prefixes) and addresses that no pod has.
fn holdings(node: &Node) -> (usize, usize, usize) {
    let enis: Vec<_> = node.cloud.attached().map(|(_, eni)| eni).collect();
    let slots = enis.iter().map(|e| e.secondary.len() + e.prefixes.len());
    let addresses: usize = enis.iter().map(|e| e.pod_addresses().len()).sum();
    (enis.len(), slots.sum(), addresses - node.pods.len())
}

#[test]
fn single_addresses() {
    let rows = [
        (T3_SMALL, warm_enis(1), 0, (1, 3, 3)),
        (T3_SMALL, warm_enis(1), 5, (3, 9, 4)),
        (T3_SMALL, warm_enis(1), 9, (3, 9, 0)),
        (T3_SMALL, warm_addresses(1, 1), 0, (1, 1, 1)),
        (T3_SMALL, warm_addresses(1, 1), 5, (2, 6, 1)),
        (T3_SMALL, warm_addresses(1, 1), 9, (3, 9, 0)),
        (T3_SMALL, warm_addresses(2, 5), 0, (2, 5, 5)),
        (T3_SMALL, warm_addresses(2, 5), 5, (3, 7, 2)),
        (T3_SMALL, warm_addresses(2, 5), 9, (3, 9, 0)),
        (P3DN, warm_enis(1), 0, (1, 49, 49)),
        (P3DN, warm_enis(1), 3, (2, 98, 95)),
        (P3DN, warm_enis(1), 95, (3, 147, 52)),
        (P3DN, warm_addresses(5, 10), 0, (1, 10, 10)),
        (P3DN, warm_addresses(5, 10), 7, (1, 12, 5)),
        (P3DN, warm_addresses(5, 10), 15, (1, 20, 5)),
        (P3DN, warm_addresses(5, 10), 45, (2, 50, 5)),
        // Its README: 58 addresses for up to 29 pods, 87 for 30 to 58.
        (M4_4XLARGE, warm_enis(1), 1, (2, 58, 57)),
        (M4_4XLARGE, warm_enis(1), 29, (2, 58, 29)),
        (M4_4XLARGE, warm_enis(1), 30, (3, 87, 57)),
        (M4_4XLARGE, warm_enis(1), 58, (3, 87, 29)),
    ];
    for (limits, targets, pods, held) in rows {
        let mut node = with_pods(limits, AddressMode::Secondary, targets, pods);
        assert_eq!(holdings(&node), held, "{pods} pods, {targets:?}");
        node.run(Duration::from_secs(600));
        assert_eq!(holdings(&node), held, "{pods} pods, {targets:?}, later");
        assert_eq!(node.cloud.refusals, []);
    }
}

#[test]
fn prefixes() {
    let rows = [
        (T3_SMALL, warm_prefixes(1), 0, (1, 1, 16)),
        (T3_SMALL, warm_prefixes(1), 5, (1, 2, 27)),
        (T3_SMALL, warm_prefixes(1), 16, (1, 2, 16)),
        (T3_SMALL, warm_prefixes(1), 17, (1, 3, 31)),
        (T3_SMALL, warm_prefixes(1), 58, (2, 5, 22)),
        (T3_SMALL, warm_addresses(1, 1), 0, (1, 1, 16)),
        (T3_SMALL, warm_addresses(1, 1), 5, (1, 1, 11)),
        (T3_SMALL, warm_addresses(1, 1), 17, (1, 2, 15)),
        (T3_SMALL, warm_addresses(1, 1), 58, (2, 4, 6)),
        (T3_SMALL, warm_addresses(7, 20), 5, (1, 2, 27)),
        (T3_SMALL, warm_addresses(7, 20), 17, (1, 2, 15)),
        (T3_SMALL, warm_addresses(7, 20), 58, (2, 5, 22)),
        (P3DN, warm_prefixes(1), 0, (1, 1, 16)),
        (P3DN, warm_addresses(5, 10), 0, (1, 1, 16)),
        (P3DN, warm_addresses(5, 10), 7, (1, 1, 9)),
        (P3DN, warm_addresses(5, 10), 15, (1, 2, 17)),
    ];
    for (limits, targets, pods, held) in rows {
        let mut node = with_pods(limits, AddressMode::Prefix, targets, pods);
        assert_eq!(holdings(&node), held, "{pods} pods, {targets:?}");
        node.run(Duration::from_secs(600));
        assert_eq!(holdings(&node), held, "{pods} pods, {targets:?}, later");
        assert_eq!(node.cloud.refusals, []);
    }
}

#[test]
fn what_the_pods_leave_goes_down_to_the_target() {
    let prefix = AddressMode::Prefix;
    let rows = [
        (AddressMode::Secondary, warm_addresses(2, 5), (2, 5, 5)),
        (AddressMode::Secondary, warm_enis(1), (1, 3, 3)),
        (prefix, warm_prefixes(1), (1, 1, 16)),
        (prefix, warm_addresses(7, 20), (1, 2, 32)),
    ];
    for (mode, targets, held) in rows {
        let mut node = with_pods(T3_SMALL, mode, targets, 9);
        while !node.pods.is_empty() {
            node.remove(0, Duration::from_secs(1));
        }
        node.run(Duration::from_secs(600));
        assert_eq!(holdings(&node), held, "{targets:?}");
    }
}

#[test]
fn a_floor_alone_starves_no_pod() {
    let node = with_pods(T3_SMALL, AddressMode::Secondary, warm_addresses(0, 2), 5);
    assert_eq!((node.pods.len(), holdings(&node)), (5, (2, 5, 0)));
}

#[test]
fn a_target_of_prefixes_is_met_when_blocks_open() {
    let settings = PoolSettings {
        mode: AddressMode::Prefix,
        targets: warm_prefixes(1),
        ..PoolSettings::default()
    };
    let mut cloud = Cloud::new(T3_SMALL, large_subnet(), 0, 7);
    cloud.fragment(0);
    let mut node = Node::on(cloud, settings);
    node.run(Duration::from_secs(30));
    assert_eq!(holdings(&node), (1, 2, 2), "berth's own reserve");
    node.cloud.others_give(usize::MAX);
    node.run(Duration::from_secs(600));
    assert_eq!(holdings(&node), (1, 1, 16));
}
