//! berth's own node.

use fleet::engine::{Options, simulate};
use fleet::policy::Policy;
use fleet::run::Run;
use fleet::scenario::Scenario;

use crate::cluster::{M3_2XLARGE, M5_2XLARGE, cluster, pod};

fn run(scenario: &Scenario, seed: u64) -> Run {
    let options = Options {
        seed,
        ..Options::default()
    };
    simulate(scenario, Policy::Berth, options).expect("no rule broken")
}

#[test]
fn a_lone_node_with_one_pod_holds_little_and_serves_it_at_once() {
    let mut scenario = cluster("10.0.16.0/20", 1, M3_2XLARGE, 3600);
    scenario.pods.push(pod(0, 60, 7200));
    let run = run(&scenario, 1);
    let node = run.nodes[0];
    assert!((1..=3).contains(&node.held_at_end), "{node:?}");
    assert_eq!(node.enis_at_end, 1);
    assert!(run.row.wait_ms.max < 2_000.0, "{:?}", run.row);
    assert_eq!((run.row.failed_adds, run.row.starved), (0, 0));
    let used = 3540.0 / 3600.0;
    assert!((node.used - used).abs() < 0.001, "{node:?}");
}

#[test]
fn the_same_seed_gives_the_same_run_and_another_one_another() {
    let mut scenario = cluster("10.0.0.0/22", 20, M5_2XLARGE, 900);
    let bound = |node: usize| (0..20).map(move |n| pod(node, 10 + n % 7, 30 + 7 * (n % 11)));
    scenario.pods = (0..20).flat_map(bound).collect();
    let text = |seed| format!("{:?}", run(&scenario, seed));
    assert_eq!(text(1), text(1));
    assert_ne!(text(1), text(2));
}
