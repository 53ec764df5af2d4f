//! Wiring pods: what stands after an ADD, after a second one, and after one that fails.

use std::fs::{self, File};
use std::net::Ipv4Addr;
use std::sync::Arc;

use berthd::dataplane::{Dataplane, DataplaneError, KernelConfig, KernelDataplane};

use crate::layout::{Node, primary_address, start};

#[test]
fn pods_reach_the_node_and_each_other() {
    let Some(node) = Node::new("reach") else {
        return;
    };
    let (a, b) = (node.pod("a", 0, 20), node.pod("b", 0, 21));
    node.netns.enter(async || {
        let plane = start();
        plane.apply_node(&node.desired(&[0])).await.unwrap();
        for pod in [&a, &b] {
            let links = plane.apply_pod(&pod.desired, pod.netns.fd()).await.unwrap();
            assert_eq!(links.host_ifname, pod.desired.host_ifname);
            assert_eq!(links.host_mac, pod.desired.host_mac);
            assert_eq!(links.pod_mac, pod.desired.pod_mac);
        }
    });
    assert!(a.netns.reaches(primary_address(0)));
    assert!(a.netns.reaches(b.desired.address));
    assert!(node.netns.reaches(b.desired.address));
}

#[test]
fn a_pod_stands_as_laid_out() {
    let Some(node) = Node::new("stands") else {
        return;
    };
    let pod = node.pod("a", 0, 20);
    let links = node.netns.enter(async || {
        let plane = start();
        plane.apply_pod(&pod.desired, pod.netns.fd()).await.unwrap()
    });
    let link = node
        .netns
        .sh(&format!("ip -d link show {}", links.host_ifname));
    for part in [
        "state UP",
        "mtu 8950",
        "group 7000",
        "numtxqueues 1",
        "numrxqueues 1",
        "alias berth:stands-a/eth0",
        &links.host_mac.to_string(),
    ] {
        assert!(link.contains(part), "{part}: {link}");
    }
    let route = node.netns.sh("ip route show table 20512");
    assert_eq!(
        route.trim(),
        format!("10.0.1.20 dev {} scope link", links.host_ifname)
    );
    let ipv6_off = format!("sysctl -n net.ipv6.conf.{}.disable_ipv6", links.host_ifname);
    assert_eq!(node.netns.sh(&ipv6_off).trim(), "1");

    let inside = pod
        .netns
        .sh("ip -d link show eth0; ip -4 address show eth0");
    for part in ["state UP", "mtu 8950", "numtxqueues 1", "inet 10.0.1.20/32"] {
        assert!(inside.contains(part), "{part}: {inside}");
    }
    assert_eq!(
        pod.netns.sh("ip route").replace(" \n", "\n"),
        "default via 169.254.1.1 dev eth0\n169.254.1.1 dev eth0 scope link\n"
    );
    assert_eq!(
        pod.netns.sh("ip neighbour show nud permanent").trim(),
        format!("169.254.1.1 dev eth0 lladdr {} PERMANENT", links.host_mac)
    );
}

#[test]
fn a_repeated_add_changes_nothing() {
    let Some(node) = Node::new("twice") else {
        return;
    };
    let pod = node.pod("a", 0, 20);
    node.netns.enter(async || {
        let plane = start();
        let first = plane.apply_pod(&pod.desired, pod.netns.fd()).await.unwrap();
        let (host, inside) = (node.netns.dump(), pod.netns.dump());
        let second = plane.apply_pod(&pod.desired, pod.netns.fd()).await.unwrap();
        assert_eq!(first, second);
        host.assert_same(&node.netns.dump());
        inside.assert_same(&pod.netns.dump());
    });
}

#[test]
fn a_half_made_pod_is_completed() {
    let Some(node) = Node::new("half") else {
        return;
    };
    let pod = node.pod("a", 0, 20);
    node.netns.enter(async || {
        let plane = start();
        plane.apply_pod(&pod.desired, pod.netns.fd()).await.unwrap();
        let (host, inside) = (node.netns.dump(), pod.netns.dump());
        pod.netns.sh("ip neighbour flush dev eth0 nud all; ip address flush dev eth0; ip link set eth0 down mtu 1400");
        let name = &pod.desired.host_ifname;
        node.netns
            .sh(&format!("ip route flush table 20512; ip link set {name} group 0 mtu 1400"));
        plane.apply_pod(&pod.desired, pod.netns.fd()).await.unwrap();
        host.assert_same(&node.netns.dump());
        inside.assert_same(&pod.netns.dump());
    });
}

