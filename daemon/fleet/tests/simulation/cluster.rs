//! Clusters to be simulated.

use std::time::Duration;

use fleet::scenario::{Node, Pod, Scenario, Subnet};
use ipam::{Limits, Timestamp};

/// m3.2xlarge: four ENIs with 29 secondary addresses each, Xen.
pub const M3_2XLARGE: Limits = Limits {
    enis: 4,
    slots_per_eni: 29,
    prefixes: false,
};

/// m5.2xlarge: four ENIs with 14 secondary addresses each.
pub const M5_2XLARGE: Limits = Limits {
    enis: 4,
    slots_per_eni: 14,
    prefixes: true,
};

/// One subnet, and nodes that join at once; measured from the start.
pub fn cluster(cidr: &str, nodes: usize, limits: Limits, seconds: u64) -> Scenario {
    let node = |_| Node {
        instance_type: "m3.2xlarge".to_owned(),
        limits,
        max_pods: 58,
        subnet: 0,
        joins: Timestamp::default(),
    };
    Scenario {
        name: "by-hand".to_owned(),
        subnets: vec![Subnet {
            name: "subnet-a".to_owned(),
            cidr: cidr.parse().expect("a CIDR"),
            others: 0,
            scattered: false,
        }],
        nodes: (0..nodes).map(node).collect(),
        pods: Vec::new(),
        from: Timestamp::default(),
        until: Timestamp::from_secs(seconds),
        ranges_in_subnets: false,
    }
}

/// A pod on `node`, bound at `bound` seconds, whose ADD comes 0.2 s later.
pub fn pod(node: usize, bound: u64, lives: u64) -> Pod {
    Pod {
        node,
        bound: Timestamp::from_secs(bound),
        asks_after: Duration::from_millis(200),
        lives: Duration::from_secs(lives),
    }
}
