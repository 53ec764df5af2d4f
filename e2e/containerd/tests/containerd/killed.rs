//! The test itself dies half-way: nothing of it lives on, and the next one removes what cannot go by itself.

use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread;

use anyhow::{Context, bail, ensure};
use e2e::aftermath::{SOON, eventually};
use e2e::leftovers::{of_process, reap};
use e2e::machine::{Process, processes_of};

use containerd::bed::{Bed, LABEL};
use containerd::installed::available;
use containerd::sandbox::{EGRESS, INGRESS, Sandbox, pod, port};

/// Set for the process that is to be killed.
const VICTIM: &str = "BERTH_CRI_VICTIM";
/// What it says, followed by the id of its node's init, when its sandboxes run.
const READY: &str = "sandboxes run under";

#[test]
fn a_test_that_is_killed_leaves_nothing_that_runs_and_the_next_removes_the_rest()
-> anyhow::Result<()> {
    if std::env::var_os(VICTIM).is_some() {
        let bed = bed_with_sandboxes("killed")?;
        writeln!(io::stdout(), "{READY} {}", bed.worker(0).machine()?.init())?;
        // until it is killed, or whoever wanted to kill it has died
        io::stdin().read_line(&mut String::new())?;
        return Ok(());
    }
    if !available()? {
        return Ok(());
    }
    let mut victim = Victim::start()?;
    let pid = victim.child.id();
    let processes = processes_of(victim.init()?)?;
    everything_runs(&processes)?;
    let directory = std::env::temp_dir().join(directory_of(pid));
    ensure!(directory.exists(), "no {}", directory.display());
    let names = of_process(LABEL, pid)?;
    ensure!(!names.is_empty(), "the victim has no namespace");
    drop(victim);
    nobody_runs(&processes)?;
    reap(LABEL)?;
    let left = of_process(LABEL, pid)?;
    ensure!(left.is_empty(), "left of {names:?}: {left:?}");
    ensure!(!directory.exists(), "{} is there", directory.display());
    Ok(())
}

#[test]
fn a_test_that_panics_leaves_nothing_but_its_logs() -> anyhow::Result<()> {
    if !available()? {
        return Ok(());
    }
    let (send, receive) = std::sync::mpsc::channel();
    let panicked = thread::spawn(move || {
        let bed = bed_with_sandboxes("panics").expect("no bed");
        let machine = bed.worker(0).machine().expect("no machine");
        let directory = bed.worker(0).member.node.dir().to_owned();
        let processes = machine.processes().expect("no processes");
        send.send((processes, directory)).expect("nobody listens");
        panic!("this panic is part of the test");
    });
    ensure!(panicked.join().is_err(), "it did not panic");
    let (processes, directory) = receive.recv()?;
    everything_runs(&processes)?;
    nobody_runs(&processes)?;
    let left = of_process(&format!("{LABEL}-panics"), std::process::id())?;
    ensure!(left.is_empty(), "left: {left:?}");
    ensure!(directory.join("berthd.log").is_file(), "the log is lost");
    Ok(fs::remove_dir_all(directory)?)
}

fn bed_with_sandboxes(name: &str) -> anyhow::Result<Bed> {
    let bed = Bed::start(name, "m5.large", 1)?.context("skipped")?;
    let worker = bed.worker(0);
    let mut config = pod(worker, "pod");
    config.port_mappings = vec![port(30_001, 8080)];
    config.annotations = [INGRESS, EGRESS]
        .map(|key| (key.to_owned(), "10M".to_owned()))
        .into();
    Sandbox::run(worker, config)?.container(worker, "main", &["sleep", "3600"])?;
    Sandbox::run(worker, pod(worker, "other"))?;
    Ok(bed)
}

/// This test once more in a process of its own, killed when dropped.
struct Victim {
    child: Child,
    stdout: BufReader<ChildStdout>,
}

impl Victim {
    fn start() -> anyhow::Result<Self> {
        let name =
            "killed::a_test_that_is_killed_leaves_nothing_that_runs_and_the_next_removes_the_rest";
        let mut command = Command::new(std::env::current_exe()?);
        command.args([name, "--exact", "--nocapture"]);
        command.env(VICTIM, "1");
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let stdout = child.stdout.take().context("no output")?;
        Ok(Self {
            child,
            stdout: BufReader::new(stdout),
        })
    }

    /// The init of its node, once its sandboxes run.
    fn init(&mut self) -> anyhow::Result<u32> {
        let mut line = String::new();
        while self.stdout.read_line(&mut line)? > 0 {
            if let Some((_, init)) = line.split_once(READY) {
                return Ok(init.trim().parse()?);
            }
            line.clear();
        }
        bail!("the victim ended by itself: {}", self.child.wait()?)
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        // kill -9; both fail only if it is gone already
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn everything_runs(processes: &[Process]) -> anyhow::Result<()> {
    for program in ["berthd run", "containerd-shim", "/busybox sleep"] {
        let runs = |process: &Process| process.command.contains(program);
        ensure!(
            processes.iter().any(runs),
            "no {program} among {processes:?}"
        );
    }
    Ok(())
}

fn nobody_runs(processes: &[Process]) -> anyhow::Result<()> {
    eventually("all processes are gone", SOON, || {
        let alive: Vec<_> = processes.iter().filter(|process| process.lives()).collect();
        ensure!(alive.is_empty(), "alive: {alive:?}");
        Ok(())
    })
}

/// The directory of the victim's only node: the first namespace that it makes.
fn directory_of(pid: u32) -> String {
    format!("berth-{LABEL}-killed-n1-{pid}-0")
}
