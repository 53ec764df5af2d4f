//! A pod's interface that we make: a veth, created in one message with its peer where it will live, and wired so that a
//! repeated ADD finds everything and changes nothing.

use std::net::Ipv4Addr;
use std::os::fd::OwnedFd;

use ipam::Mac;
use ipam::desired::{POD_SECOND_RULE, POD_SECOND_TABLE, PodDesired, REAPER_GROUP};
use nix::errno::Errno;

use super::{Pods, host_net, is_peer_of, no_device, undone};
use crate::dataplane::netlink::{
    Address, Link, LinkChange, MAIN_TABLE, Netlink, Route, Rule, VethSpec, gone_is_fine, is,
    refused,
};
use crate::dataplane::{DataplaneError, PodLinks};

impl Pods {
    pub(super) fn apply_created(
        &self,
        desired: &PodDesired,
        netns: &OwnedFd,
    ) -> Result<PodLinks, DataplaneError> {
        let pod = self.home.open_in(netns)?;
        // Made first and looked for only if that fails: nearly always there is nothing yet.
        let (link, pod_change) = match self.create(desired, netns)? {
            Some(link) => (link, LinkChange::up()),
            None => match self.standing(&pod, desired, netns)? {
                Some((link, inside)) => {
                    (link, towards(&inside, desired.pod_mac, desired.mtu, None))
                }
                None => {
                    let link = self.create(desired, netns)?;
                    let link = link.ok_or_else(|| exists(&desired.ifname))?;
                    (link, LinkChange::up())
                }
            },
        };
        let wired = self.wire((&pod, netns), desired, &link, pod_change);
        if wired.is_err() {
            let deleted = self.host.delete_link(link.index);
            undone(gone_is_fine(deleted), &link.name);
        }
        wired
    }

    /// Both ends of the link that an earlier ADD of this attachment made, if there is one. Whatever else bears its host name
    /// is evicted, and a link that waits for the reaper is deleted before its turn, whoever's it was: the namespace may
    /// have another container by now.
    fn standing(
        &self,
        pod: &Netlink,
        desired: &PodDesired,
        netns: &OwnedFd,
    ) -> Result<Option<(Link, Link)>, DataplaneError> {
        let ifname = &desired.ifname;
        let inside = pod.link_by_name(ifname);
        if let Some(inside) = inside.map_err(refused("ip link show", ifname))? {
            match self.far_end(&inside, netns)? {
                // The reaper may be at it already, so nothing is revived.
                Some(link) if link.group == REAPER_GROUP => self.take_away(&link)?,
                Some(link) if link.has_alias(&desired.alias) => return Ok(Some((link, inside))),
                Some(link) if is_unnamed_of(&link, desired) => self.take_away(&link)?,
                // The reaper was at it, between two questions.
                None if is_gone(pod, &inside)? => {}
                _ => return Err(exists(ifname)),
            }
        }
        let name = &desired.host_ifname;
        let named = self.host.link_by_name(name);
        if let Some(named) = named.map_err(refused("ip link show", name))? {
            self.evict(&named)?;
        }
        Ok(None)
    }

    /// The other end of `inside`, if that is in this namespace. Its peer's index leads to it whatever name it bears by now.
    fn far_end(&self, inside: &Link, netns: &OwnedFd) -> Result<Option<Link>, DataplaneError> {
        let Some(peer) = inside.peer else {
            return Ok(None);
        };
        let link = self.host.link_by_index(peer.index);
        let link = link.map_err(refused("ip link show", &inside.name))?;
        let Some(link) = link else {
            return Ok(None);
        };
        let is_its = is_peer_of(&self.host, &link, inside.index, netns)?;
        Ok(is_its.then_some(link))
    }

    /// Deletes the link, unless the reaper has done so meanwhile.
    fn take_away(&self, link: &Link) -> Result<(), DataplaneError> {
        gone_is_fine(self.host.delete_link(link.index))
            .map(drop)
            .map_err(refused("ip link delete", &link.name))
    }

