//! CHECK's observation: what stands has no deviation, and each piece that somebody breaks is named, alone.

use berthd::dataplane::{Dataplane, KernelDataplane, PodLinks};
use ipam::desired::PodDesired;
use ipam::desired::check::{Deviation, Remembered, deviations};

use crate::layout::{Node, Pod, start};

/// What the runtime remembers of a pod, as its ADD answered.
fn remembered(desired: &PodDesired, links: &PodLinks) -> Remembered {
    Remembered {
        mac: Some(links.pod_mac),
        addresses: vec![desired.address.into()],
    }
}

/// What CHECK says of a pod.
async fn check(plane: &KernelDataplane, pod: &Pod, links: &PodLinks) -> Vec<String> {
    let desired = &pod.desired;
    let observed = plane
        .observe_attachment(desired, Some(links.host_ifindex), pod.netns.fd())
        .await
        .unwrap();
    let found = deviations(desired, &remembered(desired, links), &observed);
    found.iter().map(Deviation::to_string).collect()
}

/// What somebody does to a pod or its node, and what CHECK says of it. `LINK`, `HOST_MAC` and `POD_MAC` are those of the
/// pod's link.
struct Break {
    in_pod: bool,
    damage: &'static str,
    texts: &'static [&'static str],
    mend: &'static str,
}

const fn in_pod(damage: &'static str, texts: &'static [&'static str], mend: &'static str) -> Break {
    Break {
        in_pod: true,
        damage,
        texts,
        mend,
    }
}

const fn on_node(
    damage: &'static str,
    texts: &'static [&'static str],
    mend: &'static str,
) -> Break {
    Break {
        in_pod: false,
        ..in_pod(damage, texts, mend)
    }
}

/// Without any address the kernel takes the routes too, so another one comes first.
const NO_ADDRESS: &str =
    "ip address add 192.0.2.7/32 dev eth0 && ip address delete 10.0.1.20/32 dev eth0";
const NO_HOST_ROUTE: &str = "route to 10.0.1.20 in table 20512 is missing on the host";

const BREAKS: [Break; 12] = [
    in_pod(
        NO_ADDRESS,
        &["address 10.0.1.20/32 is missing on interface eth0"],
        "ip address add 10.0.1.20/32 dev eth0 noprefixroute",
    ),
    in_pod(
        "ip route delete default",
        &["route to 0.0.0.0/0 is missing on interface eth0"],
        "ip route add default via 169.254.1.1 dev eth0",
    ),
    in_pod(
        "ip route delete default && ip route delete 169.254.1.1",
        &[
            "route to 169.254.1.1/32 is missing on interface eth0",
            "route to 0.0.0.0/0 is missing on interface eth0",
        ],
        "ip route add 169.254.1.1 dev eth0 scope link && ip route add default via 169.254.1.1",
    ),
    in_pod(
        "ip neighbour delete 169.254.1.1 dev eth0",
        &["neighbour 169.254.1.1 is missing in the pod"],
        "ip neighbour add 169.254.1.1 lladdr HOST_MAC dev eth0 nud permanent",
    ),
    in_pod(
        "ip neighbour replace 169.254.1.1 lladdr 02:00:00:00:00:99 dev eth0 nud permanent",
        &["neighbour 169.254.1.1 has MAC 02:00:00:00:00:99, not the host link's"],
        "ip neighbour replace 169.254.1.1 lladdr HOST_MAC dev eth0 nud permanent",
    ),
    in_pod(
        // The kernel forgets the neighbours of a link whose MAC changes.
        "ip link set eth0 address 02:00:00:00:00:98",
        &[
            "interface eth0 has MAC 02:00:00:00:00:98 instead of POD_MAC",
            "neighbour 169.254.1.1 is missing in the pod",
        ],
        "ip link set eth0 address POD_MAC && \
         ip neighbour add 169.254.1.1 lladdr HOST_MAC dev eth0 nud permanent",
    ),
    on_node(
        "ip link set LINK group 0",
        &["link LINK is in group 0 instead of 7000"],
        "ip link set LINK group 7000",
    ),
    on_node(
        "ip link set LINK alias another",
        &["link berth:check-a/eth0 is missing on the host"],
        "ip link set LINK alias berth:check-a/eth0",
    ),
    on_node(
        "ip link set LINK group 6999",
        &["link berth:check-a/eth0 is missing on the host"],
        "ip link set LINK group 7000",
    ),
    on_node(
        "ip route delete 10.0.1.20/32 table 20512",
        &[NO_HOST_ROUTE],
        "ip route add 10.0.1.20/32 dev LINK table 20512 scope link",
    ),
    on_node(
        "ip route replace 10.0.1.20/32 dev eth0 table 20512 scope link",
        &[NO_HOST_ROUTE],
        "ip route replace 10.0.1.20/32 dev LINK table 20512 scope link",
    ),
    on_node(
        "ip link set LINK down",
        &["link LINK is down", NO_HOST_ROUTE],
        "ip link set LINK up && ip route add 10.0.1.20/32 dev LINK table 20512 scope link",
    ),
];

