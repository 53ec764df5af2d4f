//! One call of the plugin under test, put together piece by piece and made once; what came out is an [`Answer`].
//!
//! Nothing of the suite's own environment reaches the plugin but PATH, which some plugins need for iptables.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io::{self, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context;
use rustix::process::{
    Pid, Signal, WaitId, WaitIdOptions, kill_process, kill_process_group, waitid,
};
use serde_json::{Value, json};

use crate::answer::Answer;
use crate::interrupt;
use crate::netns::Netns;

/// Longer than any deadline of a plugin that kubelet could live with: one that takes this long hangs.
pub const HANG: Duration = Duration::from_secs(60);

/// How much is written to stdin at once, bytes: a pipe's default capacity.
const CHUNK: usize = 64 << 10;

/// How long the pipes of a process that has ended may stay open, for children of its that are about to end.
const GRACE: Duration = Duration::from_secs(3);

/// How often it is looked whether a process has ended that still has its pipes.
const LOOK: Duration = Duration::from_millis(50);

/// How often it is looked whether a process that has closed its pipes has ended.
const LOOK_AGAIN: Duration = Duration::from_micros(200);

/// User and group `nobody` of all distributions.
const NOBODY: u32 = 65_534;

/// A call that has not been made yet.
#[derive(Clone, Debug)]
pub struct Call {
    pub(crate) binary: PathBuf,
    pub(crate) verb: String,
    env: BTreeMap<OsString, OsString>,
    stdin: Stdin,
    dir: Option<PathBuf>,
    limit: Duration,
    nobody: bool,
    first: Option<First>,
    stdout: Stdout,
    uninterrupted: bool,
}

/// What a shell does before it becomes the plugin, and its argument there, `$1`.
type First = (&'static str, OsString);

/// Where the plugin's stdout leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stdout {
    /// To the suite.
    Kept,
    /// To a pipe that nobody reads any more.
    Broken,
}

/// What the plugin finds on stdin.
#[derive(Clone, Debug)]
enum Stdin {
    /// This document, and the end.
    Config(Value),
    /// These bytes, and the end.
    Bytes(Vec<u8>),
    /// These bytes, and no end as long as the call lasts.
    Open(Vec<u8>),
    /// A file or directory, opened for reading.
    File(PathBuf),
}

impl Call {
    /// `binary` asked for `verb`, with only `CNI_COMMAND` set and nothing on stdin.
    #[must_use]
    pub fn bare(binary: &Path, verb: &str) -> Self {
        let call = Self {
            binary: binary.to_owned(),
            verb: verb.to_owned(),
            env: BTreeMap::new(),
            stdin: Stdin::Bytes(Vec::new()),
            dir: None,
            limit: HANG,
            nobody: false,
            first: None,
            stdout: Stdout::Kept,
            uninterrupted: false,
        };
        let path = std::env::var_os("PATH").unwrap_or_default();
        call.env("PATH", path).env("CNI_COMMAND", verb)
    }

    /// The same call asking for another verb.
    #[must_use]
    pub fn asking(mut self, verb: &str) -> Self {
        verb.clone_into(&mut self.verb);
        self.env("CNI_COMMAND", verb)
    }

