//! IPv4 routes (`ip route`).

use std::fmt;
use std::io;
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE};
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteProtocol, RouteScope, RouteType,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use nix::errno::Errno;

use super::{Netlink, is};

/// The main table (linux/rtnetlink.h, RT_TABLE_MAIN).
pub(in crate::dataplane) const MAIN_TABLE: u32 = 254;
/// The destination of a default route.
pub(in crate::dataplane) const ANYWHERE: Ipv4Net = Ipv4Net::new_assert(Ipv4Addr::UNSPECIFIED, 0);

/// A unicast route. Without a gateway its scope is link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::dataplane) struct Route {
    pub(in crate::dataplane) table: u32,
    pub(in crate::dataplane) destination: Ipv4Net,
    pub(in crate::dataplane) gateway: Option<Ipv4Addr>,
    pub(in crate::dataplane) oif: u32,
    /// `metric`; 0 is the default and the most preferred.
    pub(in crate::dataplane) priority: u32,
}

impl Route {
    pub(in crate::dataplane) fn direct(table: u32, destination: Ipv4Net, oif: u32) -> Self {
        Self {
            table,
            destination,
            gateway: None,
            oif,
            priority: 0,
        }
    }

    pub(in crate::dataplane) fn default_via(table: u32, gateway: Ipv4Addr, oif: u32) -> Self {
        Self {
            gateway: Some(gateway),
            ..Self::direct(table, ANYWHERE, oif)
        }
    }

    /// Whether the kernel takes both for the same entry: a table has one route per destination and metric.
    pub(in crate::dataplane) fn rivals(&self, other: &Self) -> bool {
        (self.table, self.destination, self.priority)
            == (other.table, other.destination, other.priority)
    }

    /// The table that a message is about.
    pub(in crate::dataplane) fn table_of(message: &RouteMessage) -> u32 {
        let in_attributes = message
            .attributes
            .iter()
            .find_map(|attribute| match attribute {
                RouteAttribute::Table(table) => Some(*table),
                _ => None,
            });
        in_attributes.unwrap_or(u32::from(message.header.table))
    }

    fn message(self) -> RouteMessage {
        let mut message = RouteMessage::default();
        message.header = RouteHeader {
            address_family: AddressFamily::Inet,
            destination_prefix_length: self.destination.prefix_len(),
            protocol: RouteProtocol::Boot,
            scope: match self.gateway {
                Some(_) => RouteScope::Universe,
                None => RouteScope::Link,
            },
            kind: RouteType::Unicast,
            ..RouteHeader::default()
        };
        message.attributes = vec![
            RouteAttribute::Table(self.table),
            RouteAttribute::Oif(self.oif),
        ];
        if self.destination.prefix_len() > 0 {
            let destination = RouteAddress::Inet(self.destination.network());
            message
                .attributes
                .push(RouteAttribute::Destination(destination));
        }
        if let Some(gateway) = self.gateway {
            let gateway = RouteAddress::Inet(gateway);
            message.attributes.push(RouteAttribute::Gateway(gateway));
        }
        if self.priority != 0 {
            let priority = RouteAttribute::Priority(self.priority);
            message.attributes.push(priority);
        }
        message
    }

    fn from_message(message: &RouteMessage) -> Option<Self> {
        if message.header.kind != RouteType::Unicast {
            return None;
        }
        let mut route = Self::direct(Self::table_of(message), ANYWHERE, 0);
        for attribute in &message.attributes {
            match attribute {
                RouteAttribute::Oif(oif) => route.oif = *oif,
                RouteAttribute::Priority(priority) => route.priority = *priority,
                RouteAttribute::Gateway(RouteAddress::Inet(gateway)) => {
                    route.gateway = Some(*gateway);
                }
                RouteAttribute::Destination(RouteAddress::Inet(destination)) => {
                    let length = message.header.destination_prefix_length;
                    route.destination = Ipv4Net::new(*destination, length).ok()?;
                }
                _ => {}
            }
        }
        Some(route)
    }
}

/// In the words of `ip route`.
impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.destination {
            ANYWHERE => write!(f, "default")?,
            destination => write!(f, "{destination}")?,
        }
        if let Some(gateway) = self.gateway {
            write!(f, " via {gateway}")?;
        }
        write!(f, " dev #{} table {}", self.oif, self.table)
    }
}

/// A route that answers for nobody: it has neither link nor gateway, and the sender gets EHOSTUNREACH or its ICMP.
fn unreachable(table: u32, destination: Ipv4Net) -> RouteMessage {
    let mut message = RouteMessage::default();
    message.header = RouteHeader {
        address_family: AddressFamily::Inet,
        destination_prefix_length: destination.prefix_len(),
        protocol: RouteProtocol::Boot,
        scope: RouteScope::Universe,
        kind: RouteType::Unreachable,
        ..RouteHeader::default()
    };
    message.attributes = vec![
        RouteAttribute::Table(table),
        RouteAttribute::Destination(RouteAddress::Inet(destination.network())),
    ];
    message
}

