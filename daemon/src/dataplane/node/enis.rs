//! One ENI: its link, its address and its routing table. The primary's addresses and routes are the operating system's;
//! of it only the MAC, the MTU, forwarding and the reverse-path filter are set.

use ipam::desired::EniDesired;
use ipnet::Ipv4Net;

use super::{Node, Pass};
use crate::dataplane::netlink::{
    Address, Link, LinkChange, MAIN_TABLE, Route, gone_is_fine, refused,
};
use crate::dataplane::{DataplaneError, Object};

impl Node {
    pub(super) fn apply_eni(&self, eni: &EniDesired, link: &Link, pass: &mut Pass) {
        // Loose: steering happens before routing, so a strict filter looks the source up without the mark and drops what
        // comes in by a secondary ENI. 2 wins over a 1 in conf/all, the kernel takes the larger.
        let name = format!("net/ipv4/conf/{}/rp_filter", link.name);
        self.set_sysctl(&name, "2", pass);
        // 1 since ip_forward became 1, unless somebody took it off this link alone: then nothing that comes in by it
        // reaches a pod.
        let name = format!("net/ipv4/conf/{}/forwarding", link.name);
        self.set_sysctl(&name, "1", pass);

        let secondary = eni.device_index != 0;
        let change = LinkChange {
            // The VPC drops every frame with another MAC than the ENI's.
            mac: (link.mac != Some(eni.mac)).then_some(eni.mac),
            mtu: (link.mtu != eni.mtu).then_some(eni.mtu),
            up: (secondary && !link.up).then_some(true),
            ..LinkChange::default()
        };
        if !change.is_empty() {
            let what = format!("{} {change}", link.name);
            let set = self.host.set_link(link.index, change);
            let set = pass.note(set.map_err(refused("ip link set", &link.name)));
            pass.changes.add_if(set.is_some(), Object::EniLink, what);
        }
        if secondary {
            let addressed = self.address_eni(eni, link, pass);
            pass.note(addressed);
            let routed = self.route_eni(eni, link, pass);
            pass.note(routed);
        }
    }

    /// The primary address on the link, and no other of the subnet: an address that stands here is the node's own, so a
    /// pod's secondary address that some agent put here would make the node answer for the pod.
    fn address_eni(
        &self,
        eni: &EniDesired,
        link: &Link,
        pass: &mut Pass,
    ) -> Result<(), DataplaneError> {
        let wanted = Address {
            address: eni.primary_address,
            prefix_len: eni.subnet.prefix_len(),
            global: true,
        };
        let found = self.host.addresses(link.index);
        let found = found.map_err(refused("ip address show", &link.name))?;
        let in_the_way = |a: &&Address| {
            a.global && a.address != wanted.address && eni.subnet.contains(&a.address)
        };
        for address in found.iter().filter(in_the_way) {
            let deleted = self.host.delete_address(link.index, *address);
            let deleted = gone_is_fine(deleted);
            let deleted = deleted.map_err(refused("ip address delete", address.address))?;
            let what = format_args!("not {address} dev {}", link.name);
            pass.changes.add_if(deleted, Object::EniAddress, what);
        }
        // Also when it was found: deleting the subnet's first address takes the others with it. The flag keeps the
        // subnet's route out of the main table, where it would lead the node's own traffic out of this ENI.
        let kept = found.iter().any(|a| a.address == wanted.address)
            && !found.iter().any(|a| in_the_way(&a));
        if !kept {
            let added = self.host.add_address(link.index, wanted);
            let added = added.map_err(refused("ip address add", wanted.address))?;
            let what = format_args!("{wanted} dev {}", link.name);
            pass.changes.add_if(added, Object::EniAddress, what);
        }
        self.unroute_subnet(eni.subnet, link, pass)
    }

    /// An address that somebody set without `noprefixroute` has put the subnet's route into the main table. Only the route
    /// is taken away: replacing the address would flush the ENI's table under running pods.
    fn unroute_subnet(
        &self,
        subnet: Ipv4Net,
        link: &Link,
        pass: &mut Pass,
    ) -> Result<(), DataplaneError> {
        let routes = self.host.routes(MAIN_TABLE, Some(link.index));
        let routes = routes.map_err(refused("ip route show dev", &link.name))?;
        let of_subnet = |r: &Route| r.gateway.is_none() && r.destination == subnet.trunc();
        for route in routes.into_iter().filter(of_subnet) {
            let deleted = gone_is_fine(self.host.delete_route(route));
            let deleted = deleted.map_err(refused("ip route delete", subnet))?;
            pass.changes
                .add_if(deleted, Object::EniRoute, format_args!("not {route}"));
        }
        Ok(())
    }

    /// `<gateway>/32 dev <link>` and `default via <gateway>` in the ENI's table.
    fn route_eni(
        &self,
        eni: &EniDesired,
        link: &Link,
        pass: &mut Pass,
    ) -> Result<(), DataplaneError> {
        let wanted = [
            Route::direct(eni.table, Ipv4Net::from(eni.gateway), link.index),
            Route::default_via(eni.table, eni.gateway, link.index),
        ];
        let found = self.host.routes(eni.table, None);
        let found = found.map_err(refused("ip route show table", eni.table))?;
        for route in wanted.into_iter().filter(|route| !found.contains(route)) {
            let replaced = self.host.replace_route(route);
            replaced.map_err(refused("ip route replace", route.destination))?;
            pass.changes.add(Object::EniRoute, route);
        }
        Ok(())
    }
}
