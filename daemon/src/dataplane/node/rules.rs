//! The rules of a node: a handful, however many pods it has.

use ipam::desired::{
    ENI_RULE, ENI_SOURCE_RULE, EXTERNAL_SERVICE_RULE, EniDesired, NodeDesired, POD_RULE, POD_TABLE,
    PRIMARY_MARK_RULE,
};
use ipnet::Ipv4Net;

use super::{Node, Pass};
use crate::dataplane::netlink::{MAIN_TABLE, Rule, gone_is_fine, refused};
use crate::dataplane::{DataplaneError, Object};

/// Tables of secondary ENIs on network card 0: device index + 1, and a device index is at most 100 (aws-node).
const ENI_TABLES: std::ops::RangeInclusive<u32> = 2..=101;

/// Rules of ours that are no longer wanted, and the tables that they alone led to.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Stale {
    rules: Vec<Rule>,
    tables: Vec<u32>,
}

impl Node {
    /// Adds what is missing; answers what is to go once nothing marks packets for it any more.
    pub(super) fn add_rules(&self, desired: &NodeDesired, pass: &mut Pass) -> Stale {
        let found = self.host.rules().map_err(refused("ip rule show", ""));
        let Some(found) = pass.note(found) else {
            return Stale::default();
        };
        let mut wanted = wanted(desired);
        // The kernel's own, which `ip rule flush` takes with the rest: without it neither the node nor a pod on the primary
        // ENI reaches anything. Wherever somebody has put it, it stays.
        wanted.extend(Some(MAIN).filter(|_| !found.iter().any(leads_to_main)));
        for rule in wanted.iter().filter(|rule| !found.contains(rule)) {
            let added = self.host.add_rule(*rule);
            let added = added.map_err(refused("ip rule add priority", rule.priority));
            let added = pass.note(added).unwrap_or_default();
            pass.changes.add_if(added, Object::Rule, rule);
        }
        stale(&found, &wanted, desired)
    }

    /// Routes first, the mark rules last: they are what the tables of a removed ENI are recognized by, should the daemon
    /// die half-way.
    pub(super) fn remove_rules(&self, stale: Stale, pass: &mut Pass) {
        for table in stale.tables {
            let flushed = self.flush(table, pass);
            pass.note(flushed);
        }
        let (marks, sources): (Vec<Rule>, Vec<Rule>) = stale
            .rules
            .into_iter()
            .partition(|rule| rule.mark.is_some());
        for rule in sources.into_iter().chain(marks) {
            let deleted = gone_is_fine(self.host.delete_rule(rule));
            let deleted = deleted.map_err(refused("ip rule delete priority", rule.priority));
            let deleted = pass.note(deleted).unwrap_or_default();
            pass.changes
                .add_if(deleted, Object::Rule, format_args!("not {rule}"));
        }
    }

    /// `ip route flush table <table>`
    fn flush(&self, table: u32, pass: &mut Pass) -> Result<(), DataplaneError> {
        let mut routes = self.host.routes(table, None);
        // The default route needs the gateway's to be accepted, not to be removed, but a listing reads better so.
        if let Ok(routes) = &mut routes {
            routes.reverse();
        }
        for route in routes.map_err(refused("ip route show table", table))? {
            let deleted = gone_is_fine(self.host.delete_route(route));
            let deleted = deleted.map_err(refused("ip route flush table", table))?;
            pass.changes
                .add_if(deleted, Object::EniRoute, format_args!("not {route}"));
        }
        Ok(())
    }
}

/// `32766: from all lookup main`
const MAIN: Rule = Rule {
    priority: 32766,
    source: None,
    destination: None,
    mark: None,
    table: MAIN_TABLE,
};

fn leads_to_main(rule: &Rule) -> bool {
    *rule
        == Rule {
            priority: rule.priority,
            ..MAIN
        }
}

/// The rules of the layout.
fn wanted(desired: &NodeDesired) -> Vec<Rule> {
    let bare = |priority, table| Rule {
        priority,
        source: None,
        destination: None,
        mark: None,
        table,
    };
    let mut rules = vec![bare(POD_RULE, POD_TABLE)];
    rules.extend(desired.primary_mark.map(|mark| Rule {
        mark: Some((mark.bits(), mark.bits())),
        ..bare(PRIMARY_MARK_RULE, MAIN_TABLE)
    }));
    // The kernel takes a rule to everywhere for one without a destination.
    let to = |cidr: Ipv4Net| (cidr.prefix_len() > 0).then_some(cidr);
    rules.extend(desired.external_services.iter().map(|cidr| Rule {
        destination: to(*cidr),
        ..bare(EXTERNAL_SERVICE_RULE, MAIN_TABLE)
    }));
    for eni in secondaries(desired) {
        rules.push(Rule {
            mark: Some((eni.mark, desired.mask.bits())),
            ..bare(ENI_RULE, eni.table)
        });
        rules.push(Rule {
            source: Some(Ipv4Net::from(eni.primary_address)),
            ..bare(ENI_SOURCE_RULE, eni.table)
        });
    }
    rules
}

/// What is ours among `found` and not wanted. A mark rule at our priority tells which tables are (or were) an ENI's; the
/// rules by source are at the priority that the kernel gives to rules without one, so only those to such tables are ours.
fn stale(found: &[Rule], wanted: &[Rule], desired: &NodeDesired) -> Stale {
    let marks = |rule: &&Rule| {
        let ours = |(_, mask)| mask == desired.mask.bits() || ENI_TABLES.contains(&rule.table);
        rule.priority == ENI_RULE
            && rule.source.is_none()
            && rule.destination.is_none()
            && rule.mark.is_some_and(ours)
    };
    let current: Vec<u32> = secondaries(desired).map(|eni| eni.table).collect();
    let known: Vec<u32> = found.iter().filter(marks).map(|rule| rule.table).collect();
    let sources = |rule: &&Rule| {
        rule.priority == ENI_SOURCE_RULE
            && rule.mark.is_none()
            && rule.destination.is_none()
            && rule.source.is_some_and(|source| source.prefix_len() == 32)
            && (known.contains(&rule.table) || current.contains(&rule.table))
    };
    // aws-node's own two priorities, which it clears as well: another mark of the primary's, another list of services.
    let settings = |rule: &&Rule| {
        rule.table == MAIN_TABLE
            && rule.source.is_none()
            && match rule.priority {
                PRIMARY_MARK_RULE => rule.mark.is_some_and(|(mark, mask)| mark == mask),
                EXTERNAL_SERVICE_RULE => rule.mark.is_none(),
                _ => false,
            }
    };
    let unwanted =
        |rule: &&Rule| (marks(rule) || sources(rule) || settings(rule)) && !wanted.contains(rule);
    let rules: Vec<Rule> = found.iter().filter(unwanted).copied().collect();
    let mut tables = known;
    tables.retain(|table| ENI_TABLES.contains(table) && !current.contains(table));
    tables.sort_unstable();
    tables.dedup();
    Stale { rules, tables }
}

fn secondaries(desired: &NodeDesired) -> impl Iterator<Item = &EniDesired> {
    desired.enis.iter().filter(|eni| eni.device_index != 0)
}
