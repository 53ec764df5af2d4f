//! Each policy by its name in small clusters, with room and without: no rule is broken (the engine ends a run in which one is),
//! and the same seed gives the same run.

use std::time::Duration;

use fleet::engine::{Options, simulate};
use fleet::policy::Policy;
use fleet::run::Run;
use fleet::scenario::{Node, Pod, Scenario, Subnet};
use ipam::Timestamp;

use crate::world::limits;

/// Ten nodes of 3 ENIs of 10 addresses on which pods come and go, most of the time more than a /24 serves under every policy.
fn cluster(cidr: &str, pods_per_node: usize) -> Scenario {
    let node = |index: u64| Node {
        instance_type: "m5.large".to_owned(),
        limits: limits(3, 10),
        max_pods: 29,
        subnet: 0,
        joins: Timestamp::from_secs(index / 2),
    };
    let pod = |index: usize| Pod {
        node: index % 10,
        bound: Timestamp::from_secs(30 + (index * 7 % 900) as u64),
        asks_after: Duration::from_millis(200),
        lives: Duration::from_secs(20 + (index * 13 % 400) as u64),
    };
    let mut pods: Vec<Pod> = (0..10 * pods_per_node).map(pod).collect();
    pods.sort_by_key(|pod| pod.bound);
    Scenario {
        name: "small".to_owned(),
        subnets: vec![Subnet {
            name: "subnet-a".to_owned(),
            cidr: cidr.parse().unwrap(),
            others: 20,
            scattered: true,
        }],
        nodes: (0..10).map(node).collect(),
        pods,
        from: Timestamp::default(),
        until: Timestamp::from_secs(3_600),
        ranges_in_subnets: false,
    }
}

fn run(scenario: &Scenario, policy: Policy, seed: u64) -> Run {
    let options = Options {
        seed,
        ..Options::default()
    };
    simulate(scenario, policy, options).unwrap()
}

#[test]
fn with_room_all_are_served() {
    let scenario = cluster("10.0.0.0/21", 40);
    let own = [
        "aws-eni0",
        "aws-eni2",
        "aws-ip5-min20",
        "aws-prefix-ip5",
        "aws-prefix0",
    ];
    let own = own.map(|name| Policy::named(name).unwrap());
    for policy in Policy::ALL.into_iter().chain(own) {
        let row = run(&scenario, policy, 1).row;
        assert_eq!(row.policy, policy.name());
        assert_eq!(row.starved, 0, "{policy}");
    }
}

#[test]
fn in_a_subnet_that_runs_dry_no_rule_is_broken() {
    let scenario = cluster("10.0.0.0/24", 60);
    for policy in Policy::ALL {
        for seed in 1..=3 {
            let run = run(&scenario, policy, seed);
            let hoards = policy == Policy::AWS_DEFAULT;
            assert!(!hoards || run.subnets[0].dry_at.is_some());
        }
    }
}

/// What nodes of a cluster share (Cilium's operator), runs do not.
#[test]
fn a_seed_is_a_run() {
    let scenario = cluster("10.0.0.0/24", 20);
    for policy in Policy::ALL {
        let text = |seed| format!("{:?}", run(&scenario, policy, seed));
        assert_eq!(text(1), text(1), "{policy}");
    }
}
