//! Plans that replay a trace.

use super::super::*;
use super::{catalogue, owned, planned};
use crate::trace::File;

const NODES: &str = "sn,cpu_milli\nn0,96000\nn1,96000\n";

/// Ten pods of 8 cores a minute apart, of half an hour each.
fn pods() -> String {
    let pod = |index: u32| {
        let at = 60 * index;
        format!("p{index},8000,{at},{}\n", at + 1800)
    };
    let pods: String = (0..10).map(pod).collect();
    format!("name,cpu_milli,scheduled_time,deletion_time\n{pods}")
}

fn understood(pods: &str, groups: &[&str]) -> Result<Cluster, Problems> {
    let (groups, subnets) = (owned(groups), owned(&["10.0.0.0/24"]));
    let (policies, nodes) = (owned(&["berth"]), NODES);
    let sources = Sources {
        trace: Some((
            File {
                name: "pods.csv",
                text: pods,
            },
            File {
                name: "nodes.csv",
                text: nodes,
            },
        )),
        groups: &groups,
        subnets: &subnets,
        policies: &policies,
        ..Sources::default()
    };
    understand(sources, &catalogue())
}

/// A plan of a trace.
pub fn cluster() -> Cluster {
    understood(&pods(), &["m5.large,count=2,daemonset=1"]).unwrap()
}

#[test]
fn the_pods_of_a_trace_run_on_the_groups_nodes() {
    let answer = planned(&cluster());
    let trace = answer.cluster.trace.as_ref().unwrap();
    assert_eq!((trace.file.as_str(), trace.pods), ("pods.csv", 10));
    let berth = &answer.policies[0];
    assert!(berth.fits, "{}", berth.says);
    assert!(berth.held.peak >= 12, "{}", berth.held.peak);
    let page = page(&answer);
    assert!(
        page.starts_with("2 nodes with 10 pods of pods.csv over "),
        "{page}"
    );
}

#[test]
fn without_a_group_a_trace_has_the_nodes_that_it_needs() {
    let cluster = understood(&pods(), &[]).unwrap();
    let [group] = cluster.groups.as_slice() else {
        panic!("{:?}", cluster.groups)
    };
    // By number: about three at a time and node.
    assert_eq!(
        (group.instance_type.as_str(), group.count),
        ("m5.24xlarge", 2)
    );
}

#[test]
fn traces_that_do_not_fit_are_told() {
    for (pods, group, told) in [
        (
            pods(),
            "m5.large,count=2,pods=1",
            "--group 1: pods and life are the trace's: leave them out",
        ),
        (
            pods(),
            "m5.large,count=1,max-pods=9",
            "m5.large (1): 10 pods of the trace, DaemonSets' and those on the host network are on one node at a time, and max-pods is 9",
        ),
        (
            pods(),
            "m5.large,count=1,max-pods=12,daemonset=1,host-network=2",
            "13 pods of the trace",
        ),
        (
            "name,cpu_milli\n".to_owned(),
            "m5.large,count=1",
            "pods.csv: no column",
        ),
    ] {
        let problems = understood(&pods, &[group]).expect_err("a mistake");
        assert_eq!(problems.0.len(), 1, "{problems}");
        assert!(problems.to_string().contains(told), "{problems}");
    }
    assert!(understood(&pods(), &["m5.large,count=1,max-pods=10"]).is_ok());
}
