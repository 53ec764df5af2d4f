//! EC2 as the simulator has it: calls that take their time and share buckets, subnets that run dry, ENIs that become known
//! and lose what they have a moment later for those who only look.
//!
//! A call is throttled or not when it begins; it has its effect when it is answered. Nothing is lost or doubtful, there is
//! no quota of ENIs, and no call fails for other reasons than those that EC2 documents.

pub mod bucket;
mod calls;
mod interface;
pub mod latency;
pub mod subnet;

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::Duration;

use ipam::{Action, Eni, EniId, Limits, Outcome, Timestamp, Verb};
use ipnet::Ipv4Net;

use crate::random::{Purpose, Random, stream};
use crate::scenario::Scenario;
use bucket::Bucket;
use interface::Interface;
use subnet::Subnet;

/// How long a node waits for the link of an attached ENI before it looks again: as long as berthd does.
const LINK_WITHIN: Duration = Duration::from_secs(30);

/// Where ranges come from that need not be cut out of subnets: addresses of a secondary CIDR (RFC 6598, as AWS suggests).
const ELSEWHERE: Ipv4Net = Ipv4Net::new_assert(Ipv4Addr::new(100, 64, 0, 0), 10);

/// The account.
#[derive(Debug)]
pub struct Ec2 {
    seed: u64,
    buckets: BTreeMap<Verb, Bucket>,
    subnets: Vec<Subnet>,
    instances: Vec<Instance>,
    ranges_in_subnets: bool,
    /// How many addresses of [`ELSEWHERE`] are taken.
    elsewhere: u32,
}

/// A node's instance and all ENIs that were made on it.
#[derive(Debug)]
struct Instance {
    limits: Limits,
    subnet: usize,
    calls: Random,
    interfaces: Vec<Interface>,
    made: usize,
}

/// A call that has begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Begun {
    /// When it is answered.
    pub answered_at: Timestamp,
    /// Whether the answer is RequestLimitExceeded.
    pub throttled: bool,
}

/// What came of a call.
#[derive(Clone, Debug)]
pub struct Answer {
    /// What the node is told.
    pub outcome: Outcome,
    /// By how many more addresses it holds, or fewer: secondaries, 16 a prefix, and primaries of ENIs but the first.
    pub held: i64,
    /// What it has no more.
    pub lost: Vec<Ipv4Net>,
}

impl Ec2 {
    /// An account with the subnets and instances of `scenario`. `others` is the share of every bucket that other clients
    /// of the account use, 0 to 1.
    pub fn new(scenario: &Scenario, seed: u64, others: f64) -> Self {
        let verbs = [
            Verb::Create,
            Verb::Attach,
            Verb::Protect,
            Verb::Assign,
            Verb::Unassign,
            Verb::Detach,
            Verb::Delete,
        ];
        let bucket = |verb| Bucket::of(verb, others).map(|bucket| (verb, bucket));
        let subnets = scenario.subnets.iter().enumerate().map(|(index, subnet)| {
            let random = |purpose| stream(seed, purpose, index, 0);
            Subnet::new(subnet, random(Purpose::Addresses), random(Purpose::Others))
        });
        let instances = scenario
            .nodes
            .iter()
            .enumerate()
            .map(|(index, node)| Instance {
                limits: node.limits,
                subnet: node.subnet,
                calls: stream(seed, Purpose::Calls, index, 0),
                interfaces: Vec::new(),
                made: 0,
            });
        Self {
            seed,
            buckets: verbs.into_iter().filter_map(bucket).collect(),
            subnets: subnets.collect(),
            instances: instances.collect(),
            ranges_in_subnets: scenario.ranges_in_subnets,
            elsewhere: 0,
        }
    }

    /// The subnets, in the scenario's order.
    pub fn subnets(&self) -> &[Subnet] {
        &self.subnets
    }

