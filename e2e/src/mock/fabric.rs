//! The VPC's packets: a router namespace with a link per ENI, and an internet behind it.
//!
//! The router answers every ARP request as a VPC does (proxy ARP), delivers an address to the ENI that has it (a route
//! and a permanent neighbour entry), and takes from an ENI only what carries one of its addresses (source/dest check).
//! What *should* be plugged in is decided by the state; this module makes it so and remembers what it made.

mod netns;
mod port;
mod ruleset;

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use ipnet::Ipv4Net;
use serde::Serialize;

pub(crate) use self::netns::Netns;
use self::port::Port;
pub(crate) use self::port::Wiring;
use self::ruleset::GATEWAY_LINK;
use super::guarded::Guarded;

/// MTU within a VPC; 9001 is EC2's.
const VPC_MTU: u32 = 9001;
/// The router's address towards the internet.
const GATEWAY_ADDRESS: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 1);
/// The one host of the internet (RFC 5737, TEST-NET-2).
pub const INTERNET_HOST: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 10);
/// Where instance metadata answers, in every node.
pub(crate) const IMDS_ADDRESS: Ipv4Addr = Ipv4Addr::new(169, 254, 169, 254);
/// Where the EC2 API answers, in every node. (A VPC has its DNS there, which the mock has not.)
pub(crate) const EC2_ADDRESS: Ipv4Addr = Ipv4Addr::new(169, 254, 169, 253);

/// The kernel or a program did not do what the fabric needs.
#[derive(Debug, thiserror::Error)]
pub enum FabricError {
    /// A namespace cannot be opened or entered.
    #[error("network namespace {}: {source}", path.display())]
    Namespace {
        /// Its path.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A sysctl cannot be written.
    #[error("sysctl {}: {source}", path.display())]
    Sysctl {
        /// Its path.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// `ip` or `nft` failed.
    #[error("{command} failed ({why}) on input {input:?}")]
    Program {
        /// Program and arguments.
        command: String,
        /// What it was given to read.
        input: String,
        /// Its status and standard error.
        why: String,
    },
    /// A socket cannot be opened in a node's namespace.
    #[error("listen on {address}: {source}")]
    Listen {
        /// Where.
        address: std::net::SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// A node with a namespace was given to a cloud without a fabric.
    #[error("this cloud has no fabric, so a node cannot be in {}", netns.display())]
    NoFabric {
        /// The namespace.
        netns: PathBuf,
    },
}

/// Packets of one source and destination that the fabric dropped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Loss {
    /// Why.
    pub reason: LossReason,
    /// The ENI that sent them; none for what came from the internet.
    pub eni: Option<String>,
    /// Source address.
    pub source: Ipv4Addr,
    /// Destination address.
    pub destination: Ipv4Addr,
    /// How many.
    pub packets: u64,
}

/// Why the fabric dropped something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LossReason {
    /// The source is not an address of the ENI that sent it.
    SourceDestCheck,
    /// To or from the internet with an address that is not a node's primary one.
    InternetGateway,
}

/// Packets of one source and destination that an ENI carried.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Flow {
    /// Whether the ENI sent or received them.
    pub direction: Direction,
    /// Source address.
    pub source: Ipv4Addr,
    /// Destination address.
    pub destination: Ipv4Addr,
    /// How many.
    pub packets: u64,
}

/// Which way a packet went, seen from the instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// Out of the ENI, and past the source/dest check.
    Sent,
    /// Into the ENI.
    Delivered,
}

/// The namespaces, and what is plugged into them.
#[derive(Debug)]
pub(crate) struct Fabric {
    router: Netns,
    internet: Netns,
    plugged: Guarded<Plugged>,
}

#[derive(Debug, Default)]
struct Plugged {
    ports: BTreeMap<String, Port>,
    /// ENI by router link, kept after the link is gone so that old records can be told.
    links: BTreeMap<String, String>,
    next_link: u32,
    removed: bool,
}

