//! IPv4 policy rules (`ip rule`).

use std::fmt;
use std::io;
use std::net::IpAddr;

use ipnet::Ipv4Net;
use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::rule::{RuleAction, RuleAttribute, RuleMessage};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use nix::errno::Errno;

use super::{Netlink, is};

/// A rule that looks up a table, by the selectors that are used here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::dataplane) struct Rule {
    pub(in crate::dataplane) priority: u32,
    pub(in crate::dataplane) source: Option<Ipv4Net>,
    pub(in crate::dataplane) destination: Option<Ipv4Net>,
    /// Mark and mask.
    pub(in crate::dataplane) mark: Option<(u32, u32)>,
    pub(in crate::dataplane) table: u32,
}

impl Rule {
    fn message(self) -> RuleMessage {
        let mut message = RuleMessage::default();
        message.header.family = AddressFamily::Inet;
        message.header.action = RuleAction::ToTable;
        message.attributes = vec![
            RuleAttribute::Priority(self.priority),
            RuleAttribute::Table(self.table),
        ];
        if let Some(source) = self.source {
            message.header.src_len = source.prefix_len();
            let source = RuleAttribute::Source(IpAddr::V4(source.network()));
            message.attributes.push(source);
        }
        if let Some(destination) = self.destination {
            message.header.dst_len = destination.prefix_len();
            let destination = RuleAttribute::Destination(IpAddr::V4(destination.network()));
            message.attributes.push(destination);
        }
        if let Some((mark, mask)) = self.mark {
            message.attributes.push(RuleAttribute::FwMark(mark));
            message.attributes.push(RuleAttribute::FwMask(mask));
        }
        message
    }

    /// `None` for a rule with any other selector or action: such a rule is somebody else's.
    fn from_message(message: &RuleMessage) -> Option<Self> {
        let header = &message.header;
        if header.action != RuleAction::ToTable || header.tos != 0 || !header.flags.is_empty() {
            return None;
        }
        let mut rule = Self {
            priority: 0,
            source: None,
            destination: None,
            mark: None,
            table: u32::from(header.table),
        };
        let (mut mark, mut mask) = (None, None);
        for attribute in &message.attributes {
            match attribute {
                RuleAttribute::Priority(priority) => rule.priority = *priority,
                RuleAttribute::Table(table) => rule.table = *table,
                RuleAttribute::FwMark(value) => mark = Some(*value),
                RuleAttribute::FwMask(value) => mask = Some(*value),
                RuleAttribute::Source(IpAddr::V4(source)) => {
                    rule.source = Some(Ipv4Net::new(*source, header.src_len).ok()?);
                }
                RuleAttribute::Destination(IpAddr::V4(destination)) => {
                    rule.destination = Some(Ipv4Net::new(*destination, header.dst_len).ok()?);
                }
                RuleAttribute::Protocol(_)
                | RuleAttribute::SuppressPrefixLen(u32::MAX)
                | RuleAttribute::SuppressIfGroup(u32::MAX) => {}
                _ => return None,
            }
        }
        rule.mark = mask.map(|mask| (mark.unwrap_or(0), mask));
        Some(rule)
    }
}

/// In the words of `ip rule`.
impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.priority)?;
        match self.source {
            Some(source) => write!(f, " from {source}")?,
            None => write!(f, " from all")?,
        }
        if let Some(destination) = self.destination {
            write!(f, " to {destination}")?;
        }
        if let Some((mark, mask)) = self.mark {
            write!(f, " fwmark {mark:#x}/{mask:#x}")?;
        }
        write!(f, " lookup {}", self.table)
    }
}

impl Netlink {
    /// `ip -4 rule show`
    pub(in crate::dataplane) fn rules(&self) -> io::Result<Vec<Rule>> {
        let mut message = RuleMessage::default();
        message.header.family = AddressFamily::Inet;
        self.dump(RouteNetlinkMessage::GetRule(message), |found| match found {
            RouteNetlinkMessage::NewRule(rule) => Rule::from_message(&rule),
            _ => None,
        })
    }

    /// `ip rule add ...`; whether it was not there.
    pub(in crate::dataplane) fn add_rule(&self, rule: Rule) -> io::Result<bool> {
        let message = RouteNetlinkMessage::NewRule(rule.message());
        match self.change(message, NLM_F_CREATE | NLM_F_EXCL) {
            Err(error) if is(&error, Errno::EEXIST) => Ok(false),
            added => added.map(|()| true),
        }
    }

    /// `ip rule delete ...`
    pub(in crate::dataplane) fn delete_rule(&self, rule: Rule) -> io::Result<()> {
        self.change(RouteNetlinkMessage::DelRule(rule.message()), 0)
    }
}
