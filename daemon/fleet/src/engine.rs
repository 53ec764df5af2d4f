//! Runs a scenario: nodes, runtimes and EC2 as events in simulated time, each in its turn.
//!
//! What a node's pool does is checked as it is done: an address that its ENI does not have, that another pod has, or that is
//! resting, ends the run with an error. Nothing of that kind is ever only counted.

mod host;
mod pods;
mod queue;
#[cfg(test)]
mod tests;

use std::time::Duration;

use ipam::{Outcome, Timestamp};

use crate::ec2::Ec2;
use crate::measure::Meter;
use crate::node::{Input, Node, Output, PodId};
use crate::policy::Policy;
use crate::random::{Purpose, between, stream};
use crate::run::Run;
use crate::scenario::{self, Scenario};
use host::Host;
use pods::Pod;
use queue::{Event, Queue};

/// From the binding of a pod until its node hears of it: a watch of the API server (assumed).
const WATCH: Duration = Duration::from_millis(30);

/// Between two tries to start an instance in a subnet without an address: an autoscaling group's (assumed).
const BOOT_RETRY: (Duration, Duration) = (Duration::from_secs(15), Duration::from_secs(45));

/// Until DescribeSubnets answers: as long as other filtered reads (vpc-cni#624).
const SUBNET_READ: Duration = Duration::from_millis(180);

/// How a scenario is run.
#[derive(Clone, Copy, Default)]
pub struct Options<'a> {
    /// All that is drawn at random by EC2, runtimes and nodes.
    pub seed: u64,
    /// Which share of EC2's buckets other clients of the account use up, 0 to 1.
    pub others_calls: f64,
    /// Is told now and then how much of the scenario is done, 0 to 1.
    pub progress: Option<&'a dyn Fn(f64)>,
}

/// Why a run has no result.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// The scenario names something that it does not have.
    #[error("scenario {name}: {what}")]
    Scenario {
        /// Its name.
        name: String,
        /// What.
        what: String,
    },
    /// A node's pool did what must never happen.
    #[error("{scenario} under {policy}, at {at}, node {node}: {what}")]
    Rule {
        /// In which scenario.
        scenario: String,
        /// Whose pool.
        policy: String,
        /// When.
        at: Timestamp,
        /// Where.
        node: usize,
        /// What.
        what: String,
    },
}

/// Runs `scenario` with pools of `policy`.
///
/// # Errors
/// [`Broken`] when the scenario contradicts itself, or a pool broke a rule.
pub fn simulate(scenario: &Scenario, policy: Policy, options: Options<'_>) -> Result<Run, Broken> {
    let nodes = policy.nodes(scenario, options.seed);
    run_nodes(scenario, &policy.name(), policy.cooldown(), nodes, options)
}

/// Runs `scenario` with these pools, in the order of its nodes. `cooldown` is for how long they promise to rest an address
/// before another pod has it.
///
/// # Errors
/// As [`simulate`].
pub fn run_nodes(
    scenario: &Scenario,
    name: &str,
    cooldown: Option<Duration>,
    nodes: Vec<Box<dyn Node>>,
    options: Options<'_>,
) -> Result<Run, Broken> {
    Engine::new(scenario, name, cooldown, nodes, options)?.run()
}

fn check(scenario: &Scenario, nodes: usize) -> Result<(), Broken> {
    let broken = |what: String| {
        Err(Broken::Scenario {
            name: scenario.name.clone(),
            what,
        })
    };
    if nodes != scenario.nodes.len() {
        return broken(format!("{nodes} pools for {} nodes", scenario.nodes.len()));
    }
    if let Some(n) = scenario
        .nodes
        .iter()
        .position(|n| n.subnet >= scenario.subnets.len())
    {
        return broken(format!("node {n} is in a subnet that is not there"));
    }
    if let Some(n) = scenario.pods.iter().position(|pod| pod.node >= nodes) {
        return broken(format!("pod {n} is on a node that is not there"));
    }
    if let Some(subnet) = scenario
        .subnets
        .iter()
        .find(|s| !(16..=28).contains(&s.cidr.prefix_len()))
    {
        return broken(format!("{} is no /16 to /28, as subnets are", subnet.name));
    }
    if scenario.from >= scenario.until {
        return broken("it measures no time".to_owned());
    }
    Ok(())
}

struct Engine<'a> {
    scenario: &'a Scenario,
    name: &'a str,
    options: Options<'a>,
    now: Timestamp,
    queue: Queue,
    ec2: Ec2,
    hosts: Vec<Host>,
    pods: Vec<Pod>,
    meter: Meter,
}

impl<'a> Engine<'a> {
    fn new(
        scenario: &'a Scenario,
        name: &'a str,
        cooldown: Option<Duration>,
        nodes: Vec<Box<dyn Node>>,
        options: Options<'a>,
    ) -> Result<Self, Broken> {
        check(scenario, nodes.len())?;
        let hosts = nodes.into_iter().map(|node| Host::new(node, cooldown));
        let mut engine = Self {
            scenario,
            name,
            options,
            now: Timestamp::default(),
            queue: Queue::default(),
            ec2: Ec2::new(scenario, options.seed, options.others_calls),
            hosts: hosts.collect(),
            pods: scenario.pods.iter().map(|_| Pod::Unborn).collect(),
            meter: Meter::new(scenario),
        };
        engine.plan_all();
        Ok(engine)
    }

