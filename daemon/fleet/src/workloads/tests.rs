//! What the workloads promise in the documentation: sizes, order, seeds.

use super::*;
use crate::trace::synthetic;

fn scenario(workload: Workload, seed: u64) -> Scenario {
    workload.scenario(&synthetic::trace(1), seed)
}

/// Pods that are bound while it is measured.
fn measured(scenario: &Scenario) -> usize {
    let within =
        |pod: &&crate::scenario::Pod| scenario.from <= pod.bound && pod.bound < scenario.until;
    scenario.pods.iter().filter(within).count()
}

#[test]
fn their_sizes_are_those_that_are_documented() {
    let sizes = [
        (Workload::Rolling, 50, 8_000..=8_000),
        (Workload::Cron, 50, 24_000..=26_000),
        (Workload::Batch, 20, 16_000..=17_600),
        (Workload::Burst, 30, 2_400..=2_400),
        (Workload::Huge60, 60, 60..=60),
        (Workload::Huge500, 500, 500..=500),
        (Workload::Out150, 150, 4_950..=4_950),
        (Workload::Out150s, 150, 3_450..=3_450),
        (Workload::Out1000, 1_000, 26_000..=26_000),
        (Workload::Out1000d, 1_000, 43_000..=43_000),
        (Workload::Tight, 40, 1_480..=1_480),
        (Workload::Frag, 60, 1_680..=1_680),
    ];
    for (workload, nodes, pods) in sizes {
        let scenario = scenario(workload, 1);
        assert_eq!(scenario.nodes.len(), nodes, "{workload}");
        let measured = measured(&scenario);
        assert!(pods.contains(&measured), "{workload}: {measured} pods");
        assert_eq!(scenario.name, workload.name());
    }
}

#[test]
fn what_happens_is_in_order_possible_and_measured() {
    for workload in Workload::ALL {
        let scenario = scenario(workload, 2);
        assert!(scenario.from < scenario.until, "{workload}");
        assert!(
            scenario.pods.is_sorted_by_key(|pod| pod.bound),
            "{workload}: pods are out of order"
        );
        for pod in &scenario.pods {
            let node = &scenario.nodes[pod.node];
            assert!(
                node.joins < pod.bound,
                "{workload}: bound before its node is there"
            );
            assert!(pod.bound < scenario.until, "{workload}: never bound");
            let asks = pod.asks_after.as_millis();
            assert!(
                (150..=400).contains(&asks),
                "{workload}: asks after {asks} ms"
            );
        }
        for node in &scenario.nodes {
            assert!(node.subnet < scenario.subnets.len(), "{workload}");
        }
    }
}

#[test]
fn no_node_is_given_more_pods_than_it_has_addresses_for() {
    for workload in Workload::ALL {
        let scenario = scenario(workload, 1);
        let mut changes: Vec<_> = (scenario.pods.iter())
            .flat_map(|pod| {
                [
                    (pod.bound, pod.node, 1),
                    (pod.bound.after(pod.lives), pod.node, -1),
                ]
            })
            .collect();
        changes.sort();
        let mut pods = vec![0_i64; scenario.nodes.len()];
        for (_, node, change) in changes {
            pods[node] += change;
            let limits = scenario.nodes[node].limits;
            let slots = i64::from(limits.enis * limits.slots_per_eni);
            assert!(
                pods[node] <= slots,
                "{workload}: {} pods on node {node}",
                pods[node]
            );
        }
    }
}

#[test]
fn a_seed_decides_what_is_left_to_chance_and_nothing_else_does() {
    let pods = |workload, seed| {
        let pods = scenario(workload, seed).pods.into_iter();
        pods.map(|pod| (pod.node, pod.bound, pod.asks_after, pod.lives))
            .collect::<Vec<_>>()
    };
    for workload in Workload::ALL {
        assert_eq!(pods(workload, 7), pods(workload, 7), "{workload}");
        assert_ne!(pods(workload, 7), pods(workload, 8), "{workload}");
    }
}

#[test]
fn the_steady_ones_are_as_full_at_their_end_as_at_their_beginning() {
    for workload in Workload::STEADY {
        let scenario = scenario(workload, 1);
        let mean = |from: f64, until: f64| {
            let span = scenario.until.since(scenario.from);
            let (from, until) = (
                scenario.from.after(span.mul_f64(from)),
                scenario.from.after(span.mul_f64(until)),
            );
            let lived = |pod: &crate::scenario::Pod| {
                let end = pod.bound.after(pod.lives).min(until);
                end.since(pod.bound.max(from)).as_secs_f64()
            };
            scenario.pods.iter().map(lived).sum::<f64>() / until.since(from).as_secs_f64()
        };
        let (first, second) = (mean(0.0, 0.5), mean(0.5, 1.0));
        assert!(
            (first - second).abs() < 0.35 * first.max(second),
            "{workload}: {first:.1} and {second:.1} pods on average"
        );
    }
}

#[test]
fn names_are_read_back_and_others_are_refused() {
    for workload in Workload::ALL {
        assert_eq!(workload.name().parse(), Ok(workload));
    }
    let unknown = "denser"
        .parse::<Workload>()
        .map_err(|error| error.to_string());
    assert_eq!(
        unknown,
        Err("no workload is called `denser`; `fleet --list` names them".to_owned())
    );
}

#[test]
fn the_page_has_a_row_for_each() {
    let page = include_str!("../../../../docs/fleet.md");
    for workload in Workload::ALL {
        let row = format!("| `{workload}` | ");
        assert!(page.contains(&row), "docs/fleet.md has no {row}");
    }
}
