//! What somebody does to a node is told of by the kernel, and mended without a packet of others being lost: each object
//! is broken in a real namespace, with pods that go on pinging.

use std::time::{Duration, Instant};

use berthd::dataplane::{Dataplane, KernelConfig, KernelDataplane, Part, Parts, StandingPod};
use ipam::desired::NodeDesired;
use tokio::time::timeout;

use crate::layout::{Node, Pod, VPC_HOST, start};

/// Long enough for a notification on a machine with much to do.
const SOON: Duration = Duration::from_secs(5);
/// Nothing is told for so long: nothing will be.
const QUIET: Duration = Duration::from_millis(300);

/// What is done to the node, and what of it that puts in doubt.
const DAMAGE: [(&str, Part); 19] = [
    ("ip rule del priority 512", Part::Rules),
    // The kernel's own rule to main as well.
    (
        "ip rule flush && ip rule add priority 32767 lookup default",
        Part::Rules,
    ),
    ("nft flush chain ip berth steer", Part::Nft),
    (
        "nft delete element ip berth eni_of_veth { 7001 }",
        Part::Nft,
    ),
    ("nft flush map ip berth eni_of_veth", Part::Nft),
    ("nft delete table ip berth", Part::Nft),
    ("nft flush ruleset", Part::Nft),
    ("nft insert rule ip berth egress accept", Part::Nft),
    ("ip route del default table 2", Part::Enis),
    ("ip route flush table 2", Part::Enis),
    ("ip link set eth1 down", Part::Enis),
    ("ip link set eth1 mtu 1500", Part::Enis),
    ("ip link set eth1 address 0a:58:00:00:00:77", Part::Enis),
    ("ip address del 10.0.1.11/24 dev eth1", Part::Enis),
    ("sysctl -qw net.ipv4.conf.eth1.rp_filter=1", Part::Enis),
    ("sysctl -qw net.ipv4.ip_forward=0", Part::Enis),
    ("ip route flush table 20512", Part::Pods),
    ("ip link set POD group 7000", Part::Pods),
    ("ip link set POD down", Part::Pods),
];

/// A node with a pod on its second ENI; everything stands and nothing is in doubt.
struct World<'a> {
    node: &'a Node,
    pod: &'a Pod,
    plane: KernelDataplane,
    desired: NodeDesired,
    standing: StandingPod,
}

impl<'a> World<'a> {
    async fn new(node: &'a Node, pod: &'a Pod) -> Self {
        let plane = start();
        let desired = node.desired(&[0, 1]);
        plane.apply_node(&desired).await.unwrap();
        let links = plane.apply_pod(&pod.desired, pod.netns.fd()).await.unwrap();
        let world = Self {
            standing: StandingPod {
                interface: pod.desired.interface,
                ifindex: Some(links.host_ifindex),
                alias: pod.desired.alias.clone(),
                mac: pod.desired.host_mac,
                group: pod.desired.group,
                address: pod.desired.address,
            },
            node,
            pod,
            plane,
            desired,
        };
        world.settle().await;
        world
    }

    /// Mends what is told of until nothing is told any more, as the daemon does; what was in doubt.
    async fn settle(&self) -> Parts {
        let mut seen = Parts::NONE;
        while let Ok(doubts) = timeout(QUIET, self.plane.doubted()).await {
            let doubts = doubts.unwrap();
            seen = seen.and(doubts);
            self.mend(doubts).await;
        }
        seen
    }

    async fn mend(&self, parts: Parts) {
        if parts.contains(Part::Pods) {
            self.plane
                .mend_pods(vec![self.standing.clone()])
                .await
                .unwrap();
        }
        let parts = parts.without(Part::Pods.into());
        self.plane.mend_node(&self.desired, parts).await.unwrap();
    }

    fn sh(&self, line: &str) -> String {
        let line = line.replace("POD", &self.pod.desired.host_ifname);
        self.node.netns.sh(&line)
    }
}

#[test]
fn everything_that_is_broken_is_told_of_and_mended() {
    let Some(node) = Node::new("told") else {
        return;
    };
    node.attach(1);
    let pod = node.pod("a", 1, 20);
    node.netns.enter(async || {
        let world = World::new(&node, &pod).await;
        let before = (node.netns.dump(), node.nft());
        for (damage, part) in DAMAGE {
            world.sh(damage);
            let broken = Instant::now();
            let doubts = timeout(SOON, world.plane.doubted()).await;
            let doubts = doubts
                .unwrap_or_else(|_| panic!("{damage}: nothing was told"))
                .unwrap();
            assert!(doubts.contains(part), "{damage}: {doubts:?}");
            world.mend(doubts).await;
            eprintln!("{damage}: told and mended after {:?}", broken.elapsed());
            world.settle().await;
            before.0.assert_same(&node.netns.dump());
            assert_eq!(before.1, node.nft(), "{damage}");
            assert!(pod.netns.reaches(VPC_HOST), "{damage}");
        }
    });
}

