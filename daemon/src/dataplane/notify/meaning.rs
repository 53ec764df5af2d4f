//! What a notification puts in doubt. It is a hint only: what stands is read afterwards, by whoever mends it. What our own
//! sockets changed is no doubt, so that an ADD or DEL causes none.

use std::collections::HashMap;

use ipam::Mac;
use ipam::desired::{
    ALIAS_PREFIX, ENI_RULE, ENI_SOURCE_RULE, POD_RULE, POD_TABLE, PRIMARY_MARK_RULE, REAPER_GROUP,
};
use netlink_packet_core::{NetlinkDeserializable, NetlinkHeader, NlasIterator};
use netlink_packet_route::link::LinkMessage;
use netlink_packet_route::route::RouteType;
use netlink_packet_route::rule::RuleAttribute;
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use super::interest::Interest;
use super::socket::Message;
use crate::dataplane::netlink::{Link, Route};
use crate::dataplane::nft::TABLE;
use crate::dataplane::{Part, Parts};

/// The kernel's own rule to the main table.
const MAIN_RULE: u32 = 32766;
/// linux/rtnetlink.h
const RTM_NEWNETCONF: u16 = 80;
/// linux/netconf.h
const NETCONFA_IFINDEX: u16 = 1;
/// linux/netconf.h: `net.ipv4.conf.all`, and so `net.ipv4.ip_forward`.
const NETCONFA_IFINDEX_ALL: i32 = -1;
/// linux/netfilter.h
const NFPROTO_IPV4: u8 = 2;
/// The first attribute of every object's notification (linux/netfilter/nf_tables.h: `NFTA_TABLE_NAME`, `NFTA_CHAIN_TABLE`,
/// `NFTA_RULE_TABLE`, `NFTA_SET_TABLE`, `NFTA_SET_ELEM_LIST_TABLE`, `NFTA_OBJ_TABLE`).
const NFTA_TABLE: u16 = 1;
/// `struct netconfmsg`, aligned, and `struct nfgenmsg`.
const SHORT_HEADER: usize = 4;

/// Understands rtnetlink's notifications; remembers the pods' links, of which only a change is news.
#[derive(Default)]
pub(super) struct Meaning {
    pods: HashMap<u32, PodLink>,
    /// Ports of our own sockets.
    own: Vec<u32>,
}

/// A pod's link as it was last told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct PodLink {
    group: u32,
    mac: Option<Mac>,
}

impl Meaning {
    pub(super) fn new(own: Vec<u32>) -> Self {
        Self {
            own,
            pods: HashMap::new(),
        }
    }

    /// What one message of NETLINK_ROUTE puts in doubt.
    pub(super) fn of(&mut self, message: &Message<'_>, interest: &Interest) -> Parts {
        if message.kind == RTM_NEWNETCONF {
            return netconf(message.payload, interest);
        }
        let own = self.own.contains(&message.author);
        let mut header = NetlinkHeader::default();
        header.message_type = message.kind;
        // A kind of message that is not understood tells of nothing of ours.
        match RouteNetlinkMessage::deserialize(&header, message.payload) {
            Ok(RouteNetlinkMessage::NewLink(link)) => self.link(link, own, interest),
            Ok(RouteNetlinkMessage::DelLink(link)) => self.gone(link.header.index, interest),
            _ if own => Parts::NONE,
            Ok(other) => foreign(&other, interest),
            Err(_) => Parts::NONE,
        }
    }

    fn link(&mut self, message: LinkMessage, own: bool, interest: &Interest) -> Parts {
        let link = Link::from_message(message);
        let eni = if interest.is_off(&link) {
            Part::Enis.into()
        } else {
            Parts::NONE
        };
        let pod = if self.pod_is_off(&link) && !own {
            Part::Pods.into()
        } else {
            Parts::NONE
        };
        eni.and(pod)
    }

