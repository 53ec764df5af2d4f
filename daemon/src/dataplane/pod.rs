//! The links, addresses and routes of pods: which end is whose, what to do when something already stands, and how to take
//! it all back. Everything of one node's pods runs one after another: the kernel has one lock for all of it.

mod chained;
mod created;
mod eviction;
mod mending;
mod observation;
mod predecessor;
mod removal;

use ipam::PodInterface;
use ipam::desired::{ALIAS_PREFIX, GROUP_BASE, PodDesired, REAPER_GROUP};
use ipnet::Ipv4Net;
use nix::errno::Errno;
use std::io;
use std::net::Ipv4Addr;
use std::os::fd::OwnedFd;

use super::netlink::{Home, Link, Netlink, Route, refused};
use super::reaper::Reaper;
use super::sysctl::Sysctls;
use super::{DataplaneError, ObservedPod, PodLinks, PodRemoval};

/// What the verbs about pods need.
pub(super) struct Pods {
    pub(super) host: Netlink,
    /// The way into pods.
    pub(super) home: Home,
    pub(super) sysctls: Sysctls,
    pub(super) reaper: Reaper,
}

impl Pods {
    /// See [`super::Dataplane::apply_pod`].
    pub(super) fn apply(
        &self,
        desired: &PodDesired,
        netns: &OwnedFd,
    ) -> Result<PodLinks, DataplaneError> {
        match desired.interface {
            PodInterface::Created => self.apply_created(desired, netns),
            PodInterface::Existing => self.apply_chained(desired, netns),
        }
    }

    /// See [`super::Dataplane::remove_pod`].
    pub(super) fn remove(
        &self,
        pod: &PodRemoval,
        netns: Option<&OwnedFd>,
    ) -> Result<(), DataplaneError> {
        match pod.interface {
            PodInterface::Created => self.remove_created(pod, netns),
            PodInterface::Existing => self.remove_chained(pod, netns),
        }
    }

    /// See [`super::Dataplane::observe_pods`].
    pub(super) fn observe(&self) -> Result<Vec<ObservedPod>, DataplaneError> {
        let table = ipam::desired::POD_TABLE;
        let (half_made, links): (Vec<Link>, Vec<Link>) =
            self.links()?.into_iter().partition(is_half_made);
        for link in half_made {
            self.evict(&link)?;
        }
        let routes = self.host.routes(table, None);
        let routes = routes.map_err(refused("ip route show table", table))?;
        let pods = links.into_iter().filter_map(|link| {
            let alias = link.alias.filter(|a| a.starts_with(ALIAS_PREFIX))?;
            let route = routes.iter().find(|r| r.oif == link.index);
            Some(ObservedPod {
                ifindex: link.index,
                name: link.name,
                alias,
                group: link.group,
                address: route.map(|r| r.destination.addr()),
            })
        });
        Ok(pods.collect())
    }

    /// All links of this namespace but the doomed.
    fn links(&self) -> Result<Vec<Link>, DataplaneError> {
        let mut links = self.host.links().map_err(refused("ip link show", ""))?;
        links.retain(|link| link.group != REAPER_GROUP);
        Ok(links)
    }

    /// Makes `address` lead to the link. An address belongs to one pod, so a route through another link is what a pod
    /// left whose DEL never came.
    fn route_to(&self, link: &Link, address: Ipv4Addr, table: u32) -> Result<(), DataplaneError> {
        let route = Route::direct(table, host_net(address), link.index);
        let step = "ip route add table 20512";
        let added = self.host.add_route(route);
        if added.map_err(refused(step, address))? {
            return Ok(());
        }
        let shown = refused("ip route show table", table);
        let own = self.host.routes(table, Some(link.index));
        if own.map_err(shown)?.contains(&route) {
            return Ok(());
        }
        self.warn_of_rival(&route, link)?;
        let replaced = self.host.replace_route(route);
        replaced.map_err(refused("ip route replace table 20512", address))
    }

    fn warn_of_rival(&self, route: &Route, link: &Link) -> Result<(), DataplaneError> {
        let routes = self.host.routes(route.table, None);
        let routes = routes.map_err(refused("ip route show table", route.table))?;
        let Some(rival) = routes.into_iter().find(|r| r.rivals(route)) else {
            return Ok(());
        };
        let stale = self.host.link_by_index(rival.oif).ok().flatten();
        tracing::warn!(
            address = %route.destination.addr(),
            alias = link.alias,
            stale_ifname = stale.as_ref().map(|l| l.name.as_str()),
            stale_alias = stale.as_ref().and_then(|l| l.alias.as_deref()),
            "address was routed to another pod's link",
        );
        Ok(())
    }
}

/// A pod's link whose maker died before it could name the owner. No ADD is under way when this is asked: the verbs about
/// pods run one after another.
fn is_half_made(link: &Link) -> bool {
    // As many groups as the widest mask has ENIs.
    const GROUPS: std::ops::Range<u32> = GROUP_BASE..GROUP_BASE + 0x80;
    link.is_veth() && link.alias.is_none() && GROUPS.contains(&link.group)
}

/// Whether the host link's peer is the link with this index in the namespace behind `netns`. An index alone says little:
/// nearly every pod's eth0 has the same one.
fn is_peer_of(
    host: &Netlink,
    link: &Link,
    pod_index: u32,
    netns: &OwnedFd,
) -> Result<bool, DataplaneError> {
    let id = host.netns_id(netns);
    let id = id.map_err(refused("ip netns list-id", &link.name))?;
    Ok(link.is_veth()
        && link.peer.is_some_and(|peer| {
            peer.index == pod_index && peer.netns.is_some() && peer.netns == id
        }))
}

/// The /32 of an address.
fn host_net(address: Ipv4Addr) -> Ipv4Net {
    Ipv4Net::from(address)
}

/// Reports an undo that failed; the error that made it necessary is the one to answer with.
fn undone(result: io::Result<bool>, link: &str) {
    if let Err(error) = result {
        tracing::warn!(%error, link, "taking back a half-made attachment");
    }
}

/// What the kernel would say of a link that was there a moment ago.
fn no_device() -> io::Error {
    Errno::ENODEV.into()
}
