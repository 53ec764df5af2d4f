//! What an operator may choose about the node's network: the primary's mark, NodePort, networks behind the primary ENI.

use berthd::dataplane::Dataplane;
use ipam::desired::PrimaryMark;

use crate::layout::{INTERNET_HOST, Node, VPC_HOST, start};

/// A network of which the operator says that it is behind the primary ENI.
const SERVICE: &str = "10.0.200.0/24";

fn apply(node: &Node) {
    node.netns.enter(async || {
        let plane = start();
        plane.apply_node(&node.desired(&[0, 1])).await.unwrap();
        let again = plane.apply_node(&node.desired(&[0, 1])).await.unwrap();
        assert!(again.is_empty(), "applied twice: {again:?}");
    });
}

#[test]
fn the_primarys_mark_may_be_moved() {
    let Some(mut node) = Node::new("mark") else {
        return;
    };
    node.attach(1);
    let pod = node.pod("a", 1, 20);
    apply(&node);
    node.settings.primary_mark = PrimaryMark::new(0x100).unwrap();
    apply(&node);
    let rules = node.netns.sh("ip rule");
    assert!(
        rules.contains("1024:\tfrom all fwmark 0x100/0x100 lookup main") && !rules.contains("0x80"),
        "{rules}"
    );
    assert!(!node.nft().contains("0x00000080"), "{}", node.nft());
    node.netns.enter(async || {
        let plane = start();
        plane.apply_pod(&pod.desired, pod.netns.fd()).await.unwrap();
    });
    assert!(pod.netns.reaches(VPC_HOST), "by its own ENI");
    assert!(pod.netns.reaches(INTERNET_HOST), "marked for the primary");
}

#[test]
fn without_nodeport_and_snat_nothing_is_marked_for_the_primary() {
    let Some(mut node) = Node::new("nonodeport") else {
        return;
    };
    node.attach(1);
    apply(&node);
    let entry = |node: &Node| node.netns.sh("nft list chain ip berth entry");
    assert!(entry(&node).contains("ct mark set"));
    node.settings.node_port = false;
    apply(&node);
    assert!(!entry(&node).contains("ct mark"), "{}", entry(&node));
    assert!(node.netns.sh("ip rule").contains("1024:"), "SNAT needs it");
    node.settings.external_snat = true;
    apply(&node);
    let (rules, table) = (node.netns.sh("ip rule"), node.nft());
    assert!(!rules.contains("1024:"), "{rules}");
    assert!(!table.contains("ct mark"), "{table}");
    node.settings.node_port = true;
    apply(&node);
    assert!(node.netns.sh("ip rule").contains("1024:"));
    assert!(entry(&node).contains("ct mark set"));
}

#[test]
fn external_services_are_reached_by_the_primary() {
    let Some(mut node) = Node::new("service") else {
        return;
    };
    node.attach(1);
    let way = |node: &Node| node.netns.sh("ip route get 10.0.200.9 mark 0x2");
    apply(&node);
    assert!(way(&node).contains("dev eth1"), "{}", way(&node));
    node.settings.external_services = vec![SERVICE.parse().unwrap()];
    apply(&node);
    let rule = format!("1535:\tfrom all to {SERVICE} lookup main");
    assert!(node.netns.sh("ip rule").contains(&rule));
    assert!(way(&node).contains("dev eth0"), "{}", way(&node));
    node.settings.external_services.clear();
    apply(&node);
    assert!(!node.netns.sh("ip rule").contains("1535:"));
    assert!(way(&node).contains("dev eth1"), "{}", way(&node));
}
