//! SIGTERM in the middle of work: what kubelet does at each update of the DaemonSet.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::thread;
use std::time::Duration;

use anyhow::{Context, ensure};
use e2e::cluster::DAEMON_PATIENCE;
use e2e::mock::{Fault, FaultKind, Outcome};
use e2e::netns::snapshot::{Change, Snapshot};
use e2e::node::Node;
use e2e::node::pod::Pod;
use nix::fcntl::{Flock, FlockArg};

use crate::fixture::{
    M5_LARGE, PER_ENI, RESERVE, SOON, add_pods, answer, calls, config, del_pods, eventually, leg,
    start, status_json,
};
use crate::watch::Watch;

/// What is under way is ended within 5 s; the rest is the machine's.
const STOPPED: Duration = Duration::from_secs(10);
/// ADDs that are under way when the signal comes.
const BURST: usize = 6;

#[test]
fn sigterm_in_the_middle_of_adds() -> anyhow::Result<()> {
    let Some(cluster) = start(config("term"), M5_LARGE, 2, &[])? else {
        return Ok(());
    };
    let [member, other] = &cluster.members[..] else {
        anyhow::bail!("two nodes were asked for")
    };
    let node = &member.node;
    let mut pods = add_pods(member, "old", 3)?;
    member.settled(cluster.cloud(), DAEMON_PATIENCE)?;
    let before = Snapshot::take(node.netns())?;
    let watch = Watch::start(pods.iter().flat_map(|pod| {
        [
            leg(node.netns(), pod.address),
            leg(other.node.netns(), pod.address),
        ]
    }))?;
    let slow = FaultKind::Slow { ms: 1_500 };
    cluster
        .cloud()
        .fault(Fault::always("AssignPrivateIpAddresses", slow));
    let added = restart_among_adds(node, &before)?;
    watch.finish()?;
    for result in added {
        pods.push(result.context("a restart is no failure")?);
    }
    cluster.cloud().clear_faults();
    pods.push(node.add_pod("after", &[])?);
    member.settled(cluster.cloud(), DAEMON_PATIENCE)?;
    let live: BTreeSet<_> = pods.iter().map(|pod| pod.address).collect();
    ensure!(live.len() == pods.len(), "an address is with two pods");
    eventually("daemon and pods agree", SOON, || {
        let known = node.status()?.attachments;
        let known: BTreeSet<_> = known.into_iter().map(|known| known.address).collect();
        ensure!(known == live, "live {live:?}, the daemon knows {known:?}");
        Ok(())
    })?;
    answer(member, &pods)
}

/// Stops and starts the daemon while ADDs wait. What stood on the host `before` stands there when it is down.
fn restart_among_adds(node: &Node, before: &Snapshot) -> anyhow::Result<Vec<anyhow::Result<Pod>>> {
    thread::scope(|scope| {
        let add = |number| scope.spawn(move || node.add_pod(&format!("burst-{number}"), &[]));
        let adds: Vec<_> = (0..BURST).map(add).collect();
        let restarted = eventually("some ADDs wait", SOON, || {
            let waiting = status_json(node)?["waiting"].as_array().map_or(0, Vec::len);
            ensure!(waiting > 1, "{waiting} wait");
            Ok(())
        })
        .and_then(|()| node.stop_daemon(STOPPED))
        .and_then(|()| {
            let changes = before.changes(&Snapshot::take(node.netns())?);
            let gone = changes
                .iter()
                .find(|change| !matches!(change, Change::Added(..)));
            ensure!(gone.is_none(), "taken from the host: {gone:?}");
            // for a while there is no daemon, and the ADDs that were cut off knock again
            thread::sleep(Duration::from_secs(1));
            node.start_daemon(DAEMON_PATIENCE)
        });
        let joined = adds.into_iter().map(|add| add.join());
        let added = joined
            .map(|added| added.expect("an ADD panicked"))
            .collect();
        restarted.map(|()| added)
    })
}

/// A pod that is replaced by force still ends beside its successor.
#[test]
fn a_daemon_that_comes_too_early_waits_for_its_predecessors_end() -> anyhow::Result<()> {
    let Some(cluster) = start(config("early"), M5_LARGE, 1, &[])? else {
        return Ok(());
    };
    let node = &cluster.members[0].node;
    node.stop_daemon(STOPPED)?;
    let owned = File::open(node.checkpoint().with_added_extension("lock"))?;
    let owned = Flock::lock(owned, FlockArg::LockExclusiveNonblock).map_err(|(_, errno)| errno)?;
    thread::scope(|scope| {
        let started = scope.spawn(|| node.start_daemon(DAEMON_PATIENCE));
        let waits = eventually("it waits", SOON, || {
            let log = fs::read_to_string(node.log())?;
            ensure!(log.contains("waiting for its end"), "{log}");
            Ok(())
        });
        drop(owned);
        waits.and(started.join().expect("a start panicked"))
    })?;
    node.add_pod("after", &[])?;
    node.stop_daemon(STOPPED)
}

#[test]
fn sigterm_while_an_eni_is_attached_and_pods_go() -> anyhow::Result<()> {
    let Some(cluster) = start(config("term-attach"), M5_LARGE, 1, &[])? else {
        return Ok(());
    };
    let member = &cluster.members[0];
    let node = &member.node;
    // With the reserve the primary ENI is full.
    let mut pods = add_pods(member, "old", PER_ENI - RESERVE)?;
    member.settled(cluster.cloud(), DAEMON_PATIENCE)?;
    let dead = pods.split_off(pods.len() - 3);
    let slow = FaultKind::Slow { ms: 3_000 };
    for action in ["AttachNetworkInterface", "ModifyNetworkInterfaceAttribute"] {
        cluster.cloud().fault(Fault::always(action, slow.clone()));
    }
    let come = thread::scope(|scope| -> anyhow::Result<Vec<Pod>> {
        let come: Vec<_> = (0..3)
            .map(|number| scope.spawn(move || node.add_pod(&format!("new-{number}"), &[])))
            .collect();
        let under_way = eventually("the attach is under way", SOON, || {
            let intents = status_json(node)?["intents"].to_string();
            ensure!(intents.to_lowercase().contains("attach"), "{intents}");
            Ok(())
        });
        let go = scope.spawn(|| del_pods(member, dead));
        let restarted = under_way
            .and_then(|()| node.stop_daemon(STOPPED))
            .and_then(|()| node.start_daemon(DAEMON_PATIENCE));
        let gone = go.join().expect("a DEL panicked");
        let come: Vec<_> = come
            .into_iter()
            .map(|add| add.join().expect("an ADD panicked"))
            .collect();
        restarted.and(gone)?;
        come.into_iter().collect()
    })?;
    pods.extend(come);
    cluster.cloud().clear_faults();
    member.settled(cluster.cloud(), DAEMON_PATIENCE)?;
    eventually("daemon and pods agree", SOON, || {
        let known = node.status()?.attachments.len();
        ensure!(
            known == pods.len(),
            "{} live, {known} are known",
            pods.len()
        );
        Ok(())
    })?;
    let left = cluster.cloud().available_enis();
    ensure!(left.is_empty(), "ENIs that nobody has: {left:?}");
    // While a call cut off by the stop is still being made, EC2 shows nothing of it; the next daemon may ask again.
    let mut attaches = calls(&cluster, "AttachNetworkInterface");
    attaches.retain(|call| call.outcome == Outcome::Ok);
    ensure!(attaches.len() == 1, "attached twice: {attaches:?}");
    answer(member, &pods)
}
