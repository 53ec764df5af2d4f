//! Forwarding alone: a namespace between the VPC's router and a pod that has a route for each pod and nothing else.
//!
//! Or, for comparison, with its connections tracked: what a node with kube-proxy pays before anybody steers its pods.
//!
//! It is made by hand beside the nodes, and never has a rule or a netfilter table: the kernel looks routes up in a slower
//! way in a namespace that had a rule once, even after it is gone (`fib_has_custom_rules`, include/net/ip_fib.h).

use std::fmt::Write as _;
use std::net::Ipv4Addr;

use e2e::netns::Netns;

use super::batch::{batch, feed};
use super::path::End;

/// A third octet of 10.0.x.y that is in no subnet of the mock cloud's.
const TRANSIT: u8 = 254;
/// Pods' addresses begin here.
const PODS: [u8; 4] = [10, 0, 192, 1];

/// What switches connection tracking on is a rule that asks for it.
const TRACKED: &str = "table ip tracked {
  chain ask { type filter hook prerouting priority mangle; policy accept; ct state invalid counter drop; }
  chain translate { type nat hook postrouting priority srcnat; policy accept; ip saddr 192.0.2.1 masquerade; }
}";

/// A node that only forwards, and its pod.
#[derive(Debug)]
pub struct Plain {
    node: Netns,
    pod: Netns,
    address: Ipv4Addr,
}

impl Plain {
    /// The `number`th of them, linked to `router`, with routes of no other pod.
    ///
    /// # Errors
    /// `ip` failed.
    pub fn create(router: &Netns, number: u8) -> anyhow::Result<Self> {
        let node = Netns::unique(&format!("packets-plain{number}"))?;
        let pod = Netns::unique(&format!("packets-plainpod{number}"))?;
        let address = Ipv4Addr::new(PODS[0], PODS[1], 250, number);
        let plain = Self { node, pod, address };
        plain.link_to(router, number)?;
        plain.link_pod()?;
        // The same as berth sets, where it matters to the cost of a packet.
        plain.node.sysctl("net.ipv4.ip_forward", "1")?;
        plain.node.sysctl("net.ipv4.conf.eth1.rp_filter", "2")?;
        Ok(plain)
    }

    /// As the fabric plugs in an ENI.
    fn link_to(&self, router: &Netns, number: u8) -> anyhow::Result<()> {
        let (link, node) = (format!("plain{number}"), self.node.name());
        let [gateway, own] =
            [number * 4 + 1, number * 4 + 2].map(|n| Ipv4Addr::new(10, 0, TRANSIT, n));
        let address = self.address;
        batch(
            router,
            &format!(
                "link add {link} up mtu 9001 numtxqueues 1 numrxqueues 1 type veth \
                 peer name eth1 netns {node} mtu 9001 numtxqueues 1 numrxqueues 1\n\
                 addr add {gateway}/30 dev {link}\nroute add {address}/32 via {own} dev {link}\n"
            ),
        )?;
        batch(
            &self.node,
            &format!(
                "addr add {own}/30 dev eth1\nlink set eth1 up\nroute add default via {gateway} dev eth1\n"
            ),
        )
    }

    /// As berth wires a pod.
    fn link_pod(&self) -> anyhow::Result<()> {
        let (pod, address) = (self.pod.name(), self.address);
        batch(
            &self.node,
            &format!(
                "link add enipod up mtu 9001 numtxqueues 1 numrxqueues 1 type veth \
                 peer name eth0 netns {pod} mtu 9001 numtxqueues 1 numrxqueues 1\n\
                 route add {address}/32 dev enipod scope link\n"
            ),
        )?;
        let shown = self.node.ip(&["-o", "link", "show", "dev", "enipod"])?;
        let mac = shown.split_once("link/ether ").map_or("", |(_, rest)| rest);
        let mac = mac.split(' ').next().unwrap_or_default();
        batch(
            &self.pod,
            &format!(
                "addr add {address}/32 dev eth0\nlink set eth0 up\nroute add 169.254.1.1 dev eth0 scope link\n\
                 route add default via 169.254.1.1\nneigh add 169.254.1.1 lladdr {mac} dev eth0 nud permanent\n"
            ),
        )
    }

    /// Has every packet's connection tracked and looked up for translation, as it is wherever kube-proxy runs, without a
    /// rule that would match.
    ///
    /// # Errors
    /// `nft` failed.
    pub fn track(&self) -> anyhow::Result<()> {
        feed(self.node.command("nft").args(["-f", "-"]), TRACKED)
    }

    /// Makes it `pods` routes beside the measured pod's. They all lead to that one's link: a packet does not pay for links.
    ///
    /// # Errors
    /// `ip` failed.
    pub fn grow(&self, pods: u32) -> anyhow::Result<()> {
        let first = Ipv4Addr::from(PODS).to_bits();
        let mut lines = String::new();
        for number in 0..pods {
            let address = Ipv4Addr::from_bits(first + number);
            writeln!(lines, "route replace {address}/32 dev enipod scope link")?;
        }
        batch(&self.node, &lines)
    }

    /// The namespace that forwards, the pod behind it, and the link in front.
    #[must_use]
    pub fn path(&self) -> (&Netns, End<'_>, String) {
        let pod = End {
            netns: &self.pod,
            address: self.address,
        };
        (&self.node, pod, "eth1".to_owned())
    }
}
