//! The node's /28s in the pod table: free addresses of them are refused, pods' are reached, and what was given back is
//! somebody else's again.

use berthd::dataplane::{Changes, Dataplane};

use crate::layout::{Node, start};

/// 10.0.1.16 to 10.0.1.31.
const PREFIX: &str = "10.0.1.16/28";

#[test]
fn a_free_address_of_a_prefix_is_refused_and_a_pods_is_reached() {
    let Some(node) = Node::new("prefix") else {
        return;
    };
    node.attach(1);
    let pod = node.pod("a", 1, 20);
    let mut desired = node.desired(&[0, 1]);
    desired.prefixes = vec![PREFIX.parse().unwrap()];
    node.netns.enter(async || {
        let plane = start();
        plane.apply_node(&desired).await.unwrap();
        plane.apply_pod(&pod.desired, pod.netns.fd()).await.unwrap();
        let again = plane.apply_node(&desired).await.unwrap();
        assert_eq!(again, Changes::default());
    });
    let table = node.netns.sh("ip route show table 20512");
    assert!(table.contains(&format!("unreachable {PREFIX}")), "{table}");
    assert!(node.netns.reaches("10.0.1.20"));
    assert!(pod.netns.reaches("10.0.1.10"));
    let free = |netns: &str| {
        let ping = format!("ip netns exec {netns} ping -c 1 -W 5 10.0.1.21 2>&1 || true");
        node.netns.sh(&ping)
    };
    // From a pod by ICMP, from the node itself by errno; neither waits.
    let told = free(pod.netns.name());
    assert!(told.contains("Destination Host Unreachable"), "{told}");
    let told = node.netns.sh("ping -c 1 -W 5 10.0.1.21 2>&1 || true");
    assert!(told.contains("No route to host"), "{told}");
}

#[test]
fn a_prefix_that_was_given_back_is_reached_through_the_vpc() {
    let Some(node) = Node::new("given") else {
        return;
    };
    // Another node's pod has an address of it by now.
    node.vpc.sh("ip address add 10.0.1.21/32 dev lo");
    let mut desired = node.desired(&[0]);
    desired.prefixes = vec![PREFIX.parse().unwrap()];
    node.netns.enter(async || {
        let plane = start();
        plane.apply_node(&desired).await.unwrap();
        assert!(!node.netns.reaches("10.0.1.21"));
        desired.prefixes.clear();
        let changes = plane.apply_node(&desired).await.unwrap();
        let whats: Vec<&str> = changes.0.iter().map(|change| &*change.what).collect();
        assert_eq!(whats, ["not unreachable 10.0.1.16/28 table 20512"]);
    });
    assert!(node.netns.reaches("10.0.1.21"));
}
