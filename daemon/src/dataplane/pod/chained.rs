//! A pod's interface that a plugin before us made: it gets our address besides its own, and its host end our route, group
//! and, if it has none, alias. The pod's own routes are the other plugin's and stay.

use std::io;
use std::os::fd::OwnedFd;

use ipam::desired::{ALIAS_PREFIX, PodDesired};

use super::{Pods, host_net, is_peer_of, undone};
use crate::dataplane::netlink::{Address, Link, LinkChange, Route, gone_is_fine, refused};
use crate::dataplane::{DataplaneError, PodLinks};

impl Pods {
    pub(super) fn apply_chained(
        &self,
        desired: &PodDesired,
        netns: &OwnedFd,
    ) -> Result<PodLinks, DataplaneError> {
        let pod = self.home.open_in(netns)?;
        let inside = pod.link_by_name(&desired.ifname);
        let inside = inside.map_err(refused("ip link show", &desired.ifname))?;
        let inside = inside.ok_or_else(|| unusable(desired, "does not exist"))?;
        let link = self.host_end(desired, &inside, netns)?;
        let (Some(host_mac), Some(pod_mac)) = (link.mac, inside.mac) else {
            return Err(unusable(desired, "has no link-layer address"));
        };

        let address = Address {
            address: desired.address,
            prefix_len: 32,
            global: true,
        };
        // Without a route: the address is reached through the interface's own.
        let added = pod.add_address(inside.index, address);
        added.map_err(refused("ip address add", desired.address))?;
        if let Err(error) = self.join(desired, &link) {
            let taken = pod.delete_address(inside.index, address);
            undone(gone_is_fine(taken), &inside.name);
            undone(self.leave(desired, &link), &link.name);
            return Err(error);
        }
        Ok(PodLinks {
            host_ifindex: link.index,
            host_ifname: link.name,
            host_mac,
            pod_mac,
        })
    }

    /// The other end, which must be a veth in this namespace that is nobody else's.
    fn host_end(
        &self,
        desired: &PodDesired,
        inside: &Link,
        netns: &OwnedFd,
    ) -> Result<Link, DataplaneError> {
        if !inside.is_veth() {
            return Err(unusable(desired, "is not a veth"));
        }
        let elsewhere = || unusable(desired, "has no peer in the node's network namespace");
        let peer = inside.peer.ok_or_else(elsewhere)?;
        let link = self.host.link_by_index(peer.index);
        let link = link.map_err(refused("ip link show", peer.index))?;
        let link = link.ok_or_else(elsewhere)?;
        if !is_peer_of(&self.host, &link, inside.index, netns)? {
            return Err(elsewhere());
        }
        let alias = link.alias.as_deref().unwrap_or_default();
        if alias.starts_with(ALIAS_PREFIX) && alias != desired.alias {
            return Err(unusable(desired, "belongs to another attachment"));
        }
        Ok(link)
    }

    fn join(&self, desired: &PodDesired, link: &Link) -> Result<(), DataplaneError> {
        let change = LinkChange {
            group: Some(desired.group).filter(|group| link.group != *group),
            alias: link.alias.is_none().then(|| desired.alias.clone()),
            ..LinkChange::default()
        };
        if !change.is_empty() {
            let set = self.host.set_link(link.index, change);
            set.map_err(refused("ip link set group", &link.name))?;
        }
        self.route_to(link, desired.address, desired.table)
    }

    /// Takes back what [`Self::join`] did, now or in an earlier ADD.
    fn leave(&self, desired: &PodDesired, before: &Link) -> io::Result<bool> {
        let ours = before.alias.is_none() || before.has_alias(&desired.alias);
        let change = LinkChange {
            group: Some(if before.group == desired.group {
                0
            } else {
                before.group
            }),
            alias: ours.then(String::new),
            ..LinkChange::default()
        };
        let route = Route::direct(desired.table, host_net(desired.address), before.index);
        let unrouted = gone_is_fine(self.host.delete_route(route));
        gone_is_fine(self.host.set_link(before.index, change))?;
        unrouted
    }
}

fn unusable(desired: &PodDesired, problem: &'static str) -> DataplaneError {
    DataplaneError::UnusableInterface {
        ifname: desired.ifname.clone(),
        problem,
    }
}
