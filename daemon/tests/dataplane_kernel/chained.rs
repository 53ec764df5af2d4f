//! Behind a plugin that made the pod's interface, ptp say: it gets our address, and gets back what it was.

use berthd::dataplane::{Dataplane, DataplaneError, PodRemoval};
use ipam::PodInterface;

use crate::layout::{Node, Pod, start};
use crate::netns::Netns;

/// What the reference ptp leaves: a veth with an address of its own and a default route by the host's end.
fn ptp(node: &Node, alias: &str) -> Pod {
    node.attach(1);
    let mut pod = node.pod("a", 1, 20);
    pod.desired.interface = PodInterface::Existing;
    pod.netns.sh(&format!(
        "ip link add eth0 type veth peer name veth7 netns {} && ip link set eth0 up && \
         ip address add 192.168.7.2/32 dev eth0 && ip route add 192.168.7.1 dev eth0 scope link && \
         ip route add default via 192.168.7.1",
        node.netns.name()
    ));
    node.netns.sh(&format!(
        "ip address add 192.168.7.1/32 dev veth7 && ip link set veth7 up {alias} && \
         ip route add 192.168.7.2 dev veth7"
    ));
    pod
}

#[test]
fn an_existing_interface_gets_our_address_and_keeps_its_own() {
    let Some(node) = Node::new("chain") else {
        return;
    };
    let pod = ptp(&node, "");
    node.netns.enter(async || {
        let plane = start();
        plane.apply_node(&node.desired(&[0, 1])).await.unwrap();
        let (host, inside) = (node.netns.dump(), pod.netns.dump());
        let links = plane.apply_pod(&pod.desired, pod.netns.fd()).await.unwrap();
        assert_eq!(links.host_ifname, "veth7");
        let veth = node.netns.sh("ip -d link show veth7");
        assert!(
            veth.contains("group 7001") && veth.contains(&pod.desired.alias),
            "{veth}"
        );
        assert!(pod.netns.sh("ip route").contains("default via 192.168.7.1"));
        assert!(node.netns.reaches(pod.desired.address));
        assert!(pod.netns.reaches("-I 10.0.1.20 10.0.9.9"), "by its own ENI");
        let again = plane.apply_pod(&pod.desired, pod.netns.fd()).await.unwrap();
        assert_eq!(again, links);
        assert_eq!(plane.observe_pods().await.unwrap().len(), 1);
        plane
            .remove_pod(&pod.removal(), Some(pod.netns.fd()))
            .await
            .unwrap();
        host.assert_same(&node.netns.dump());
        inside.assert_same(&pod.netns.dump());
    });
}

#[test]
fn another_plugins_alias_stays_and_the_link_is_found_without_ours() {
    let Some(node) = Node::new("chainalias") else {
        return;
    };
    let pod = ptp(&node, "alias theirs");
    node.netns.enter(async || {
        let plane = start();
        let (host, inside) = (node.netns.dump(), pod.netns.dump());
        let links = plane.apply_pod(&pod.desired, pod.netns.fd()).await.unwrap();
        assert!(node.netns.sh("ip link show veth7").contains("alias theirs"));
        let removal = PodRemoval {
            host_ifindex: Some(links.host_ifindex),
            ..pod.removal()
        };
        plane
            .remove_pod(&removal, Some(pod.netns.fd()))
            .await
            .unwrap();
        host.assert_same(&node.netns.dump());
        inside.assert_same(&pod.netns.dump());
    });
}

#[test]
fn an_interface_that_cannot_be_used_is_left_alone() {
    let Some(node) = Node::new("chainbad") else {
        return;
    };
    let mut pod = node.pod("a", 0, 20);
    pod.desired.interface = PodInterface::Existing;
    node.netns.enter(async || {
        let plane = start();
        let refuse = async |problem: &str| {
            let (host, inside) = (node.netns.dump(), pod.netns.dump());
            let error = plane
                .apply_pod(&pod.desired, pod.netns.fd())
                .await
                .unwrap_err();
            assert!(
                matches!(error, DataplaneError::UnusableInterface { .. }),
                "{error}"
            );
            assert!(error.to_string().contains(problem), "{error}");
            host.assert_same(&node.netns.dump());
            inside.assert_same(&pod.netns.dump());
        };
        refuse("does not exist").await;
        pod.netns.sh("ip link add eth0 type bridge");
        refuse("is not a veth").await;
        pod.netns
            .sh("ip link del eth0; ip link add eth0 type veth peer name other");
        refuse("has no peer").await;
    });
}

#[test]
fn equal_indices_do_not_make_two_links_peers() {
    let Some(node) = Node::new("chainindex") else {
        return;
    };
    let ptp = ptp(&node, "");
    let mut stranger = node.pod("b", 0, 21);
    stranger.desired.interface = PodInterface::Existing;
    let index = |netns: &Netns, name: &str| {
        let index = netns.sh(&format!("cat /sys/class/net/{name}/ifindex"));
        index.trim().to_owned()
    };
    // The same two indices as the ptp pod's pair has, but the other end is not on the node.
    let elsewhere = Netns::new("chainindex", "elsewhere").unwrap();
    stranger.netns.sh(&format!(
        "ip link add eth0 index {} type veth peer name x index {} netns {}",
        index(&ptp.netns, "eth0"),
        index(&node.netns, "veth7"),
        elsewhere.name()
    ));
    node.netns.enter(async || {
        let plane = start();
        let before = node.netns.dump();
        let applied = plane.apply_pod(&stranger.desired, stranger.netns.fd());
        let error = applied.await.unwrap_err();
        assert!(error.to_string().contains("has no peer"), "{error}");
        before.assert_same(&node.netns.dump());
    });
}
