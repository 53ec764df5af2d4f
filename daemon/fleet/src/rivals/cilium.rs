//! A sketch of Cilium's ENI mode (`--ipam=eni`), after its page "AWS ENI" (docs.cilium.io, network/concepts/ipam/eni) and its
//! command references:
//!
//! - The agent gives pods addresses of the pool that the operator has published for its node, any of them, without a rest
//!   after use. Without one an ADD fails at once.
//! - The agent reports what is used 15 s after its last report at the earliest (`--ipam-cilium-node-update-rate`); the operator
//!   sees what a node lacks with that report, or when it looks at all nodes, each minute.
//! - The operator fills the first ENI with room, up to what the subnet has, else makes one. For as many pods as are pending, if
//!   those are more than the watermark wants (surge allocation). One call after another for a node, and all calls of the
//!   cluster behind a limit of 20 and 4 a second ([`Operator`]). What it got is published with its next refresh, at most one
//!   a second.
//! - What is too many at a look is marked, and given back at the first look 180 s after that at which it still is
//!   (`--excess-ip-release-delay`), from the ENI with most free addresses. ENIs stay.
//!
//! Left out, all in its favour: the Describes of a refresh, which share the limit; the handshake between operator and agent
//! before a release; API server and watch latency; subnets other than the node's. A failed call is made again at the next look.
//! Releasing is off in Cilium unless `--aws-release-excess-ips` is set; here it is on, which holds less. Prefix delegation is not
//! modelled. Checked against the documents' formulas, not against tables: there are none.

mod calls;
mod operator;
mod watermark;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use ipam::{Action, Limits, Timestamp};
use ipnet::Ipv4Net;

use self::calls::Doing;
pub use self::operator::Operator;
pub use self::watermark::Watermark;
use crate::node::{Input, Node, Output, PodId};
use crate::random::Random;
use crate::rivals::store::{Store, StoredEni, addresses_and_prefixes};

/// `--ipam-cilium-node-update-rate`.
const REPORT: Duration = Duration::from_secs(15);

/// All nodes are looked at this often ("AWS ENI").
const SCAN: Duration = Duration::from_secs(60);

/// `--excess-ip-release-delay`.
const RELEASE_DELAY: Duration = Duration::from_secs(180);

/// A node of a cluster with Cilium.
#[derive(Debug)]
pub struct CiliumNode {
    watermark: Watermark,
    limits: Limits,
    operator: Operator,
    store: Store,
    random: Random,
    /// Pods bound here that have no address yet; the operator sees them.
    pending: BTreeSet<PodId>,
    /// Addresses that pods have, as last reported.
    reported: u32,
    last_report: Option<Timestamp>,
    report_at: Option<Timestamp>,
    doing: Doing,
    calls: u64,
    next_scan: Timestamp,
    /// Addresses that were too many, and since when.
    marked: BTreeMap<Ipv4Net, Timestamp>,
    woken_at: Option<Timestamp>,
    out: Vec<Output>,
}

impl CiliumNode {
    /// A node of a cluster with this operator. `random` is its own.
    pub fn new(watermark: Watermark, limits: Limits, operator: &Operator, random: Random) -> Self {
        Self {
            watermark,
            limits,
            operator: operator.clone(),
            store: Store::new(Duration::ZERO),
            random,
            pending: BTreeSet::new(),
            reported: 0,
            last_report: None,
            report_at: None,
            doing: Doing::Nothing,
            calls: 0,
            next_scan: Timestamp::default(),
            marked: BTreeMap::new(),
            woken_at: None,
            out: Vec::new(),
        }
    }

    /// The agent tells what is used, soon.
    fn report(&mut self, now: Timestamp) {
        let earliest = self.last_report.map_or(now, |last| last.after(REPORT));
        self.report_at.get_or_insert(earliest.max(now));
    }

    fn needed(&self) -> u32 {
        let available = self.store.stock().total;
        self.watermark.needed(available, self.reported)
    }

    fn excess(&self) -> u32 {
        let available = self.store.stock().total;
        self.watermark.excess(available, self.reported)
    }