fn unreachable_in(message: &RouteMessage, table: u32) -> Option<Ipv4Net> {
    let (mut of, mut network) = (u32::from(message.header.table), Ipv4Addr::UNSPECIFIED);
    for attribute in &message.attributes {
        match attribute {
            RouteAttribute::Table(table) => of = *table,
            RouteAttribute::Destination(RouteAddress::Inet(destination)) => network = *destination,
            _ => {}
        }
    }
    let ours = message.header.kind == RouteType::Unreachable && of == table;
    let destination = Ipv4Net::new(network, message.header.destination_prefix_length).ok()?;
    ours.then_some(destination)
}

impl Netlink {
    /// `ip -4 route show table <table> [dev <oif>]`; a table that was never used is empty.
    pub(in crate::dataplane) fn routes(
        &self,
        table: u32,
        oif: Option<u32>,
    ) -> io::Result<Vec<Route>> {
        let mut message = RouteMessage::default();
        message.header.address_family = AddressFamily::Inet;
        message.attributes = vec![RouteAttribute::Table(table)];
        message.attributes.extend(oif.map(RouteAttribute::Oif));
        let found = self.dump(
            RouteNetlinkMessage::GetRoute(message),
            |found| match found {
                RouteNetlinkMessage::NewRoute(route) => Route::from_message(&route)
                    .filter(|r| r.table == table && oif.is_none_or(|oif| r.oif == oif)),
                _ => None,
            },
        );
        match found {
            Err(error) if is(&error, Errno::ENOENT) => Ok(Vec::new()),
            // the kernel refuses to look for routes through a link that is gone
            Err(error) if oif.is_some() && is(&error, Errno::ENODEV) => Ok(Vec::new()),
            found => found,
        }
    }

    /// `ip route add ...`; whether there was no route to that destination.
    pub(in crate::dataplane) fn add_route(&self, route: Route) -> io::Result<bool> {
        let message = RouteNetlinkMessage::NewRoute(route.message());
        match self.change(message, NLM_F_CREATE | NLM_F_EXCL) {
            Err(error) if is(&error, Errno::EEXIST) => Ok(false),
            added => added.map(|()| true),
        }
    }

    /// `ip route replace ...`
    pub(in crate::dataplane) fn replace_route(&self, route: Route) -> io::Result<()> {
        let message = RouteNetlinkMessage::NewRoute(route.message());
        self.change(message, NLM_F_CREATE | NLM_F_REPLACE)
    }

    /// `ip -4 route show table <table> type unreachable`: the destinations.
    pub(in crate::dataplane) fn unreachable(&self, table: u32) -> io::Result<Vec<Ipv4Net>> {
        let mut message = RouteMessage::default();
        message.header.address_family = AddressFamily::Inet;
        message.attributes = vec![RouteAttribute::Table(table)];
        let found = self.dump(
            RouteNetlinkMessage::GetRoute(message),
            |found| match found {
                RouteNetlinkMessage::NewRoute(route) => unreachable_in(&route, table),
                _ => None,
            },
        );
        match found {
            Err(error) if is(&error, Errno::ENOENT) => Ok(Vec::new()),
            found => found,
        }
    }

    /// `ip route add unreachable <destination> table <table>`; whether there was none.
    pub(in crate::dataplane) fn add_unreachable(
        &self,
        table: u32,
        destination: Ipv4Net,
    ) -> io::Result<bool> {
        let message = RouteNetlinkMessage::NewRoute(unreachable(table, destination));
        match self.change(message, NLM_F_CREATE | NLM_F_EXCL) {
            Err(error) if is(&error, Errno::EEXIST) => Ok(false),
            added => added.map(|()| true),
        }
    }

    /// `ip route delete unreachable <destination> table <table>`
    pub(in crate::dataplane) fn delete_unreachable(
        &self,
        table: u32,
        destination: Ipv4Net,
    ) -> io::Result<()> {
        let message = RouteNetlinkMessage::DelRoute(unreachable(table, destination));
        self.change(message, 0)
    }

    /// `ip route delete ... dev <oif>`: only the one through that link, whatever its scope or protocol.
    pub(in crate::dataplane) fn delete_route(&self, route: Route) -> io::Result<()> {
        let mut message = route.message();
        message.header.protocol = RouteProtocol::Unspec;
        message.header.scope = RouteScope::NoWhere;
        self.change(RouteNetlinkMessage::DelRoute(message), 0)
    }
}
