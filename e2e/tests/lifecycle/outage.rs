//! EC2 and instance metadata are away, or nobody needs what was held.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::ensure;
use e2e::cluster::{Cluster, DAEMON_PATIENCE};
use e2e::mock::{Fault, FaultKind, IMDS};
use e2e::netns::snapshot::Snapshot;

use crate::fixture::{
    M5_LARGE, PER_ENI, RESERVE, TRY_AGAIN, add_pods, answer, as_before, config, del_pods,
    eventually, launch, refusal, start, status_json,
};

/// What must not wait for anybody may take so long on a busy machine; an ADD that waits is refused after 20 s.
const AT_ONCE: Duration = Duration::from_secs(10);
/// With a fixed level addresses are given back after 60 s without use, the ENI after them.
const GIVEN_BACK: Duration = Duration::from_secs(120);

/// EC2 does not answer and metadata is broken.
fn cut_off(cluster: &Cluster) {
    let broken = FaultKind::Error {
        code: "InternalError".to_owned(),
        status: 500,
    };
    cluster
        .cloud()
        .fault(Fault::always("*", FaultKind::Timeout));
    cluster.cloud().fault(Fault::always(IMDS, broken));
}

#[test]
fn serves_from_stock_without_ec2_and_metadata() -> anyhow::Result<()> {
    let Some(cluster) = start(config("stock"), M5_LARGE, 1, &[])? else {
        return Ok(());
    };
    let member = &cluster.members[0];
    let old = member.node.add_pod("old", &[])?;
    member.settled(cluster.cloud(), DAEMON_PATIENCE)?;
    member.node.kill_daemon()?;
    cut_off(&cluster);
    member.node.start_daemon(DAEMON_PATIENCE)?;
    let started = Instant::now();
    let new = member.node.add_pod("new", &[])?;
    member.node.del_pod(old)?;
    ensure!(started.elapsed() < AT_ONCE, "took {:?}", started.elapsed());
    answer(member, &[new])?;
    let known = member.node.status()?.attachments;
    ensure!(known.len() == 1, "the daemon knows {known:?}");
    Ok(())
}

#[test]
fn starts_without_ec2_and_metadata_and_without_a_checkpoint() -> anyhow::Result<()> {
    let settings = [("BERTH_ADD_WAIT_SECONDS", "2")];
    let Some(cluster) = launch(config("blank"), M5_LARGE, 1, &settings)? else {
        return Ok(());
    };
    let member = &cluster.members[0];
    cut_off(&cluster);
    member.node.start_daemon(DAEMON_PATIENCE)?;
    let error = refusal(member.node.add_pod("early", &[]))?;
    ensure!(
        error.code == TRY_AGAIN && error.msg.contains("still finding out about its node"),
        "{error}"
    );
    // metadata comes back, EC2 does not yet
    cluster.cloud().clear_faults();
    let broken = FaultKind::Error {
        code: "InternalError".to_owned(),
        status: 500,
    };
    cluster.cloud().fault(Fault::always("*", broken));
    eventually("EC2 is named", AT_ONCE * 3, || {
        let error = refusal(member.node.add_pod("next", &[]))?;
        ensure!(
            error.code == TRY_AGAIN && error.msg.contains("EC2 does not answer"),
            "{error}"
        );
        Ok(())
    })?;
    cluster.cloud().clear_faults();
    let pod = eventually("ADD works", AT_ONCE * 3, || member.node.add_pod("pod", &[]))?;
    answer(member, &[pod])
}

#[test]
fn an_add_that_waits_is_served_when_ec2_comes_back() -> anyhow::Result<()> {
    let Some(cluster) = launch(config("back"), M5_LARGE, 1, &[])? else {
        return Ok(());
    };
    let member = &cluster.members[0];
    cut_off(&cluster);
    member.node.start_daemon(DAEMON_PATIENCE)?;
    let pod = thread::scope(|scope| {
        let add = scope.spawn(|| member.node.add_pod("patient", &[]));
        let waits = eventually("the ADD waits", AT_ONCE, || {
            let status = status_json(&member.node)?;
            let waiting = status["waiting"].as_array().map_or(0, Vec::len);
            ensure!(waiting == 1, "{waiting} wait");
            Ok(())
        });
        cluster.cloud().clear_faults();
        waits.and(add.join().expect("the ADD panicked"))
    })?;
    answer(member, &[pod])
}

/// The slow one: nothing speeds up the minute for which an address rests before it is given back, where the level is fixed
/// (`ipam::policy::Patience`; berth's own ages are 5 and 15 minutes).
#[test]
fn idle_node_gives_back() -> anyhow::Result<()> {
    let settings = [("IP_COOLDOWN_PERIOD", "1"), ("WARM_IP_TARGET", "2")];
    let Some(cluster) = start(config("idle"), M5_LARGE, 1, &settings)? else {
        return Ok(());
    };
    let member = &cluster.members[0];
    let before = Snapshot::take(member.node.netns())?;
    let pods = add_pods(member, "pod", PER_ENI + 3)?;
    ensure!(member.node.status()?.enis.len() == 2, "one ENI was enough");
    del_pods(member, pods)?;
    let instance = &member.instance.instance_id;
    eventually("the surplus is given back", GIVEN_BACK, || {
        let held = member.holdings(cluster.cloud()).len();
        let enis = cluster.cloud().enis_of(instance).len();
        ensure!(enis == 1, "{enis} ENIs are attached");
        ensure!((1..=RESERVE).contains(&held), "{held} addresses are held");
        Ok(())
    })?;
    member.settled(cluster.cloud(), DAEMON_PATIENCE)?;
    eventually("the ENI is deleted", DAEMON_PATIENCE, || {
        let left = cluster.cloud().available_enis();
        ensure!(left.is_empty(), "available: {left:?}");
        ensure!(member.node.status()?.enis.len() == 1, "the daemon knows it");
        Ok(())
    })?;
    as_before(&member.node, &before, DAEMON_PATIENCE)?;
    // give and take have left a state that a restart can read
    member.node.stop_daemon(DAEMON_PATIENCE)?;
    ensure!(fs::metadata(member.node.checkpoint())?.len() > 0);
    member.node.start_daemon(DAEMON_PATIENCE)?;
    member.settled(cluster.cloud(), DAEMON_PATIENCE).map(drop)
}