    /// Does what is due.
    fn go_on(&mut self, now: Timestamp) {
        if self.report_at.take_if(|at| *at <= now).is_some() {
            self.last_report = Some(now);
            self.reported = self.store.stock().assigned;
            self.maintain();
        }
        if self.next_scan <= now {
            let scans = now.since(Timestamp::default()).as_secs() / SCAN.as_secs();
            self.next_scan = Timestamp::from_secs((scans + 1) * SCAN.as_secs());
            self.scan(now);
        }
        match std::mem::replace(&mut self.doing, Doing::Nothing) {
            Doing::Queued(call, at) if at <= now => {
                let (id, action) = (call.id, call.action.clone());
                self.out.push(Output::Begin { id, action });
                self.doing = Doing::Calling(call);
            }
            Doing::Publishing(eni, nets, at) if at <= now => {
                self.store.add(&eni, nets);
                self.maintain();
            }
            doing => self.doing = doing,
        }
    }

    /// The operator looks at all nodes.
    fn scan(&mut self, now: Timestamp) {
        self.mark(now);
        let due = |since: &Timestamp| now.since(*since) >= RELEASE_DELAY;
        let ripe = self.marked.iter().filter(|(_, since)| due(since));
        let ripe: Vec<Ipv4Net> = ripe.map(|(net, _)| *net).collect();
        if ripe.is_empty() || !matches!(self.doing, Doing::Nothing) {
            return self.maintain();
        }
        let Some(eni) = self.fullest_of_free().map(|eni| eni.id.clone()) else {
            return;
        };
        let gone = self.store.remove(&eni, &ripe);
        self.marked.retain(|net, _| !gone.contains(net));
        let (addresses, prefixes) = addresses_and_prefixes(&gone);
        if !addresses.is_empty() {
            let action = Action::Unassign {
                eni,
                addresses,
                prefixes,
            };
            self.queue(action, None, now);
        }
    }

    /// Marks what is too many; what is no longer, or on another ENI, is marked no more.
    fn mark(&mut self, now: Timestamp) {
        let excess = self.excess() as usize;
        let idle = self.fullest_of_free().into_iter().flat_map(StoredEni::idle);
        let marked = idle.take(excess).map(|net| {
            let since = self.marked.get(&net).copied();
            (net, since.unwrap_or(now))
        });
        self.marked = marked.collect();
    }

    fn fullest_of_free(&self) -> Option<&StoredEni> {
        self.store.enis().iter().max_by_key(|eni| eni.stock().idle)
    }

    fn next_wake(&self) -> Option<Timestamp> {
        let doing = match &self.doing {
            Doing::Queued(_, at) | Doing::Publishing(_, _, at) => Some(*at),
            _ => None,
        };
        // A look that finds nothing to do is left out.
        let looks = self.excess() > 0 || (self.needed() > 0 && self.has_room());
        let scan = looks.then_some(self.next_scan);
        [self.report_at, doing, scan].into_iter().flatten().min()
    }
}

impl Node for CiliumNode {
    fn take(&mut self, input: Input, now: Timestamp) -> Vec<Output> {
        match input {
            Input::Booted { primary } => {
                self.store.add_eni(primary.id, primary.device_index, now);
                self.report(now);
            }
            Input::Bound { pod } => {
                self.pending.insert(pod);
            }
            Input::Add { pod } => {
                self.pending.insert(pod);
                let address = self.store.serve(pod, now, &mut self.random);
                self.out.push(match address {
                    Some(address) => Output::Serve { pod, address },
                    None => Output::Refuse { pod },
                });
                if address.is_some() {
                    self.pending.remove(&pod);
                    self.report(now);
                }
            }
            Input::Del { pod } => {
                self.pending.remove(&pod);
                self.store.release(pod, now);
                self.report(now);
            }
            Input::Ended { id, outcome } => self.ended(id, outcome, now),
            Input::Subnet { free } if matches!(self.doing, Doing::Looking) => {
                self.allocate(free, now);
            }
            Input::Woken => self.woken_at = None,
            Input::Subnet { .. } | Input::Range { .. } => {}
        }
        self.go_on(now);
        let wake = self.next_wake().map(|at| at.max(now));
        if wake != self.woken_at {
            self.out.extend(wake.map(Output::WakeAt));
            self.woken_at = wake.or(self.woken_at);
        }
        std::mem::take(&mut self.out)
    }
}
