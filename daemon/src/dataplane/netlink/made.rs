//! What the kernel tells of a link that was just made: only where its two ends are. The rest of its 1.5 kB is what was
//! asked for, and an ADD would wait for whoever reads it.

use netlink_packet_core::{
    DecodeError, NetlinkDeserializable, NetlinkHeader, NlasIterator, parse_i32, parse_u32,
};

use super::links::Peer;

/// linux/rtnetlink.h: `struct ifinfomsg`, whose `ifi_index` stands in its second four bytes.
const HEADER: usize = 16;
/// linux/if_link.h
const IFLA_LINK: u16 = 5;
/// linux/if_link.h
const IFLA_LINK_NETNSID: u16 = 37;

/// Where a link is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Made {
    pub(super) index: u32,
    pub(super) peer: Option<Peer>,
}

impl NetlinkDeserializable for Made {
    type Error = DecodeError;

    fn deserialize(_: &NetlinkHeader, payload: &[u8]) -> Result<Self, DecodeError> {
        let short = || DecodeError::from("a message about a link is too short");
        let index = payload.get(4..8).ok_or_else(short)?;
        let attributes = payload.get(HEADER..).ok_or_else(short)?;
        let (mut peer, mut netns) = (None, None);
        for attribute in NlasIterator::new(attributes) {
            let attribute = attribute?;
            match attribute.kind() {
                IFLA_LINK => peer = Some(parse_u32(attribute.value())?),
                IFLA_LINK_NETNSID => netns = Some(parse_i32(attribute.value())?),
                _ => {}
            }
        }
        Ok(Self {
            index: parse_u32(index)?,
            peer: peer.map(|index| Peer { index, netns }),
        })
    }
}
