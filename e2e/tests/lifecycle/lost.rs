//! Replies of EC2 that are lost after the effect: the same thing is never asked for twice.

use std::collections::BTreeSet;

use anyhow::{Context, ensure};
use e2e::cluster::{Cluster, DAEMON_PATIENCE};
use e2e::mock::{Call, Fault, FaultKind, Outcome};
use e2e::node::pod::Pod;

use crate::fixture::{M5_LARGE, PER_ENI, RESERVE, add_pods, answer, calls, config, start};

const ASSIGN: &str = "AssignPrivateIpAddresses";
const CREATE: &str = "CreateNetworkInterface";
const ATTACH: &str = "AttachNetworkInterface";

/// A node whose daemon has its reserve, and then pods while the next replies of `action` are lost. All of them come up,
/// and what EC2 holds is what the daemon knows and no more than the pods need.
fn lose(name: &str, action: &str, pods: usize) -> anyhow::Result<Option<(Cluster, Vec<Pod>)>> {
    let Some(cluster) = start(config(name), M5_LARGE, 1, &[])? else {
        return Ok(None);
    };
    let member = &cluster.members[0];
    let lost = Fault::times(action, FaultKind::LostReply, 2);
    cluster.cloud().fault(lost);
    let pods = add_pods(member, "pod", pods)?;
    let held = member.settled(cluster.cloud(), DAEMON_PATIENCE)?;
    answer(member, &pods)?;
    ensure!(
        calls(&cluster, action)
            .iter()
            .any(|call| call.outcome == Outcome::ReplyLost),
        "no reply of {action} was lost"
    );
    ensure!(
        held <= pods.len() + RESERVE,
        "{held} addresses for {} pods",
        pods.len()
    );
    Ok(Some((cluster, pods)))
}

#[test]
fn lost_reply_of_assign() -> anyhow::Result<()> {
    let Some((cluster, _pods)) = lose("assign", ASSIGN, PER_ENI / 2)? else {
        return Ok(());
    };
    // more than the reserve, so that Assign is called again
    let _more = add_pods(&cluster.members[0], "more", RESERVE + 1)?;
    let assigns = calls(&cluster, ASSIGN);
    let describes = calls(&cluster, "DescribeNetworkInterfaces");
    let eni = |call: &Call| call.parameters.get("NetworkInterfaceId").cloned();
    let mut repeated = 0;
    for (at, lost) in assigns.iter().enumerate() {
        let next = assigns[at + 1..].iter().find(|call| eni(call) == eni(lost));
        let (Outcome::ReplyLost, Some(next)) = (&lost.outcome, next) else {
            continue;
        };
        let looked = describes.iter().any(|describe| {
            describe.outcome == Outcome::Ok
                && describe.at >= lost.at + lost.took
                && describe.at + describe.took <= next.at
        });
        ensure!(
            looked,
            "Assign at {:?} had no reply, and at {:?} the next was sent blindly",
            lost.at,
            next.at
        );
        repeated += 1;
    }
    ensure!(
        repeated > 0,
        "no Assign followed the lost ones: {assigns:?}"
    );
    Ok(())
}

#[test]
fn lost_reply_of_create() -> anyhow::Result<()> {
    let Some((cluster, _pods)) = lose("create", CREATE, PER_ENI + 1)? else {
        return Ok(());
    };
    let tokens: BTreeSet<_> = calls(&cluster, CREATE)
        .iter()
        .map(|call| call.parameters.get("ClientToken").cloned())
        .collect();
    ensure!(
        tokens.len() == 1 && !tokens.contains(&None),
        "one ENI was asked for with the tokens {tokens:?}"
    );
    one_more_eni(&cluster)
}

#[test]
fn lost_reply_of_attach() -> anyhow::Result<()> {
    let Some((cluster, _pods)) = lose("attach", ATTACH, PER_ENI + 1)? else {
        return Ok(());
    };
    // EC2 was asked what had come of it, not asked for it again
    let attaches = calls(&cluster, ATTACH);
    ensure!(attaches.len() == 1, "attached blindly: {attaches:?}");
    one_more_eni(&cluster)
}

/// The primary ENI, and exactly one that goes with the instance; none lies about.
fn one_more_eni(cluster: &Cluster) -> anyhow::Result<()> {
    let instance = &cluster.members[0].instance.instance_id;
    let enis = cluster.cloud().enis_of(instance);
    ensure!(enis.len() == 2, "{} ENIs are attached", enis.len());
    let attachment = enis[1].attachment.as_ref().context("it is attached")?;
    ensure!(
        attachment.delete_on_termination,
        "{} would outlive its instance",
        enis[1].id
    );
    let left = cluster.cloud().available_enis();
    ensure!(left.is_empty(), "ENIs that nobody has: {left:?}");
    Ok(())
}