/// What a daemon leaves that is killed between making a veth and naming its owner.
fn half_make(node: &Node, pod: &crate::layout::Pod) {
    let desired = &pod.desired;
    node.netns.sh(&format!(
        "ip link add {} address {} group {} type veth peer name eth0 address {} netns {}",
        desired.host_ifname,
        desired.host_mac,
        desired.group,
        desired.pod_mac,
        pod.netns.name()
    ));
}

#[test]
fn an_add_that_died_before_it_named_its_link_is_repeated() {
    let Some(node) = Node::new("unnamed") else {
        return;
    };
    let pod = node.pod("a", 0, 20);
    half_make(&node, &pod);
    node.netns.enter(async || {
        let plane = start();
        plane.apply_node(&node.desired(&[0])).await.unwrap();
        plane.apply_pod(&pod.desired, pod.netns.fd()).await.unwrap();
    });
    assert!(node.netns.reaches(pod.desired.address));
}

#[test]
fn a_link_without_an_owner_is_no_pod_and_goes() {
    let Some(node) = Node::new("ownerless") else {
        return;
    };
    let (half, whole) = (node.pod("a", 0, 20), node.pod("b", 0, 21));
    half_make(&node, &half);
    node.netns.enter(async || {
        let plane = start();
        plane
            .apply_pod(&whole.desired, whole.netns.fd())
            .await
            .unwrap();
        let pods = plane.observe_pods().await.unwrap();
        let aliases: Vec<&str> = pods.iter().map(|pod| pod.alias.as_str()).collect();
        assert_eq!(aliases, [whole.desired.alias.as_str()]);
        // Its retry may come before the reaper.
        plane
            .apply_pod(&half.desired, half.netns.fd())
            .await
            .unwrap();
    });
    assert!(
        half.netns
            .sh("ip -4 address show eth0")
            .contains("10.0.1.20")
    );
}

#[test]
fn an_interface_that_is_not_ours_is_left_alone() {
    let Some(node) = Node::new("exists") else {
        return;
    };
    let pod = node.pod("a", 0, 20);
    let other = node.pod("b", 0, 21);
    pod.netns.sh(&format!(
        "ip link add eth0 type veth peer name other0 netns {} && ip link set eth0 up",
        node.netns.name()
    ));
    node.netns.enter(async || {
        let plane = start();
        let (host, inside) = (node.netns.dump(), pod.netns.dump());
        let error = plane
            .apply_pod(&pod.desired, pod.netns.fd())
            .await
            .unwrap_err();
        assert!(
            matches!(error, DataplaneError::InterfaceExists { ref ifname } if ifname == "eth0")
        );
        host.assert_same(&node.netns.dump());
        inside.assert_same(&pod.netns.dump());

        // The same if it is ours, but of another attachment.
        plane
            .apply_pod(&other.desired, other.netns.fd())
            .await
            .unwrap();
        let inside = other.netns.dump();
        let error = plane
            .apply_pod(&pod.desired, other.netns.fd())
            .await
            .unwrap_err();
        assert!(matches!(error, DataplaneError::InterfaceExists { .. }));
        inside.assert_same(&other.netns.dump());
    });
}

#[test]
fn a_descriptor_that_is_no_namespace_leaves_nothing() {
    let Some(node) = Node::new("nofd") else {
        return;
    };
    let pod = node.pod("a", 0, 20);
    node.netns.enter(async || {
        let plane = start();
        let before = node.netns.dump();
        let null = Arc::new(File::open("/dev/null").unwrap().into());
        let error = plane.apply_pod(&pod.desired, null).await.unwrap_err();
        assert!(matches!(error, DataplaneError::Netns { .. }), "{error}");
        before.assert_same(&node.netns.dump());
    });
}

#[test]
fn a_failing_step_takes_everything_back() {
    let Some(node) = Node::new("undo") else {
        return;
    };
    let pod = node.pod("a", 0, 20);
    // A directory where the sysctl's file should be: the write fails when the veth exists already.
    let proc_root = tempfile::tempdir().unwrap();
    let conf = proc_root
        .path()
        .join("sys/net/ipv6/conf")
        .join(&pod.desired.host_ifname);
    fs::create_dir_all(conf.join("disable_ipv6")).unwrap();
    node.netns.enter(async || {
        let plane = KernelDataplane::start(KernelConfig {
            proc_root: proc_root.path().to_owned(),
            ..KernelConfig::default()
        })
        .unwrap();
        let (host, inside) = (node.netns.dump(), pod.netns.dump());
        let error = plane
            .apply_pod(&pod.desired, pod.netns.fd())
            .await
            .unwrap_err();
        assert!(matches!(error, DataplaneError::Sysctl { .. }), "{error}");
        host.assert_same(&node.netns.dump());
        inside.assert_same(&pod.netns.dump());
    });
}

