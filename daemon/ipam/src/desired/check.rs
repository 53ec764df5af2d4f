//! CHECK: what is not as an ADD left it, by comparing the layout and what the runtime remembers with what was observed.
//! Nothing that other plugins did besides counts: an address, a route or another MAC that the runtime was told of is fine.

use std::fmt;
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use super::{PodDesired, PodInterface};
use crate::mac::Mac;

/// What the kernel has of an attachment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ObservedAttachment {
    /// The host's end, found by index and alias.
    pub host: Option<HostEnd>,
    /// The pod's end, found by name.
    pub pod: Option<PodEnd>,
    /// Index of the link that the pod table routes the pod's address to.
    pub host_route: Option<u32>,
}

impl ObservedAttachment {
    /// What an ADD has made, as it looks while nobody has touched it: what fakes of the kernel show.
    pub fn as_made(desired: &PodDesired, host_ifindex: u32) -> Self {
        let route = |destination: Ipv4Net, gateway| PodRoute {
            destination,
            gateway,
            own: true,
        };
        Self {
            host: Some(HostEnd {
                ifindex: host_ifindex,
                name: desired.host_ifname.clone(),
                group: desired.group,
                up: true,
                mac: Some(desired.host_mac),
            }),
            pod: Some(PodEnd {
                is_peer: true,
                up: true,
                mac: Some(desired.pod_mac),
                addresses: vec![desired.address.into()],
                routes: vec![
                    route(desired.gateway.into(), None),
                    route(Ipv4Net::default(), Some(desired.gateway)),
                ],
                gateway_mac: Some(desired.host_mac),
            }),
            host_route: Some(host_ifindex),
        }
    }
}

/// The host's end of a pod's link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostEnd {
    /// Its index.
    pub ifindex: u32,
    /// Its name.
    pub name: String,
    /// Its group.
    pub group: u32,
    /// Whether it is up.
    pub up: bool,
    /// Its MAC.
    pub mac: Option<Mac>,
}

/// The pod's end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodEnd {
    /// Whether the host's end is its other end.
    pub is_peer: bool,
    /// Whether it is up.
    pub up: bool,
    /// Its MAC.
    pub mac: Option<Mac>,
    /// Its IPv4 addresses.
    pub addresses: Vec<Ipv4Net>,
    /// The routes of the pod's main table.
    pub routes: Vec<PodRoute>,
    /// The MAC of the permanent neighbour entry for the gateway.
    pub gateway_mac: Option<Mac>,
}

/// A route in a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PodRoute {
    /// To where.
    pub destination: Ipv4Net,
    /// Next hop; none if the destination is on the link.
    pub gateway: Option<Ipv4Addr>,
    /// Whether it leads through the attachment's own interface.
    pub own: bool,
}

/// What the runtime remembers of the pod's interface, from `prevResult`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Remembered {
    /// Its MAC, where the result has one.
    pub mac: Option<Mac>,
    /// Its IPv4 addresses.
    pub addresses: Vec<Ipv4Net>,
}

/// One thing that is not as it was left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Deviation {
    /// The runtime remembers an attachment with another address.
    NotRemembered(Ipv4Addr),
    /// The pod has no interface of that name.
    NoInterface(String),
    /// The host has no link with that alias.
    NoHostLink(String),
    /// The pod's interface of that name has another other end.
    NotPeer(String),
    /// The link of that name is down.
    Down(String),
    /// The host's link is of another group, so that its packets leave by another ENI.
    Group {
        /// Its name.
        link: String,
        /// The group that it has.
        found: u32,
        /// The group of its ENI.
        wanted: u32,
    },
    /// The pod's interface has another MAC than the runtime was told.
    Mac {
        /// Its name.
        ifname: String,
        /// What it has.
        found: Option<Mac>,
        /// What the runtime was told.
        wanted: Mac,
    },
    /// The pod's interface lacks an address.
    NoAddress {
        /// Its name.
        ifname: String,
        /// The address.
        address: Ipv4Net,
    },
    /// The pod lacks a route.
    NoRoute {
        /// Its destination.
        destination: Ipv4Net,
        /// Through which interface.
        ifname: String,
    },
    /// The pod does not know its gateway's MAC, or another one.
    Gateway {
        /// The gateway.
        gateway: Ipv4Addr,
        /// What the pod has.
        found: Option<Mac>,
    },
    /// The host has no route to the pod, or one to another link.
    NoHostRoute {
        /// The pod's address.
        address: Ipv4Addr,
        /// The table.
        table: u32,
    },
}