    /// Makes the veth, with its owner's name on it; `None` if one of its ends' names is taken.
    fn create(
        &self,
        desired: &PodDesired,
        netns: &OwnedFd,
    ) -> Result<Option<Link>, DataplaneError> {
        let name = &desired.host_ifname;
        let created = self.host.create_veth(&VethSpec {
            host_name: name,
            host_mac: desired.host_mac,
            group: desired.group,
            pod_name: &desired.ifname,
            pod_mac: desired.pod_mac,
            netns,
            mtu: desired.mtu,
        });
        let told = match created {
            Err(error) if is(&error, Errno::EEXIST) => return Ok(None),
            created => created.map_err(refused("ip link add type veth", name))?,
        };
        let named = self.name_owner(desired, told);
        if named.is_err() {
            undone(gone_is_fine(self.host.delete_link_named(name)), name);
        }
        named.map(Some)
    }

    /// Writes the alias. The kernel does not read it from the message that creates a link.
    fn name_owner(&self, desired: &PodDesired, told: Option<Link>) -> Result<Link, DataplaneError> {
        let name = &desired.host_ifname;
        let link = match told {
            Some(link) => Ok(Some(link)),
            // Linux before 6.2 does not say what it made.
            None => self.host.link_by_name(name),
        };
        let link = link.and_then(|link| link.ok_or_else(no_device));
        let link = link.map_err(refused("ip link show", name))?;
        let change = LinkChange {
            alias: Some(desired.alias.clone()),
            ..LinkChange::default()
        };
        let set = self.host.set_link(link.index, change);
        set.map_err(refused("ip link set alias", name))?;
        Ok(Link {
            alias: Some(desired.alias.clone()),
            ..link
        })
    }

    /// Everything after the veth exists. Each step is idempotent.
    fn wire(
        &self,
        (pod, netns): (&Netlink, &OwnedFd),
        desired: &PodDesired,
        link: &Link,
        pod_change: LinkChange,
    ) -> Result<PodLinks, DataplaneError> {
        let name = &link.name;
        let change = towards(link, desired.host_mac, desired.mtu, Some(desired.group));
        if !change.is_empty() {
            let set = self.host.set_link(link.index, change);
            set.map_err(refused("ip link set", name))?;
        }
        // Before the pod's end is up: a pod must not become the node's IPv6 router by advertising itself. aws-node only
        // switches accept_ra off, which makes an ADD 0.08 ms longer; without IPv6 the link does no address detection
        // either, and the ADD is as long as without any write. The kernel does not take it in the creating message
        // (EAFNOSUPPORT).
        self.sysctls
            .put_if_present(&format!("net/ipv6/conf/{name}/disable_ipv6"), "1")?;

        let peer = link.peer.ok_or_else(no_device);
        let peer = peer.map_err(refused("ip link show", name))?.index;
        if !pod_change.is_empty() {
            let set = pod.set_link(peer, pod_change);
            set.map_err(refused("ip link set", &desired.ifname))?;
        }
        self.address_pod((pod, netns), desired, peer)?;
        self.route_to(link, desired.address, desired.table)?;
        Ok(PodLinks {
            host_ifindex: link.index,
            host_ifname: name.clone(),
            host_mac: desired.host_mac,
            pod_mac: desired.pod_mac,
        })
    }

    /// The pod's side: its address, the way out, and who answers for the gateway.
    fn address_pod(
        &self,
        (pod, netns): (&Netlink, &OwnedFd),
        desired: &PodDesired,
        index: u32,
    ) -> Result<(), DataplaneError> {
        let address = Address {
            address: desired.address,
            prefix_len: 32,
            global: true,
        };
        let added = pod.add_address(index, address);
        added.map_err(refused("ip address add", desired.address))?;
        let ways = way_out(desired, MAIN_TABLE, index);
        let mut rival = ensure_routes(pod, ways)?;
        if let Some(index) = rival
            && self.went_first((pod, netns), index)?
        {
            rival = ensure_routes(pod, ways)?;
        }
        if rival.is_some() {
            leave_by_source(pod, desired, index)?;
        }
        let gateway = desired.gateway;
        let set = pod.set_neighbour(index, gateway, desired.host_mac);
        set.map_err(refused("ip neighbour replace", gateway))
    }

