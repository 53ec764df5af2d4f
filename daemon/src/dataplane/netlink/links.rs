//! Links: finding, creating, changing and deleting them (`ip link`).

use std::fmt;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use ipam::Mac;
use netlink_packet_core::{DefaultNla, NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{
    InfoData, InfoKind, InfoVeth, LinkAttribute, LinkExtentMask, LinkFlags, LinkInfo, LinkMessage,
};
use netlink_packet_route::nsid::{NsidAttribute, NsidMessage};
use nix::errno::Errno;

use super::made::Made;
use super::{Netlink, is};

/// `IFLA_IFALIAS` (linux/if_link.h), needed by number to send it empty, which removes the alias.
const IFLA_IFALIAS: u16 = 20;

/// A link as the kernel has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::dataplane) struct Link {
    pub(in crate::dataplane) index: u32,
    pub(in crate::dataplane) name: String,
    pub(in crate::dataplane) alias: Option<String>,
    pub(in crate::dataplane) group: u32,
    pub(in crate::dataplane) mac: Option<Mac>,
    /// The MAC that the hardware has, whatever was set since (`permaddr`); virtual links have none.
    pub(in crate::dataplane) permanent_mac: Option<Mac>,
    pub(in crate::dataplane) mtu: u32,
    pub(in crate::dataplane) up: bool,
    pub(in crate::dataplane) kind: Option<InfoKind>,
    pub(in crate::dataplane) peer: Option<Peer>,
}

/// The other end of a link (`IFLA_LINK`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::dataplane) struct Peer {
    /// Its index in its namespace.
    pub(in crate::dataplane) index: u32,
    /// Its namespace, by the id that the link's namespace has for it; `None` if it is the same one.
    pub(in crate::dataplane) netns: Option<i32>,
}

impl Link {
    pub(in crate::dataplane) fn is_veth(&self) -> bool {
        self.kind == Some(InfoKind::Veth)
    }

    pub(in crate::dataplane) fn has_alias(&self, alias: &str) -> bool {
        self.alias.as_deref() == Some(alias)
    }

    pub(in crate::dataplane) fn from_message(message: LinkMessage) -> Self {
        let mut link = Self {
            index: message.header.index,
            name: String::new(),
            alias: None,
            group: 0,
            mac: None,
            permanent_mac: None,
            mtu: 0,
            up: message.header.flags.contains(LinkFlags::Up),
            kind: None,
            peer: None,
        };
        let (mut peer, mut netns) = (None, None);
        for attribute in message.attributes {
            match attribute {
                LinkAttribute::IfName(name) => link.name = name,
                LinkAttribute::IfAlias(alias) => link.alias = Some(alias),
                LinkAttribute::Group(group) => link.group = group,
                LinkAttribute::Address(octets) => link.mac = octets.try_into().ok().map(Mac),
                LinkAttribute::PermAddress(octets) => {
                    link.permanent_mac = octets.try_into().ok().map(Mac);
                }
                LinkAttribute::Mtu(mtu) => link.mtu = mtu,
                LinkAttribute::Link(index) => peer = Some(index),
                LinkAttribute::LinkNetNsId(id) => netns = Some(id),
                LinkAttribute::LinkInfo(infos) => {
                    link.kind = infos.into_iter().find_map(|info| match info {
                        LinkInfo::Kind(kind) => Some(kind),
                        _ => None,
                    });
                }
                _ => {}
            }
        }
        link.peer = peer.map(|index| Peer { index, netns });
        link
    }
}

/// A veth to create, both ends at once.
pub(in crate::dataplane) struct VethSpec<'a> {
    pub(in crate::dataplane) host_name: &'a str,
    pub(in crate::dataplane) host_mac: Mac,
    pub(in crate::dataplane) group: u32,
    pub(in crate::dataplane) pod_name: &'a str,
    pub(in crate::dataplane) pod_mac: Mac,
    pub(in crate::dataplane) netns: &'a OwnedFd,
    pub(in crate::dataplane) mtu: u32,
}