    /// Sets a variable.
    #[must_use]
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.env
            .insert(name.as_ref().to_owned(), value.as_ref().to_owned());
        self
    }

    /// Takes a variable away.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.env.remove(OsStr::new(name));
        self
    }

    /// A variable as it stands, empty if it is not set.
    #[must_use]
    pub fn variable(&self, name: &str) -> OsString {
        self.env.get(OsStr::new(name)).cloned().unwrap_or_default()
    }

    /// The configuration as it stands; `null` when stdin is something else.
    #[must_use]
    pub fn config(&self) -> Value {
        match &self.stdin {
            Stdin::Config(config) => config.clone(),
            _ => Value::Null,
        }
    }

    /// Puts this document on stdin.
    #[must_use]
    pub fn with_config(mut self, config: Value) -> Self {
        self.stdin = Stdin::Config(config);
        self
    }

    /// Sets a member of the configuration.
    #[must_use]
    pub fn set(mut self, member: &str, value: impl Into<Value>) -> Self {
        if !matches!(self.stdin, Stdin::Config(_)) {
            self.stdin = Stdin::Config(json!({}));
        }
        if let Stdin::Config(config) = &mut self.stdin {
            config[member] = value.into();
        }
        self
    }

    /// Takes a member of the configuration away.
    #[must_use]
    pub fn unset(mut self, member: &str) -> Self {
        if let Stdin::Config(Value::Object(config)) = &mut self.stdin {
            config.remove(member);
        }
        self
    }

    /// Puts these bytes on stdin.
    #[must_use]
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = Stdin::Bytes(bytes.into());
        self
    }

    /// Puts these bytes on stdin and leaves it open.
    #[must_use]
    pub fn stdin_left_open(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = Stdin::Open(bytes.into());
        self
    }

    /// Opens `path` as stdin; a directory is one that cannot be read.
    #[must_use]
    pub fn stdin_from(mut self, path: impl Into<PathBuf>) -> Self {
        self.stdin = Stdin::File(path.into());
        self
    }

    /// Runs it in the directory `dir`.
    #[must_use]
    pub fn in_dir(mut self, dir: &Path) -> Self {
        self.dir = Some(dir.to_owned());
        self
    }

    /// Kills it after `limit`.
    #[must_use]
    pub fn killed_after(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Runs it as a user that may do nothing.
    #[must_use]
    pub fn as_nobody(mut self) -> Self {
        self.nobody = true;
        self
    }

    /// Runs it under this umask, in octal digits.
    #[must_use]
    pub fn under_umask(mut self, umask: &'static str) -> Self {
        self.first = Some((r#"umask "$1""#, umask.into()));
        self
    }

    /// Runs it in a directory that is deleted by then: `dir`, which is made for it.
    #[must_use]
    pub fn in_deleted_dir(mut self, dir: &Path) -> Self {
        let script = r#"mkdir "$1" && cd "$1" && rmdir "$1""#;
        self.first = Some((script, dir.into()));
        self
    }

    /// Gives it a stdout that nobody reads any more.
    #[must_use]
    pub fn stdout_broken(mut self) -> Self {
        self.stdout = Stdout::Broken;
        self
    }

    /// Lets it end also when the session is told to.
    #[must_use]
    pub(crate) fn uninterrupted(mut self) -> Self {
        self.uninterrupted = true;
        self
    }

    /// Starts it inside `host`.
    ///
    /// # Errors
    /// It cannot be started.
    pub(crate) fn start(&self, host: &Netns) -> anyhow::Result<Running> {
        let mut command = self.command()?;
        let started = Instant::now();
        let child = host.spawn(&mut command);
        let mut child = child.with_context(|| format!("cannot start {}", self.binary.display()))?;
        let (release, held) = mpsc::channel::<()>();
        let taken = Arc::new(AtomicUsize::new(0));
        if let Some(mut stdin) = child.stdin.take() {
            let (bytes, stays) = match &self.stdin {
                Stdin::Config(config) => (config.to_string().into_bytes(), false),
                Stdin::Bytes(bytes) => (bytes.clone(), false),
                Stdin::Open(bytes) => (bytes.clone(), true),
                Stdin::File(_) => (Vec::new(), false),
            };
            let taken = taken.clone();
            thread::spawn(move || {
                // a plugin that refuses before it has read everything breaks the pipe
                for chunk in bytes.chunks(CHUNK) {
                    if stdin.write_all(chunk).is_err() {
                        break;
                    }
                    taken.fetch_add(chunk.len(), Ordering::Relaxed);
                }
                if stays {
                    // ends when the call does, which drops the other end
                    let _ = held.recv();
                }
            });
        }
        Ok(Running {
            stdout: child.stdout.take().map(collect),
            stderr: child.stderr.take().map(collect),
            child,
            started,
            limit: self.limit,
            uninterrupted: self.uninterrupted,
            what: self.describe(),
            taken,
            _stdin: release,
        })
    }

    fn command(&self) -> anyhow::Result<Command> {
        let mut command = match &self.first {
            None => Command::new(&self.binary),
            // a process inherits these: the shell becomes the plugin
            Some((script, argument)) => {
                let mut shell = Command::new("/bin/sh");
                shell
                    .args(["-c", &format!(r#"{script} && exec "$0""#)])
                    .arg(&self.binary)
                    .arg(argument);
                shell
            }
        };
        command.env_clear().envs(&self.env).stderr(Stdio::piped());
        // what it starts can be ended with it
        command.process_group(0);
        match &self.stdin {
            Stdin::File(path) => command.stdin(std::fs::File::open(path)?),
            _ => command.stdin(Stdio::piped()),
        };
        match self.stdout {
            Stdout::Kept => command.stdout(Stdio::piped()),
            // the end that reads is closed here
            Stdout::Broken => command.stdout(io::pipe()?.1),
        };
        if let Some(dir) = &self.dir {
            command.current_dir(dir);
        }
        if self.nobody {
            command.uid(NOBODY).gid(NOBODY);
        }
        Ok(command)
    }

    /// The call in few words, for findings.
    fn describe(&self) -> String {
        let command = self.variable("CNI_COMMAND");
        let verb = match command.to_str() {
            Some("") => "no command",
            Some(verb) => verb,
            None => "a command that is not UTF-8",
        };
        let name = self.binary.file_name().unwrap_or_default().display();
        format!("{verb} of {name}")
    }
}

/// A call that is under way. Dropping it kills the plugin.
#[derive(Debug)]
pub struct Running {
    child: Child,
    stdout: Option<mpsc::Receiver<Vec<u8>>>,
    stderr: Option<mpsc::Receiver<Vec<u8>>>,
    started: Instant,
    limit: Duration,
    uninterrupted: bool,
    what: String,
    taken: Arc<AtomicUsize>,
    _stdin: mpsc::Sender<()>,
}

impl Running {
    /// The plugin's process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// SIGKILL, as a runtime that has lost patience, and waits for the end.
    ///
    /// # Errors
    /// Those of the system.
    pub fn kill(mut self) -> io::Result<()> {
        self.child.kill()?;
        self.child.wait().map(drop)
    }

    /// SIGSTOP: it stands still with all that it holds.
    ///
    /// # Errors
    /// It is gone.
    pub fn stop(&self) -> anyhow::Result<()> {
        self.signal(Signal::STOP)
    }

    /// SIGCONT.
    ///
    /// # Errors
    /// It is gone.
    pub fn resume(&self) -> anyhow::Result<()> {
        self.signal(Signal::CONT)
    }

    fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        // not waited for yet, so the id is still its own
        kill_process(Pid::from_child(&self.child), signal)
            .with_context(|| format!("{signal:?} to {}", self.what))
    }

    /// Waits for its end. Like libcni until stdout and stderr are closed: a child that the plugin left behind with them
    /// makes the runtime wait too.
    ///
    /// # Errors
    /// Those of the system.
    pub fn finish(mut self) -> anyhow::Result<Answer> {
        let deadline = self.started + self.limit;
        let pipes = [self.stdout.take(), self.stderr.take()];
        let [stdout, stderr] = pipes.map(|pipe| self.received(pipe, deadline));
        let (stdout, stderr) = (stdout?, stderr?);
        let is_open = stdout.is_none() || stderr.is_none();
        let hung = is_open || !self.ends_before(deadline)?;
        let [stdout, stderr] = [stdout, stderr].map(Option::unwrap_or_default);
        if hung {
            self.end_all();
        }
        let status = self.child.wait()?;
        Ok(Answer {
            what: self.what.clone(),
            status,
            stdout,
            stderr: String::from_utf8_lossy(&stderr).into_owned(),
            stdin_taken: self.taken.load(Ordering::Relaxed),
            elapsed: self.started.elapsed(),
            hung,
        })
    }
}

impl Running {
    /// All that a pipe carried; nothing if there is no pipe, `None` if it stays open beyond the deadline, or beyond the
    /// process, which a child then has that it left.
    fn received(
        &mut self,
        pipe: Option<mpsc::Receiver<Vec<u8>>>,
        deadline: Instant,
    ) -> io::Result<Option<Vec<u8>>> {
        let Some(pipe) = pipe else {
            return Ok(Some(Vec::new()));
        };
        let mut deadline = deadline;
        let mut has_ended = false;
        loop {
            let left = self.left(deadline);
            match pipe.recv_timeout(left.min(LOOK)) {
                Ok(all) => return Ok(Some(all)),
                Err(mpsc::RecvTimeoutError::Timeout) if !left.is_zero() => {}
                Err(_) => return Ok(None),
            }
            if !has_ended && self.has_ended()? {
                has_ended = true;
                deadline = deadline.min(Instant::now() + GRACE);
            }
        }
    }

    /// Whether the process ends before the deadline; its pipes are closed, so it is about to.
    fn ends_before(&self, deadline: Instant) -> io::Result<bool> {
        while !self.has_ended()? {
            if self.left(deadline).is_zero() {
                return Ok(false);
            }
            thread::sleep(LOOK_AGAIN);
        }
        Ok(true)
    }

    /// The time that it has, none once the session is told to end.
    fn left(&self, deadline: Instant) -> Duration {
        if interrupt::is_asked() && !self.uninterrupted {
            return Duration::ZERO;
        }
        deadline.saturating_duration_since(Instant::now())
    }

    /// Whether the process has ended. It is not waited for: until then its id, and its group's, are nobody else's.
    fn has_ended(&self) -> io::Result<bool> {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        let id = Pid::from_child(&self.child);
        Ok(waitid(WaitId::Pid(id), options)?.is_some())
    }

    /// SIGKILL to it and to what it has started. Only before it is waited for.
    fn end_all(&self) {
        // nobody is there any more: then there is nothing to end
        let _ = kill_process_group(Pid::from_child(&self.child), Signal::KILL);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // not if it was waited for: the id may be another's by then
        if matches!(self.child.try_wait(), Ok(None)) {
            self.end_all();
            let _ = self.child.wait();
        }
    }
}

fn collect(mut pipe: impl Read + Send + 'static) -> mpsc::Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        // what came before an error is what a runtime has
        let _ = pipe.read_to_end(&mut bytes);
        sender.send(bytes)
    });
    receiver
}
