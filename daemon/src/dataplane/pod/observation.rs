//! Looking at pods without touching them: all that an attachment has in the kernel, for CHECK, and which attachments have
//! no link any more, for the sweep. What it means is decided elsewhere.

use std::os::fd::OwnedFd;

use ipam::desired::check::{HostEnd, ObservedAttachment, PodEnd, PodRoute};
use ipam::desired::{ALIAS_PREFIX, POD_TABLE, PodDesired};
use ipam::{Mac, PodInterface};
use ipnet::Ipv4Net;

use super::created::source_rule;
use super::{Pods, host_net, is_peer_of};
use crate::dataplane::netlink::{Link, MAIN_TABLE, Netlink, Route, refused};
use crate::dataplane::{DataplaneError, PodRemoval};

impl Pods {
    /// See [`crate::dataplane::Dataplane::observe_attachment`].
    pub(in crate::dataplane) fn observe_attachment(
        &self,
        desired: &PodDesired,
        host_ifindex: Option<u32>,
        netns: &OwnedFd,
    ) -> Result<ObservedAttachment, DataplaneError> {
        let host = self.host_link(desired, host_ifindex)?;
        let pod = self.pod_end(desired, host.as_ref(), netns)?;
        let routes = self.host.routes(desired.table, None);
        let routes = routes.map_err(refused("ip route show table", desired.table))?;
        let destination = host_net(desired.address);
        let route = routes.into_iter().find(|r| r.destination == destination);
        Ok(ObservedAttachment {
            host: host.map(host_end),
            pod,
            host_route: route.map(|route| route.oif),
        })
    }

    /// See [`crate::dataplane::Dataplane::without_link`].
    pub(in crate::dataplane) fn without_link(
        &self,
        pods: Vec<PodRemoval>,
    ) -> Result<Vec<PodRemoval>, DataplaneError> {
        let links = self.links()?;
        let routes = self.host.routes(POD_TABLE, None);
        let routes = routes.map_err(refused("ip route show table", POD_TABLE))?;
        let stands = |pod: &PodRemoval| {
            links.iter().any(|link| {
                link.has_alias(&pod.alias)
                    || Some(link.index) == pod.host_ifindex && may_be_of(link, pod)
            }) || routed(&routes, pod)
        };
        Ok(pods.into_iter().filter(|pod| !stands(pod)).collect())
    }

    /// The host's end by its index, if its alias does not say otherwise; else by its alias.
    fn host_link(
        &self,
        desired: &PodDesired,
        host_ifindex: Option<u32>,
    ) -> Result<Option<Link>, DataplaneError> {
        let links = self.links()?;
        let by_index = |link: &&Link| {
            let unnamed = desired.interface == PodInterface::Existing && !is_named_by_us(link);
            Some(link.index) == host_ifindex && (link.has_alias(&desired.alias) || unnamed)
        };
        let found = links.iter().find(by_index);
        let found = found.or_else(|| links.iter().find(|link| link.has_alias(&desired.alias)));
        Ok(found.cloned())
    }

    fn pod_end(
        &self,
        desired: &PodDesired,
        host: Option<&Link>,
        netns: &OwnedFd,
    ) -> Result<Option<PodEnd>, DataplaneError> {
        let inside = self.home.open_in(netns)?;
        let ifname = &desired.ifname;
        let link = inside.link_by_name(ifname);
        let Some(link) = link.map_err(refused("ip link show", ifname))? else {
            return Ok(None);
        };
        let is_peer = match host {
            Some(host) => is_peer_of(&self.host, host, link.index, netns)?,
            None => false,
        };
        let addresses = inside.addresses(link.index);
        let addresses = addresses.map_err(refused("ip address show", ifname))?;
        let net = |a: crate::dataplane::netlink::Address| Ipv4Net::new(a.address, a.prefix_len);
        let routes = routes_of(&inside, desired, link.index)?;
        Ok(Some(PodEnd {
            is_peer,
            up: link.up,
            mac: link.mac,
            addresses: addresses.into_iter().filter_map(|a| net(a).ok()).collect(),
            routes: routes.iter().map(|r| pod_route(r, link.index)).collect(),
            gateway_mac: gateway_mac(&inside, desired, link.index)?,
        }))
    }
}

/// Whether a link that another plugin made, and named before us, may be this attachment's.
fn may_be_of(link: &Link, pod: &PodRemoval) -> bool {
    pod.interface == PodInterface::Existing && !is_named_by_us(link)
}

fn is_named_by_us(link: &Link) -> bool {
    let alias = link.alias.as_deref().unwrap_or_default();
    alias.starts_with(ALIAS_PREFIX)
}

fn routed(routes: &[Route], pod: &PodRemoval) -> bool {
    let destination = host_net(pod.address);
    routes.iter().any(|route| route.destination == destination)
}

fn host_end(link: Link) -> HostEnd {
    HostEnd {
        ifindex: link.index,
        name: link.name,
        group: link.group,
        up: link.up,
        mac: link.mac,
    }
}

/// A route with a metric is not the one that we made, and does not stand in for it.
fn pod_route(route: &Route, own: u32) -> PodRoute {
    PodRoute {
        destination: route.destination,
        gateway: route.gateway,
        own: route.oif == own && route.priority == 0,
    }
}

/// The routes that hold for the pod's interface: those of the main table, and of its own where the rule leads there.
fn routes_of(
    pod: &Netlink,
    desired: &PodDesired,
    index: u32,
) -> Result<Vec<Route>, DataplaneError> {
    let show = "ip route show";
    let routes = pod.routes(MAIN_TABLE, None);
    let mut routes = routes.map_err(refused(show, &desired.ifname))?;
    let rule = source_rule(desired.address, index);
    let rules = pod.rules().map_err(refused("ip rule show", ""))?;
    if rules.contains(&rule) {
        let own = pod.routes(rule.table, None);
        routes.extend(own.map_err(refused(show, &desired.ifname))?);
    }
    Ok(routes)
}

fn gateway_mac(
    pod: &Netlink,
    desired: &PodDesired,
    index: u32,
) -> Result<Option<Mac>, DataplaneError> {
    let found = pod.permanent_neighbour(index, desired.gateway);
    found.map_err(refused("ip neighbour show", desired.gateway))
}
