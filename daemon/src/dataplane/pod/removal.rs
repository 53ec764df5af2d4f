//! Taking a pod away: its route at once, its link by the reaper. Only what is provably this attachment's is touched.

use std::os::fd::OwnedFd;

use ipam::desired::pod::FIRST_IFNAME;
use ipam::desired::{ALIAS_PREFIX, POD_SECOND_RULE, POD_SECOND_TABLE, POD_TABLE, REAPER_GROUP};

use super::{Pods, host_net};
use crate::dataplane::netlink::{Address, Link, LinkChange, Route, Rule, gone_is_fine, refused};
use crate::dataplane::{DataplaneError, PodRemoval};

impl Pods {
    pub(super) fn remove_created(
        &self,
        pod: &PodRemoval,
        netns: Option<&OwnedFd>,
    ) -> Result<(), DataplaneError> {
        // The first interface goes with its sandbox.
        if let Some(netns) = netns.filter(|_| pod.ifname != FIRST_IFNAME)
            && let Err(error) = self.forget_source(pod, netns)
        {
            // The sandbox is on its way out, and a rule to an empty table leads on to the next one.
            tracing::warn!(%error, ifname = pod.ifname, "rule of a second interface not removed");
        }
        let Some(link) = self.find(pod)? else {
            return Ok(());
        };
        self.unroute(pod, &link)?;
        // Not set down: that would wait for RCU before the answer. What the dying pod still sends is dropped, because
        // the reaper's group has no ENI.
        let set = self
            .host
            .set_link(link.index, LinkChange::group(REAPER_GROUP));
        gone_is_fine(set).map_err(refused("ip link set group", &link.name))?;
        self.reaper.wake();
        Ok(())
    }

    /// Leaves another plugin's interface as it was before us.
    pub(super) fn remove_chained(
        &self,
        pod: &PodRemoval,
        netns: Option<&OwnedFd>,
    ) -> Result<(), DataplaneError> {
        if let Some(netns) = netns {
            self.take_address(pod, netns)?;
        }
        let link = match self.find(pod)? {
            Some(link) => Some(link),
            None => self.find_by_route(pod)?,
        };
        let Some(link) = link else { return Ok(()) };
        self.unroute(pod, &link)?;
        let change = LinkChange {
            group: Some(0),
            alias: link.has_alias(&pod.alias).then(String::new),
            ..LinkChange::default()
        };
        gone_is_fine(self.host.set_link(link.index, change))
            .map_err(refused("ip link set group default", &link.name))?;
        Ok(())
    }

    /// The host's end: by index if its alias agrees (one question), else by alias among all links. A doomed link is as
    /// good as gone.
    fn find(&self, pod: &PodRemoval) -> Result<Option<Link>, DataplaneError> {
        if let Some(index) = pod.host_ifindex {
            let link = self.host.link_by_index(index);
            let link = link.map_err(refused("ip link show", index))?;
            if let Some(link) = link.filter(|link| link.has_alias(&pod.alias)) {
                return Ok(Some(link).filter(|link| link.group != REAPER_GROUP));
            }
        }
        let links = self.links()?;
        Ok(links.into_iter().find(|link| link.has_alias(&pod.alias)))
    }

    /// The link of another plugin that had an alias of its own, which we left: the one that the address is routed to.
    fn find_by_route(&self, pod: &PodRemoval) -> Result<Option<Link>, DataplaneError> {
        let routes = self.host.routes(POD_TABLE, pod.host_ifindex);
        let routes = routes.map_err(refused("ip route show table", POD_TABLE))?;
        let destination = host_net(pod.address);
        let Some(route) = routes.into_iter().find(|r| r.destination == destination) else {
            return Ok(None);
        };
        let link = self.host.link_by_index(route.oif);
        let link = link.map_err(refused("ip link show", route.oif))?;
        let another = |link: &Link| {
            let alias = link.alias.as_deref().unwrap_or_default();
            alias.starts_with(ALIAS_PREFIX)
        };
        Ok(link.filter(|link| !another(link)))
    }

    /// Only the route through this link: a newer pod may have the address by now.
    fn unroute(&self, pod: &PodRemoval, link: &Link) -> Result<(), DataplaneError> {
        let route = Route::direct(POD_TABLE, host_net(pod.address), link.index);
        gone_is_fine(self.host.delete_route(route))
            .map_err(refused("ip route delete table 20512", pod.address))?;
        Ok(())
    }

    /// Takes away the rule by which a second interface's traffic left; its routes go with the link.
    fn forget_source(&self, pod: &PodRemoval, netns: &OwnedFd) -> Result<(), DataplaneError> {
        let inside = self.home.open_in(netns)?;
        let rules = inside.rules().map_err(refused("ip rule show", ""))?;
        let its = |rule: &&Rule| {
            rule.priority == POD_SECOND_RULE
                && rule.source == Some(host_net(pod.address))
                && rule.table > POD_SECOND_TABLE
        };
        for rule in rules.iter().filter(its) {
            gone_is_fine(inside.delete_rule(*rule))
                .map_err(refused("ip rule delete from", pod.address))?;
        }
        Ok(())
    }

    /// Takes our address off the pod's interface, if both are still there.
    fn take_address(&self, pod: &PodRemoval, netns: &OwnedFd) -> Result<(), DataplaneError> {
        let inside = self.home.open_in(netns)?;
        let link = inside.link_by_name(&pod.ifname);
        let Some(link) = link.map_err(refused("ip link show", &pod.ifname))? else {
            return Ok(());
        };
        let address = Address {
            address: pod.address,
            prefix_len: 32,
            global: true,
        };
        gone_is_fine(inside.delete_address(link.index, address))
            .map_err(refused("ip address delete", pod.address))?;
        Ok(())
    }
}