impl Fabric {
    /// Makes the router and the internet: `ip netns add NAME-vpc`, `ip netns add NAME-inet`.
    pub(crate) fn build(
        name: &str,
        vpc: &[Ipv4Net],
        gateways: &[Ipv4Addr],
    ) -> Result<Self, FabricError> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("{name}-{}-{count}", std::process::id());
        let router = Netns::create(&format!("{name}-vpc"))?;
        let internet = Netns::create(&format!("{name}-inet")).inspect_err(|_| {
            // The error that matters is the first one.
            let _ = router.delete();
        })?;
        let fabric = Self {
            router,
            internet,
            plugged: Guarded::default(),
        };
        // From here on `Drop` removes what is there.
        fabric.set_up_router(vpc, gateways)?;
        fabric.set_up_internet()?;
        ruleset::load(&fabric.router)?;
        Ok(fabric)
    }

    fn set_up_router(&self, vpc: &[Ipv4Net], gateways: &[Ipv4Addr]) -> Result<(), FabricError> {
        // `default` is what links inherit that are made from now on.
        self.router.sysctl(&[
            ("ipv4/ip_forward", "1"),
            ("ipv4/conf/all/send_redirects", "0"),
            ("ipv4/conf/default/send_redirects", "0"),
            ("ipv4/conf/all/rp_filter", "0"),
            ("ipv4/conf/default/rp_filter", "1"),
            ("ipv4/conf/default/proxy_arp", "1"),
        ])?;
        let mut lines = vec!["link set lo up".to_owned()];
        for gateway in gateways {
            lines.push(format!("addr add {gateway}/32 dev lo"));
        }
        for cidr in vpc {
            // What nobody has is nowhere; above all it is not on the internet.
            lines.push(format!("route add blackhole {cidr}"));
        }
        lines.push(format!(
            "link add {GATEWAY_LINK} up type veth peer name eth0 netns {}",
            self.internet.shared_path()
        ));
        lines.push(format!("addr add {GATEWAY_ADDRESS}/24 dev {GATEWAY_LINK}"));
        lines.push(format!(
            "route add default via {INTERNET_HOST} dev {GATEWAY_LINK}"
        ));
        self.router.ip(&lines)?;
        self.router.sysctl(&[
            ("ipv4/conf/igw/proxy_arp", "0"),
            ("ipv4/conf/igw/rp_filter", "0"),
        ])
    }

    fn set_up_internet(&self) -> Result<(), FabricError> {
        self.internet.ip(&[
            "link set lo up".to_owned(),
            format!("addr add {INTERNET_HOST}/24 dev eth0"),
            "link set eth0 up".to_owned(),
            format!("route add default via {GATEWAY_ADDRESS}"),
        ])
    }

    pub(crate) fn internet(&self) -> &Path {
        self.internet.path()
    }

    pub(crate) fn router(&self) -> &Path {
        self.router.path()
    }

    /// Gives a node the addresses at which the APIs answer.
    pub(crate) fn prepare_node(&self, node: &Netns) -> Result<(), FabricError> {
        // Scope host: the kernel must never choose one of them as a source.
        node.ip(&[
            "link set lo up".to_owned(),
            format!("addr add {IMDS_ADDRESS}/32 dev lo scope host"),
            format!("addr add {EC2_ADDRESS}/32 dev lo scope host"),
        ])
    }

    /// Takes them away again.
    pub(crate) fn abandon_node(&self, node: &Netns) -> Result<(), FabricError> {
        node.ip(&[
            format!("addr del {IMDS_ADDRESS}/32 dev lo"),
            format!("addr del {EC2_ADDRESS}/32 dev lo"),
        ])
    }

    /// Makes an ENI's link, routes and neighbours what `wanted` says at this moment. Concurrent callers for the same
    /// ENI take turns, and each acts on the newest state, so the last one leaves the truth.
    pub(crate) fn converge(
        &self,
        eni: &str,
        wanted: impl FnOnce() -> Option<Wiring>,
    ) -> Result<(), FabricError> {
        let mut plugged = self.plugged.lock();
        if plugged.removed {
            return Ok(());
        }
        let Some(wiring) = wanted() else {
            return match plugged.ports.remove(eni) {
                Some(port) => port.unplug(&self.router),
                None => Ok(()),
            };
        };
        // An address that moved is still routed to the ENI that had it, if that one's turn comes after ours.
        for (_, other) in plugged.ports.iter_mut().filter(|(id, _)| *id != eni) {
            other.yield_addresses(&self.router, &wiring.addresses)?;
        }
        if let Some(port) = plugged.ports.get_mut(eni) {
            if port.is_same_link(&wiring) {
                return port.set_addresses(&self.router, &wiring.addresses);
            }
            port.unplug(&self.router)?;
            plugged.ports.remove(eni);
        }
        self.plug(&mut plugged, eni, wiring)
    }

    fn plug(&self, plugged: &mut Plugged, eni: &str, wiring: Wiring) -> Result<(), FabricError> {
        plugged.next_link = plugged.next_link.saturating_add(1);
        let link = format!("f{}", plugged.next_link);
        plugged.links.insert(link.clone(), eni.to_owned());
        let port = Port::plug(&self.router, link, wiring)?;
        plugged.ports.insert(eni.to_owned(), port);
        Ok(())
    }

    pub(crate) fn losses(&self) -> Result<Vec<Loss>, FabricError> {
        let links = self.plugged.lock().links.clone();
        ruleset::losses(&self.router, &links)
    }

    /// What an ENI carried, over all links that it has had.
    pub(crate) fn flows(&self, eni: &str) -> Result<Vec<Flow>, FabricError> {
        let links = self.plugged.lock().links.clone();
        let mut flows = Vec::new();
        for (link, _) in links.iter().filter(|(_, owner)| *owner == eni) {
            flows.extend(ruleset::flows(&self.router, link)?);
        }
        Ok(flows)
    }

    /// Takes everything away: all links, then the two namespaces. Cleans what it can and reports the first error.
    pub(crate) fn remove(&self) -> Result<(), FabricError> {
        let mut plugged = self.plugged.lock();
        if std::mem::replace(&mut plugged.removed, true) {
            return Ok(());
        }
        let mut results = Vec::new();
        for port in std::mem::take(&mut plugged.ports).into_values() {
            results.push(port.unplug(&self.router));
        }
        results.push(self.router.delete());
        results.push(self.internet.delete());
        results.into_iter().collect()
    }
}

