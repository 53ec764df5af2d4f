//! The two known incidents, and what a plan says of them.

use super::super::answer::PolicyAnswer;
use super::{planned, understood};

fn plan_of(group: &str, subnet: &str, policies: &[&str]) -> Vec<PolicyAnswer> {
    let cluster = understood(&[group], &[subnet], policies).unwrap();
    planned(&cluster).policies
}

#[test]
fn one_pod_on_a_huge_node_empties_a_slash_20_under_aws_node() {
    let policies = plan_of(
        "m6a.32xlarge,count=60,pods=1",
        "10.0.0.0/20,name=a",
        &["aws-default", "berth"],
    );
    let [aws, berth] = policies.as_slice() else {
        panic!("{}", policies.len())
    };
    // 98 and 2 primaries a node, of which one counts as held: 4,091 addresses are enough for 40 and part of another.
    let moment = aws.subnets[0].runs_dry.expect("dry");
    assert_eq!(moment.nodes, 41, "{}", aws.says);
    assert!(
        aws.says
            .starts_with("a runs dry with its 41st node, after "),
        "{}",
        aws.says
    );
    assert!(!aws.fits);
    assert!(berth.fits, "{}", berth.says);
    assert!(berth.held.steady_per_node <= 2.0, "{}", berth.says);
    assert!(berth.says.starts_with("fits: 3,"), "{}", berth.says);
}

#[test]
fn a_slash_27_is_enough_for_a_demo_cluster_but_not_under_aws_node() {
    let policies = plan_of(
        "m5.large,count=3,pods=2,daemonset=0,host-network=2",
        "10.0.0.0/27,name=demo",
        &["aws-default", "berth"],
    );
    let [aws, berth] = policies.as_slice() else {
        panic!("{}", policies.len())
    };
    // 27 addresses: the first node takes 20, the second finds 7.
    let moment = aws.subnets[0].runs_dry.expect("dry");
    assert_eq!(moment.nodes, 2, "{}", aws.says);
    assert!(berth.fits, "{}", berth.says);
    assert!(berth.held.peak <= 18, "{}", berth.says);
}

#[test]
fn aws_node_holds_98_and_2_for_one_pod() {
    let policies = plan_of(
        "m6a.32xlarge,count=1,pods=1",
        "10.0.0.0/20",
        &["aws-default"],
    );
    // One of the two primaries is the node's own.
    assert_eq!(policies[0].held.peak, 99);
    let policies = plan_of("m3.2xlarge,count=1,pods=1", "10.0.0.0/20", &["aws-default"]);
    assert_eq!(policies[0].held.peak, 59);
}

#[test]
fn what_lacks_a_whole_block_says_so() {
    let policies = plan_of(
        "m5.large,count=2,pods=2",
        "10.0.0.0/24,used=200",
        &["aws-prefix1", "gke-cidr"],
    );
    for (answer, block) in policies.iter().zip(["/28", "range for a node"]) {
        let told = format!("10.0.0.0/24 has no whole {block} left with its 1st node");
        assert!(answer.says.starts_with(&told), "{}", answer.says);
        assert_eq!((answer.pods_starved, answer.fits), (4, false));
    }
}
