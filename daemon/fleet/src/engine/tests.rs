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
    let mut pods: Vec<scenario::Pod> = (0..1200)
        .map(|_| scenario::Pod {
            node: random.random_range(0..12),
            bound: Timestamp::from_secs(match random.random_bool(0.5) {
                true => random.random_range(20..3600),
                false => 600 * random.random_range(1..6),
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
        until: Timestamp::from_secs(5400),
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

/// Compares books; answers how many pools had nothing under way.
fn audit(engine: &Engine<'_>, pools: &[Rc<RefCell<Berth>>]) -> usize {
    let mut quiet = 0;
    let (mut held, mut used) = (0, 0);
    for (node, berth) in pools.iter().enumerate() {
        let berth = berth.borrow();
        let blocks = engine.ec2.holds(node, engine.now);
        let addresses: BTreeSet<Ipv4Addr> = blocks
            .iter()
            .flat_map(|block| block.network().to_bits()..=block.broadcast().to_bits())
            .map(Ipv4Addr::from_bits)
            .collect();
        held += addresses.len();
        used += berth.pool().attachments().count();
        if engine.hosts[node].is_quiet() {
            assert_eq!(
                believed(berth.pool()),
                addresses,
                "node {node} at {}",
                engine.now
            );
            quiet += 1;
        }
    }
    let levels = (held as u32, used as u32);
    assert_eq!(engine.meter.levels(), levels, "at {}", engine.now);
    let up = engine.hosts.iter().filter(|host| host.is_up()).count() as u32;
    let subnet = &engine.ec2.subnets()[0];
    assert_eq!(
        subnet.free() + levels.0 + up,
        subnet.size(),
        "at {}",
        engine.now
    );
    quiet
}

#[test]
fn books_agree_after_every_event() {
    for seed in 1..=2 {
        let scenario = restless(seed);
        let pools: Vec<_> = (0..scenario.nodes.len())
            .map(|n| {
                let random = stream(seed, Purpose::Node, n, 0);
                Rc::new(RefCell::new(Berth::new(&scenario.nodes[n], random)))
            })
            .collect();
        let watched = pools
            .iter()
            .map(|pool| -> Box<dyn Node> { Box::new(Watched(Rc::clone(pool))) });
        let options = Options {
            seed,
            ..Options::default()
        };
        let cooldown = Some(Duration::from_secs(30));
        let mut engine = Engine::new(&scenario, "berth", cooldown, watched.collect(), options)
            .expect("a sound scenario");
        let mut quiet = 0;
        while engine.step().expect("no rule broken") {
            quiet += audit(&engine, &pools);
        }
        assert!(quiet > 10_000, "{quiet} comparisons tell little");
        let (held, used) = engine.meter.levels();
        assert!(
            used == 0 && held < 100,
            "{held} held half an hour after the last pod"
        );
    }
}
