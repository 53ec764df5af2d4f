//! An ENI as EC2 knows it: what it has, where it is attached, and since when each of that is so, because a Describe shows
//! what was a moment ago.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::Duration;

use ipam::action::{DescribedAttachment, DescribedEni};
use ipam::address::PREFIX_ADDRESSES;
use ipam::ownership::{DESCRIPTION_PREFIX, INSTANCE_TAG};
use ipam::{Eni, EniId, Mac, Timestamp};
use ipnet::Ipv4Net;

/// Longer than any Describe lies behind: what is gone for so long is forgotten.
const MEMORY: Duration = Duration::from_secs(5);

/// A time in which something is so.
#[derive(Clone, Copy, Debug)]
struct Span {
    from: Timestamp,
    to: Option<Timestamp>,
}

impl Span {
    fn since(from: Timestamp) -> Self {
        Self { from, to: None }
    }

    fn has(&self, at: Timestamp) -> bool {
        self.from <= at && self.to.is_none_or(|to| at < to)
    }

    fn is_forgotten(&self, now: Timestamp) -> bool {
        self.to.is_some_and(|to| to.after(MEMORY) < now)
    }
}

/// Where an ENI is attached, or was.
#[derive(Clone, Debug)]
struct Attached {
    device_index: u32,
    span: Span,
    link_at: Timestamp,
    /// Since when it is on its way off.
    leaving: bool,
}

/// An ENI.
#[derive(Clone, Debug)]
pub struct Interface {
    nth: usize,
    id: EniId,
    mac: Mac,
    primary_address: Ipv4Addr,
    subnet: Ipv4Net,
    /// EC2 knows it everywhere from then on.
    visible: Timestamp,
    exists: Span,
    attached: Option<Attached>,
    protected: Option<Timestamp>,
    /// Single addresses, as /32s, and /28s.
    blocks: BTreeMap<Ipv4Net, Span>,
}

impl Interface {
    /// The `nth` ENI of a node; the first is its primary one.
    pub fn new(node: usize, nth: usize, primary_address: Ipv4Addr, subnet: Ipv4Net) -> Self {
        let number = (node as u64) << 16 | nth as u64;
        let [.., a, b, c, d, e] = number.to_be_bytes();
        Self {
            nth,
            id: EniId(format!("eni-{number:017x}")),
            mac: Mac([0x02, a, b, c, d, e]),
            primary_address,
            subnet,
            visible: Timestamp::default(),
            exists: Span::since(Timestamp::default()),
            attached: None,
            protected: None,
            blocks: BTreeMap::new(),
        }
    }

    /// Comes to be.
    pub fn create(&mut self, now: Timestamp, known_after: Duration) {
        self.exists = Span::since(now);
        self.visible = now.after(known_after);
    }

    /// Its id.
    pub fn id(&self) -> &EniId {
        &self.id
    }

    /// Its MAC.
    pub fn mac(&self) -> Mac {
        self.mac
    }

    /// The how manieth of its node it is.
    pub fn nth(&self) -> usize {
        self.nth
    }

    /// Whether it is there, known everywhere or not.
    pub fn exists(&self, now: Timestamp) -> bool {
        self.exists.has(now)
    }

    /// Whether calls find it.
    pub fn is_known(&self, now: Timestamp) -> bool {
        self.exists.has(now) && self.visible <= now
    }

    /// Single addresses and /28s that it has.
    pub fn blocks(&self, now: Timestamp) -> impl Iterator<Item = Ipv4Net> {
        let held = self.blocks.iter().filter(move |(_, span)| span.has(now));
        held.map(|(block, _)| *block)
    }

    /// How many slots are taken.
    pub fn slots(&self, now: Timestamp) -> u32 {
        u32::try_from(self.blocks(now).count()).unwrap_or(u32::MAX)
    }

    /// Gets addresses or /28s.
    pub fn hold(&mut self, blocks: &[Ipv4Net], now: Timestamp) {
        self.blocks.retain(|_, span| !span.is_forgotten(now));
        let spans = blocks.iter().map(|block| (*block, Span::since(now)));
        self.blocks.extend(spans);
    }

    /// Whether it has this address or /28.
    pub fn has(&self, block: Ipv4Net, now: Timestamp) -> bool {
        self.blocks.get(&block).is_some_and(|span| span.has(now))
    }

    /// Loses an address or /28.
    pub fn lose(&mut self, block: Ipv4Net, now: Timestamp) {
        if let Some(span) = self.blocks.get_mut(&block) {
            span.to = Some(now);
        }
    }

    /// Whether it is attached, or not off yet.
    pub fn is_attached(&self, now: Timestamp) -> bool {
        self.attached.as_ref().is_some_and(|a| a.span.has(now))
    }

