//! Where a run takes place: mounts and process ids of its own, so that nothing stays when it fails, is interrupted or is
//! killed. The process that was started by hand only waits: when it is told to end, or dies, the kernel ends all that runs
//! in there, and with the mounts the network namespaces go.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode};

use anyhow::Context;
use e2e::netns::NETNS_DIR;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::{SigSet, Signal};

/// Ends by a signal, as shells say it.
const INTERRUPTED: u8 = 130;

/// Starts this program once more in there, and waits for its end or for a signal.
///
/// # Errors
/// The kernel refuses.
pub fn run() -> anyhow::Result<ExitCode> {
    let place = env::temp_dir().join(format!("berth-bench-{}", std::process::id()));
    for directory in [memory(&place), disk(&place)] {
        fs::create_dir_all(&directory).with_context(|| directory.display().to_string())?;
    }
    let ended = wait_for(&place);
    fs::remove_dir_all(&place).with_context(|| format!("cannot remove {}", place.display()))?;
    ended
}

fn wait_for(place: &Path) -> anyhow::Result<ExitCode> {
    let signals = watched();
    signals.thread_block()?;
    // unshare --pid: for the children of this process, not for itself
    unshare(CloneFlags::CLONE_NEWPID).context("cannot make process ids of our own")?;
    let mut command = Command::new(env::current_exe()?);
    command.args(env::args_os().skip(1));
    command.arg("--confined").arg(place);
    // State directories of nodes lie in memory, as /run does on a node.
    command.env("TMPDIR", memory(place));
    let mut child = command.spawn()?;
    loop {
        let signal = signals.wait()?;
        if let Some(status) = child.try_wait()? {
            let code = status.code().and_then(|code| u8::try_from(code).ok());
            return Ok(code.map_or(ExitCode::FAILURE, ExitCode::from));
        }
        if signal != Signal::SIGCHLD {
            return end(&mut child, signal);
        }
    }
}

fn end(child: &mut Child, signal: Signal) -> anyhow::Result<ExitCode> {
    eprintln!("berth-bench: {signal}: ends what it started; nothing is written");
    child.kill()?;
    child.wait()?;
    Ok(ExitCode::from(INTERRUPTED))
}

fn watched() -> SigSet {
    let mut signals = SigSet::empty();
    for signal in [
        Signal::SIGINT,
        Signal::SIGTERM,
        Signal::SIGHUP,
        Signal::SIGCHLD,
    ] {
        signals.add(signal);
    }
    signals
}

/// Makes the mounts, in the process that [`run`] started and before it has threads.
///
/// # Errors
/// The kernel refuses.
pub fn settle(place: &Path) -> anyhow::Result<()> {
    set_pdeathsig(Signal::SIGKILL)?;
    watched().thread_unblock()?;
    unshare(CloneFlags::CLONE_NEWNS).context("cannot make mounts of our own")?;
    let (none, private) = (None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE);
    // mount --make-rprivate /
    mount(none, "/", none, private, none)?;
    fs::create_dir_all(NETNS_DIR)?;
    for (kind, target) in [
        ("proc", Path::new("/proc")),
        ("tmpfs", Path::new(NETNS_DIR)),
        ("tmpfs", &memory(place)),
    ] {
        // mount -t KIND KIND TARGET
        let mounted = mount(Some(kind), target, Some(kind), MsFlags::empty(), none);
        mounted.with_context(|| format!("cannot mount {kind} on {}", target.display()))?;
    }
    Ok(())
}

fn memory(place: &Path) -> PathBuf {
    place.join("memory")
}

/// Where files of the run lie on the disk of the temporary directory.
#[must_use]
pub fn disk(place: &Path) -> PathBuf {
    place.join("disk")
}