#[test]
fn an_address_goes_to_the_pod_that_has_it_now() {
    let Some(node) = Node::new("steal") else {
        return;
    };
    let (old, new) = (node.pod("old", 0, 20), node.pod("new", 0, 20));
    node.netns.enter(async || {
        let plane = start();
        plane.apply_node(&node.desired(&[0])).await.unwrap();
        plane.apply_pod(&old.desired, old.netns.fd()).await.unwrap();
        plane.apply_pod(&new.desired, new.netns.fd()).await.unwrap();
        // The old pod's DEL comes late and takes nothing of the new one's.
        plane.remove_pod(&old.removal(), None).await.unwrap();
    });
    assert_eq!(
        node.netns.sh("ip route show table 20512").trim(),
        format!("10.0.1.20 dev {} scope link", new.desired.host_ifname)
    );
    assert!(node.netns.reaches(Ipv4Addr::new(10, 0, 1, 20)));
    assert!(new.netns.reaches(primary_address(0)));
}

#[test]
fn a_default_route_of_another_interface_stays() {
    let Some(node) = Node::new("second") else {
        return;
    };
    let mut pod = node.pod("a", 0, 20);
    pod.desired.ifname = "net1".into();
    pod.netns.sh("ip link add eth0 type veth peer name x && ip link set eth0 up && ip link set x up && ip address add 192.0.2.2/24 dev eth0 && ip route add default via 192.0.2.1");
    node.netns.enter(async || {
        start()
            .apply_pod(&pod.desired, pod.netns.fd())
            .await
            .unwrap();
    });
    let routes = pod.netns.sh("ip route");
    assert!(
        routes.contains("default via 192.0.2.1 dev eth0"),
        "{routes}"
    );
    assert!(!routes.contains("default via 169.254.1.1"), "{routes}");
}

#[test]
fn a_second_interface_leaves_by_its_own_eni_and_goes_without_a_trace() {
    let Some(node) = Node::new("two") else {
        return;
    };
    node.attach(1);
    let pod = node.pod("a", 0, 20);
    let address = Ipv4Addr::new(10, 0, 1, 30);
    node.assign(1, address);
    let mut second = node.pod_desired("a", "a", 1, address);
    second.ifname = "net1".into();
    second.alias = "berth:two-a/net1".into();
    second.host_ifname = "enisecond".into();
    second.host_mac = ipam::Mac([2, 0, 0, 0, 1, 1]);
    second.pod_mac = ipam::Mac([2, 0, 0, 0, 1, 2]);
    node.netns.enter(async || {
        let plane = start();
        plane.apply_node(&node.desired(&[0, 1])).await.unwrap();
        plane.apply_pod(&pod.desired, pod.netns.fd()).await.unwrap();
        let (host, inside) = (node.netns.dump(), pod.netns.dump());
        let links = plane.apply_pod(&second, pod.netns.fd()).await.unwrap();
        let both = pod.netns.dump();
        assert_eq!(
            plane.apply_pod(&second, pod.netns.fd()).await.unwrap(),
            links
        );
        both.assert_same(&pod.netns.dump());
        // The VPC takes an address from its own ENI only.
        for address in [pod.desired.address, address] {
            assert!(pod.netns.reaches(format!("-I {address} 10.0.9.9")));
            assert!(node.netns.reaches(address));
            assert!(node.vpc.reaches(format!("-I 10.0.9.9 {address}")));
        }
        let observed = plane
            .observe_attachment(&second, Some(links.host_ifindex), pod.netns.fd())
            .await
            .unwrap();
        let remembered = ipam::desired::check::Remembered {
            mac: Some(links.pod_mac),
            addresses: vec![address.into()],
        };
        let found = ipam::desired::check::deviations(&second, &remembered, &observed);
        assert!(found.is_empty(), "{found:?}");
        let removal = crate::layout::removal(&second);
        plane
            .remove_pod(&removal, Some(pod.netns.fd()))
            .await
            .unwrap();
        node.netns
            .eventually("as before", |node| node.dump() == host)
            .await;
        inside.assert_same(&pod.netns.dump());
        assert!(pod.netns.reaches("10.0.9.9"));
    });
}