    /// Starts an instance; `None` where its subnet has no address for it.
    pub fn boot(&mut self, node: usize, now: Timestamp) -> Option<Eni> {
        let address = self.subnet(node).give(1, now)?.pop()?;
        let subnet = self.subnet(node).cidr();
        let instance = &mut self.instances[node];
        let mut primary = Interface::new(node, instance.made, address, subnet);
        primary.create(now, Duration::ZERO);
        primary.attach(0, now, now);
        primary.protect(now);
        instance.made += 1;
        let eni = primary.as_primary(now);
        instance.interfaces.push(primary);
        Some(eni)
    }

    /// Takes a call in.
    pub fn begin(&mut self, node: usize, action: &Action, now: Timestamp) -> Begun {
        if let Action::Connect { eni } = action {
            return self.await_link(node, eni, now);
        }
        let verb = action.verb();
        let bucket = self.buckets.get_mut(&verb);
        let throttled = bucket.is_some_and(|bucket| !bucket.take(now));
        let random = &mut self.instances[node].calls;
        let takes = match throttled {
            true => latency::of_refusal(random),
            false => latency::of_call(verb, random),
        };
        Begun {
            answered_at: now.after(takes),
            throttled,
        }
    }

    /// The link of an ENI that is attached comes in its time; none is awaited for ever.
    fn await_link(&self, node: usize, eni: &EniId, now: Timestamp) -> Begun {
        let interface = self.interface(node, eni);
        let link_at = interface.and_then(|interface| interface.link_at(now));
        let latest = now.after(LINK_WITHIN);
        Begun {
            answered_at: link_at.map_or(latest, |at| at.max(now).min(latest)),
            throttled: false,
        }
    }

    /// Free addresses of a node's subnet, as DescribeSubnets tells them.
    pub fn free(&self, node: usize) -> u32 {
        self.subnets[self.instances[node].subnet].free()
    }

    /// Gives a node a range for good.
    pub fn give_range(&mut self, node: usize, length: u8, now: Timestamp) -> Option<Ipv4Net> {
        if self.ranges_in_subnets {
            return self.subnet(node).give_range(length, now);
        }
        let size = 1_u32.checked_shl(32 - u32::from(length))?;
        let first = self.elsewhere.div_ceil(size) * size;
        let base = ELSEWHERE.network().to_bits().checked_add(first)?;
        let range = Ipv4Net::new(Ipv4Addr::from_bits(base), length).ok()?;
        ELSEWHERE.contains(&range).then(|| {
            self.elsewhere = first + size;
            range
        })
    }

    /// Whether a pod on the node can use this address: an ENI with a link has it.
    pub fn carries(&self, node: usize, address: Ipv4Addr, now: Timestamp) -> bool {
        let mut interfaces = self.instances[node].interfaces.iter();
        interfaces.any(|interface| interface.carries(address, now))
    }

    /// ENIs that a node has, attached or not, the primary included.
    pub fn enis(&self, node: usize, now: Timestamp) -> u32 {
        let there = |interface: &&Interface| interface.exists(now);
        let count = self.instances[node].interfaces.iter().filter(there).count();
        u32::try_from(count).unwrap_or(u32::MAX)
    }

    /// All that a node has but its own address: addresses as /32s, and /28s.
    #[cfg(test)]
    pub fn holds(&self, node: usize, now: Timestamp) -> std::collections::BTreeSet<Ipv4Net> {
        let interfaces = self.instances[node].interfaces.iter();
        let there = interfaces.filter(|interface| interface.exists(now));
        let own = there.clone().next().map(Interface::primary);
        let all = there.flat_map(|interface| interface.everything(now));
        all.filter(|block| Some(*block) != own).collect()
    }

    fn subnet(&mut self, node: usize) -> &mut Subnet {
        &mut self.subnets[self.instances[node].subnet]
    }

    fn interface(&self, node: usize, id: &EniId) -> Option<&Interface> {
        let mut interfaces = self.instances[node].interfaces.iter();
        interfaces.find(|interface| interface.id() == id)
    }
}