impl Drop for Fabric {
    fn drop(&mut self) {
        if let Err(error) = self.remove() {
            tracing::warn!(%error, "fabric was not removed completely");
        }
    }
}

/// A node's namespace, shared by the ports that are plugged into it.
pub(crate) type SharedNetns = Arc<Netns>;

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::netns;

    fn wiring(node: &SharedNetns, index: u32, addresses: &[Ipv4Addr]) -> Option<Wiring> {
        Some(Wiring {
            node: Arc::clone(node),
            device_index: index,
            mac: format!("0a:00:00:00:00:0{index}"),
            primary: addresses[0],
            subnet: "10.0.1.0/24".parse().unwrap(),
            gateway: Ipv4Addr::new(10, 0, 1, 1),
            addresses: addresses.iter().copied().collect::<BTreeSet<_>>(),
        })
    }

    /// EC2 has moved an address from one ENI to another, and the second one's turn in the fabric comes first.
    #[test]
    fn an_address_that_moved_is_routed_to_its_new_owner() {
        if !netns::require_netns().unwrap() {
            return;
        }
        let machine = netns::Netns::unique("mkmove").unwrap();
        let node = Arc::new(Netns::open(machine.path()).unwrap());
        let vpc = ["10.0.0.0/16".parse().unwrap()];
        let fabric = Fabric::build("mkmove", &vpc, &[Ipv4Addr::new(10, 0, 1, 1)]).unwrap();
        let [one, two, moving] = [11, 12, 13].map(|n| Ipv4Addr::new(10, 0, 1, n));
        fabric
            .converge("eni-1", || wiring(&node, 1, &[one, moving]))
            .unwrap();
        fabric
            .converge("eni-2", || wiring(&node, 2, &[two]))
            .unwrap();
        fabric
            .converge("eni-2", || wiring(&node, 2, &[two, moving]))
            .unwrap();
        fabric
            .converge("eni-1", || wiring(&node, 1, &[one]))
            .unwrap();
        let router = netns::Netns::existing(fabric.router.path()).unwrap();
        let route = router.ip(&["route", "get", &moving.to_string()]).unwrap();
        assert!(route.contains("dev f2"), "{route}");
    }
}
