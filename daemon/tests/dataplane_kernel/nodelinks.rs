//! The node's links: found by MAC, waited for, addressed without disturbing what runs over them.

use berthd::dataplane::{Dataplane, DataplaneError, Object};

use crate::layout::{Node, eni, start};

#[test]
fn a_renamed_link_is_the_same_eni() {
    let Some(node) = Node::new("rename") else {
        return;
    };
    node.attach(1);
    node.netns.sh(
        "ip link set eth1 name ens6 && ip link set eth0 down && ip link set eth0 name ens5 && \
                   ip link set ens5 up && ip route add default via 10.0.1.1",
    );
    node.netns.enter(async || {
        start().apply_node(&node.desired(&[0, 1])).await.unwrap();
    });
    assert!(
        node.netns
            .sh("ip route show table 2")
            .contains("default via 10.0.1.1 dev ens6")
    );
    assert!(
        node.netns
            .sh("ip -4 address show ens6")
            .contains("inet 10.0.1.11/24 scope global noprefixroute")
    );
    assert!(node.nft().contains("iifname \"ens5\""));
}

#[test]
fn a_missing_link_fails_after_everything_else_is_applied() {
    let Some(node) = Node::new("missing") else {
        return;
    };
    node.attach(2);
    node.netns.enter(async || {
        let plane = start();
        let error = plane
            .apply_node(&node.desired(&[0, 1, 2]))
            .await
            .unwrap_err();
        assert!(
            matches!(error.error, DataplaneError::NoLink { mac } if mac == eni(1).mac),
            "{error}"
        );
        assert!(node.netns.sh("ip route show table 3").contains("default"));
        assert!(
            node.netns
                .sh("ip rule")
                .contains("fwmark 0x4/0x7e lookup 3")
        );
        assert!(node.nft().contains("7002 : jump eni2"));
        node.attach(1);
        plane.apply_node(&node.desired(&[0, 1, 2])).await.unwrap();
    });
}

#[test]
fn a_link_is_awaited() {
    let Some(node) = Node::new("await") else {
        return;
    };
    node.netns.enter(async || {
        let plane = start();
        let index = |name: &str| {
            let index = node.netns.sh(&format!("cat /sys/class/net/{name}/ifindex"));
            index.trim().parse::<u32>().unwrap()
        };
        assert_eq!(plane.wait_link(eni(0).mac).await.unwrap(), index("eth0"));
        let waiting = {
            let plane = plane.clone();
            tokio::spawn(async move { plane.wait_link(eni(1).mac).await })
        };
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        assert!(!waiting.is_finished());
        node.attach(1);
        assert_eq!(waiting.await.unwrap().unwrap(), index("eth1"));
    });
}

#[test]
fn other_addresses_of_the_subnet_leave_the_eni() {
    let Some(node) = Node::new("addresses") else {
        return;
    };
    node.attach(1);
    // As ec2-net-utils leaves it: all addresses on the link, the subnet's route in main.
    node.netns.sh(
        "ip link set eth1 up && ip address add 10.0.1.20/24 dev eth1 && ip address add 10.0.1.11/24 dev eth1",
    );
    node.netns.enter(async || {
        let plane = start();
        plane.apply_node(&node.desired(&[0, 1])).await.unwrap();
        let again = plane.apply_node(&node.desired(&[0, 1])).await.unwrap();
        assert_eq!(again, Default::default());
    });
    let addresses = node.netns.sh("ip -4 -o address show eth1");
    assert_eq!(addresses.lines().count(), 1, "{addresses}");
    assert!(addresses.contains("10.0.1.11/24"), "{addresses}");
    assert!(!node.netns.sh("ip route").contains("eth1"));
    assert!(
        node.netns
            .sh("ip route show table 2")
            .contains("default via 10.0.1.1 dev eth1")
    );
}

#[test]
fn an_address_with_its_route_in_main_stays_and_the_route_goes() {
    let Some(node) = Node::new("prefixroute") else {
        return;
    };
    node.attach(1);
    // As aws-node leaves it, with pods on the ENI that must not notice.
    node.netns.sh(
        "ip link set eth1 up && ip address add 10.0.1.11/24 dev eth1 && \
         ip route add 10.0.1.1 dev eth1 table 2 && ip route add default via 10.0.1.1 table 2",
    );
    node.netns.enter(async || {
        let changes = start().apply_node(&node.desired(&[0, 1])).await.unwrap();
        let counts = (
            changes.count(Object::EniAddress),
            changes.count(Object::EniRoute),
        );
        assert_eq!(counts, (0, 1));
    });
    assert!(!node.netns.sh("ip route").contains("eth1"));
}
