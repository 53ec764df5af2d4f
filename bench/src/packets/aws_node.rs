//! aws-node's layout for the pods of a node: two `ip rule`s for each, and its iptables chains, with the values of
//! amazon-vpc-cni-k8s v1.23 (`pkg/networkutils/network.go`, `cmd/routed-eni-cni-plugin/driver/driver.go`). The ENIs' tables,
//! their rules by source and the pods' links are the same in both layouts, and stay.

use std::fmt::Write as _;
use std::net::Ipv4Addr;

use e2e::netns::{Netns, output};

use super::batch::{batch, feed};

/// A pod as the host sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPod {
    /// Its address.
    pub address: Ipv4Addr,
    /// Its host veth.
    pub link: String,
    /// Its ENI's routing table.
    pub table: u32,
}

/// What the layout depends on beside the pods.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// The node's own address, to which it translates.
    pub address: Ipv4Addr,
    /// Each secondary ENI's primary address with its table.
    pub enis: Vec<(Ipv4Addr, u32)>,
}

/// Lays it, in place of all rules that stand.
///
/// # Errors
/// `ip` or `iptables-restore` failed.
pub fn lay(node: &Netns, host: &Host, pods: &[HostPod]) -> anyhow::Result<()> {
    clear_rules(node)?;
    let mut lines = String::new();
    for HostPod {
        address,
        link,
        table,
    } in pods
    {
        writeln!(lines, "route replace {address}/32 dev {link} scope link")?;
        writeln!(lines, "rule add priority 512 to {address} lookup main")?;
        writeln!(
            lines,
            "rule add priority 1536 from {address} lookup {table}"
        )?;
    }
    writeln!(lines, "rule add priority 1024 fwmark 0x80/0x80 lookup main")?;
    for (address, table) in &host.enis {
        writeln!(
            lines,
            "rule add priority 32765 from {address} lookup {table}"
        )?;
    }
    batch(node, &lines)?;
    feed(&mut node.command("iptables-restore"), &chains(host.address))
}

/// Takes it away; afterwards the kernel's own rules stand, and no others.
///
/// # Errors
/// `ip` or `nft` failed.
pub fn clear(node: &Netns, pods: &[HostPod]) -> anyhow::Result<()> {
    clear_rules(node)?;
    let routes = pods
        .iter()
        .map(|pod| format!("route del {}/32 dev {}\n", pod.address, pod.link));
    batch(node, &routes.collect::<String>())?;
    for table in ["mangle", "nat"] {
        // iptables -F and -X would leave the table and its hooks
        output(node.command("nft").args(["delete", "table", "ip", table]))?;
    }
    Ok(())
}

fn clear_rules(node: &Netns) -> anyhow::Result<()> {
    // A listing of many rules starts again where it stopped, and what it skipped is not flushed: until only local is left.
    while node.ip(&["-4", "rule", "show"])?.lines().count() > 1 {
        node.ip(&["-4", "rule", "flush"])?;
    }
    batch(
        node,
        "rule add priority 32766 protocol kernel lookup main\nrule add priority 32767 protocol kernel lookup default\n",
    )
}

/// In iptables-save's format, for the one VPC CIDR of the mock cloud.
fn chains(node: Ipv4Addr) -> String {
    format!(
        "*mangle
-A PREROUTING -i eth0 -m comment --comment \"AWS, primary ENI\" -m addrtype --dst-type LOCAL --limit-iface-in -j CONNMARK --set-xmark 0x80/0x80
-A PREROUTING -i eni+ -m comment --comment \"AWS, primary ENI\" -j CONNMARK --restore-mark --nfmask 0x80 --ctmask 0x80
-A PREROUTING -i vlan+ -m comment --comment \"AWS, primary ENI\" -j CONNMARK --restore-mark --nfmask 0x80 --ctmask 0x80
COMMIT
*nat
:AWS-CONNMARK-CHAIN-0 - [0:0]
:AWS-SNAT-CHAIN-0 - [0:0]
-A PREROUTING -i eni+ -m comment --comment \"AWS, outbound connections\" -j AWS-CONNMARK-CHAIN-0
-A PREROUTING -m comment --comment \"AWS, CONNMARK\" -j CONNMARK --restore-mark --nfmask 0x80 --ctmask 0x80
-A POSTROUTING -m comment --comment \"AWS SNAT CHAIN\" -j AWS-SNAT-CHAIN-0
-A AWS-CONNMARK-CHAIN-0 -d 10.0.0.0/16 -m comment --comment \"AWS CONNMARK CHAIN, VPC CIDR\" -j RETURN
-A AWS-CONNMARK-CHAIN-0 -m comment --comment \"AWS, CONNMARK\" -j CONNMARK --set-xmark 0x80/0x80
-A AWS-SNAT-CHAIN-0 -d 10.0.0.0/16 -m comment --comment \"AWS SNAT CHAIN\" -j RETURN
-A AWS-SNAT-CHAIN-0 ! -o vlan+ -m comment --comment \"AWS, SNAT\" -m addrtype ! --dst-type LOCAL -j SNAT --to-source {node} --random-fully
COMMIT
"
    )
}