/// What to change of a link; nothing by default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::dataplane) struct LinkChange {
    pub(in crate::dataplane) up: Option<bool>,
    pub(in crate::dataplane) name: Option<String>,
    /// Empty removes it.
    pub(in crate::dataplane) alias: Option<String>,
    pub(in crate::dataplane) group: Option<u32>,
    pub(in crate::dataplane) mac: Option<Mac>,
    pub(in crate::dataplane) mtu: Option<u32>,
}

impl LinkChange {
    pub(in crate::dataplane) fn up() -> Self {
        Self {
            up: Some(true),
            ..Self::default()
        }
    }

    pub(in crate::dataplane) fn down() -> Self {
        Self {
            up: Some(false),
            ..Self::default()
        }
    }

    pub(in crate::dataplane) fn group(group: u32) -> Self {
        Self {
            group: Some(group),
            ..Self::default()
        }
    }

    pub(in crate::dataplane) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    fn message(self, index: u32) -> LinkMessage {
        let mut message = LinkMessage::default();
        message.header.index = index;
        if let Some(up) = self.up {
            message.header.change_mask = LinkFlags::Up;
            message.header.flags = if up {
                LinkFlags::Up
            } else {
                LinkFlags::empty()
            };
        }
        let attributes = [
            self.name.map(LinkAttribute::IfName),
            self.alias.map(alias),
            self.group.map(LinkAttribute::Group),
            self.mac.map(|mac| LinkAttribute::Address(mac.0.to_vec())),
            self.mtu.map(LinkAttribute::Mtu),
        ];
        message.attributes.extend(attributes.into_iter().flatten());
        message
    }
}

/// In the words of `ip link set`.
impl fmt::Display for LinkChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let up = self.up.map(|up| if up { "up" } else { "down" }.to_owned());
        let words = [
            up,
            self.name.as_ref().map(|name| format!("name {name}")),
            self.alias.as_ref().map(|alias| format!("alias {alias}")),
            self.group.map(|group| format!("group {group}")),
            self.mac.map(|mac| format!("address {mac}")),
            self.mtu.map(|mtu| format!("mtu {mtu}")),
        ];
        let words: Vec<String> = words.into_iter().flatten().collect();
        f.write_str(&words.join(" "))
    }
}

fn alias(alias: String) -> LinkAttribute {
    if alias.is_empty() {
        LinkAttribute::Other(DefaultNla::new(IFLA_IFALIAS, Vec::new()))
    } else {
        LinkAttribute::IfAlias(alias)
    }
}

impl Netlink {
    /// `ip link show <name>`
    pub(in crate::dataplane) fn link_by_name(&self, name: &str) -> io::Result<Option<Link>> {
        let mut message = LinkMessage::default();
        message
            .attributes
            .push(LinkAttribute::IfName(name.to_owned()));
        self.link(message)
    }

    /// `ip link show` of one index
    pub(in crate::dataplane) fn link_by_index(&self, index: u32) -> io::Result<Option<Link>> {
        let mut message = LinkMessage::default();
        message.header.index = index;
        self.link(message)
    }

    fn link(&self, mut message: LinkMessage) -> io::Result<Option<Link>> {
        message.attributes.push(without_statistics());
        match self.get(RouteNetlinkMessage::GetLink(message)) {
            Ok(RouteNetlinkMessage::NewLink(found)) => Ok(Some(Link::from_message(found))),
            Err(error) if is(&error, Errno::ENODEV) => Ok(None),
            Err(error) => Err(error),
            Ok(_) => Ok(None),
        }
    }

    /// `ip link show`
    pub(in crate::dataplane) fn links(&self) -> io::Result<Vec<Link>> {
        let mut message = LinkMessage::default();
        message.attributes.push(without_statistics());
        self.dump(RouteNetlinkMessage::GetLink(message), |found| match found {
            RouteNetlinkMessage::NewLink(link) => Some(Link::from_message(link)),
            _ => None,
        })
    }

