//! Network namespaces as fixtures: made by name, entered by a thread or by a program, removed on drop.
//!
//! A namespace is a property of a thread, so code runs inside by [`Netns::run`] on a thread of its own; the
//! caller's thread never moves. Nothing here wires links together (that is the fabric's and the daemon's work),
//! and dropping a namespace kills no process: whoever started one inside stops it.

mod named;
pub mod snapshot;

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use anyhow::{Context, bail, ensure};
use nix::sched::{CloneFlags, setns, unshare};

/// Where iproute2 keeps named namespaces (ip-netns(8)).
pub const NETNS_DIR: &str = "/run/netns";

/// The programs that the fixtures call; without one of them nothing here works.
const TOOLS: [&str; 4] = ["ip", "nft", "nsenter", "ping"];

static SERIAL: AtomicU32 = AtomicU32::new(0);

/// A named network namespace, removed when dropped if it was made here.
#[derive(Debug)]
pub struct Netns {
    name: String,
    path: PathBuf,
    owned: bool,
}

impl Netns {
    /// Makes the namespace `name` and brings up its loopback.
    ///
    /// # Errors
    /// The name is taken or invalid, or the caller may not make namespaces.
    pub fn create(name: impl Into<String>) -> anyhow::Result<Self> {
        let name = name.into();
        Ok(Self {
            path: named::make(&name)?,
            name,
            owned: true,
        })
    }

    /// Makes a namespace whose name is `label`, this process's id and a counter: two tests never meet.
    ///
    /// # Errors
    /// As [`Netns::create`].
    pub fn unique(label: &str) -> anyhow::Result<Self> {
        let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
        Self::create(format!("{label}-{}-{serial}", std::process::id()))
    }

    /// A namespace that somebody else made below [`NETNS_DIR`] and will remove.
    ///
    /// # Errors
    /// `path` names none.
    pub fn existing(path: &Path) -> anyhow::Result<Self> {
        let name = path.strip_prefix(NETNS_DIR).ok().and_then(Path::to_str);
        let name = name.with_context(|| format!("{} is not below {NETNS_DIR}", path.display()))?;
        ensure!(path.exists(), "there is no namespace {}", path.display());
        Ok(Self {
            name: name.to_owned(),
            path: path.to_owned(),
            owned: false,
        })
    }

    /// A namespace that somebody else made anywhere, for example in a mount namespace of its own.
    ///
    /// # Errors
    /// There is nothing at `path`.
    pub fn at(path: PathBuf) -> anyhow::Result<Self> {
        ensure!(path.exists(), "there is no namespace {}", path.display());
        let name = path.file_name().unwrap_or_default();
        Ok(Self {
            name: name.to_string_lossy().into_owned(),
            path,
            owned: false,
        })
    }

    /// The last part of its path.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether it was made here and goes with this value.
    #[must_use]
    pub fn is_owned(&self) -> bool {
        self.owned
    }

    /// The path that a runtime would pass as `CNI_NETNS`.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Runs `inside` on a thread of its own in this namespace and returns what it returned. A panic inside goes on
    /// in the caller. Sockets made inside stay in this namespace wherever they are used later.
    ///
    /// # Errors
    /// The namespace cannot be opened or entered.
    pub fn run<T: Send>(&self, inside: impl FnOnce() -> T + Send) -> io::Result<T> {
        let file = File::open(&self.path)?;
        thread::scope(|scope| {
            let thread = thread::Builder::new()
                .name(self.name.clone())
                .spawn_scoped(scope, move || {
                    // nsenter --net=PATH
                    setns(&file, CloneFlags::CLONE_NEWNET)?;
                    Ok(inside())
                })?;
            match thread.join() {
                Ok(value) => value,
                Err(panic) => std::panic::resume_unwind(panic),
            }
        })
    }

    /// Starts `command` inside this namespace: a child belongs to the namespace of the thread that forked it, so
    /// unlike [`Netns::command`] no other program stands between (what is measured is the program itself).
    ///
    /// # Errors
    /// The namespace cannot be entered or the program cannot be started.
    pub fn spawn(&self, command: &mut Command) -> io::Result<Child> {
        self.run(|| command.spawn())?
    }