/// Damage that the pod's own packets inside of the VPC do not meet: what they would notice is the mending.
const HARMLESS: [&str; 7] = [
    "nft flush chain ip berth egress",
    "nft delete element ip berth eni_of_veth { 7000 }",
    "nft insert rule ip berth entry accept",
    "ip rule del priority 1024",
    "ip rule del priority 32765",
    "ip link set eth0 mtu 1500",
    "sysctl -qw net.ipv4.conf.eth0.rp_filter=1",
];

#[test]
fn mending_loses_no_packet() {
    let Some(node) = Node::new("lossless") else {
        return;
    };
    node.attach(1);
    let pod = node.pod("a", 1, 20);
    node.netns.enter(async || {
        let world = World::new(&node, &pod).await;
        let line = format!("ping -n -q -i 0.01 -c 700 -W 2 {VPC_HOST}");
        let pings = std::thread::scope(|scope| {
            let pinging = scope.spawn(|| pod.netns.sh(&line));
            let mending = scope.spawn(|| {
                node.netns.enter(async || {
                    for damage in HARMLESS {
                        world.sh(damage);
                        let doubts = world.settle().await;
                        assert!(!doubts.is_empty(), "{damage}");
                    }
                });
            });
            mending.join().unwrap();
            assert!(!pinging.is_finished(), "the pings were too few");
            pinging.join().unwrap()
        });
        assert!(pings.contains(" 0% packet loss"), "{pings}");
    });
}

#[test]
fn adds_and_dels_put_nothing_in_doubt() {
    let Some(node) = Node::new("owndoing") else {
        return;
    };
    node.attach(1);
    let pod = node.pod("a", 1, 20);
    node.netns.enter(async || {
        let world = World::new(&node, &pod).await;
        for host_number in 30..40 {
            let other = node.pod(&format!("p{host_number}"), 1, host_number);
            let plane = &world.plane;
            plane
                .apply_pod(&other.desired, other.netns.fd())
                .await
                .unwrap();
            plane.remove_pod(&other.removal(), None).await.unwrap();
        }
        // Long enough for the reaper as well.
        let told = timeout(Duration::from_secs(1), world.plane.doubted()).await;
        assert!(told.is_err(), "{told:?}");
    });
}

#[test]
fn what_others_do_for_themselves_puts_nothing_in_doubt() {
    let Some(node) = Node::new("others2") else {
        return;
    };
    node.attach(1);
    let pod = node.pod("a", 1, 20);
    node.netns.enter(async || {
        let world = World::new(&node, &pod).await;
        for doing in [
            "nft add table ip kube && nft add chain ip kube c && nft delete table ip kube",
            "nft add table ip6 berth && nft delete table ip6 berth",
            "ip rule add priority 100 to 192.0.2.1 lookup 100 && ip rule del priority 100",
            "ip route add 192.0.2.0/24 dev eth0 && ip route del 192.0.2.0/24",
            "ip link add vx type veth peer name vy && ip link set vx up && ip link del vx",
            "sysctl -qw net.ipv4.conf.lo.rp_filter=1",
            "ip address add 192.0.2.1/32 dev eth0 && ip address del 192.0.2.1/32 dev eth0",
        ] {
            node.netns.sh(doing);
            let told = timeout(QUIET, world.plane.doubted()).await;
            assert!(told.is_err(), "{doing}: {told:?}");
        }
    });
}

#[test]
fn a_lost_eni_is_noticed_and_one_that_comes_back_is_set_up() {
    let Some(node) = Node::new("comeback") else {
        return;
    };
    node.attach(1);
    let pod = node.pod("a", 1, 20);
    node.netns.enter(async || {
        let world = World::new(&node, &pod).await;
        node.vpc.sh("ip link del eni1");
        let told = timeout(SOON, world.plane.doubted()).await.unwrap().unwrap();
        assert!(told.contains(Part::Enis), "{told:?}");
        let missing = world.plane.mend_node(&world.desired, told).await;
        assert!(missing.is_err());
        node.attach(1);
        node.assign(1, pod.desired.address);
        world.settle().await;
        assert!(pod.netns.reaches(VPC_HOST));
    });
}

#[test]
fn more_notifications_than_fit_put_everything_in_doubt() {
    let Some(node) = Node::new("overrun") else {
        return;
    };
    node.netns.enter(async || {
        let plane = KernelDataplane::start(KernelConfig {
            // As little as the kernel gives: two or three messages.
            queue: 0,
            ..KernelConfig::default()
        });
        let plane = plane.unwrap();
        plane.apply_node(&node.desired(&[0])).await.unwrap();
        while timeout(QUIET, plane.doubted()).await.is_ok() {}
        // A link of somebody else, on which nothing of ours depends, goes with a thousand addresses and routes at once. The
        // listener may be as fast as the kernel, but hardly ever for long.
        let mut told = None;
        for _ in 0..20 {
            node.netns.sh(
                "ip link add many type veth peer name few && ip link set many up && \
                 for host in $(seq 0 1000); do echo address add 198.18.$((host / 256)).$((host % 256))/32 dev many; done \
                 | ip -batch - && ip link del many",
            );
            told = timeout(QUIET, plane.doubted()).await.ok();
            if told.is_some() {
                break;
            }
        }
        let told = told.unwrap().unwrap();
        assert_eq!(told, Parts::NETLINK);
    });
}