    /// `ip link add <host> up mtu <mtu> address <mac> group <group> numtxqueues 1 numrxqueues 1 type veth
    ///  peer <pod> netns <netns> mtu <mtu> address <mac> numtxqueues 1 numrxqueues 1`
    ///
    /// One queue: the default is one per possible CPU, which makes creation five times slower on a node with 96. The
    /// peer is created where it will live (moving it later waits for RCU) and down (a peer created up is refused).
    ///
    /// The host's end, if the kernel tells of it.
    pub(in crate::dataplane) fn create_veth(
        &self,
        veth: &VethSpec<'_>,
    ) -> io::Result<Option<Link>> {
        let end = |name: &str, mac: Mac| {
            vec![
                LinkAttribute::IfName(name.to_owned()),
                LinkAttribute::Address(mac.0.to_vec()),
                LinkAttribute::Mtu(veth.mtu),
                LinkAttribute::NumTxQueues(1),
                LinkAttribute::NumRxQueues(1),
            ]
        };
        let mut pod = LinkMessage::default();
        pod.attributes = end(veth.pod_name, veth.pod_mac);
        pod.attributes
            .push(LinkAttribute::NetNsFd(veth.netns.as_raw_fd()));

        let mut host = LinkMessage::default();
        host.header.flags = LinkFlags::Up;
        host.header.change_mask = LinkFlags::Up;
        host.attributes = end(veth.host_name, veth.host_mac);
        host.attributes.push(LinkAttribute::Group(veth.group));
        host.attributes.push(LinkAttribute::LinkInfo(vec![
            LinkInfo::Kind(InfoKind::Veth),
            LinkInfo::Data(InfoData::Veth(InfoVeth::Peer(pod))),
        ]));
        let made = self.make(
            RouteNetlinkMessage::NewLink(host),
            NLM_F_CREATE | NLM_F_EXCL,
        )?;
        Ok(made.map(|Made { index, peer }| Link {
            index,
            name: veth.host_name.to_owned(),
            alias: None,
            group: veth.group,
            mac: Some(veth.host_mac),
            permanent_mac: None,
            mtu: veth.mtu,
            up: true,
            kind: Some(InfoKind::Veth),
            peer,
        }))
    }

    /// `ip link set <index> ...`
    pub(in crate::dataplane) fn set_link(&self, index: u32, change: LinkChange) -> io::Result<()> {
        self.change(RouteNetlinkMessage::SetLink(change.message(index)), 0)
    }

    /// `ip link delete <index>`; waits until the kernel has forgotten it (tens of milliseconds).
    pub(in crate::dataplane) fn delete_link(&self, index: u32) -> io::Result<()> {
        let mut message = LinkMessage::default();
        message.header.index = index;
        self.change(RouteNetlinkMessage::DelLink(message), 0)
    }

    /// `ip link delete <name>`
    pub(in crate::dataplane) fn delete_link_named(&self, name: &str) -> io::Result<()> {
        let mut message = LinkMessage::default();
        message
            .attributes
            .push(LinkAttribute::IfName(name.to_owned()));
        self.change(RouteNetlinkMessage::DelLink(message), 0)
    }

    /// `ip link delete group <group>`; `ENODEV` if it is empty.
    pub(in crate::dataplane) fn delete_group(&self, group: u32) -> io::Result<()> {
        let mut message = LinkMessage::default();
        message.attributes.push(LinkAttribute::Group(group));
        self.change(RouteNetlinkMessage::DelLink(message), 0)
    }

    /// The id that this socket's namespace has for another one (`ip netns list-id`); `None` if it has none, in which case
    /// no link here has its peer there.
    pub(in crate::dataplane) fn netns_id(&self, netns: &OwnedFd) -> io::Result<Option<i32>> {
        let mut message = NsidMessage::default();
        let fd = u32::try_from(netns.as_raw_fd()).unwrap_or(u32::MAX);
        message.attributes.push(NsidAttribute::Fd(fd));
        match self.get(RouteNetlinkMessage::GetNsId(message))? {
            RouteNetlinkMessage::NewNsId(found) => {
                Ok(found
                    .attributes
                    .iter()
                    .find_map(|attribute| match attribute {
                        NsidAttribute::Id(id) => Some(*id).filter(|id| *id >= 0),
                        _ => None,
                    }))
            }
            _ => Ok(None),
        }
    }
}

/// Half of a link's answer are counters that nobody here reads.
fn without_statistics() -> LinkAttribute {
    LinkAttribute::ExtMask(vec![LinkExtentMask::SkipStats])
}
