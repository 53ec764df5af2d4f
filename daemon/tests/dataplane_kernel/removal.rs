//! Removing pods: what is left, what must not be touched, and names that come back before their links are gone.

use berthd::dataplane::{Dataplane, DataplaneError, PodRemoval};
use std::net::Ipv4Addr;

use crate::layout::{Node, removal, start};
use crate::netns::Netns;

#[test]
fn removal_leaves_the_node_as_it_was() {
    let Some(node) = Node::new("removed") else {
        return;
    };
    let pods = [
        node.pod("a", 0, 20),
        node.pod("b", 0, 21),
        node.pod("c", 0, 22),
    ];
    node.netns.enter(async || {
        let plane = start();
        plane.apply_node(&node.desired(&[0])).await.unwrap();
        let before = node.netns.dump();
        for pod in &pods {
            let links = plane.apply_pod(&pod.desired, pod.netns.fd()).await.unwrap();
            let removal = PodRemoval {
                host_ifindex: Some(links.host_ifindex),
                ..pod.removal()
            };
            plane
                .remove_pod(&removal, Some(pod.netns.fd()))
                .await
                .unwrap();
            let routes = node.netns.sh("ip route show table 20512");
            assert_eq!(routes, "", "the route is gone when the removal is answered");
            // Nothing is left to remove.
            plane.remove_pod(&removal, None).await.unwrap();
        }
        node.netns
            .eventually("as before", |node| node.dump() == before)
            .await;
        assert!(plane.observe_pods().await.unwrap().is_empty());
    });
    for pod in &pods {
        assert!(!pod.netns.sh("ip -o link").contains("eth0"));
    }
}

#[test]
fn observed_pods_are_those_that_stand() {
    let Some(node) = Node::new("observe") else {
        return;
    };
    node.attach(1);
    let (a, b) = (node.pod("a", 0, 20), node.pod("b", 1, 21));
    node.netns.enter(async || {
        let plane = start();
        plane.apply_pod(&a.desired, a.netns.fd()).await.unwrap();
        let links = plane.apply_pod(&b.desired, b.netns.fd()).await.unwrap();
        plane.remove_pod(&a.removal(), None).await.unwrap();
        let pods = plane.observe_pods().await.unwrap();
        assert_eq!(pods.len(), 1);
        assert_eq!(pods[0].ifindex, links.host_ifindex);
        assert_eq!(pods[0].name, links.host_ifname);
        assert_eq!(pods[0].alias, b.desired.alias);
        assert_eq!(pods[0].group, 7001);
        assert_eq!(pods[0].address, Some(b.desired.address));
    });
}

#[test]
fn a_link_with_another_alias_is_not_touched() {
    let Some(node) = Node::new("alias") else {
        return;
    };
    let pod = node.pod("a", 0, 20);
    node.netns.enter(async || {
        let plane = start();
        let links = plane.apply_pod(&pod.desired, pod.netns.fd()).await.unwrap();
        let before = node.netns.dump();
        // An index that was recycled: the link is another pod's by now.
        let stale = PodRemoval {
            alias: "berth:gone/eth0".into(),
            host_ifindex: Some(links.host_ifindex),
            ..pod.removal()
        };
        plane.remove_pod(&stale, None).await.unwrap();
        before.assert_same(&node.netns.dump());
    });
}

#[test]
fn a_pod_that_comes_back_a_hundred_times_keeps_its_name() {
    let Some(node) = Node::new("again") else {
        return;
    };
    node.netns.enter(async || {
        let plane = start();
        plane.apply_node(&node.desired(&[0])).await.unwrap();
        let before = node.netns.dump();
        let mut previous: Option<(Netns, PodRemoval)> = None;
        for round in 0..100_u8 {
            let address = Ipv4Addr::new(10, 0, 1, 100 + round);
            let desired = node.pod_desired("web-0", &round.to_string(), 0, address);
            let netns = Netns::new("again", &format!("web{round}")).unwrap();
            let links = plane.apply_pod(&desired, netns.fd()).await.unwrap();
            assert_eq!(links.host_ifname, desired.host_ifname);
            if let Some((_netns, removal)) = previous.take() {
                plane.remove_pod(&removal, None).await.unwrap();
            }
            let name = &desired.host_ifname;
            let route = format!("{address} dev {name} scope link");
            assert_eq!(node.netns.sh("ip route show table 20512").trim(), route);
            if round % 25 == 0 {
                assert!(node.netns.reaches(address), "round {round}");
            }
            let index = Some(links.host_ifindex);
            previous = Some((
                netns,
                PodRemoval {
                    host_ifindex: index,
                    ..removal(&desired)
                },
            ));
        }
        let (_netns, removal) = previous.unwrap();
        plane.remove_pod(&removal, None).await.unwrap();
        node.netns
            .eventually("as before", |node| node.dump() == before)
            .await;
    });
}

