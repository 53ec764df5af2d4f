//! The VPC changes around a node that runs: a CIDR comes, the primary ENI gets another security group.

use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::ensure;
use e2e::cluster::DAEMON_PATIENCE;
use e2e::mock::INTERNET_HOST;
use ipnet::Ipv4Net;

use crate::conversation::Conversation;
use crate::fixture::{T3_NANO, add_pods, config, eventually, start};

/// Metadata is read each 30 s.
const READ_AGAIN: Duration = Duration::from_secs(50);

#[test]
fn a_new_cidr_and_a_new_security_group_are_followed_and_connections_go_on() -> anyhow::Result<()> {
    let config = config("vpc");
    let cidrs = config.vpc_cidrs.clone();
    let Some(cluster) = start(config, T3_NANO, 1, &[])? else {
        return Ok(());
    };
    let member = &cluster.members[0];
    let instance = &member.instance.instance_id;
    // On both of the node's ENIs.
    let pods = add_pods(member, "pod", 2)?;
    let internet = cluster.internet()?;
    let mut talks = Vec::new();
    for pod in &pods {
        let talk = Conversation::open(&pod.netns, &internet, INTERNET_HOST)?;
        ensure!(talk.seen_as == member.address(), "seen as {}", talk.seen_as);
        talks.push(talk);
    }
    // As if the host out there became part of the VPC: its connections must stay translated to their end.
    let new = Ipv4Net::new(INTERNET_HOST & Ipv4Addr::new(255, 255, 255, 0), 24)?;
    cluster
        .cloud()
        .set_vpc_cidrs(&[&cidrs[..], &[new]].concat())?;
    let primary = &member.instance.primary_eni;
    let group = cluster.cloud().regroup(primary, "another")?;
    let rules = || member.node.netns().command("nft");
    let listed = || e2e::netns::output(rules().args(["list", "table", "ip", "berth"]));
    let words = format!("ip daddr {new}");
    eventually("the new CIDR is not translated", READ_AGAIN, || {
        let count = listed()?.matches(&words).count();
        ensure!(count == 2, "{count} rules for it");
        Ok(())
    })?;
    eventually("the ENIs have the new group", READ_AGAIN, || {
        let enis = cluster.cloud().enis_of(instance);
        for eni in &enis {
            ensure!(
                eni.groups == [group.as_str()],
                "{}: {:?}",
                eni.id,
                eni.groups
            );
        }
        ensure!(enis.len() == 2, "{} ENIs", enis.len());
        Ok(())
    })?;
    for talk in &mut talks {
        talk.goes_on()?;
    }
    member.settled(cluster.cloud(), DAEMON_PATIENCE).map(drop)
}