    /// Whether a pod's link has changed in what its packets need. A DEL's link is no pod's any more.
    fn pod_is_off(&mut self, link: &Link) -> bool {
        if !link.is_veth() || link.group == REAPER_GROUP {
            self.pods.remove(&link.index);
            return false;
        }
        let alias = link.alias.as_deref().unwrap_or_default();
        if !alias.starts_with(ALIAS_PREFIX) {
            return self.pods.remove(&link.index).is_some();
        }
        let (group, mac) = (link.group, link.mac);
        let now = PodLink { group, mac };
        let before = self.pods.insert(link.index, now);
        !link.up || before.is_some_and(|before| before != now)
    }

    fn gone(&mut self, index: u32, interest: &Interest) -> Parts {
        self.pods.remove(&index);
        if interest.has_link(index) {
            Part::Enis.into()
        } else {
            Parts::NONE
        }
    }
}

/// A change that somebody else made. Routes that go with a link or an address are not told of: those are.
fn foreign(message: &RouteNetlinkMessage, interest: &Interest) -> Parts {
    match message {
        RouteNetlinkMessage::NewAddress(address) | RouteNetlinkMessage::DelAddress(address)
            if interest.has_secondary(address.header.index) =>
        {
            Part::Enis.into()
        }
        RouteNetlinkMessage::NewRoute(route) | RouteNetlinkMessage::DelRoute(route)
            if route.header.address_family == AddressFamily::Inet =>
        {
            match Route::table_of(route) {
                // Free addresses of a prefix.
                POD_TABLE if route.header.kind == RouteType::Unreachable => Part::Enis.into(),
                POD_TABLE => Part::Pods.into(),
                table if interest.has_table(table) => Part::Enis.into(),
                _ => Parts::NONE,
            }
        }
        RouteNetlinkMessage::NewRule(rule) | RouteNetlinkMessage::DelRule(rule) => {
            let ours = [
                POD_RULE,
                PRIMARY_MARK_RULE,
                ENI_RULE,
                ENI_SOURCE_RULE,
                MAIN_RULE,
            ];
            let of_ours = |attribute: &RuleAttribute| matches!(attribute, RuleAttribute::Priority(priority) if ours.contains(priority));
            if rule.attributes.iter().any(of_ours) {
                Part::Rules.into()
            } else {
                Parts::NONE
            }
        }
        _ => Parts::NONE,
    }
}

/// `ip monitor netconf`: forwarding and rp_filter of an ENI, or of all.
fn netconf(payload: &[u8], interest: &Interest) -> Parts {
    let index = attribute(payload, NETCONFA_IFINDEX, |value| {
        Some(i32::from_ne_bytes(value.try_into().ok()?))
    });
    let ours = |index: i32| {
        index == NETCONFA_IFINDEX_ALL || u32::try_from(index).is_ok_and(|i| interest.has_link(i))
    };
    match index {
        Some(index) if ours(index) => Part::Enis.into(),
        _ => Parts::NONE,
    }
}

/// What one message of NETLINK_NETFILTER's group of nf_tables puts in doubt (`nft monitor`).
pub(super) fn of_nft(message: &Message<'_>) -> Parts {
    let named = |name: &[u8]| (name.strip_suffix(b"\0")? == TABLE.as_bytes()).then_some(());
    let ipv4 = message.payload.first() == Some(&NFPROTO_IPV4);
    if ipv4 && attribute(message.payload, NFTA_TABLE, named).is_some() {
        Part::Nft.into()
    } else {
        Parts::NONE
    }
}

/// Reads the first attribute of this kind.
fn attribute<T>(payload: &[u8], kind: u16, read: impl FnOnce(&[u8]) -> Option<T>) -> Option<T> {
    let attributes = NlasIterator::new(payload.get(SHORT_HEADER..)?);
    let found = attributes
        .map_while(Result::ok)
        .find(|attribute| attribute.kind() == kind)?;
    read(found.value())
}
