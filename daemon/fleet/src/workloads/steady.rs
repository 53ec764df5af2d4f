//! The steady workloads that no trace is needed for. Each node has three DaemonSet pods besides; pods go to the node with the
//! fewest.

use std::ops::Range;
use std::time::Duration;

use rand::RngExt;

use super::build::{Builder, FOREVER, Shape, minutes, secs};
use super::placement::{Life, spread};
use crate::random::between;
use crate::scenario::Scenario;

const DAEMONSETS: u32 = 3;
/// All nodes join in this time.
const JOINS: Range<Duration> = secs(1)..secs(11);

/// Nodes with their DaemonSets, and pods that are yet to be placed.
struct Cluster {
    builder: Builder,
    nodes: Range<usize>,
    lives: Vec<Life>,
}

impl Cluster {
    fn new(name: &str, shape: &Shape, count: usize, seed: u64) -> Self {
        let mut builder = Builder::new(name, seed);
        let nodes = builder.roomy(shape, count, JOINS);
        builder.daemonsets(DAEMONSETS);
        Self {
            builder,
            nodes,
            lives: Vec::new(),
        }
    }

    fn between(&mut self, from: Duration, to: Duration) -> Duration {
        between(self.builder.random(), from, to)
    }

    fn pod(&mut self, from: Duration, until: Duration) {
        self.lives.push(Life {
            from,
            until,
            load: 1.0,
        });
    }

    /// Places the pods and measures.
    fn build(mut self, measured: Range<Duration>) -> Scenario {
        self.lives.sort_by_key(|life| life.from);
        let placed = spread(&self.lives, &self.nodes, self.builder.random());
        for (life, node) in self.lives.iter().zip(placed) {
            self.builder.pod(node, life.from, life.until - life.from);
        }
        self.builder.build(measured)
    }
}

/// 10 deployments of 100 pods on 50 nodes of 8 ENIs of 30 addresses, each rolled every 30 min, 3 min after the one before
/// it: four steps, 30 s apart, of 25 new pods within 2 s; as many old ones go 15 s later, when the new ones are ready.
/// 4 hours after 15 min of prelude: 8,000 pods.
pub fn rolling(seed: u64) -> Scenario {
    const PRELUDE: Duration = minutes(15);
    const ROLLS: u32 = 8;
    const STEPS: u32 = 4;
    let end = PRELUDE + ROLLS * minutes(30);
    let mut cluster = Cluster::new("rolling", &Shape::m5_4xlarge(), 50, seed);
    for deployment in 0..10 {
        for step in 0..STEPS {
            // When this quarter of the deployment is rolled.
            let roll = |round: u32| {
                PRELUDE + deployment * minutes(3) + round * minutes(30) + step * secs(30)
            };
            for _ in 0..25 {
                let mut from = cluster.between(secs(20), secs(80));
                for round in 0..ROLLS {
                    let next = cluster.between(roll(round), roll(round) + secs(2));
                    cluster.pod(from, next + secs(15));
                    from = next;
                }
                cluster.pod(from, end + minutes(30));
            }
        }
    }
    cluster.build(PRELUDE..end)
}

/// 50 nodes of 4 ENIs of 15 addresses with 8 pods each that stay; each minute 200 to 300 pods come within 3 s and live for 15
/// to 40 s. 100 min after 5 min of prelude: 25,000 pods.
pub fn cron(seed: u64) -> Scenario {
    const PRELUDE: u64 = 5;
    const MEASURED: u64 = 100;
    let mut cluster = Cluster::new("cron", &Shape::m5_xlarge(), 50, seed);
    for node in cluster.nodes.clone() {
        cluster.builder.pods(node, 8, secs(20)..secs(40), FOREVER);
    }
    for minute in 1..PRELUDE + MEASURED {
        let count = cluster.builder.random().random_range(200..=300);
        for _ in 0..count {
            let from = cluster.between(minutes(minute), minutes(minute) + secs(3));
            let until = from + cluster.between(secs(15), secs(40));
            cluster.pod(from, until);
        }
    }
    cluster.build(minutes(PRELUDE)..minutes(PRELUDE + MEASURED))
}

/// 20 nodes of 8 ENIs of 30 addresses; pods come at random, half an hour at 4 a second, half an hour at 1 a second, and live
/// for 15 to 45 s. Two hours, the first 5 min of them prelude: 16,800 pods.
pub fn batch(seed: u64) -> Scenario {
    const PHASE: Duration = minutes(30);
    const RATES: [f64; 4] = [4.0, 1.0, 4.0, 1.0];
    let mut cluster = Cluster::new("batch", &Shape::m5_4xlarge(), 20, seed);
    let mut phase = secs(0);
    for rate in RATES {
        let mut from = phase.max(secs(20));
        loop {
            // Exponential gaps make a Poisson process; 1 - x is never 0.
            let gap = -(1.0 - cluster.builder.random().random::<f64>()).ln() / rate;
            from += Duration::from_secs_f64(gap);
            if from >= phase + PHASE {
                break;
            }
            let until = from + cluster.between(secs(15), secs(45));
            cluster.pod(from, until);
        }
        phase += PHASE;
    }
    cluster.build(minutes(5)..phase)
}

/// 30 nodes of 3 ENIs of 10 addresses; every half hour 20 pods come within a second on every node, the nodes' seconds spread
/// over a minute, and live for 200 to 400 s. Two hours, the first burst 10 min after 5 min of prelude: 2,400 pods.
pub fn burst(seed: u64) -> Scenario {
    const PRELUDE: Duration = minutes(5);
    const BURSTS: u32 = 4;
    let mut cluster = Cluster::new("burst", &Shape::m5_large(), 30, seed);
    for node in cluster.nodes.clone() {
        for burst in 0..BURSTS {
            let start = PRELUDE + minutes(10) + burst * minutes(30);
            let second = cluster.between(start, start + minutes(1));
            for _ in 0..20 {
                let from = cluster.between(second, second + secs(1));
                let lives = cluster.between(secs(200), secs(400));
                cluster.builder.pod(node, from, lives);
            }
        }
    }
    cluster.build(PRELUDE..PRELUDE + BURSTS * minutes(30))
}
