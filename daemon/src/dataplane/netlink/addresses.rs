//! IPv4 addresses of links (`ip address`).

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr};

use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::address::{AddressAttribute, AddressFlags, AddressMessage, AddressScope};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use nix::errno::Errno;

use super::{Netlink, is};

/// An address with its prefix length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::dataplane) struct Address {
    pub(in crate::dataplane) address: Ipv4Addr,
    pub(in crate::dataplane) prefix_len: u8,
    /// Whether it is of global scope (not link or host).
    pub(in crate::dataplane) global: bool,
}

impl Address {
    fn message(self, index: u32) -> AddressMessage {
        let mut message = AddressMessage::default();
        message.header.family = AddressFamily::Inet;
        message.header.prefix_len = self.prefix_len;
        message.header.index = index;
        message.attributes = vec![
            AddressAttribute::Local(IpAddr::V4(self.address)),
            AddressAttribute::Address(IpAddr::V4(self.address)),
        ];
        message
    }

    fn from_message(message: &AddressMessage) -> Option<Self> {
        let address = message
            .attributes
            .iter()
            .find_map(|attribute| match attribute {
                AddressAttribute::Local(IpAddr::V4(address)) => Some(*address),
                _ => None,
            })?;
        Some(Self {
            address,
            prefix_len: message.header.prefix_len,
            global: message.header.scope == AddressScope::Universe,
        })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix_len)
    }
}

impl Netlink {
    /// `ip -4 address show dev <index>`
    pub(in crate::dataplane) fn addresses(&self, index: u32) -> io::Result<Vec<Address>> {
        let mut message = AddressMessage::default();
        message.header.family = AddressFamily::Inet;
        message.header.index = index;
        self.dump(
            RouteNetlinkMessage::GetAddress(message),
            |found| match found {
                RouteNetlinkMessage::NewAddress(address) if address.header.index == index => {
                    Address::from_message(&address)
                }
                _ => None,
            },
        )
    }

    /// `ip address add <address>/<len> dev <index> noprefixroute`; whether it was not there.
    pub(in crate::dataplane) fn add_address(
        &self,
        index: u32,
        address: Address,
    ) -> io::Result<bool> {
        let mut message = address.message(index);
        message
            .attributes
            .push(AddressAttribute::Flags(AddressFlags::Noprefixroute));
        let added = self.change(
            RouteNetlinkMessage::NewAddress(message),
            NLM_F_CREATE | NLM_F_EXCL,
        );
        match added {
            Err(error) if is(&error, Errno::EEXIST) => Ok(false),
            added => added.map(|()| true),
        }
    }

    /// `ip address delete <address>/<len> dev <index>`
    pub(in crate::dataplane) fn delete_address(
        &self,
        index: u32,
        address: Address,
    ) -> io::Result<()> {
        self.change(RouteNetlinkMessage::DelAddress(address.message(index)), 0)
    }
}
