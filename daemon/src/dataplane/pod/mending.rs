//! The host ends of pods that stand: what of them is not as it should be, and making it so. A pod's own side is its own.

use ipam::PodInterface;
use ipam::desired::{ALIAS_PREFIX, POD_TABLE, REAPER_GROUP};

use super::{Pods, host_net};
use crate::dataplane::netlink::{Link, LinkChange, Route, refused};
use crate::dataplane::{Changes, DataplaneError, Object, StandingPod, Unfinished};

impl Pods {
    /// See [`super::super::Dataplane::mend_pods`]. One failure does not keep the rest from being mended.
    pub(in crate::dataplane) fn mend(&self, pods: &[StandingPod]) -> Result<Changes, Unfinished> {
        let links = self.links()?;
        let routes = self.host.routes(POD_TABLE, None);
        let routes = routes.map_err(refused("ip route show table", POD_TABLE))?;
        let mut changes = Changes::default();
        let mut failed = None;
        for pod in pods {
            let Some(link) = links.iter().find(|link| is_of(link, pod)) else {
                continue;
            };
            if let Err(error) = self.mend_pod(pod, link, &routes, &mut changes) {
                tracing::warn!(%error, ifname = link.name, alias = pod.alias, "mending a pod's host end");
                failed = Some(error);
            }
        }
        match failed {
            Some(error) => Err(Unfinished { changes, error }),
            None => Ok(changes),
        }
    }

    fn mend_pod(
        &self,
        pod: &StandingPod,
        link: &Link,
        routes: &[Route],
        changes: &mut Changes,
    ) -> Result<(), DataplaneError> {
        let change = towards(link, pod);
        if !change.is_empty() {
            let what = format!("{} {change}", link.name);
            let set = self.host.set_link(link.index, change);
            set.map_err(refused("ip link set", &link.name))?;
            changes.add(Object::PodLink, what);
        }
        if pod.interface == PodInterface::Created {
            // A pod must not become the node's IPv6 router. The kernel tells nobody of a change.
            let name = format!("net/ipv6/conf/{}/disable_ipv6", link.name);
            let set = self.sysctls.set_if_present(&name, "1")?;
            changes.add_if(set, Object::PodSysctl, format_args!("{name}=1"));
        }
        let route = Route::direct(POD_TABLE, host_net(pod.address), link.index);
        if !routes.contains(&route) {
            self.route_to(link, pod.address, POD_TABLE)?;
            let what = format_args!("{} dev {} table {POD_TABLE}", pod.address, link.name);
            changes.add(Object::PodRoute, what);
        }
        Ok(())
    }
}

/// Whether a link is this pod's: by its alias, or, where that was taken away or is another plugin's, by its index, if
/// nothing speaks against it. One in the reaper's group has been deleted.
fn is_of(link: &Link, pod: &StandingPod) -> bool {
    if !link.is_veth() || link.group == REAPER_GROUP {
        return false;
    }
    let alias = link.alias.as_deref().unwrap_or_default();
    let indexed = Some(link.index) == pod.ifindex;
    alias == pod.alias
        || match pod.interface {
            PodInterface::Created => indexed && alias.is_empty() && link.mac == Some(pod.mac),
            PodInterface::Existing => indexed && !alias.starts_with(ALIAS_PREFIX),
        }
}

/// What is missing on the host's end. One that another plugin made keeps its MAC and alias.
fn towards(link: &Link, pod: &StandingPod) -> LinkChange {
    let created = pod.interface == PodInterface::Created;
    let nameless = link.alias.is_none();
    LinkChange {
        up: (!link.up).then_some(true),
        group: (link.group != pod.group).then_some(pod.group),
        mac: (created && link.mac != Some(pod.mac)).then_some(pod.mac),
        alias: (created && nameless).then(|| pod.alias.clone()),
        ..LinkChange::default()
    }
}

#[cfg(test)]
mod tests {
    use ipam::Mac;
    use netlink_packet_route::link::InfoKind;

    use super::*;

    const MAC: Mac = Mac([2, 0, 0, 0, 0, 1]);

    fn pod(interface: PodInterface) -> StandingPod {
        StandingPod {
            interface,
            ifindex: Some(7),
            alias: "berth:c1/eth0".to_owned(),
            mac: MAC,
            group: 7001,
            address: [10, 0, 1, 20].into(),
        }
    }

    fn link() -> Link {
        Link {
            index: 7,
            name: "eni1".to_owned(),
            alias: Some("berth:c1/eth0".to_owned()),
            group: 7001,
            mac: Some(MAC),
            permanent_mac: None,
            mtu: 9001,
            up: true,
            kind: Some(InfoKind::Veth),
            peer: None,
        }
    }

    #[test]
    fn a_link_as_it_should_be_is_left_alone() {
        let pod = pod(PodInterface::Created);
        assert!(is_of(&link(), &pod));
        assert!(towards(&link(), &pod).is_empty());
    }

    #[test]
    fn what_was_changed_is_changed_back() {
        let pod = pod(PodInterface::Created);
        let off = Link {
            alias: None,
            group: 0,
            up: false,
            ..link()
        };
        assert!(is_of(&off, &pod));
        let change = towards(&off, &pod).to_string();
        assert_eq!(change, "up alias berth:c1/eth0 group 7001");
        let other_mac = Link {
            mac: Some(Mac([2, 0, 0, 0, 0, 9])),
            ..link()
        };
        assert!(is_of(&other_mac, &pod));
        assert_eq!(towards(&other_mac, &pod).mac, Some(MAC));
    }

    #[test]
    fn links_of_others_and_deleted_ones_are_nobodys() {
        let pod = pod(PodInterface::Created);
        let another = Link {
            alias: Some("berth:c2/eth0".to_owned()),
            ..link()
        };
        let deleted = Link {
            group: REAPER_GROUP,
            ..link()
        };
        let reused = Link {
            alias: None,
            mac: None,
            ..link()
        };
        for link in [another, deleted, reused] {
            assert!(!is_of(&link, &pod), "{link:?}");
        }
    }

    #[test]
    fn a_link_of_another_plugin_keeps_its_mac_and_alias() {
        let pod = pod(PodInterface::Existing);
        let theirs = Link {
            alias: Some("theirs".to_owned()),
            mac: None,
            group: 0,
            ..link()
        };
        assert!(is_of(&theirs, &pod));
        assert_eq!(towards(&theirs, &pod), LinkChange::group(7001));
    }
}