impl fmt::Display for Deviation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotRemembered(address) => {
                write!(f, "prevResult does not list the pod's address {address}")
            }
            Self::NoInterface(ifname) => write!(f, "interface {ifname} is missing in the pod"),
            Self::NoHostLink(alias) => write!(f, "link {alias} is missing on the host"),
            Self::NotPeer(ifname) => {
                write!(
                    f,
                    "interface {ifname} in the pod is not the host link's peer"
                )
            }
            Self::Down(link) => write!(f, "link {link} is down"),
            Self::Group {
                link,
                found,
                wanted,
            } => write!(f, "link {link} is in group {found} instead of {wanted}"),
            Self::Mac {
                ifname,
                found: Some(found),
                wanted,
            } => write!(f, "interface {ifname} has MAC {found} instead of {wanted}"),
            Self::Mac { ifname, wanted, .. } => {
                write!(f, "interface {ifname} has no MAC instead of {wanted}")
            }
            Self::NoAddress { ifname, address } => {
                write!(f, "address {address} is missing on interface {ifname}")
            }
            Self::NoRoute {
                destination,
                ifname,
            } => write!(f, "route to {destination} is missing on interface {ifname}"),
            Self::Gateway {
                gateway,
                found: Some(found),
            } => write!(
                f,
                "neighbour {gateway} has MAC {found}, not the host link's"
            ),
            Self::Gateway { gateway, .. } => write!(f, "neighbour {gateway} is missing in the pod"),
            Self::NoHostRoute { address, table } => write!(
                f,
                "route to {address} in table {table} is missing on the host"
            ),
        }
    }
}

/// Everything that is not as it was left, host first.
pub fn deviations(
    desired: &PodDesired,
    remembered: &Remembered,
    observed: &ObservedAttachment,
) -> Vec<Deviation> {
    let mut found = Vec::new();
    let own = Ipv4Net::from(desired.address);
    if !remembered.addresses.contains(&own) {
        found.push(Deviation::NotRemembered(desired.address));
    }
    match &observed.host {
        Some(host) => on_host(desired, host, &mut found),
        None => found.push(Deviation::NoHostLink(desired.alias.clone())),
    }
    let elsewhere = |host: &HostEnd| observed.host_route != Some(host.ifindex);
    if observed.host_route.is_none() || observed.host.as_ref().is_some_and(elsewhere) {
        found.push(Deviation::NoHostRoute {
            address: desired.address,
            table: desired.table,
        });
    }
    match &observed.pod {
        Some(pod) => {
            // Without a link on the host there is nothing that it could be the other end of.
            if observed.host.is_some() && !pod.is_peer {
                found.push(Deviation::NotPeer(desired.ifname.clone()));
            }
            interface(desired, remembered, pod, &mut found);
            if desired.interface == PodInterface::Created {
                way_out(desired, pod, observed.host.as_ref(), &mut found);
            }
        }
        None => found.push(Deviation::NoInterface(desired.ifname.clone())),
    }
    found
}

fn on_host(desired: &PodDesired, host: &HostEnd, found: &mut Vec<Deviation>) {
    if !host.up {
        found.push(Deviation::Down(host.name.clone()));
    }
    if host.group != desired.group {
        found.push(Deviation::Group {
            link: host.name.clone(),
            found: host.group,
            wanted: desired.group,
        });
    }
}

