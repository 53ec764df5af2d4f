//! An ADD that gets no address says why: in the CNI error and in the status, in the same words, in time; and it works
//! again once the cause is gone.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use e2e::cluster::{Cluster, Member};
use e2e::mock::{CloudConfig, Fault, FaultKind, SubnetSpec};
use e2e::node::pod::Pod;

use crate::client::ec2;
use crate::fixture::{
    M5_LARGE, RESERVE, T3_NANO, TRY_AGAIN, add_pods, answer, block_on, config, eventually, reasons,
    refusal, start,
};

/// An ADD waits so long, seconds.
const WAIT: &str = "3";
/// It must be over by then: what the runtime waits at most before the plugin itself gives up.
const DEADLINE: Duration = Duration::from_secs(20);
/// How long until berth tries again what was refused: a call that lacks a permission rests longest, for 10 s and 20 s.
const TRIED_AGAIN: Duration = Duration::from_secs(60);

const SETTINGS: [(&str, &str); 2] = [
    ("BERTH_ADD_WAIT_SECONDS", WAIT),
    ("IP_COOLDOWN_PERIOD", "1"),
];

/// Takes what is in reserve.
fn use_reserve(member: &Member) -> anyhow::Result<Vec<Pod>> {
    let free = member.node.status()?.addresses.free;
    add_pods(member, "pod", usize::try_from(free)?)
}

/// One more ADD fails in time, with these words and with a status that begins a reason with `name`. While a refused call
/// is being repeated there is no reason for a moment: the next ADD meets it again.
fn refused(member: &Member, name: &str, words: &str) -> anyhow::Result<()> {
    eventually(name, DEADLINE, || {
        let started = Instant::now();
        let error = refusal(member.node.add_pod("one-more", &[]))?;
        let elapsed = started.elapsed();
        ensure!(error.code == TRY_AGAIN, "{error}");
        ensure!(error.msg.contains(words), "no {words:?} in {:?}", error.msg);
        ensure!(!error.details.is_empty(), "{name} has no remedy");
        ensure!(elapsed < DEADLINE, "the ADD took {elapsed:?}");
        Ok(())
    })?;
    eventually(name, DEADLINE, || {
        let why = reasons(&member.node)?;
        let told =
            |reason: &String| reason.starts_with(&format!("{name}: ")) && reason.contains(words);
        ensure!(why.iter().any(told), "the status says {why:?}");
        Ok(())
    })
}

/// An ADD works again.
fn recovers(cluster: &Cluster, member: &Member) -> anyhow::Result<()> {
    let pod = eventually("ADD works again", TRIED_AGAIN, || {
        member.node.add_pod("late", &[])
    })?;
    answer(member, &[pod])?;
    member.settled(cluster.cloud(), TRIED_AGAIN).map(drop)
}

#[test]
fn full_subnet() -> anyhow::Result<()> {
    let small = CloudConfig {
        subnets: vec![SubnetSpec {
            cidr: "10.0.7.0/28".parse()?,
            zone: "us-west-2a".to_owned(),
        }],
        ..config("full")
    };
    let Some(cluster) = start(small, M5_LARGE, 1, &SETTINGS)? else {
        return Ok(());
    };
    let member = &cluster.members[0];
    let state = cluster.cloud().state();
    let subnet = state.subnet(&state.first_subnet)?;
    let theirs = cluster.cloud().occupy(None, subnet.free())?;
    let _pods = use_reserve(member)?;
    refused(member, "SubnetFull", "the subnet has no free address")?;
    let url = cluster.cloud().ec2_url();
    let call = format!("DeleteNetworkInterface NetworkInterfaceId={}", theirs.id);
    block_on(ec2(&url, &call))?.expect_ok();
    recovers(&cluster, member)
}

#[test]
fn access_denied() -> anyhow::Result<()> {
    let Some(cluster) = start(config("denied"), M5_LARGE, 1, &SETTINGS)? else {
        return Ok(());
    };
    let member = &cluster.members[0];
    let denied = Fault::always("AssignPrivateIpAddresses", FaultKind::AccessDenied);
    cluster.cloud().fault(denied);
    let _pods = use_reserve(member)?;
    let words = "access denied for ec2:AssignPrivateIpAddresses";
    refused(member, "AccessDenied", words)?;
    cluster.cloud().clear_faults();
    recovers(&cluster, member)
}

#[test]
fn throttled() -> anyhow::Result<()> {
    let Some(cluster) = start(config("throttled"), M5_LARGE, 1, &SETTINGS)? else {
        return Ok(());
    };
    let member = &cluster.members[0];
    let throttle = Fault::always("*", FaultKind::Throttle);
    cluster.cloud().fault(throttle);
    let _pods = use_reserve(member)?;
    refused(member, "Throttled", "EC2 throttles this account")?;
    cluster.cloud().clear_faults();
    recovers(&cluster, member)
}

#[test]
fn eni_limit() -> anyhow::Result<()> {
    let Some(cluster) = start(config("limit"), T3_NANO, 1, &SETTINGS)? else {
        return Ok(());
    };
    let member = &cluster.members[0];
    let mut pods = add_pods(member, "pod", RESERVE)?;
    refused(member, "EniLimit", "all 2 ENIs of this instance")?;
    member.node.del_pod(pods.pop().context("two pods")?)?;
    recovers(&cluster, member)
}
