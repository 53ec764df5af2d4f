//! What must hold between any two events of a run: nobody has an address twice, none is lost, and what pools believe is so.

#![allow(clippy::expect_used)]

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::rc::Rc;

use ipam::{Limits, Ownership};

use super::*;
use crate::berth::Berth;
use crate::random::Random;
use rand::RngExt;

/// A pool that can be looked into.
struct Watched(Rc<RefCell<Berth>>);

impl Node for Watched {
    fn take(&mut self, input: Input, now: Timestamp) -> Vec<Output> {
        self.0.borrow_mut().take(input, now)
    }
}

/// A dozen nodes in a subnet that is just about large enough, with pods that come and go all the time, half of it in
/// bursts; for the last half hour nothing comes.
fn restless(seed: u64) -> Scenario {
    let node = |n: u64| scenario::Node {
        instance_type: "m5.xlarge".to_owned(),
        limits: Limits {
            enis: 4,
            slots_per_eni: 14,
            prefixes: n.is_multiple_of(2),
        },
        max_pods: 58,
        subnet: 0,
        joins: Timestamp::from_secs(n),
    };
    let mut random: Random = stream(seed, Purpose::Scenario, 0, 0);
    let mut pods: Vec<scenario::Pod> = (0..800)
        .map(|_| scenario::Pod {
            node: random.random_range(0..12),
            bound: Timestamp::from_secs(match random.random_bool(0.5) {
                true => random.random_range(20..2400),
                false => 600 * random.random_range(1..4),
            }),
            asks_after: Duration::from_millis(random.random_range(20..400)),
            lives: Duration::from_secs(random.random_range(5..400)),
        })
        .collect();
    pods.sort_by_key(|pod| pod.bound);
    Scenario {
        name: "restless".to_owned(),
        subnets: vec![scenario::Subnet {
            name: "subnet-a".to_owned(),
            cidr: "10.0.0.0/23".parse().expect("a CIDR"),
            others: 100,
            scattered: true,
        }],
        nodes: (0..12).map(node).collect(),
        pods,
        from: Timestamp::default(),
        until: Timestamp::from_secs(4200),
        ranges_in_subnets: true,
    }
}

/// What a pool believes to hold, as EC2 has it.
fn believed(pool: &ipam::Pool) -> BTreeSet<Ipv4Addr> {
    let held = pool.addresses().filter(|(_, address)| address.is_held());
    let extra = pool.enis().filter(|eni| eni.ownership == Ownership::Ours);
    let primaries = extra.filter_map(|eni| eni.primary_address);
    held.map(|(ip, _)| ip).chain(primaries).collect()
}

/// The addresses that a node has but its own, as EC2 has it.
fn held(engine: &Engine<'_>, node: usize) -> BTreeSet<Ipv4Addr> {
    let blocks = engine.ec2.holds(node, engine.now);
    let all = blocks.into_iter().chain(engine.hosts[node].ranges());
    all.flat_map(|block| block.network().to_bits()..=block.broadcast().to_bits())
        .map(Ipv4Addr::from_bits)
        .collect()
}

/// What was counted, what the nodes have and what the subnet is short of are the same.
fn audit(engine: &Engine<'_>) {
    let now = engine.now;
    let held: usize = (0..engine.hosts.len()).map(|n| held(engine, n).len()).sum();
    let running = engine
        .pods
        .iter()
        .filter(|pod| matches!(pod, Pod::Running(_)));
    let levels = (held as u32, running.count() as u32);
    assert_eq!(engine.meter.levels(), levels, "{} at {now}", engine.name);
    let up = engine.hosts.iter().filter(|host| host.is_up()).count() as u32;
    let subnet = &engine.ec2.subnets()[0];
    let all = subnet.free() + levels.0 + up;
    assert_eq!(all, subnet.size(), "{} at {now}", engine.name);
}

fn seeded(seed: u64) -> Options<'static> {
    Options {
        seed,
        ..Options::default()
    }
}

#[test]
fn what_berth_believes_is_so_whenever_nothing_is_under_way() {
    let scenario = restless(1);
    let pools: Vec<_> = (0..scenario.nodes.len())
        .map(|n| {
            let random = stream(1, Purpose::Node, n, 0);
            Rc::new(RefCell::new(Berth::new(&scenario.nodes[n], random)))
        })
        .collect();
    let watched = pools
        .iter()
        .map(|pool| -> Box<dyn Node> { Box::new(Watched(Rc::clone(pool))) });
    let cooldown = Some(Duration::from_secs(30));
    let mut engine = Engine::new(&scenario, "berth", cooldown, watched.collect(), seeded(1))
        .expect("a sound scenario");
    let mut quiet = 0;
    while engine.step().expect("no rule broken") {
        audit(&engine);
        for (node, berth) in pools.iter().enumerate() {
            if engine.hosts[node].is_quiet() {
                let believed = believed(berth.borrow().pool());
                assert_eq!(
                    believed,
                    held(&engine, node),
                    "node {node} at {}",
                    engine.now
                );
                quiet += 1;
            }
        }
    }
    assert!(quiet > 5_000, "{quiet} comparisons tell little");
    let (held, used) = engine.meter.levels();
    assert!(
        used == 0 && held < 100,
        "{held} held half an hour after the last pod"
    );
}

#[test]
fn books_agree_under_every_policy() {
    let scenario = restless(2);
    for policy in Policy::ALL {
        let nodes = policy.nodes(&scenario, 2);
        let cooldown = policy.cooldown();
        let name = policy.name();
        let mut engine =
            Engine::new(&scenario, &name, cooldown, nodes, seeded(2)).expect("a sound scenario");
        let mut events = 0_usize;
        while engine.step().expect("no rule broken") {
            events += 1;
            if events.is_multiple_of(100) {
                audit(&engine);
            }
        }
        audit(&engine);
        assert!(events > 2_000, "{policy}: {events} events tell little");
    }
}
