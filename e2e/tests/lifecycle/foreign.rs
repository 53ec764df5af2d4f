//! ENIs that are somebody else's: never named in a call, never used, but counted.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use anyhow::ensure;
use e2e::cluster::{Cluster, DAEMON_PATIENCE, Member};
use e2e::mock::state::Eni;
use e2e::netns::snapshot::Snapshot;

use crate::fixture::{
    M5_LARGE, PER_ENI, TRY_AGAIN, add_pods, answer, block_on, config, launch, reasons, refusal,
};

#[test]
fn no_manage_eni_attached_before_start_is_never_touched() -> anyhow::Result<()> {
    // short, because one ADD must wait in vain
    let wait = [("BERTH_ADD_WAIT_SECONDS", "3")];
    let Some(cluster) = launch(config("before"), M5_LARGE, 1, &wait)? else {
        return Ok(());
    };
    let member = &cluster.members[0];
    let foreign = attach(&cluster, member)?;
    let before = lines_of_its_link(member)?;
    cluster.start_daemons()?;
    member.settled(cluster.cloud(), DAEMON_PATIENCE)?;
    fill_and_look(&cluster, member, &foreign)?;
    let after = lines_of_its_link(member)?;
    ensure!(before == after, "its link: {before:?}, now {after:?}");
    Ok(())
}

#[test]
fn no_manage_eni_attached_after_start_is_never_touched() -> anyhow::Result<()> {
    // what was made for a place that is taken by then is given up only after some tries
    let wait = [("BERTH_ADD_WAIT_SECONDS", "16")];
    let Some(cluster) = launch(config("after"), M5_LARGE, 1, &wait)? else {
        return Ok(());
    };
    let member = &cluster.members[0];
    cluster.start_daemons()?;
    member.settled(cluster.cloud(), DAEMON_PATIENCE)?;
    let foreign = attach(&cluster, member)?;
    fill_and_look(&cluster, member, &foreign)
}

/// Attaches an ENI with the tag that would be taken for one of berth's without it.
fn attach(cluster: &Cluster, member: &Member) -> anyhow::Result<Eni> {
    let instance = &member.instance.instance_id;
    let tags = [
        ("node.k8s.amazonaws.com/no_manage", "true"),
        ("node.k8s.amazonaws.com/instance_id", instance.as_str()),
    ];
    Ok(block_on(
        cluster.cloud().create_foreign_eni(instance, &tags),
    )??)
}

/// Fills the node: an m5.large has three ENIs, one of which is not berth's.
fn fill_and_look(cluster: &Cluster, member: &Member, foreign: &Eni) -> anyhow::Result<()> {
    let pods = add_pods(member, "pod", 2 * PER_ENI)?;
    answer(member, &pods)?;
    let one_more = refusal(member.node.add_pod("one-more", &[]))?;
    ensure!(one_more.code == TRY_AGAIN, "{one_more}");
    let why = reasons(&member.node)?;
    ensure!(
        why.iter().any(|reason| reason.starts_with("EniLimit")),
        "a full node says {why:?}"
    );
    let named: Vec<_> = cluster
        .cloud()
        .journal()
        .into_iter()
        .filter(|call| call.instance.is_some())
        .filter(|call| call.parameters.values().any(|value| *value == foreign.id))
        .collect();
    ensure!(named.is_empty(), "calls about it: {named:?}");
    let state = cluster.cloud().state();
    ensure!(
        state.eni(&foreign.id)? == foreign,
        "it was {foreign:?} and is {:?}",
        state.eni(&foreign.id)?
    );
    let theirs: BTreeSet<Ipv4Addr> = foreign.addresses().collect();
    ensure!(
        pods.iter().all(|pod| !theirs.contains(&pod.address)),
        "a pod has one of {theirs:?}"
    );
    let enis = cluster.cloud().enis_of(&member.instance.instance_id);
    ensure!(enis.len() == 3, "{} ENIs are attached", enis.len());
    Ok(())
}

/// What the host has of the link on the first free place.
fn lines_of_its_link(member: &Member) -> anyhow::Result<Vec<String>> {
    let host = Snapshot::take(member.node.netns())?;
    let sections = ["link", "address", "route", "rule"];
    let lines = sections.iter().flat_map(|section| host.section(section));
    Ok(lines
        .filter(|line| line.contains("eth1"))
        .cloned()
        .collect())
}
