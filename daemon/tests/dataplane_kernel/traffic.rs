//! Packets: which ENI they leave by, with which source, and whose marks they bear.

use berthd::dataplane::{Dataplane, Object};

use crate::layout::{INTERNET_HOST, Node, VPC_HOST, start};

#[test]
fn a_pod_on_a_secondary_eni_uses_it_inside_the_vpc_and_the_primary_outside() {
    let Some(node) = Node::new("steer") else {
        return;
    };
    node.attach(1);
    // What a distribution may set: with this the steered packets' answers are dropped.
    node.netns
        .sh("sysctl -qw net.ipv4.conf.eth0.rp_filter=1 net.ipv4.conf.eth1.rp_filter=1");
    let pod = node.pod("a", 1, 20);
    node.netns.enter(async || {
        let plane = start();
        plane.apply_pod(&pod.desired, pod.netns.fd()).await.unwrap();
        assert!(!pod.netns.reaches(VPC_HOST), "nothing steers it yet");
        let changes = plane.apply_node(&node.desired(&[0, 1])).await.unwrap();
        assert_eq!(
            changes.count(Object::Sysctl),
            3,
            "rp_filter twice, ip_forward"
        );
    });
    // The VPC's source check drops what leaves by the wrong ENI.
    assert!(pod.netns.reaches(VPC_HOST));
    assert!(pod.netns.reaches("10.0.1.10"));
    assert!(pod.netns.reaches(INTERNET_HOST));
    let filters = "sysctl -n net.ipv4.conf.eth0.rp_filter net.ipv4.conf.eth1.rp_filter";
    assert_eq!(node.netns.sh(filters), "2\n2\n");
}

#[test]
fn jumbo_frames_and_connections_from_the_vpc_go_through() {
    let Some(node) = Node::new("inward") else {
        return;
    };
    node.attach(1);
    let pod = node.pod("a", 1, 20);
    node.set_up(&[0, 1], &pod);
    assert!(node.vpc.reaches(format!("-I {VPC_HOST} 10.0.1.20")));
    assert!(
        node.vpc
            .reaches(format!("-I {VPC_HOST} -M do -s 8900 10.0.1.20"))
    );
}

#[test]
fn marks_of_others_are_kept_and_strays_on_ours_cleared() {
    let Some(node) = Node::new("marks") else {
        return;
    };
    node.attach(1);
    let pod = node.pod("a", 1, 20);
    node.set_up(&[0, 1], &pod);
    // Somebody's 0x550001, and a stray 0xfe on the bits that steer.
    node.netns.sh(
        r#"nft 'table ip probe {
             counter seen { }
             chain pre { type filter hook prerouting priority raw; iifname "eni*" meta mark set 0x5500ff; }
             chain post { type filter hook postrouting priority 0; oifname "eth1" meta mark 0x550003 counter name seen; }
           }'"#,
    );
    assert!(pod.netns.reaches(VPC_HOST));
    let seen = node.netns.sh("nft list counter ip probe seen");
    assert!(seen.contains("packets 1"), "{seen}");
}

#[test]
fn without_snat_on_the_node_pods_keep_their_address_and_eni() {
    let Some(mut node) = Node::new("nosnat") else {
        return;
    };
    node.settings.external_snat = true;
    node.attach(1);
    let pod = node.pod("a", 1, 20);
    node.set_up(&[0, 1], &pod);
    // It arrives by eth1 with its own source, or the VPC would drop it.
    assert!(pod.netns.reaches(INTERNET_HOST));
    assert!(!node.nft().contains("snat to"));
}

#[test]
fn connections_from_outside_are_answered_by_the_eni_they_came_by() {
    let Some(node) = Node::new("outside") else {
        return;
    };
    node.attach(1);
    let pod = node.pod("a", 1, 20);
    node.set_up(&[0, 1], &pod);
    // To the pod itself, as a load balancer in IP mode: by its ENI, untranslated.
    assert!(
        node.vpc
            .reaches(format!("-I {INTERNET_HOST} {}", pod.desired.address))
    );
    // To the node, and from there to the pod, as a NodePort: by the primary.
    node.netns.sh(
        r#"nft 'table ip nodeport { chain pre { type nat hook prerouting priority dstnat;
             iifname "eth0" icmp type echo-request dnat to 10.0.1.20; }
           }'"#,
    );
    assert!(node.vpc.reaches(format!("-I {INTERNET_HOST} 10.0.1.10")));
    let counted = node.netns.sh("nft list counter ip berth unmapped");
    assert!(counted.contains("packets 0"), "{counted}");
}
