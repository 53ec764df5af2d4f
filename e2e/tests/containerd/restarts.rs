//! `berthd` and containerd go and come again, in order and not, while sandboxes come and go.

use std::net::Ipv4Addr;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::ensure;
use e2e::aftermath::{SOON, eventually};
use e2e::cluster::DAEMON_PATIENCE;
use e2e::node::Node;
use e2e::probe::Patience;
use e2e::probe::sweep::{Leg, ping_all};

use crate::cri::messages::PodSandboxConfig;
use crate::daemon::Containerd;
use crate::fixture::{Bed, Worker};
use crate::sandbox::{Sandbox, address, at_once, pod};

const M5_LARGE: &str = "m5.large";
/// Sandboxes at once in a round.
const ROUND: usize = 8;
/// kubelet tries a pod again for as long as it is wanted.
const KUBELET: Duration = Duration::from_secs(60);

/// The two ways in which a daemon ends.
fn stop(node: &Node) -> anyhow::Result<()> {
    node.stop_daemon(DAEMON_PATIENCE)
}

fn kill(node: &Node) -> anyhow::Result<()> {
    node.kill_daemon()
}

#[test]
fn sandboxes_come_and_go_while_berthd_is_stopped_and_killed() -> anyhow::Result<()> {
    let Some(bed) = Bed::start("restarts", M5_LARGE, 1)? else {
        return Ok(());
    };
    let worker = bed.worker(0);
    let mut rounds = Vec::new();
    for (number, end) in [stop, kill].into_iter().enumerate() {
        let configs: Vec<_> = (0..ROUND)
            .map(|pod_number| pod(worker, &format!("pod-{number}-{pod_number}")))
            .collect();
        let sandboxes = meanwhile(worker, end, || {
            at_once(configs, |config| until_up(worker, config))
        })?;
        rounds.push(sandboxes.into_iter().collect::<anyhow::Result<Vec<_>>>()?);
    }
    let all: Vec<&Sandbox> = rounds.iter().flatten().collect();
    answer(worker, &all)?;
    distinct(&all)?;
    for (round, end) in rounds.into_iter().zip([kill, stop]) {
        meanwhile(worker, end, || Sandbox::end_all(worker, round))??;
    }
    worker.nothing_left()
}

/// Does `work`; when the daemon knows of its first effect, it ends in the way of `end` and is started again.
fn meanwhile<T>(
    worker: Worker<'_>,
    end: fn(&Node) -> anyhow::Result<()>,
    work: impl FnOnce() -> T,
) -> anyhow::Result<T> {
    let node = &worker.member.node;
    let before = node.status()?.attachments.len();
    thread::scope(|scope| {
        let disturbed = scope.spawn(move || {
            // the first plugin has come through, the others have not
            eventually("the round has begun", SOON, || {
                let now = node.status()?.attachments.len();
                ensure!(now != before, "still {now} attachments");
                Ok(())
            })?;
            end(node)?;
            node.start_daemon(DAEMON_PATIENCE)
        });
        let done = work();
        disturbed.join().expect("the disturbance panicked")?;
        Ok(done)
    })
}

/// As kubelet: a failed RunPodSandbox is tried again, with the next number of attempt.
fn until_up(worker: Worker<'_>, mut config: PodSandboxConfig) -> anyhow::Result<Sandbox> {
    let started = Instant::now();
    loop {
        let error = match Sandbox::run(worker, config.clone()) {
            Ok(sandbox) => return Ok(sandbox),
            Err(error) => error,
        };
        ensure!(started.elapsed() < KUBELET, "{error:#}");
        eprintln!("tried again: {error:#}");
        if let Some(metadata) = &mut config.metadata {
            metadata.attempt += 1;
        }
    }
}

#[test]
fn containerd_finds_its_sandboxes_and_their_network_again() -> anyhow::Result<()> {
    let Some(bed) = Bed::start("recovery", M5_LARGE, 1)? else {
        return Ok(());
    };
    let worker = bed.worker(0);
    let configs = (0..4).map(|number| pod(worker, &format!("pod-{number}")));
    let mut sandboxes = Sandbox::run_all(worker, configs.collect())?;
    for (number, end) in [Containerd::stop, Containerd::kill].into_iter().enumerate() {
        worker.restart_containerd(end)?;
        for sandbox in &sandboxes {
            let found: Ipv4Addr = address(worker, &sandbox.id)?;
            ensure!(found == sandbox.address, "{found} was {}", sandbox.address);
        }
        answer(worker, &sandboxes.iter().collect::<Vec<_>>())?;
        // the network works on: one goes that was made before the restart, one comes
        sandboxes.remove(0).end(worker)?;
        sandboxes.push(Sandbox::run(worker, pod(worker, &format!("new-{number}")))?);
        distinct(&sandboxes.iter().collect::<Vec<_>>())?;
    }
    Sandbox::end_all(worker, sandboxes)?;
    worker.nothing_left()
}

#[test]
fn a_sandbox_that_is_stopped_without_berthd_is_cleaned_up_by_the_next() -> anyhow::Result<()> {
    let Some(bed) = Bed::start("tombstone", M5_LARGE, 1)? else {
        return Ok(());
    };
    let worker = bed.worker(0);
    let node = &worker.member.node;
    let gone = Sandbox::run(worker, pod(worker, "gone"))?;
    let stays = Sandbox::run(worker, pod(worker, "stays"))?;
    let id = gone.id.clone();
    node.kill_daemon()?;
    gone.end(worker)?;
    let notes: Vec<_> = std::fs::read_dir(node.tombstones())?
        .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
        .collect::<std::io::Result<_>>()?;
    ensure!(
        notes.iter().any(|name| name.contains(&id)),
        "no tombstone of {id} among {notes:?}"
    );
    node.start_daemon(DAEMON_PATIENCE)?;
    answer(worker, &[&stays])?;
    // the name is free at once: a StatefulSet's pod comes again under it
    let again = Sandbox::run(worker, pod(worker, "gone"))?;
    answer(worker, &[&stays, &again])?;
    Sandbox::end_all(worker, vec![stays, again])?;
    worker.nothing_left()
}

/// Pings from the node to each sandbox.
fn answer(worker: Worker<'_>, sandboxes: &[&Sandbox]) -> anyhow::Result<()> {
    let legs: Vec<_> = sandboxes
        .iter()
        .map(|sandbox| Leg {
            name: "the node",
            from: worker.member.node.netns(),
            to: sandbox.address,
        })
        .collect();
    ping_all(&legs, Patience::USUAL).map(drop)
}

fn distinct(sandboxes: &[&Sandbox]) -> anyhow::Result<()> {
    let mut addresses: Vec<_> = sandboxes.iter().map(|sandbox| sandbox.address).collect();
    addresses.sort();
    let all = addresses.len();
    addresses.dedup();
    ensure!(addresses.len() == all, "some share one of {addresses:?}");
    Ok(())
}
