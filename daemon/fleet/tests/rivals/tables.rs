//! What aws-node's documents say a node holds, against the model of it in the simulator: EC2 with its latencies, kubelet that asks
//! again, all pods at once.

use std::time::Duration;

use fleet::engine::{Options, run_nodes};
use fleet::node::Node;
use fleet::random::{Purpose, stream};
use fleet::rivals::AwsNode;
use fleet::run::{Calls, NodeRun};
use fleet::scenario::{self, Pod, Scenario, Subnet};
use ipam::{Layout, PoolSettings, Timestamp, Verb};

use crate::documents::{INCIDENTS, PREFIXES, Row, SINGLE_ADDRESSES};

/// One node in a /22 of its own, whose pods come a minute after it and stay.
fn scenario((limits, _, pods, _): &Row) -> Scenario {
    let pod = |_| Pod {
        node: 0,
        bound: Timestamp::from_secs(60),
        asks_after: Duration::from_millis(200),
        lives: Duration::from_secs(86_400),
    };
    Scenario {
        name: "table".to_owned(),
        subnets: vec![Subnet {
            name: "subnet-a".to_owned(),
            cidr: "10.0.0.0/22".parse().unwrap(),
            others: 0,
            scattered: false,
        }],
        nodes: vec![scenario::Node {
            instance_type: "the row's".to_owned(),
            limits: *limits,
            max_pods: 737,
            subnet: 0,
            joins: Timestamp::default(),
        }],
        pods: (0..*pods).map(pod).collect(),
        from: Timestamp::default(),
        until: Timestamp::from_secs(1_260),
        ranges_in_subnets: false,
    }
}

fn run(layout: Layout, row: &Row, seed: u64) -> NodeRun {
    let scenario = scenario(row);
    let settings = PoolSettings {
        layout,
        targets: row.1,
        ..PoolSettings::default()
    };
    let random = stream(seed, Purpose::Node, 0, 0);
    let node: Box<dyn Node> = Box::new(AwsNode::new(&settings, row.0, 737, random));
    let options = Options {
        seed,
        ..Options::default()
    };
    let cooldown = Some(settings.cooldown);
    let run = run_nodes(&scenario, "aws-node", cooldown, vec![node], options).unwrap();
    assert_eq!(run.row.starved, 0);
    let given_back = [Verb::Unassign, Verb::Detach].map(|verb| run.calls.get(&verb).copied());
    assert_eq!(
        given_back.map(Option::unwrap_or_default),
        [Calls::default(); 2]
    );
    run.nodes[0]
}

/// Twenty minutes after the pods came the row holds, and nothing was given back meanwhile; what is held counts the primaries of further ENIs.
fn check(layout: Layout, row: &Row) -> NodeRun {
    let (_, targets, pods, held) = row;
    let extra = held.enis - 1;
    let mut last = NodeRun::default();
    for seed in 1..=3 {
        last = run(layout, row, seed);
        let found = (last.enis_at_end as usize, last.held_at_end as usize - extra);
        let addresses = held.slots * layout.addresses_per_slot() as usize;
        assert_eq!(found, (held.enis, addresses), "{pods} pods, {targets:?}");
        assert_eq!(addresses - *pods as usize, held.unused);
    }
    last
}

#[test]
fn single_addresses() {
    for row in &SINGLE_ADDRESSES {
        check(Layout::Singles, row);
    }
}

#[test]
fn prefixes() {
    for row in &PREFIXES {
        check(Layout::Prefixes, row);
    }
}

#[test]
fn incidents() {
    for (row, with_primaries) in &INCIDENTS {
        let node = check(Layout::Singles, row);
        assert_eq!(node.held_at_end as usize + 1, *with_primaries);
    }
}