    /// A command that runs `program` inside this namespace. By `nsenter`, not `ip netns exec`, which would also
    /// remount /sys and hide the cgroups; `nsenter` becomes the program, so the child's id is the program's.
    #[must_use]
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command
            .arg(format!("--net={}", self.path.display()))
            .arg(program);
        command
    }

    /// Runs `ip ARGS` inside and returns what it printed.
    ///
    /// # Errors
    /// `ip` failed; its words are included.
    pub fn ip(&self, args: &[&str]) -> anyhow::Result<String> {
        // without nsenter between: `command` starts two programs, and this is called by the thousand
        self.run(|| output(Command::new("ip").args(args)))?
    }

    /// Runs many `ip` commands, one a line, by one program (`ip -batch -`).
    ///
    /// # Errors
    /// One failed; its words are included.
    pub fn ip_batch(&self, commands: &[String]) -> anyhow::Result<()> {
        let mut ip = Command::new("ip");
        ip.args(["-batch", "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let mut child = self.spawn(&mut ip)?;
        if let Some(mut stdin) = child.stdin.take() {
            stdin.write_all(commands.join("\n").as_bytes())?;
        }
        let ended = child.wait_with_output()?;
        let words = String::from_utf8_lossy(&ended.stderr);
        ensure!(
            ended.status.success(),
            "ip {}: {}",
            commands.join("; "),
            words.trim()
        );
        Ok(())
    }

    /// Sets a sysctl inside this namespace, `key` in dotted form.
    ///
    /// # Errors
    /// The key does not exist or is read-only.
    pub fn sysctl(&self, key: &str, value: &str) -> anyhow::Result<()> {
        let path = Path::new("/proc/sys").join(key.replace('.', "/"));
        // sysctl -w KEY=VALUE; /proc/sys/net shows the namespace of the thread that opens it
        self.run(|| std::fs::write(&path, value))?
            .with_context(|| format!("sysctl {key}={value} in {}", self.name))
    }
}

impl Drop for Netns {
    fn drop(&mut self) {
        if !self.owned {
            return;
        }
        if let Err(error) = named::remove(&self.path) {
            eprintln!("cannot remove the network namespace {}: {error}", self.name);
        }
    }
}

/// Whether tests that need namespaces can run: `false` after printing why not.
///
/// # Errors
/// They cannot, and the environment variable `CI` is set: there nothing is skipped in silence.
pub fn require_netns() -> anyhow::Result<bool> {
    let Err(reason) = permitted() else {
        return Ok(true);
    };
    if std::env::var_os("CI").is_some() {
        bail!("network namespaces are required when CI is set: {reason:#}");
    }
    eprintln!("skipped: {reason:#}");
    Ok(false)
}

fn permitted() -> anyhow::Result<()> {
    thread::spawn(|| unshare(CloneFlags::CLONE_NEWNET))
        .join()
        .map_err(|_| anyhow::anyhow!("the probing thread died"))?
        .context("this user may not make network namespaces (run as root)")?;
    let path = std::env::var_os("PATH").unwrap_or_default();
    for tool in TOOLS {
        ensure!(
            std::env::split_paths(&path).any(|dir| dir.join(tool).is_file()),
            "{tool} is not installed"
        );
    }
    Ok(())
}

/// Copies the program at `from` to `to`. By another process: were it written here, a child that another thread starts
/// meanwhile would have it open for writing for a moment, and nobody could execute it.
///
/// # Errors
/// It cannot be copied.
pub fn install(from: &Path, to: &Path) -> anyhow::Result<()> {
    let mut install = Command::new("install");
    output(install.args(["-m", "0755"]).args([from, to])).map(drop)
}

/// Runs `command` to its end and returns its stdout; a failure carries the command line and its stderr.
///
/// # Errors
/// The program cannot be started, or its exit status is not 0.
pub fn output(command: &mut Command) -> anyhow::Result<String> {
    let output = command
        .output()
        .with_context(|| format!("cannot start {command:?}"))?;
    ensure!(
        output.status.success(),
        "{command:?}: {}: {}",
        output.status,
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
