//! One ENI in the fabric: a veth from the router straight into the machine, and the addresses behind it.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use super::netns::Netns;
use super::{FabricError, SharedNetns, VPC_MTU, ruleset};

/// What is to be plugged in where.
#[derive(Clone, Debug)]
pub(crate) struct Wiring {
    /// The machine.
    pub(crate) node: SharedNetns,
    /// The link is `eth<index>`; 0 is the primary, which comes configured and up.
    pub(crate) device_index: u32,
    /// The ENI's MAC.
    pub(crate) mac: String,
    /// The ENI's primary address.
    pub(crate) primary: Ipv4Addr,
    /// The subnet, for the mask.
    pub(crate) subnet: Ipv4Net,
    /// The VPC router's address in it.
    pub(crate) gateway: Ipv4Addr,
    /// All addresses, the primary one included.
    pub(crate) addresses: BTreeSet<Ipv4Addr>,
}

/// An ENI that is plugged in.
#[derive(Debug)]
pub(super) struct Port {
    link: String,
    wiring: Wiring,
    addresses: BTreeSet<Ipv4Addr>,
}

impl Port {
    /// Plugs an ENI in. A secondary one appears down and without an address, as on EC2.
    pub(super) fn plug(router: &Netns, link: String, wiring: Wiring) -> Result<Self, FabricError> {
        let Wiring {
            device_index, mac, ..
        } = &wiring;
        router.ip(&[format!(
            "link add {link} up mtu {VPC_MTU} numtxqueues 1 numrxqueues 1 type veth \
             peer name eth{device_index} netns {} address {mac} mtu {VPC_MTU} numtxqueues 1 numrxqueues 1",
            wiring.node.shared_path()
        )])?;
        let wanted = wiring.addresses.clone();
        let mut port = Self {
            link,
            wiring,
            addresses: BTreeSet::new(),
        };
        // Answer ARP at once; the kernel would wait up to 0.8 s.
        let delay = format!("ipv4/neigh/{}/proxy_delay", port.link);
        router.sysctl(&[(&delay, "0")])?;
        port.set_addresses(router, &wanted)?;
        if port.wiring.device_index == 0 {
            port.configure_primary(router)?;
        }
        Ok(port)
    }

    /// What DHCP and the image do for eth0 on a real instance.
    fn configure_primary(&self, router: &Netns) -> Result<(), FabricError> {
        let w = &self.wiring;
        let length = w.subnet.prefix_len();
        w.node.ip(&[
            format!("addr add {}/{length} dev eth0", w.primary),
            "link set eth0 up".to_owned(),
            format!("route add default via {} dev eth0", w.gateway),
        ])?;
        ruleset::add_primary(router, w.primary)
    }

    pub(super) fn is_same_link(&self, wiring: &Wiring) -> bool {
        self.wiring.node.path() == wiring.node.path()
            && self.wiring.device_index == wiring.device_index
    }

    /// Makes the ENI's addresses these: per address `ip route add A dev LINK` and a permanent neighbour.
    pub(super) fn set_addresses(
        &mut self,
        router: &Netns,
        wanted: &BTreeSet<Ipv4Addr>,
    ) -> Result<(), FabricError> {
        let (link, mac) = (&self.link, &self.wiring.mac);
        let gone = self.addresses.difference(wanted).flat_map(|a| {
            [
                format!("route del {a}/32 dev {link}"),
                format!("neigh del {a} dev {link}"),
            ]
        });
        let new = wanted.difference(&self.addresses).flat_map(|a| {
            [
                format!("neigh replace {a} lladdr {mac} dev {link} nud permanent"),
                format!("route add {a}/32 dev {link}"),
            ]
        });
        let lines: Vec<String> = gone.chain(new).collect();
        router.ip(&lines)?;
        self.addresses.clone_from(wanted);
        Ok(())
    }

    /// Gives up those of its addresses that are in `others`.
    pub(super) fn yield_addresses(
        &mut self,
        router: &Netns,
        others: &BTreeSet<Ipv4Addr>,
    ) -> Result<(), FabricError> {
        let kept = self.addresses.difference(others).copied().collect();
        self.set_addresses(router, &kept)
    }

    /// Takes the link out of the machine; its routes and neighbours go with it.
    pub(super) fn unplug(&self, router: &Netns) -> Result<(), FabricError> {
        let link = router.ip(&[format!("link del {}", self.link)]);
        let gateway = if self.wiring.device_index == 0 {
            ruleset::remove_primary(router, self.wiring.primary)
        } else {
            Ok(())
        };
        link.and(gateway)
    }
}
