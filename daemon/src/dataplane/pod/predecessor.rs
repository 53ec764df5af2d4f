//! What aws-node left on the host of a pod that goes after the swap: its route in the main table and its rules. The link
//! goes with the pod's namespace, as with aws-node itself. Only what nobody else can have by now is taken.

use berth_cni::contract::AwsNodeLink;
use ipam::desired::{ALIAS_PREFIX, POD_TABLE};
use ipnet::Ipv4Net;

use super::{Pods, host_net};
use crate::dataplane::DataplaneError;
use crate::dataplane::netlink::{Link, MAIN_TABLE, Route, Rule, gone_is_fine, refused};

/// Priority of aws-node's `to <pod>/32 lookup main`, one for each pod.
const TO_POD: u32 = 512;
/// Priority of aws-node's `from <pod>/32 lookup <ENI's table>`, one for each pod on a secondary ENI.
const FROM_POD: u32 = 1536;

impl Pods {
    /// See [`crate::dataplane::Dataplane::remove_aws_node`].
    pub(in crate::dataplane) fn remove_aws_node(
        &self,
        link: &AwsNodeLink,
    ) -> Result<(), DataplaneError> {
        let destination = host_net(link.address);
        let taken = self.routes_to(destination, POD_TABLE)?;
        let routes = self.routes_to(destination, MAIN_TABLE)?;
        let host = self.host.link_by_name(&link.host_ifname);
        let host = host.map_err(refused("ip link show", &link.host_ifname))?;
        let rules = self.host.rules().map_err(refused("ip rule show", ""))?;
        let Some(left) = left_by(link, host.as_ref(), &taken, &routes, &rules) else {
            tracing::info!(address = %link.address, link = link.host_ifname, "address of aws-node's pod has another owner");
            return Ok(());
        };
        for rule in left.rules {
            gone_is_fine(self.host.delete_rule(rule))
                .map_err(refused("ip rule delete priority", rule.priority))?;
        }
        for route in left.routes {
            gone_is_fine(self.host.delete_route(route))
                .map_err(refused("ip route delete", link.address))?;
        }
        Ok(())
    }

    fn routes_to(&self, destination: Ipv4Net, table: u32) -> Result<Vec<Route>, DataplaneError> {
        let routes = self.host.routes(table, None);
        let mut routes = routes.map_err(refused("ip route show table", table))?;
        routes.retain(|route| route.destination == destination);
        Ok(routes)
    }
}

/// What is to go.
#[derive(Debug, PartialEq, Eq)]
struct Left {
    routes: Vec<Route>,
    rules: Vec<Rule>,
}

/// What `found` has of that pod; `None` if the address is somebody else's by now: routed to a pod of ours (`taken`), or in
/// the main table through another link than the one of the pod's name.
fn left_by(
    pod: &AwsNodeLink,
    host: Option<&Link>,
    taken: &[Route],
    found: &[Route],
    rules: &[Rule],
) -> Option<Left> {
    let its_link = host.filter(|link| {
        let alias = link.alias.as_deref().unwrap_or_default();
        link.is_veth() && !alias.starts_with(ALIAS_PREFIX)
    });
    let through = |route: &Route| its_link.is_some_and(|link| link.index == route.oif);
    if !taken.is_empty() || !found.iter().all(through) {
        return None;
    }
    let net = Some(host_net(pod.address));
    let its = |rule: &&Rule| {
        let to = rule.priority == TO_POD && rule.destination == net && rule.source.is_none();
        let from = rule.priority == FROM_POD && rule.source == net && rule.destination.is_none();
        rule.mark.is_none() && (to && rule.table == MAIN_TABLE || from && rule.table == pod.table)
    };
    Some(Left {
        routes: found.to_vec(),
        rules: rules.iter().filter(its).copied().collect(),
    })
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use netlink_packet_route::link::InfoKind;

    use super::*;

    const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 0, 1, 40);
    const OTHER: Ipv4Addr = Ipv4Addr::new(10, 0, 1, 41);

    fn pod() -> AwsNodeLink {
        AwsNodeLink {
            host_ifname: "eni1".into(),
            address: ADDRESS,
            table: 2,
        }
    }

    fn link(alias: Option<&str>) -> Link {
        Link {
            index: 7,
            name: "eni1".into(),
            alias: alias.map(str::to_owned),
            group: 0,
            mac: None,
            permanent_mac: None,
            mtu: 9001,
            up: true,
            kind: Some(InfoKind::Veth),
            peer: None,
        }
    }

    fn route(table: u32, oif: u32) -> Route {
        Route::direct(table, host_net(ADDRESS), oif)
    }

    fn to(address: Ipv4Addr) -> Rule {
        Rule {
            priority: 512,
            source: None,
            destination: Some(address.into()),
            mark: None,
            table: 254,
        }
    }

    fn from(address: Ipv4Addr, table: u32) -> Rule {
        Rule {
            priority: 1536,
            source: Some(address.into()),
            destination: None,
            mark: None,
            table,
        }
    }

    /// Rules of this pod and of others, ours among them.
    fn rules() -> Vec<Rule> {
        let bare = Rule {
            destination: None,
            table: 20512,
            ..to(ADDRESS)
        };
        vec![
            to(ADDRESS),
            bare,
            to(OTHER),
            from(ADDRESS, 2),
            from(OTHER, 2),
            from(ADDRESS, 3),
        ]
    }

    #[test]
    fn its_route_and_rules_go_whether_or_not_its_link_is_there() {
        let whole = left_by(&pod(), Some(&link(None)), &[], &[route(254, 7)], &rules());
        let rest = left_by(&pod(), None, &[], &[], &rules());
        let rules = vec![to(ADDRESS), from(ADDRESS, 2)];
        let routes = vec![route(254, 7)];
        assert_eq!(
            whole,
            Some(Left {
                routes,
                rules: rules.clone()
            })
        );
        assert_eq!(
            rest,
            Some(Left {
                routes: Vec::new(),
                rules
            })
        );
    }

    #[test]
    fn an_address_that_has_another_owner_by_now_is_left_alone() {
        let (its, ours) = (link(None), link(Some("berth:c1/eth0")));
        for (host, taken, found) in [
            (Some(&its), vec![route(20512, 9)], vec![]),
            (Some(&its), vec![], vec![route(254, 9)]),
            (None, vec![], vec![route(254, 7)]),
            // A pod of ours that bears the name now.
            (Some(&ours), vec![], vec![route(254, 7)]),
        ] {
            assert_eq!(left_by(&pod(), host, &taken, &found, &rules()), None);
        }
    }
}
