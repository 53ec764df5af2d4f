//! Which pods have no link any more, and what of aws-node's pods is taken away when they go.

use berth_cni::contract::AwsNodeLink;
use berthd::dataplane::{Dataplane, PodRemoval};

use crate::layout::{Node, Pod, start};

fn aliases(pods: &[PodRemoval]) -> Vec<&str> {
    pods.iter().map(|pod| pod.alias.as_str()).collect()
}

#[test]
fn a_pod_is_gone_when_its_link_is_whatever_took_it() {
    let Some(node) = Node::new("gone") else {
        return;
    };
    let pods: Vec<Pod> = (0..4)
        .map(|n| node.pod(&format!("p{n}"), 0, 20 + n))
        .collect();
    let mut never = pods[3].removal();
    never.alias = "berth:never/eth0".into();
    never.address = [10, 0, 1, 30].into();
    node.netns.enter(async || {
        let plane = start();
        let mut asked = vec![never];
        for pod in &pods {
            let links = plane.apply_pod(&pod.desired, pod.netns.fd()).await.unwrap();
            asked.push(PodRemoval {
                host_ifindex: Some(links.host_ifindex),
                ..pod.removal()
            });
        }
        let gone = plane.without_link(asked.clone()).await.unwrap();
        assert_eq!(aliases(&gone), ["berth:never/eth0"]);
        // Deleted inside, left to the reaper, and renamed, which takes nothing.
        pods[0].netns.sh("ip link delete eth0");
        plane.remove_pod(&asked[2], None).await.unwrap();
        node.netns.sh(&format!(
            "ip link set {} name renamed",
            pods[2].desired.host_ifname
        ));
        let gone = plane.without_link(asked).await.unwrap();
        let expected = [
            "berth:never/eth0",
            &pods[0].desired.alias,
            &pods[1].desired.alias,
        ];
        assert_eq!(aliases(&gone), expected);
    });
}

#[test]
fn a_link_that_another_plugin_named_is_there_as_long_as_it_is() {
    let Some(node) = Node::new("gonechain") else {
        return;
    };
    let mut pod = node.pod("a", 0, 20);
    pod.desired.interface = ipam::PodInterface::Existing;
    pod.netns.sh(&format!(
        "ip link add eth0 type veth peer name veth1 netns {} && ip link set eth0 up",
        node.netns.name()
    ));
    node.netns.sh("ip link set veth1 up alias another");
    node.netns.enter(async || {
        let plane = start();
        let links = plane.apply_pod(&pod.desired, pod.netns.fd()).await.unwrap();
        let asked = PodRemoval {
            host_ifindex: Some(links.host_ifindex),
            ..pod.removal()
        };
        let gone = async || plane.without_link(vec![asked.clone()]).await.unwrap();
        assert!(gone().await.is_empty());
        node.netns.sh("ip route flush table 20512");
        assert!(gone().await.is_empty());
        node.netns.sh("ip link delete veth1");
        assert_eq!(aliases(&gone().await), [pod.desired.alias.as_str()]);
    });
}

/// What aws-node makes for a pod on a secondary ENI.
fn like_aws_node(node: &Node, pod: &Pod, link: &str) -> AwsNodeLink {
    let address = pod.desired.address;
    node.netns.sh(&format!(
        "ip link add {link} type veth peer name eth0 netns {} && ip link set {link} up && \
         ip route add {address}/32 dev {link} scope link && \
         ip rule add priority 512 to {address} lookup main && \
         ip rule add priority 1536 from {address} lookup 2",
        pod.netns.name()
    ));
    AwsNodeLink {
        host_ifname: link.into(),
        address,
        table: 2,
    }
}

#[test]
fn what_aws_node_left_of_a_pod_goes_and_what_it_left_of_others_stays() {
    let Some(node) = Node::new("awsnode") else {
        return;
    };
    let (one, two) = (node.pod("a", 0, 20), node.pod("b", 0, 21));
    node.netns.enter(async || {
        let plane = start();
        plane.apply_node(&node.desired(&[0])).await.unwrap();
        let before = node.netns.dump();
        let left = like_aws_node(&node, &one, "eni00000000001");
        let with_link = node.netns.sh("ip rule; ip route");
        assert!(with_link.contains("10.0.1.20"), "{with_link}");
        let other = like_aws_node(&node, &two, "eni00000000002");
        let with_other = node
            .netns
            .sh("ip rule; ip route")
            .replace("10.0.1.21", "OTHER");
        assert_eq!(with_other.matches("OTHER").count(), 3);
        plane.remove_aws_node(&left).await.unwrap();
        let after = node.netns.sh("ip rule; ip route");
        assert!(!after.contains("10.0.1.20"), "{after}");
        assert_eq!(after.matches("10.0.1.21").count(), 3, "{after}");
        // The link is the runtime's to remove, with the namespace; its rules stay when that came first.
        assert!(node.netns.succeeds("ip link show eni00000000001"));
        node.netns.sh("ip link delete eni00000000001");
        node.netns.sh("ip link delete eni00000000002");
        for _ in 0..2 {
            plane.remove_aws_node(&other).await.unwrap();
            before.assert_same(&node.netns.dump());
        }
    });
}

#[test]
fn an_address_that_a_pod_of_ours_has_by_now_is_left_alone() {
    let Some(node) = Node::new("awsreuse") else {
        return;
    };
    let (old, new) = (node.pod("old", 0, 20), node.pod("new", 0, 20));
    node.netns.enter(async || {
        let plane = start();
        plane.apply_node(&node.desired(&[0])).await.unwrap();
        let left = like_aws_node(&node, &old, "eni00000000001");
        node.netns.sh("ip route delete 10.0.1.20/32");
        plane.apply_pod(&new.desired, new.netns.fd()).await.unwrap();
        let before = node.netns.dump();
        plane.remove_aws_node(&left).await.unwrap();
        before.assert_same(&node.netns.dump());
    });
}
