//! `berthd` and containerd go and come again, in order and not, while sandboxes come and go.

use std::net::Ipv4Addr;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::ensure;
use e2e::aftermath::{SOON, eventually};
use e2e::cluster::DAEMON_PATIENCE;
use e2e::node::Node;

use containerd::bed::{Bed, Worker};
use containerd::cri::messages::PodSandboxConfig;
use containerd::daemon::Containerd;
use containerd::remains::names;
use containerd::sandbox::{Sandbox, address, answer, at_once, distinct, pod};
use containerd::traces::Kind;

const M5_LARGE: &str = "m5.large";
/// Sandboxes at once in a round.
const ROUND: usize = 8;
/// An absence for which no ADD fails: the plugin looks for a daemon for 5 s.
const BRIDGED: Duration = Duration::from_secs(4);
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
    let mut rounds: Vec<Vec<Sandbox>> = Vec::new();
    for (number, end) in [stop, kill].into_iter().enumerate() {
        let configs: Vec<_> = (0..ROUND)
            .map(|pod_number| pod(worker, &format!("pod-{number}-{pod_number}")))
            .collect();
        let (away, came) = meanwhile(worker, end, || {
            at_once(configs, |config| until_up(worker, config))
        })?;
        let came = came.into_iter().collect::<anyhow::Result<Vec<_>>>()?;
        let repeated: u32 = came.iter().map(|(_, repeated)| repeated).sum();
        ensure!(
            repeated == 0 || away > BRIDGED,
            "away for {away:?}, yet {repeated} attempts failed"
        );
        rounds.push(came.into_iter().map(|(sandbox, _)| sandbox).collect());
    }
    answer(worker, rounds.iter().flatten())?;
    distinct(rounds.iter().flatten())?;
    for (round, end) in rounds.into_iter().zip([kill, stop]) {
        let (_, went) = meanwhile(worker, end, || Sandbox::end_all(worker, round))?;
        went?;
    }
    worker.nothing_left()
}

/// Does `work` while `berthd` ends in the way of `end` and is started again.
fn meanwhile<T>(
    worker: Worker<'_>,
    end: fn(&Node) -> anyhow::Result<()>,
    work: impl FnOnce() -> T,
) -> anyhow::Result<(Duration, T)> {
    let node = &worker.member.node;
    let restart = || {
        end(node)?;
        node.start_daemon(DAEMON_PATIENCE)
    };
    while_disturbed(worker, restart, work)
}

/// Does `work`, and `disturbance` when the daemon knows of the work's first effect. Also returns how long the latter took.
fn while_disturbed<T>(
    worker: Worker<'_>,
    disturbance: impl FnOnce() -> anyhow::Result<()> + Send,
    work: impl FnOnce() -> T,
) -> anyhow::Result<(Duration, T)> {
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
            let since = Instant::now();
            disturbance()?;
            Ok(since.elapsed())
        });
        let done = work();
        let took: anyhow::Result<Duration> = disturbed.join().expect("the disturbance panicked");
        Ok((took?, done))
    })
}

/// As kubelet: a failed RunPodSandbox is tried again, with the next number of attempt. Also returns how many failed.
fn until_up(worker: Worker<'_>, mut config: PodSandboxConfig) -> anyhow::Result<(Sandbox, u32)> {
    let started = Instant::now();
    let mut failed = 0;
    loop {
        let error = match Sandbox::run(worker, config.clone()) {
            Ok(sandbox) => return Ok((sandbox, failed)),
            Err(error) => error,
        };
        ensure!(started.elapsed() < KUBELET, "{error:#}");
        eprintln!("tried again: {error:#}");
        failed += 1;
        if let Some(metadata) = &mut config.metadata {
            metadata.attempt = failed;
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
        answer(worker, &sandboxes)?;
        // the network works on: one goes that was made before the restart, one comes
        sandboxes.remove(0).end(worker)?;
        sandboxes.push(Sandbox::run(worker, pod(worker, &format!("new-{number}")))?);
        distinct(&sandboxes)?;
    }
    Sandbox::end_all(worker, sandboxes)?;
    worker.nothing_left()
}

#[test]
fn sandboxes_that_containerd_was_killed_over_are_stopped_without_a_trace_in_berth()
-> anyhow::Result<()> {
    let Some(bed) = Bed::start("halfway", M5_LARGE, 1)? else {
        return Ok(());
    };
    let worker = bed.worker(0);
    let configs: Vec<_> = (0..ROUND)
        .map(|number| pod(worker, &format!("pod-{number}")))
        .collect();
    let (_, came) = while_disturbed(
        worker,
        || worker.restart_containerd(Containerd::kill),
        || at_once(configs, |config| Sandbox::run(worker, config)),
    )?;
    let lost = came.iter().filter(|result| result.is_err()).count();
    ensure!(lost > 0, "containerd was killed too late");
    // kubelet stops whatever it does not know to be running
    for id in worker.cri().sandboxes()? {
        worker.cri().stop(&id)?;
        worker.cri().remove(&id)?;
    }
    // containerd forgets namespaces and shims that it had made and not yet recorded; what it asked of berth has gone
    eventually("nothing left but what containerd forgot", SOON, || {
        let traces = worker.traces()?;
        let of_containerd = [Kind::Namespace, Kind::Mount, Kind::Process, Kind::Cgroup];
        let mut kinds = traces.kinds();
        kinds.retain(|kind| !of_containerd.contains(kind));
        ensure!(kinds.is_empty(), "{traces:?}");
        Ok(())
    })?;
    // and the node works on
    let next = Sandbox::run(worker, pod(worker, "pod-0"))?;
    answer(worker, [&next])?;
    next.end(worker)
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
    let notes = names(&node.tombstones())?;
    ensure!(
        notes.iter().any(|name| name.contains(&id)),
        "no tombstone of {id} among {notes:?}"
    );
    node.start_daemon(DAEMON_PATIENCE)?;
    answer(worker, [&stays])?;
    // the name is free at once: a StatefulSet's pod comes again under it
    let again = Sandbox::run(worker, pod(worker, "gone"))?;
    answer(worker, [&stays, &again])?;
    Sandbox::end_all(worker, vec![stays, again])?;
    worker.nothing_left()
}