    /// Whether the pod's interface `index` is gone: one that waits for the reaper is deleted before its turn, since what
    /// goes by its routes goes nowhere.
    fn went_first(
        &self,
        (pod, netns): (&Netlink, &OwnedFd),
        index: u32,
    ) -> Result<bool, DataplaneError> {
        let inside = pod.link_by_index(index);
        let Some(inside) = inside.map_err(refused("ip link show", index))? else {
            return Ok(true);
        };
        match self.far_end(&inside, netns)? {
            Some(link) if link.group == REAPER_GROUP => self.take_away(&link).map(|()| true),
            Some(_) => Ok(false),
            None => is_gone(pod, &inside),
        }
    }
}

/// The routes of a pod's interface: to the gateway, then everywhere by it.
pub(super) fn way_out(desired: &PodDesired, table: u32, index: u32) -> [Route; 2] {
    [
        Route::direct(table, host_net(desired.gateway), index),
        Route::default_via(table, desired.gateway, index),
    ]
}

/// Another interface has the pod's default route: what comes from this one's address leaves by a table of its own.
fn leave_by_source(pod: &Netlink, desired: &PodDesired, index: u32) -> Result<(), DataplaneError> {
    let rule = source_rule(desired.address, index);
    for route in way_out(desired, rule.table, index) {
        ensure_route(pod, route)?;
    }
    let added = pod.add_rule(rule);
    added
        .map(drop)
        .map_err(refused("ip rule add from", desired.address))
}

/// `from <address> lookup <table of the interface>`
pub(super) fn source_rule(address: Ipv4Addr, index: u32) -> Rule {
    Rule {
        priority: POD_SECOND_RULE,
        source: Some(host_net(address)),
        destination: None,
        mark: None,
        table: POD_SECOND_TABLE + index,
    }
}

/// Adds routes inside the pod, up to the first that another interface has: that one's index.
fn ensure_routes(pod: &Netlink, routes: [Route; 2]) -> Result<Option<u32>, DataplaneError> {
    for route in routes {
        let rival = ensure_route(pod, route)?;
        if rival.is_some() {
            return Ok(rival);
        }
    }
    Ok(None)
}

/// Adds a route inside the pod. One to the same destination through another interface is another plugin's, or another
/// attachment's, and stays; answers with that interface's index.
fn ensure_route(pod: &Netlink, route: Route) -> Result<Option<u32>, DataplaneError> {
    let destination = route.destination;
    let added = pod.add_route(route);
    if added.map_err(refused("ip route add", destination))? {
        return Ok(None);
    }
    let routes = pod.routes(route.table, None);
    let routes = routes.map_err(refused("ip route show", destination))?;
    match routes.into_iter().find(|r| r.rivals(&route)) {
        Some(rival) if rival == route => Ok(None),
        Some(rival) if rival.oif != route.oif => Ok(Some(rival.oif)),
        _ => {
            let replaced = pod.replace_route(route);
            replaced.map_err(refused("ip route replace", destination))?;
            Ok(None)
        }
    }
}

/// What is missing on one end of a veth.
fn towards(link: &Link, mac: Mac, mtu: u32, group: Option<u32>) -> LinkChange {
    LinkChange {
        up: (!link.up).then_some(true),
        mac: (link.mac != Some(mac)).then_some(mac),
        mtu: (link.mtu != mtu).then_some(mtu),
        group: group.filter(|group| link.group != *group),
        ..LinkChange::default()
    }
}

/// Whether a link is this attachment's, whose maker died before it could write the alias: by the MAC that is made of the
/// alias. Nothing but the link itself is there yet.
fn is_unnamed_of(link: &Link, desired: &PodDesired) -> bool {
    link.alias.is_none() && link.mac == Some(desired.host_mac)
}

/// Whether a link that was there has gone from the pod.
fn is_gone(pod: &Netlink, link: &Link) -> Result<bool, DataplaneError> {
    let now = pod.link_by_name(&link.name);
    let now = now.map_err(refused("ip link show", &link.name))?;
    Ok(now.is_none_or(|now| now.index != link.index))
}

fn exists(ifname: &str) -> DataplaneError {
    DataplaneError::InterfaceExists {
        ifname: ifname.to_owned(),
    }
}