    /// Whether it is being detached and still attached.
    pub fn is_leaving(&self, now: Timestamp) -> bool {
        self.is_attached(now) && self.attached.as_ref().is_some_and(|a| a.leaving)
    }

    /// Its place, if attached.
    pub fn device_index(&self, now: Timestamp) -> Option<u32> {
        let attached = self.attached.as_ref().filter(|a| a.span.has(now));
        attached.map(|a| a.device_index)
    }

    /// Is attached; its link comes at `link_at`.
    pub fn attach(&mut self, device_index: u32, now: Timestamp, link_at: Timestamp) {
        self.attached = Some(Attached {
            device_index,
            span: Span::since(now),
            link_at,
            leaving: false,
        });
    }

    /// Is off at `gone`, and of no use from now on.
    pub fn detach(&mut self, gone: Timestamp) {
        if let Some(attached) = &mut self.attached {
            attached.span.to = Some(gone);
            attached.leaving = true;
        }
    }

    /// Goes with its instance from now on.
    pub fn protect(&mut self, now: Timestamp) {
        self.protected = Some(now);
    }

    /// Ceases to be.
    pub fn delete(&mut self, now: Timestamp) {
        self.exists.to = Some(now);
    }

    /// Whether it has been gone for so long that nobody can see it any more.
    pub fn is_forgotten(&self, now: Timestamp) -> bool {
        self.exists.is_forgotten(now)
    }

    /// When its link is there, if it is attached to stay.
    pub fn link_at(&self, now: Timestamp) -> Option<Timestamp> {
        let attached = self.attached.as_ref();
        let stays = attached.filter(|a| a.span.has(now) && !a.leaving);
        stays.map(|a| a.link_at)
    }

    /// Whether a pod can use this secondary address now.
    pub fn carries(&self, address: Ipv4Addr, now: Timestamp) -> bool {
        let prefix = Ipv4Net::new(address, 28).is_ok_and(|net| self.has(net.trunc(), now));
        let linked = self.link_at(now).is_some_and(|at| at <= now);
        linked && (prefix || self.has(Ipv4Net::from(address), now))
    }

    /// As the node's first ENI, which is attached since its boot.
    pub fn as_primary(&self, now: Timestamp) -> Eni {
        let id = self.id.clone();
        Eni {
            attachment_id: Some(self.attachment_id()),
            ..Eni::primary(id, self.mac, self.primary_address, self.subnet, now)
        }
    }

    /// `eni-attach-...`.
    pub fn attachment_id(&self) -> String {
        self.id.0.replacen("eni-", "eni-attach-", 1)
    }

    /// As DescribeNetworkInterfaces shows it by what was so at `seen`; nothing if it was not there.
    pub fn described(&self, seen: Timestamp) -> Option<DescribedEni> {
        if !self.exists.has(seen) {
            return None;
        }
        let attached = self.attached.as_ref().filter(|a| a.span.has(seen));
        let (prefixes, singles): (Vec<Ipv4Net>, Vec<Ipv4Net>) =
            self.blocks(seen).partition(|block| block.prefix_len() < 32);
        let primary = attached.is_some_and(|a| a.device_index == 0);
        let tag = (INSTANCE_TAG.to_owned(), "i-1".to_owned());
        Some(DescribedEni {
            id: self.id.clone(),
            mac: self.mac,
            primary_address: Some(self.primary_address),
            subnet: Some(self.subnet),
            addresses: singles.iter().map(Ipv4Net::addr).collect(),
            prefixes,
            interface_type: "interface".to_owned(),
            description: match primary {
                true => String::new(),
                false => format!("{DESCRIPTION_PREFIX}i-1"),
            },
            security_groups: Vec::new(),
            tags: (!primary).then_some(tag).into_iter().collect(),
            attachment: attached.map(|attached| DescribedAttachment {
                id: self.attachment_id(),
                device_index: attached.device_index,
                network_card: 0,
                delete_on_termination: primary || self.protected.is_some_and(|at| at <= seen),
            }),
        })
    }

    /// Its primary address.
    pub fn primary(&self) -> Ipv4Net {
        Ipv4Net::from(self.primary_address)
    }

    /// All addresses that it has, its primary one among them.
    pub fn everything(&self, now: Timestamp) -> Vec<Ipv4Net> {
        self.blocks(now).chain([self.primary()]).collect()
    }
}

/// How many addresses a pod may have of a block.
pub fn addresses_of(block: Ipv4Net) -> u32 {
    match block.prefix_len() {
        32 => 1,
        _ => PREFIX_ADDRESSES,
    }
}