/// The pod's interface: ours, or the one that we were given.
fn interface(
    desired: &PodDesired,
    remembered: &Remembered,
    pod: &PodEnd,
    found: &mut Vec<Deviation>,
) {
    let ifname = || desired.ifname.clone();
    if !pod.up {
        found.push(Deviation::Down(ifname()));
    }
    if let Some(wanted) = remembered.mac.filter(|mac| pod.mac != Some(*mac)) {
        found.push(Deviation::Mac {
            ifname: ifname(),
            found: pod.mac,
            wanted,
        });
    }
    let own = Ipv4Net::from(desired.address);
    let others = remembered.addresses.iter().filter(|other| **other != own);
    let missing = std::iter::once(&own)
        .chain(others)
        .filter(|address| !pod.addresses.contains(address));
    found.extend(missing.map(|address| Deviation::NoAddress {
        ifname: ifname(),
        address: *address,
    }));
}

/// The routes and the neighbour of an interface that we made. A default route through another interface is another
/// attachment's, and stays as it did in the ADD.
fn way_out(desired: &PodDesired, pod: &PodEnd, host: Option<&HostEnd>, found: &mut Vec<Deviation>) {
    let gateway = Ipv4Net::from(desired.gateway);
    let anywhere = Ipv4Net::default();
    let has = |destination, via| {
        let mut routes = pod.routes.iter();
        routes.any(|r| r.own && r.destination == destination && r.gateway == via)
    };
    let another = |r: &PodRoute| !r.own && r.destination == anywhere;
    let mut lack = |destination| {
        found.push(Deviation::NoRoute {
            destination,
            ifname: desired.ifname.clone(),
        });
    };
    if !has(gateway, None) {
        lack(gateway);
    }
    if !has(anywhere, Some(desired.gateway)) && !pod.routes.iter().any(another) {
        lack(anywhere);
    }
    if pod.gateway_mac.is_none() || host.is_some_and(|host| host.mac != pod.gateway_mac) {
        found.push(Deviation::Gateway {
            gateway: desired.gateway,
            found: pod.gateway_mac,
        });
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 0, 1, 20);
    const GATEWAY: Ipv4Addr = Ipv4Addr::new(169, 254, 1, 1);

    fn desired(interface: PodInterface) -> PodDesired {
        PodDesired {
            interface,
            ifname: "eth0".into(),
            pod_mac: Mac([2, 0, 0, 0, 0, 1]),
            host_ifname: "eni1".into(),
            host_mac: Mac([2, 0, 0, 0, 0, 2]),
            alias: "berth:c1/eth0".into(),
            group: 7001,
            mtu: 9001,
            address: ADDRESS,
            gateway: GATEWAY,
            table: 20512,
        }
    }

    fn remembered() -> Remembered {
        Remembered {
            mac: Some(Mac([2, 0, 0, 0, 0, 1])),
            addresses: vec![ADDRESS.into()],
        }
    }

    fn whole() -> ObservedAttachment {
        ObservedAttachment::as_made(&desired(PodInterface::Created), 7)
    }

    fn found(damage: impl FnOnce(&mut ObservedAttachment)) -> Vec<String> {
        let mut observed = whole();
        damage(&mut observed);
        let found = deviations(&desired(PodInterface::Created), &remembered(), &observed);
        found.iter().map(Deviation::to_string).collect()
    }

    fn pod(damage: impl FnOnce(&mut PodEnd)) -> Vec<String> {
        found(|observed| damage(observed.pod.as_mut().unwrap()))
    }

    fn host(damage: impl FnOnce(&mut HostEnd)) -> Vec<String> {
        found(|observed| damage(observed.host.as_mut().unwrap()))
    }

    #[test]
    fn what_stands_has_no_deviation() {
        assert!(found(|_| ()).is_empty());
    }

    #[test]
    fn each_broken_piece_is_named_and_nothing_else() {
        let cases = [
            (host(|host| host.up = false), "link eni1 is down"),
            (
                host(|host| host.group = 7000),
                "link eni1 is in group 7000 instead of 7001",
            ),
            (
                host(|host| host.mac = Some(Mac([2; 6]))),
                "neighbour 169.254.1.1 has MAC 02:00:00:00:00:02, not the host link's",
            ),
            (
                found(|observed| observed.host_route = None),
                "route to 10.0.1.20 in table 20512 is missing on the host",
            ),
            (
                found(|observed| observed.host_route = Some(8)),
                "route to 10.0.1.20 in table 20512 is missing on the host",
            ),
            (
                found(|observed| observed.pod = None),
                "interface eth0 is missing in the pod",
            ),
            (
                pod(|pod| pod.is_peer = false),
                "interface eth0 in the pod is not the host link's peer",
            ),
            (pod(|pod| pod.up = false), "link eth0 is down"),
            (
                pod(|pod| pod.mac = Some(Mac([2; 6]))),
                "interface eth0 has MAC 02:02:02:02:02:02 instead of 02:00:00:00:00:01",
            ),
            (
                pod(|pod| pod.addresses.clear()),
                "address 10.0.1.20/32 is missing on interface eth0",
            ),
            (
                pod(|pod| pod.routes.retain(|route| route.gateway.is_some())),
                "route to 169.254.1.1/32 is missing on interface eth0",
            ),
            (
                pod(|pod| pod.routes.truncate(1)),
                "route to 0.0.0.0/0 is missing on interface eth0",
            ),
            (
                pod(|pod| pod.routes[1].gateway = None),
                "route to 0.0.0.0/0 is missing on interface eth0",
            ),
            (
                pod(|pod| pod.gateway_mac = None),
                "neighbour 169.254.1.1 is missing in the pod",
            ),
        ];
        for (found, text) in cases {
            assert_eq!(found, [text]);
        }
    }

    #[test]
    fn everything_that_is_missing_is_named_at_once() {
        let nothing = found(|observed| *observed = ObservedAttachment::default());
        assert_eq!(nothing.len(), 3, "{nothing:?}");
    }

    #[test]
    fn what_only_follows_is_not_named() {
        let without_host = found(|observed| {
            observed.host = None;
            observed.pod.as_mut().unwrap().is_peer = false;
        });
        assert_eq!(without_host, ["link berth:c1/eth0 is missing on the host"]);
    }

    #[test]
    fn what_others_did_besides_is_theirs() {
        let others = pod(|pod| {
            pod.addresses.push("192.0.2.2/24".parse().unwrap());
            pod.routes[1] = PodRoute {
                gateway: Some(Ipv4Addr::new(192, 0, 2, 1)),
                own: false,
                ..pod.routes[1]
            };
        });
        assert!(others.is_empty(), "{others:?}");
    }

    #[test]
    fn the_runtime_must_remember_the_address_and_what_it_remembers_must_be_there() {
        let remembered = Remembered {
            mac: None,
            addresses: vec!["192.0.2.2/24".parse().unwrap()],
        };
        let found = deviations(&desired(PodInterface::Created), &remembered, &whole());
        let texts: Vec<String> = found.iter().map(Deviation::to_string).collect();
        assert_eq!(
            texts,
            [
                "prevResult does not list the pod's address 10.0.1.20",
                "address 192.0.2.2/24 is missing on interface eth0"
            ]
        );
    }

    #[test]
    fn routes_of_an_interface_that_another_plugin_made_are_that_plugins() {
        let mut observed = whole();
        let pod = observed.pod.as_mut().unwrap();
        pod.routes.clear();
        pod.gateway_mac = None;
        let found = deviations(&desired(PodInterface::Existing), &remembered(), &observed);
        assert!(found.is_empty(), "{found:?}");
    }
}
