//! IPv4 neighbour entries (`ip neighbour`).

use std::io;
use std::net::Ipv4Addr;

use ipam::Mac;
use netlink_packet_core::{NLM_F_CREATE, NLM_F_REPLACE};
use netlink_packet_route::neighbour::{
    NeighbourAddress, NeighbourAttribute, NeighbourMessage, NeighbourState,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use super::Netlink;

impl Netlink {
    /// `ip neighbour replace <address> lladdr <mac> dev <index> nud permanent`
    pub(in crate::dataplane) fn set_neighbour(
        &self,
        index: u32,
        address: Ipv4Addr,
        mac: Mac,
    ) -> io::Result<()> {
        let mut message = NeighbourMessage::default();
        message.header.family = AddressFamily::Inet;
        message.header.ifindex = index;
        message.header.state = NeighbourState::Permanent;
        message.attributes = vec![
            NeighbourAttribute::Destination(NeighbourAddress::Inet(address)),
            NeighbourAttribute::LinkLayerAddress(mac.0.to_vec()),
        ];
        self.change(
            RouteNetlinkMessage::NewNeighbour(message),
            NLM_F_CREATE | NLM_F_REPLACE,
        )
    }

    /// `ip neighbour show <address> dev <index> nud permanent`: its MAC. All of a pod's entries are listed, for it has a
    /// handful, and a filter by link is not taken in the header by kernels that check it.
    pub(in crate::dataplane) fn permanent_neighbour(
        &self,
        index: u32,
        address: Ipv4Addr,
    ) -> io::Result<Option<Mac>> {
        let mut message = NeighbourMessage::default();
        message.header.family = AddressFamily::Inet;
        let found = self.dump(
            RouteNetlinkMessage::GetNeighbour(message),
            |found| match found {
                RouteNetlinkMessage::NewNeighbour(entry) => {
                    let its = entry.header.ifindex == index
                        && entry.header.state == NeighbourState::Permanent
                        && leads_to(&entry, address);
                    its.then(|| mac_of(&entry)).flatten()
                }
                _ => None,
            },
        )?;
        Ok(found.first().copied())
    }
}

fn leads_to(entry: &NeighbourMessage, address: Ipv4Addr) -> bool {
    let wanted = NeighbourAttribute::Destination(NeighbourAddress::Inet(address));
    entry.attributes.contains(&wanted)
}

fn mac_of(entry: &NeighbourMessage) -> Option<Mac> {
    entry
        .attributes
        .iter()
        .find_map(|attribute| match attribute {
            NeighbourAttribute::LinkLayerAddress(octets) => octets.clone().try_into().ok().map(Mac),
            _ => None,
        })
}
