//! Which functions of `berthd` an ordinary life of it runs: a start without a state, pods that come and go on two ENIs,
//! a restart with them, idleness. What the linker does with the list is in the daemon's `build.rs`.

mod functions;
mod tracer;

use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use e2e::cluster::{Cluster, DAEMON_PATIENCE, Member};
use e2e::mock::CloudConfig;
use e2e::netns::require_netns;

use self::functions::Functions;
use crate::timed::{Alone, Pod};

/// More than an ENI of an m5.large has addresses (9).
const PODS: usize = 15;
/// Long enough for what the daemon does every 15 s.
const IDLE: Duration = Duration::from_secs(20);

/// The names of the functions that ran, in the order in which each first did. `program` is a `berthd` with its symbols.
///
/// # Errors
/// Namespaces are not to be had, `nm` fails, or the daemon does not what it should.
pub fn learn(program: &Path) -> anyhow::Result<Vec<String>> {
    if !require_netns()? {
        bail!("there is nothing to learn from");
    }
    let functions = Functions::of(program)?;
    let cloud = CloudConfig {
        name: "order".to_owned(),
        ..CloudConfig::fast()
    };
    let cluster = Cluster::launch(cloud, "m5.large", 1)?;
    let member = cluster.members.first().context("no node")?;
    let alone = Alone::on(&member.node)?;
    let mut pods = Vec::new();
    let mut ran = live(program, &functions, member, || {
        for _ in 0..PODS {
            pods.push(Pod::prepare("order-pod")?);
            pods.last().map(|pod| alone.add(pod)).transpose()?;
        }
        for pod in pods.drain(PODS / 2..) {
            alone.del(pod)?;
        }
        thread::sleep(IDLE);
        Ok(())
    })?;
    let again = live(program, &functions, member, || {
        for pod in pods.drain(..) {
            alone.del(pod)?;
        }
        thread::sleep(IDLE);
        Ok(())
    })?;
    ran.extend(again);
    Ok(functions.names(&ran))
}

/// One life of the daemon, killed after `meanwhile`; the addresses of the functions that ran.
fn live(
    program: &Path,
    functions: &Functions,
    member: &Member,
    meanwhile: impl FnOnce() -> anyhow::Result<()>,
) -> anyhow::Result<Vec<u64>> {
    let node = &member.node;
    let mut command = Command::new("sh");
    // It waits for its tracer.
    command
        .args(["-c", "kill -STOP $$; exec \"$0\" run"])
        .arg(program);
    command
        .env_clear()
        .envs(node.daemon_environment())
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    let mut daemon = node.netns().spawn(&mut command)?;
    let (pid, enough) = (daemon.id(), AtomicBool::new(false));
    let ran = thread::scope(|scope| {
        let traced = scope.spawn(|| tracer::trace(pid, functions, &enough));
        let done = listening(&node.socket()).and_then(|()| meanwhile());
        enough.store(true, Ordering::Relaxed);
        let ran = traced.join();
        let ran = ran.unwrap_or_else(|_| bail!("the tracer panicked"));
        done.and(ran)
    });
    // Both fail only if it is gone already.
    let _ = daemon.kill();
    let _ = daemon.wait();
    ran
}

fn listening(socket: &Path) -> anyhow::Result<()> {
    let deadline = Instant::now() + DAEMON_PATIENCE;
    while let Err(error) = UnixStream::connect(socket) {
        if Instant::now() > deadline {
            return Err(error).context("the daemon does not listen");
        }
        thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}