#[test]
fn each_broken_piece_is_named() {
    let Some(node) = Node::new("check") else {
        return;
    };
    let pod = node.pod("a", 0, 20);
    node.netns.enter(async || {
        let plane = start();
        let links = plane.apply_pod(&pod.desired, pod.netns.fd()).await.unwrap();
        let named = |text: &str| {
            text.replace("LINK", &links.host_ifname)
                .replace("HOST_MAC", &links.host_mac.to_string())
                .replace("POD_MAC", &links.pod_mac.to_string())
        };
        for broken in BREAKS {
            assert_eq!(check(&plane, &pod, &links).await, Vec::<String>::new());
            let netns = if broken.in_pod {
                &pod.netns
            } else {
                &node.netns
            };
            netns.sh(&named(broken.damage));
            let texts: Vec<String> = broken.texts.iter().map(|text| named(text)).collect();
            assert_eq!(
                check(&plane, &pod, &links).await,
                texts,
                "{}",
                broken.damage
            );
            netns.sh(&named(broken.mend));
        }
        assert_eq!(check(&plane, &pod, &links).await, Vec::<String>::new());
        // Down inside, it loses what stood on it.
        pod.netns.sh("ip link set eth0 down");
        let found = check(&plane, &pod, &links).await;
        assert_eq!(found[0], "link eth0 is down");
    });
}

#[test]
fn looking_changes_nothing_and_what_others_did_is_theirs() {
    let Some(node) = Node::new("look") else {
        return;
    };
    let pod = node.pod("a", 0, 20);
    node.netns.enter(async || {
        let plane = start();
        let links = plane.apply_pod(&pod.desired, pod.netns.fd()).await.unwrap();
        pod.netns.sh(
            "ip address add 192.0.2.7/24 dev eth0 && ip link add net1 type veth peer name net2 && ip link set net1 mtu 1400 up && \
             ip link set eth0 mtu 1400 && ip route replace default dev net1 && ip route add 198.51.100.0/24 dev net1",
        );
        node.netns.sh(&format!("ip link set {} name renamed", links.host_ifname));
        let (host, inside) = (node.netns.dump(), pod.netns.dump());
        assert_eq!(check(&plane, &pod, &links).await, Vec::<String>::new());
        host.assert_same(&node.netns.dump());
        inside.assert_same(&pod.netns.dump());
    });
}

#[test]
fn an_interface_of_the_same_name_is_not_the_pods() {
    let Some(node) = Node::new("impostor") else {
        return;
    };
    let (pod, other) = (node.pod("a", 0, 20), node.pod("b", 0, 21));
    node.netns.enter(async || {
        let plane = start();
        let links = plane.apply_pod(&pod.desired, pod.netns.fd()).await.unwrap();
        plane
            .apply_pod(&other.desired, other.netns.fd())
            .await
            .unwrap();
        // The namespace of another sandbox.
        let observed = plane
            .observe_attachment(&pod.desired, Some(links.host_ifindex), other.netns.fd())
            .await
            .unwrap();
        let found = deviations(&pod.desired, &remembered(&pod.desired, &links), &observed);
        assert!(
            found.contains(&Deviation::NotPeer("eth0".into())),
            "{found:?}"
        );

        pod.netns
            .sh("ip link set eth0 down && ip link set eth0 name old0");
        assert_eq!(
            check(&plane, &pod, &links).await,
            ["interface eth0 is missing in the pod"]
        );
        pod.netns
            .sh("ip link add eth0 type bridge && ip link set eth0 up && \
             ip address add 10.0.1.20/32 dev eth0");
        let found = check(&plane, &pod, &links).await;
        assert_eq!(
            found[0],
            "interface eth0 in the pod is not the host link's peer"
        );

        pod.netns.sh("ip link delete eth0; ip link delete old0");
        assert_eq!(
            check(&plane, &pod, &links).await,
            [
                "link berth:impostor-a/eth0 is missing on the host",
                "route to 10.0.1.20 in table 20512 is missing on the host",
                "interface eth0 is missing in the pod",
            ]
        );
    });
}

#[test]
fn behind_another_plugin_its_link_is_found_whoever_named_it() {
    for alias in ["", "another plugin's"] {
        let Some(node) = Node::new("checkchain") else {
            return;
        };
        let mut pod = node.pod("a", 0, 20);
        pod.desired.interface = ipam::PodInterface::Existing;
        pod.netns.sh(&format!(
            "ip link add eth0 type veth peer name veth1 netns {} && ip link set eth0 up && \
             ip address add 192.168.77.5/24 dev eth0",
            node.netns.name()
        ));
        node.netns.sh("ip link set veth1 up");
        if !alias.is_empty() {
            node.netns
                .sh(&format!("ip link set veth1 alias \"{alias}\""));
        }
        node.netns.enter(async || {
            let plane = start();
            let links = plane.apply_pod(&pod.desired, pod.netns.fd()).await.unwrap();
            assert_eq!(
                check(&plane, &pod, &links).await,
                Vec::<String>::new(),
                "{alias}"
            );
            pod.netns.sh("ip address delete 10.0.1.20/32 dev eth0");
            node.netns.sh("ip link set veth1 group 0");
            let found = check(&plane, &pod, &links).await;
            assert_eq!(
                found,
                [
                    "link veth1 is in group 0 instead of 7000",
                    "address 10.0.1.20/32 is missing on interface eth0"
                ],
                "{alias}"
            );
        });
    }
}
