//! How many addresses a node holds: aws-node's warm targets give aws-node's figures, and without any a node holds little
//! and fails no pod for it.

use std::time::Duration;

use anyhow::ensure;
use e2e::cluster::{Cluster, DAEMON_PATIENCE, Member};
use e2e::mock::{CloudConfig, SubnetSpec};

use crate::fixture::{M5_LARGE, SOON, add_pods, config, del_pods, eventually, launch, start};

/// 4 ENIs with 29 secondary addresses each.
const M3_2XLARGE: &str = "m3.2xlarge";
/// 15 ENIs with 49 secondary addresses each; aws-node's default holds 98 of them for one pod.
const M6A_32XLARGE: &str = "m6a.32xlarge";

/// ENIs of a node, and all its addresses, those of the ENIs themselves included, as amazon-vpc-cni-k8s counts them.
fn held(cluster: &Cluster, member: &Member) -> (usize, usize) {
    let enis = cluster.cloud().enis_of(&member.instance.instance_id);
    (
        enis.len(),
        enis.len() + member.holdings(cluster.cloud()).len(),
    )
}

fn holds(cluster: &Cluster, expected: (usize, usize)) -> anyhow::Result<()> {
    let member = &cluster.members[0];
    eventually("the target is met", SOON, || {
        member.settled(cluster.cloud(), SOON)?;
        let held = held(cluster, member);
        ensure!(held == expected, "{held:?} instead of {expected:?}");
        Ok(())
    })
}

#[test]
fn warm_eni_target_holds_a_whole_eni_more() -> anyhow::Result<()> {
    let settings = [("WARM_ENI_TARGET", "1")];
    let Some(cluster) = start(config("warmeni"), M3_2XLARGE, 1, &settings)? else {
        return Ok(());
    };
    let member = &cluster.members[0];
    let pods = add_pods(member, "pod", 1)?;
    // amazon-vpc-cni-k8s, docs/eni-and-ip-target.md: one pod makes a second ENI of thirty.
    holds(&cluster, (2, 60))?;
    del_pods(member, pods)
}

#[test]
fn warm_ip_target_holds_so_many_beside_the_pods() -> anyhow::Result<()> {
    let settings = [("WARM_IP_TARGET", "10"), ("WARM_ENI_TARGET", "0")];
    let Some(cluster) = start(config("warmip"), M3_2XLARGE, 1, &settings)? else {
        return Ok(());
    };
    let member = &cluster.members[0];
    let mut pods = add_pods(member, "few", 2)?;
    holds(&cluster, (1, 13))?;
    pods.extend(add_pods(member, "more", 15)?);
    holds(&cluster, (1, 28))?;
    pods.extend(add_pods(member, "many", 5)?);
    holds(&cluster, (2, 34))?;
    del_pods(member, pods)
}

#[test]
fn one_pod_on_a_large_node_holds_little() -> anyhow::Result<()> {
    let Some(cluster) = start(config("large"), M6A_32XLARGE, 1, &[])? else {
        return Ok(());
    };
    let member = &cluster.members[0];
    let pods = add_pods(member, "pod", 1)?;
    member.settled(cluster.cloud(), SOON)?;
    // The pod's, and two for the next pods as long as this one is new; what becomes of them is a matter of minutes.
    let (enis, all) = held(&cluster, member);
    ensure!(enis == 1 && (2..=4).contains(&all), "{all} on {enis} ENIs");
    del_pods(member, pods)
}

/// Calls and attachments take as long as EC2's.
#[test]
fn thirty_five_pods_come_in_two_bursts_and_none_fails() -> anyhow::Result<()> {
    let cloud = CloudConfig {
        name: "bursts".to_owned(),
        ..CloudConfig::default()
    };
    let Some(cluster) = start(cloud, M3_2XLARGE, 1, &[])? else {
        return Ok(());
    };
    let member = &cluster.members[0];
    let mut pods = add_pods(member, "first", 15)?;
    pods.extend(add_pods(member, "second", 20)?);
    member.settled(cluster.cloud(), Duration::from_secs(30))?;
    let (enis, _) = held(&cluster, member);
    ensure!(enis == 2, "{enis} ENIs");
    del_pods(member, pods)
}

/// Where the subnet has room, what is too much is kept for minutes.
#[test]
fn in_a_full_subnet_what_pods_leave_is_given_back_at_once() -> anyhow::Result<()> {
    // 59 addresses.
    let cloud = CloudConfig {
        subnets: vec![SubnetSpec {
            cidr: "10.0.1.0/26".parse()?,
            zone: "us-west-2a".to_owned(),
        }],
        ..config("press")
    };
    let settings = [("IP_COOLDOWN_PERIOD", "1")];
    let Some(cluster) = launch(cloud, M5_LARGE, 1, &settings)? else {
        return Ok(());
    };
    // Below a fifth, so that the subnet is watched closely.
    let state = cluster.cloud().state();
    let free = state.subnet(&state.first_subnet)?.free();
    cluster.cloud().occupy(None, free - 10)?;
    cluster.start_daemons()?;
    let member = &cluster.members[0];
    member.settled(cluster.cloud(), DAEMON_PATIENCE)?;
    let pods = add_pods(member, "pod", 6)?;
    del_pods(member, pods)?;
    let (_, kept) = held(&cluster, member);
    ensure!(kept > 1, "nothing is left to give back");
    cluster.fill_subnet()?;
    eventually("all is given back", DAEMON_PATIENCE * 3, || {
        let held = held(&cluster, member);
        ensure!(held == (1, 1), "{held:?}");
        Ok(())
    })
}