    fn plan_all(&mut self) {
        for (index, node) in self.scenario.nodes.iter().enumerate() {
            self.queue.at(node.joins, Event::Join(index));
        }
        for (index, pod) in self.scenario.pods.iter().enumerate() {
            self.queue.at(pod.bound.after(WATCH), Event::Bound(index));
            let asks = pod.bound.after(pod.asks_after);
            self.queue.at(asks, Event::Add(index));
        }
    }

    fn run(mut self) -> Result<Run, Broken> {
        while self.step()? {}
        self.now = self.scenario.until;
        self.starve();
        let booted: Vec<bool> = self.hosts.iter().map(Host::is_up).collect();
        Ok(self
            .meter
            .finish(self.scenario, self.name, &self.ec2, &booted))
    }

    /// Lets the next thing happen; answers whether there was one before the end.
    fn step(&mut self) -> Result<bool, Broken> {
        let Some((at, event)) = self.queue.next_before(self.scenario.until) else {
            return Ok(false);
        };
        self.now = at;
        if self.meter.pass(at) {
            self.tell();
        }
        self.happen(event)?;
        Ok(true)
    }

    fn tell(&self) {
        if let Some(progress) = self.options.progress {
            progress(self.now.as_nanos() as f64 / self.scenario.until.as_nanos() as f64);
        }
    }

    fn happen(&mut self, event: Event) -> Result<(), Broken> {
        match event {
            Event::Join(node) => self.join(node),
            Event::Bound(pod) => self.bound(pod),
            Event::Add(pod) => self.add(pod),
            Event::Del(pod) => self.del(pod),
            Event::Answer {
                node,
                id,
                action,
                throttled,
            } => {
                let outcome = self.answer(node, &action, throttled)?;
                self.hosts[node].ended(id);
                self.feed(node, Input::Ended { id, outcome })
            }
            Event::Subnet(node) => {
                let free = self.ec2.free(node);
                self.feed(node, Input::Subnet { free })
            }
            Event::Range(node, range) => self.feed(node, Input::Range { range }),
            Event::Wake(node, wish) if self.hosts[node].is_wish(wish) => {
                self.feed(node, Input::Woken)
            }
            Event::Wake(..) => Ok(()),
        }
    }

    /// An instance starts once its subnet has an address for it; what came for it meanwhile it is told then.
    fn join(&mut self, node: usize) -> Result<(), Broken> {
        let Some(primary) = self.ec2.boot(node, self.now) else {
            let tries = self.hosts[node].boot_failed();
            let mut random = stream(self.options.seed, Purpose::Boot, node, tries);
            let wait = between(&mut random, BOOT_RETRY.0, BOOT_RETRY.1);
            self.queue.at(self.now.after(wait), Event::Join(node));
            return Ok(());
        };
        let backlog = self.hosts[node].boot();
        let primary = Box::new(primary);
        self.feed(node, Input::Booted { primary })?;
        backlog
            .into_iter()
            .try_for_each(|input| self.feed(node, input))
    }

    /// EC2 does what was asked for, and what it did is counted and checked.
    fn answer(
        &mut self,
        node: usize,
        action: &ipam::Action,
        throttled: bool,
    ) -> Result<Outcome, Broken> {
        let answer = self.ec2.end(node, action, throttled, self.now);
        self.meter.call(action.verb(), &answer.outcome, self.now);
        self.meter.held(node, answer.held, self.now);
        for block in &answer.lost {
            if let Some((address, pod)) = self.hosts[node].living_in(*block) {
                let what = format!("{action} took {address} from pod {pod}");
                return Err(self.broken(node, what));
            }
            self.hosts[node].loses(*block);
        }
        Ok(answer.outcome)
    }

    /// Tells a node something, and does what it does about it.
    fn feed(&mut self, node: usize, input: Input) -> Result<(), Broken> {
        let outputs = self.hosts[node].take(input, self.now);
        for output in outputs {
            self.output(node, output)?;
        }
        Ok(())
    }

    fn output(&mut self, node: usize, output: Output) -> Result<(), Broken> {
        match output {
            Output::Begin { id, action } => {
                if !self.hosts[node].began(id) {
                    return Err(self.broken(node, format!("began two actions named {}", id.0)));
                }
                let begun = self.ec2.begin(node, &action, self.now);
                let answer = Event::Answer {
                    node,
                    id,
                    action: Box::new(action),
                    throttled: begun.throttled,
                };
                self.queue.at(begun.answered_at, answer);
            }
            Output::Serve { pod, address } => self.serve(node, pod, address)?,
            Output::Refuse { pod } => self.refuse(node, pod)?,
            Output::LookAtSubnet => {
                self.queue
                    .at(self.now.after(SUBNET_READ), Event::Subnet(node));
            }
            Output::TakeRange { length } => {
                let range = self.ec2.give_range(node, length, self.now);
                let size = range.map_or(0, |range| 1_i64 << (32 - range.prefix_len()));
                self.hosts[node].gets_range(range);
                self.meter.held(node, size, self.now);
                self.queue.at(self.now, Event::Range(node, range));
            }
            Output::Contradiction { what } => return Err(self.broken(node, what)),
            Output::WakeAt(at) => {
                if let Some(wish) = self.hosts[node].wishes(at) {
                    self.queue.at(at.max(self.now), Event::Wake(node, wish));
                }
            }
        }
        Ok(())
    }

    fn node_of(&self, pod: PodId) -> usize {
        self.scenario.pods[pod].node
    }

    fn described(&self, pod: PodId) -> &scenario::Pod {
        &self.scenario.pods[pod]
    }

    fn broken(&self, node: usize, what: String) -> Broken {
        Broken::Rule {
            scenario: self.scenario.name.clone(),
            policy: self.name.to_owned(),
            at: self.now,
            node,
            what,
        }
    }
}