#[test]
fn an_add_right_after_its_own_del_makes_a_new_link() {
    let Some(node) = Node::new("readd") else {
        return;
    };
    let pod = node.pod("a", 0, 20);
    node.netns.enter(async || {
        let plane = start();
        plane.apply_node(&node.desired(&[0])).await.unwrap();
        let first = plane.apply_pod(&pod.desired, pod.netns.fd()).await.unwrap();
        plane.remove_pod(&pod.removal(), None).await.unwrap();
        let second = plane.apply_pod(&pod.desired, pod.netns.fd()).await.unwrap();
        assert_ne!(first.host_ifindex, second.host_ifindex);
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
        assert!(
            node.netns.reaches(pod.desired.address),
            "the reaper must not take the new link"
        );
    });
}

#[test]
fn an_add_right_after_the_del_of_another_container_in_its_namespace_makes_a_new_link() {
    let Some(node) = Node::new("heir") else {
        return;
    };
    let pod = node.pod("a", 0, 20);
    let address = Ipv4Addr::new(10, 0, 1, 21);
    node.assign(0, address);
    let heirs = [
        // The same pod's next container, whose host veth has the same name, and another pod's.
        node.pod_desired("a", "second", 0, address),
        node.pod_desired("b", "third", 0, address),
    ];
    node.netns.enter(async || {
        let plane = start();
        plane.apply_node(&node.desired(&[0])).await.unwrap();
        let mut last = pod.desired.clone();
        plane.apply_pod(&last, pod.netns.fd()).await.unwrap();
        for heir in heirs {
            let error = plane.apply_pod(&heir, pod.netns.fd()).await.unwrap_err();
            assert!(matches!(error, DataplaneError::InterfaceExists { .. }));
            plane.remove_pod(&removal(&last), None).await.unwrap();
            plane.apply_pod(&heir, pod.netns.fd()).await.unwrap();
            tokio::time::sleep(std::time::Duration::from_millis(500)).await;
            assert!(
                node.netns.reaches(heir.address),
                "the reaper must not take the new link"
            );
            last = heir;
        }
    });
}

/// The doomed interface still has the default route: the new one must not take itself for the second.
#[test]
fn an_add_of_another_interface_right_after_del_gets_the_pods_way_out() {
    let Some(node) = Node::new("next") else {
        return;
    };
    let pod = node.pod("a", 0, 20);
    let address = Ipv4Addr::new(10, 0, 1, 21);
    node.assign(0, address);
    let mut next = node.pod_desired("a", "a", 0, address);
    next.ifname = "net1".into();
    next.alias = "berth:next-a/net1".into();
    next.host_ifname = "eninext".into();
    node.netns.enter(async || {
        let plane = start();
        plane.apply_node(&node.desired(&[0])).await.unwrap();
        plane.apply_pod(&pod.desired, pod.netns.fd()).await.unwrap();
        plane.remove_pod(&pod.removal(), None).await.unwrap();
        plane.apply_pod(&next, pod.netns.fd()).await.unwrap();
        pod.netns
            .eventually("without eth0", |pod| !pod.sh("ip -o link").contains("eth0"))
            .await;
        let routes = pod.netns.sh("ip route");
        assert!(routes.contains("dev net1"), "{routes}");
        assert!(node.netns.reaches(address));
    });
}

#[test]
fn links_that_a_predecessor_left_are_reaped() {
    let Some(node) = Node::new("reaped") else {
        return;
    };
    let pod = node.pod("a", 0, 20);
    node.netns.sh(
        "ip link add left0 group 6999 type veth peer name left1 && \
         ip link add mine0 type veth peer name mine1 && \
         ip link add stray0 type veth peer name stray1 && \
         ip link set stray0 alias berth:x/eth0 && ip link set stray0 name gone$(cat /sys/class/net/stray0/ifindex)",
    );
    node.netns.enter(async || {
        let plane = start();
        let clean = |node: &Netns| {
            let links = node.sh("ip -o link");
            !links.contains("left0") && !links.contains("gone")
        };
        node.netns.eventually("reaped", clean).await;
        assert!(node.netns.sh("ip -o link").contains("mine0"));
        plane.apply_pod(&pod.desired, pod.netns.fd()).await.unwrap();
    });
}

#[test]
fn a_removed_pod_cannot_send() {
    let Some(node) = Node::new("silent") else {
        return;
    };
    let pod = node.pod("a", 0, 20);
    node.netns.enter(async || {
        let plane = start();
        plane.apply_node(&node.desired(&[0])).await.unwrap();
        plane.apply_pod(&pod.desired, pod.netns.fd()).await.unwrap();
    });
    assert!(pod.netns.reaches("10.0.1.10"));
    // As the reaper's group does, but without the reaper.
    let name = &pod.desired.host_ifname;
    node.netns.sh(&format!("ip link set {name} group 6999"));
    assert!(!pod.netns.reaches("10.0.1.10"));
}
