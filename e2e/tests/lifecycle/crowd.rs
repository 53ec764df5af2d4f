//! Many at once, and clients that want nothing: what they cost those who want something.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use e2e::cluster::DAEMON_PATIENCE;
use e2e::netns::output;
use e2e::netns::snapshot::Snapshot;
use e2e::node::Node;

use crate::fixture::{
    M5_LARGE, TRY_AGAIN, add_pods, answer, config, del_pods, eventually, no_pods_left, refusal,
    start,
};

/// 8 ENIs with 29 secondary addresses each.
const M5_4XLARGE: &str = "m5.4xlarge";
/// What a busy node sees when a deployment rolls over.
const MANY: usize = 50;
/// What an operator's broken script does.
const IDLE: usize = 1_000;
/// An idle client is cut off after 2 s; the rest is the machine's.
const CUT_OFF: Duration = Duration::from_secs(10);
/// Places for clients, and what the daemon itself needs beside them.
const FEW_DESCRIPTORS: usize = 64;

#[test]
fn fifty_come_while_fifty_go() -> anyhow::Result<()> {
    let settings = [("IP_COOLDOWN_PERIOD", "1")];
    let Some(cluster) = start(config("fifty"), M5_4XLARGE, 1, &settings)? else {
        return Ok(());
    };
    let member = &cluster.members[0];
    let before = Snapshot::take(member.node.netns())?;
    let old = add_pods(member, "old", MANY)?;
    let mut gone: Vec<_> = old.iter().map(|pod| pod.address).collect();
    let new = thread::scope(|scope| {
        let come = scope.spawn(|| add_pods(member, "new", MANY));
        let go = scope.spawn(|| del_pods(member, old));
        go.join().expect("a DEL panicked")?;
        come.join().expect("an ADD panicked")
    })?;
    let status = member.node.status()?;
    ensure!(
        status.attachments.len() == MANY,
        "{} are known",
        status.attachments.len()
    );
    answer(member, &new)?;
    gone.extend(new.iter().map(|pod| pod.address));
    del_pods(member, new)?;
    no_pods_left(&member.node, &before, &gone)?;
    ensure!(member.node.status()?.attachments.is_empty());
    member.settled(cluster.cloud(), DAEMON_PATIENCE).map(drop)
}

#[test]
fn half_a_frame_and_a_thousand_who_say_nothing() -> anyhow::Result<()> {
    let Some(cluster) = start(config("idlers"), M5_LARGE, 1, &[])? else {
        return Ok(());
    };
    let member = &cluster.members[0];
    let socket = member.node.socket();
    let mut half = UnixStream::connect(&socket)?;
    // The first half of a length.
    half.write_all(&[0, 0])?;
    let mut idle = Vec::with_capacity(IDLE);
    for _ in 0..IDLE {
        idle.push(UnixStream::connect(&socket)?);
    }
    let pods = add_pods(member, "pod", 4)?;
    answer(member, &pods)?;
    // All are told to go, the one with half a request with the reason.
    half.set_read_timeout(Some(CUT_OFF))?;
    let mut told = Vec::new();
    half.read_to_end(&mut told)
        .context("it may stay for ever")?;
    let told = String::from_utf8_lossy(&told).into_owned();
    ensure!(told.contains("RequestTimeout"), "{told}");
    for client in &mut idle {
        client.set_read_timeout(Some(CUT_OFF))?;
        client
            .read_to_end(&mut Vec::new())
            .context("an idle client stays")?;
    }
    let pids = daemon_pid(&member.node)?;
    eventually("their descriptors are closed", CUT_OFF, || {
        let open = descriptors(pids)?;
        ensure!(open < 100, "{open} are open");
        Ok(())
    })?;
    del_pods(member, pods)
}

#[test]
fn no_descriptor_left() -> anyhow::Result<()> {
    let Some(cluster) = start(config("nofile"), M5_LARGE, 1, &[])? else {
        return Ok(());
    };
    let member = &cluster.members[0];
    let pid = daemon_pid(&member.node)?;
    let limits = std::fs::read_to_string(format!("/proc/{pid}/limits"))?;
    let line = limits
        .lines()
        .find(|line| line.starts_with("Max open files"));
    let mut words = line.context("no limit")?.split_whitespace().skip(3);
    ensure!(
        words.next() == words.next(),
        "soft and hard limit differ: {limits}"
    );
    // ulimit -n, from outside
    output(
        Command::new("prlimit")
            .args(["--pid", &pid.to_string()])
            .arg(format!("--nofile={FEW_DESCRIPTORS}:{FEW_DESCRIPTORS}")),
    )?;
    let before = Snapshot::take(member.node.netns())?;
    let deadline = Instant::now() + CUT_OFF;
    let mut refused = 0;
    let mut idle = Vec::new();
    // For as long as they come faster than they are cut off, nobody is served; none is served by half.
    while Instant::now() < deadline && refused == 0 {
        for _ in 0..2 * FEW_DESCRIPTORS {
            idle.push(UnixStream::connect(member.node.socket())?);
        }
        match member.node.add_pod("crowded-out", &[]) {
            Ok(pod) => drop(member.node.del_pod(pod)?),
            failed => {
                let error = refusal(failed)?;
                ensure!(error.code == TRY_AGAIN || error.code == 101, "{error}");
                refused += 1;
            }
        }
    }
    drop(idle);
    let pod = eventually("ADD works", CUT_OFF, || member.node.add_pod("pod", &[]))?;
    answer(member, std::slice::from_ref(&pod))?;
    let address = pod.address;
    member.node.del_pod(pod)?;
    no_pods_left(&member.node, &before, &[address])?;
    ensure!(daemon_pid(&member.node)? == pid, "it is another daemon");
    member.settled(cluster.cloud(), DAEMON_PATIENCE).map(drop)
}

/// As the daemon wrote it beside its checkpoint.
fn daemon_pid(node: &Node) -> anyhow::Result<u32> {
    let lock = node.checkpoint().with_added_extension("lock");
    Ok(std::fs::read_to_string(lock)?.trim().parse()?)
}

fn descriptors(pid: u32) -> anyhow::Result<usize> {
    Ok(std::fs::read_dir(format!("/proc/{pid}/fd"))?.count())
}
