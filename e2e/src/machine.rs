//! The rest of a node beside its network: process ids and mounts of its own, for programs that fork away and mount.
//!
//! A container runtime leaves shims, containers, mounts and named namespaces behind when it goes, and a test that is
//! killed can clean nothing up. So the kernel does it: everything of a node runs below an init of its own that ends
//! when its standard input does, which the test holds. The end of an init is the end of all processes of its PID
//! namespace (`pid_namespaces(7)`), and with the last of them go the mounts. Network and files are shared with the
//! outside, but for /run and /var/lib, which are empty at first and in memory. Control groups outlive it:
//! [`crate::leftovers`] removes them.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, ensure};
use nix::errno::Errno;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, setns, unshare};

use crate::netns::{NETNS_DIR, Netns};

/// The directories of which every machine has its own: that is where runtimes keep sockets, namespaces and results.
const OWN: [&str; 2] = ["/run", "/var/lib"];

/// What the init runs: its own /proc, a word that it is there, and then nothing until its input ends. With SIGCHLD
/// ignored the kernel reaps what is left to it (wait(2)); dash cannot ignore that signal, env(1) can.
const INIT: &str = "mount -t proc proc /proc && echo up && exec env --ignore-signal=CHLD cat";

/// Whether a path of the outside cannot be reached inside, which a program or its files then must not be at.
#[must_use]
pub fn hides(path: &Path) -> bool {
    // a path that cannot be resolved is missing on both sides
    let path = fs::canonicalize(path).unwrap_or_default();
    OWN.iter().any(|own| path.starts_with(own))
}

/// Processes and mounts of one node. Dropping it ends all of them.
#[derive(Debug)]
pub struct Machine {
    netns: Netns,
    init: Child,
}

/// One running process of a machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// Its id as the outside knows it.
    pub pid: u32,
    /// Its command line.
    pub command: String,
}

impl Machine {
    /// Boots a machine whose network is `netns`.
    ///
    /// # Errors
    /// The caller may not make namespaces, or a mount failed.
    pub fn boot(netns: &Netns) -> anyhow::Result<Self> {
        let mut command = Command::new("sh");
        command
            .args(["-c", INIT])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        // nsenter --net=PATH unshare --mount --pid --fork sh -c INIT
        let init = netns.run(|| {
            unshare(CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWPID)?;
            mount_own()?;
            command.spawn()
        })?;
        let mut machine = Self {
            netns: Netns::existing(netns.path())?,
            init: init.context("cannot start the init of a machine")?,
        };
        machine.wait_until_up()?;
        Ok(machine)
    }

    fn wait_until_up(&mut self) -> anyhow::Result<()> {
        let stdout = self.init.stdout.take().context("the init has no output")?;
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        ensure!(line == "up\n", "the init of a machine did not come up");
        Ok(())
    }

    /// Where a path of this machine is seen from outside, for files and sockets alike.
    #[must_use]
    pub fn path(&self, inside: &str) -> PathBuf {
        let root = format!("/proc/{}/root", self.init.id());
        Path::new(&root).join(inside.trim_start_matches('/'))
    }

    /// Starts `command` in this machine: its program, arguments and working directory are paths of the machine, the
    /// files it is given are the caller's. The child is the caller's, to kill and to wait for.
    ///
    /// # Errors
    /// The machine is gone, or the program cannot be started.
    pub fn spawn(&self, command: &mut Command) -> io::Result<Child> {
        let of_init = |kind| File::open(format!("/proc/{}/ns/{kind}", self.init.id()));
        let (pids, mounts) = (of_init("pid")?, of_init("mnt")?);
        // nsenter --target INIT --net --pid --mount COMMAND
        self.netns.run(|| {
            setns(&pids, CloneFlags::CLONE_NEWPID)?;
            // setns(2): a thread that shares its root directory with others cannot change its mounts
            unshare(CloneFlags::CLONE_FS)?;
            setns(&mounts, CloneFlags::CLONE_NEWNS)?;
            command.spawn()
        })?
    }

    /// The id of its init, which shows its namespaces to the outside.
    #[must_use]
    pub fn init(&self) -> u32 {
        self.init.id()
    }

    /// All processes but the init; see [`processes_of`].
    ///
    /// # Errors
    /// The machine is gone.
    pub fn processes(&self) -> anyhow::Result<Vec<Process>> {
        processes_of(self.init.id())
    }

    /// What is mounted, a mount point a line, in order.
    ///
    /// # Errors
    /// The machine is gone.
    pub fn mounts(&self) -> anyhow::Result<Vec<String>> {
        let path = format!("/proc/{}/mountinfo", self.init.id());
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
        // proc_pid_mountinfo(5): the fifth field
        let point = |line: &str| line.split(' ').nth(4).map(str::to_owned);
        let mut points: Vec<String> = text.lines().filter_map(point).collect();
        points.sort();
        Ok(points)
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // kill(2) of an init returns before the others are gone, wait(2) does not; both fail only if it is gone
        let _ = self.init.kill();
        let _ = self.init.wait();
    }
}

/// The processes in the PID namespace of `init` and in namespaces below it (a container has one), without `init`. Those
/// that have ended and wait for their parent do not count.
///
/// # Errors
/// There is no such process.
pub fn processes_of(init: u32) -> anyhow::Result<Vec<Process>> {
    let namespace_of = |pid: u32| fs::read_link(format!("/proc/{pid}/ns/pid"));
    let namespace = namespace_of(init).with_context(|| format!("there is no process {init}"))?;
    // a namespace's own init has its parent outside, so that parents lead from a nested namespace to ours
    let is_ours = |mut pid: u32| loop {
        if namespace_of(pid).is_ok_and(|other| other == namespace) {
            return true;
        }
        match parent(pid) {
            Some(next) => pid = next,
            None => return false,
        }
    };
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        let command = command_of(pid);
        if pid != init && !command.is_empty() && is_ours(pid) {
            found.push(Process { pid, command });
        }
    }
    Ok(found)
}

impl Process {
    /// Whether it still runs.
    #[must_use]
    pub fn lives(&self) -> bool {
        command_of(self.pid) == self.command
    }
}

/// The command line of a process; empty if it has ended.
fn command_of(pid: u32) -> String {
    let words = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    words.replace('\0', " ").trim_end().to_owned()
}

/// The parent of a process (proc_pid_status(5)); none of the first one, or if it has ended.
fn parent(pid: u32) -> Option<u32> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("PPid:"))?;
    line.trim().parse().ok().filter(|&parent| parent != 0)
}

/// Makes the calling thread's mounts its own and empties [`OWN`].
fn mount_own() -> nix::Result<()> {
    const NONE: Option<&str> = None;
    // mount --make-rprivate /: from now on neither side sees what the other mounts
    mount(NONE, "/", NONE, MsFlags::MS_PRIVATE | MsFlags::MS_REC, NONE)?;
    // umount --lazy /run/netns: or the namespaces that others have there would live as long as this machine
    match umount2(NETNS_DIR, MntFlags::MNT_DETACH) {
        // umount(2): it is no mount point, since nobody has made a namespace with ip(8) yet
        Err(Errno::EINVAL) | Ok(()) => {}
        Err(errno) => return Err(errno),
    }
    for path in OWN {
        // mount -t tmpfs tmpfs PATH
        mount(
            Some("tmpfs"),
            path,
            Some("tmpfs"),
            MsFlags::empty(),
            Some("mode=755"),
        )?;
    }
    Ok(())
}
