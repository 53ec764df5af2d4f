//! The node's rules: applied once, repaired when somebody removes them, gone with their ENI.

use berthd::dataplane::Object::{EniAddress, EniLink, EniRoute, Nft, Rule, Sysctl};
use berthd::dataplane::{Changes, Dataplane, Object};

use crate::layout::{Node, start};

/// What somebody may do to a node with ENIs 0 and 1, and what mending it takes.
const REPAIRS: [(&str, &[Object]); 12] = [
    ("nft flush chain ip berth steer", &[Nft]),
    (
        "nft flush chain ip berth eni1; nft flush chain ip berth egress",
        &[Nft, Nft],
    ),
    ("nft delete element ip berth eni_of_veth { 7001 }", &[Nft]),
    ("nft insert rule ip berth steer accept", &[Nft]),
    ("ip rule del priority 1537", &[Rule]),
    (
        "ip rule del priority 512; ip rule del priority 32765",
        &[Rule, Rule],
    ),
    ("ip route del default table 2", &[EniRoute]),
    (
        "ip address flush dev eth1",
        &[EniAddress, EniRoute, EniRoute],
    ),
    ("ip link set eth1 mtu 1500", &[EniLink]),
    ("ip link set eth1 address 0a:58:00:00:00:77", &[EniLink]),
    ("sysctl -qw net.ipv4.conf.eth1.rp_filter=1", &[Sysctl]),
    ("sysctl -qw net.ipv4.conf.eth1.forwarding=0", &[Sysctl]),
];

fn objects(changes: &Changes) -> Vec<Object> {
    changes.0.iter().map(|change| change.object).collect()
}

#[test]
fn applying_twice_changes_nothing() {
    let Some(node) = Node::new("idem") else {
        return;
    };
    node.attach(1);
    node.attach(2);
    node.netns.enter(async || {
        let plane = start();
        let desired = node.desired(&[0, 1, 2]);
        let first = plane.apply_node(&desired).await.unwrap();
        assert_eq!(first.count(Rule), 6);
        assert_eq!(first.count(EniRoute), 4);
        let before = (node.netns.dump(), node.nft());
        assert_eq!(
            plane.apply_node(&desired).await.unwrap(),
            Changes::default()
        );
        // Nor does a daemon that starts anew.
        assert_eq!(
            start().apply_node(&desired).await.unwrap(),
            Changes::default()
        );
        before.0.assert_same(&node.netns.dump());
        assert_eq!(before.1, node.nft());
    });
    let rules = node.netns.sh("ip rule");
    for rule in [
        "512:\tfrom all lookup 20512",
        "1024:\tfrom all fwmark 0x80/0x80 lookup main",
        "1537:\tfrom all fwmark 0x2/0x7e lookup 2",
        "1537:\tfrom all fwmark 0x4/0x7e lookup 3",
        "32765:\tfrom 10.0.1.11 lookup 2",
        "32765:\tfrom 10.0.1.12 lookup 3",
    ] {
        assert!(rules.contains(rule), "{rule}: {rules}");
    }
    let table = node.netns.sh("ip route show table 2").replace(" \n", "\n");
    assert_eq!(
        table,
        "default via 10.0.1.1 dev eth1\n10.0.1.1 dev eth1 scope link\n"
    );
    let main = node.netns.sh("ip route");
    assert!(!main.contains("eth1"), "{main}");
}

#[test]
fn what_is_taken_away_is_put_back_and_counted() {
    let Some(node) = Node::new("repair") else {
        return;
    };
    node.attach(1);
    node.netns.enter(async || {
        let plane = start();
        let desired = node.desired(&[0, 1]);
        plane.apply_node(&desired).await.unwrap();
        let before = (node.netns.dump(), node.nft());
        for (damage, expected) in REPAIRS {
            node.netns.sh(damage);
            let repaired = plane.apply_node(&desired).await.unwrap();
            assert_eq!(objects(&repaired), expected, "{damage}: {repaired:?}");
            before.0.assert_same(&node.netns.dump());
            assert_eq!(before.1, node.nft(), "{damage}");
        }
    });
}

#[test]
fn rules_of_others_stay() {
    let Some(node) = Node::new("others") else {
        return;
    };
    node.attach(1);
    // aws-node's for a pod that still runs, and what an administrator may have added without a priority.
    node.netns
        .sh("ip rule add priority 512 to 10.0.1.40 lookup main && \
         ip rule add priority 1536 from 10.0.1.40 lookup 2 && \
         ip rule add priority 32765 from 192.0.2.1 lookup 50 && \
         ip rule add priority 1537 fwmark 0x10000/0x10000 lookup 500");
    node.netns.enter(async || {
        let plane = start();
        plane.apply_node(&node.desired(&[0, 1])).await.unwrap();
        let changes = plane.apply_node(&node.desired(&[0])).await.unwrap();
        assert_eq!((changes.count(Rule), changes.count(EniRoute)), (2, 2));
    });
    let rules = node.netns.sh("ip rule");
    for rule in [
        "512:\tfrom all to 10.0.1.40 lookup main",
        "1536:\tfrom 10.0.1.40 lookup 2",
        "32765:\tfrom 192.0.2.1 lookup 50",
        "1537:\tfrom all fwmark 0x10000/0x10000 lookup 500",
    ] {
        assert!(rules.contains(rule), "{rule}: {rules}");
    }
}

#[test]
fn an_eni_comes_and_goes() {
    let Some(node) = Node::new("comego") else {
        return;
    };
    node.netns.enter(async || {
        let plane = start();
        plane.apply_node(&node.desired(&[0])).await.unwrap();
        let before = (
            node.netns.sh("ip rule; ip route show table all"),
            node.nft(),
        );
        node.attach(1);
        plane.apply_node(&node.desired(&[0, 1])).await.unwrap();
        assert_ne!(before.1, node.nft());
        node.vpc.sh("ip link del eni1");
        plane.apply_node(&node.desired(&[0])).await.unwrap();
        assert_eq!(
            before,
            (
                node.netns.sh("ip rule; ip route show table all"),
                node.nft()
            )
        );
        assert_eq!(
            plane.apply_node(&node.desired(&[0])).await.unwrap(),
            Changes::default()
        );
    });
}

#[test]
fn a_change_of_device_replaces_the_source_rule() {
    let Some(node) = Node::new("source") else {
        return;
    };
    node.attach(1);
    node.netns.enter(async || {
        let plane = start();
        // Another ENI had this device index before.
        node.netns
            .sh("ip rule add priority 32765 from 10.0.1.77 lookup 2");
        plane.apply_node(&node.desired(&[0, 1])).await.unwrap();
        let rules = node.netns.sh("ip rule");
        assert!(
            !rules.contains("10.0.1.77") && rules.contains("from 10.0.1.11 lookup 2"),
            "{rules}"
        );
    });
}
