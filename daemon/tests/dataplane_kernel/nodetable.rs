//! The nftables table: created once, changed in place, never replaced.

use berthd::dataplane::{Dataplane, DataplaneError, KernelConfig, KernelDataplane, Object};

use crate::layout::{Node, start};

/// What identifies the table's objects to the kernel; a table that was deleted and made again has new ones.
fn handles(node: &Node) -> Vec<String> {
    let listing = node.netns.sh("nft -a list table ip berth");
    let of = |line: &str| {
        [
            "table ",
            "map ",
            "counter unmapped",
            "chain steer",
            "chain egress",
            "chain eni0",
        ]
        .iter()
        .any(|kind| line.trim().starts_with(kind) && line.contains("# handle"))
    };
    listing
        .lines()
        .filter(|line| of(line))
        .map(str::to_owned)
        .collect()
}

#[test]
fn the_table_is_changed_in_place() {
    let Some(mut node) = Node::new("inplace") else {
        return;
    };
    for device in 1..4 {
        node.attach(device);
    }
    node.netns
        .sh("nft add table ip neighbour && nft add chain ip neighbour c");
    let before = node.netns.enter(async || {
        start().apply_node(&node.desired(&[0])).await.unwrap();
        handles(&node)
    });
    assert_eq!(before.len(), 6);
    // The CIDRs change, ENIs come, ENIs go, SNAT is switched.
    node.settings.exclude_snat = vec![
        "172.31.0.0/16".parse().unwrap(),
        "0.0.0.0/0".parse().unwrap(),
    ];
    let steps: [(&[u32], usize); 3] = [(&[0, 1], 4), (&[0, 1, 2, 3], 4), (&[0, 3], 4)];
    for (devices, changed) in steps {
        node.netns.enter(async || {
            let plane = start();
            let changes = plane.apply_node(&node.desired(devices)).await.unwrap();
            assert_eq!(changes.count(Object::Nft), changed, "{devices:?}");
            assert_eq!(
                plane
                    .apply_node(&node.desired(devices))
                    .await
                    .unwrap()
                    .count(Object::Nft),
                0
            );
        });
        assert_eq!(before, handles(&node));
    }
    node.settings.external_snat = true;
    node.netns.enter(async || {
        let changes = start().apply_node(&node.desired(&[0, 3])).await.unwrap();
        assert_eq!(changes.count(Object::Nft), 2, "opening and egress");
    });
    assert_eq!(before, handles(&node));
    let table = node.nft();
    assert!(
        table.contains("7003 : jump eni3") && !table.contains("eni1"),
        "{table}"
    );
    assert!(node.netns.succeeds("nft list chain ip neighbour c"));
}

#[test]
fn a_deleted_table_comes_back() {
    let Some(node) = Node::new("deleted") else {
        return;
    };
    node.netns.enter(async || {
        let plane = start();
        plane.apply_node(&node.desired(&[0])).await.unwrap();
        let before = node.nft();
        node.netns.sh("nft delete table ip berth");
        plane.apply_node(&node.desired(&[0])).await.unwrap();
        assert_eq!(before, node.nft());
    });
}

#[test]
fn without_nft_the_rest_is_applied_and_the_error_names_it() {
    let Some(node) = Node::new("nonft") else {
        return;
    };
    node.netns.enter(async || {
        let plane = KernelDataplane::start(KernelConfig {
            nft: "/nonexistent/nft".into(),
            ..KernelConfig::default()
        })
        .unwrap();
        let error = plane.apply_node(&node.desired(&[0])).await.unwrap_err();
        assert!(matches!(error.error, DataplaneError::Nft { .. }), "{error}");
        assert!(node.netns.sh("ip rule").contains("lookup 20512"));
    });
}
