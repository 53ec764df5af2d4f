//! One life of a `berthd` process: started inside a node, killed or stopped by its id, reaped.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use nix::sys::signal::{Signal, kill};
use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};
use nix::unistd::Pid;

/// How often a wait looks again.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// How much of the log an error quotes, in lines.
const LOG_TAIL: usize = 15;

/// A running daemon; killed when dropped.
#[derive(Debug)]
pub struct Daemon {
    child: Child,
    log: PathBuf,
}

impl Daemon {
    /// Starts `binary run` with no other environment than `environment`, both outputs appended to `log`; `spawn` says
    /// where.
    ///
    /// # Errors
    /// The log cannot be written or the program cannot be started.
    pub fn start(
        spawn: impl FnOnce(&mut Command) -> io::Result<Child>,
        binary: &Path,
        environment: &[(String, String)],
        log: &Path,
    ) -> anyhow::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(log);
        let file = file.with_context(|| format!("cannot write {}", log.display()))?;
        let mut command = Command::new(binary);
        command
            .arg("run")
            .env_clear()
            .envs(environment.iter().cloned());
        command
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file);
        let child =
            spawn(&mut command).with_context(|| format!("cannot start {}", binary.display()))?;
        Ok(Self {
            child,
            log: log.to_owned(),
        })
    }

    /// Waits until it listens on `socket`. What another daemon had forked when it was killed may have its socket, too, until
    /// the exec.
    ///
    /// # Errors
    /// The daemon ended, or `patience` passed; the end of its log is included.
    pub fn wait_until_listening(
        &mut self,
        socket: &Path,
        patience: Duration,
    ) -> anyhow::Result<()> {
        let deadline = Instant::now() + patience;
        while !self.listens_on(socket) {
            if let Some(status) = self.child.try_wait()? {
                bail!(
                    "berthd ended ({status}) before it listened:\n{}",
                    self.log_tail()
                );
            }
            ensure!(
                Instant::now() < deadline,
                "berthd did not listen on {} within {patience:?}:\n{}",
                socket.display(),
                self.log_tail()
            );
            thread::sleep(LOOK_AGAIN);
        }
        Ok(())
    }

    fn listens_on(&self, socket: &Path) -> bool {
        let Ok(stream) = UnixStream::connect(socket) else {
            return false;
        };
        // unix(7): that of who called listen(2)
        let listener = getsockopt(&stream, PeerCredentials);
        listener.is_ok_and(|listener| u32::try_from(listener.pid()) == Ok(self.pid()))
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// SIGKILL, and waits for the end.
    ///
    /// # Errors
    /// It had ended before.
    pub fn kill(mut self) -> anyhow::Result<()> {
        if let Some(status) = self.child.try_wait()? {
            bail!(
                "berthd had ended by itself ({status}):\n{}",
                self.log_tail()
            );
        }
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// SIGSTOP.
    ///
    /// # Errors
    /// It is gone.
    pub fn pause(&self) -> anyhow::Result<()> {
        self.signal(Signal::SIGSTOP)
    }

    /// SIGCONT.
    ///
    /// # Errors
    /// It is gone.
    pub fn resume(&self) -> anyhow::Result<()> {
        self.signal(Signal::SIGCONT)
    }

    fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        let pid = Pid::from_raw(i32::try_from(self.child.id())?);
        Ok(kill(pid, signal)?)
    }

    /// SIGTERM, and waits for the end.
    ///
    /// # Errors
    /// It had ended before, did not end within `patience`, or not with status 0.
    pub fn terminate(mut self, patience: Duration) -> anyhow::Result<()> {
        self.signal(Signal::SIGTERM)?;
        let deadline = Instant::now() + patience;
        loop {
            if let Some(status) = self.child.try_wait()? {
                ensure!(
                    status.success(),
                    "berthd stopped with {status}:\n{}",
                    self.log_tail()
                );
                return Ok(());
            }
            ensure!(
                Instant::now() < deadline,
                "berthd did not stop within {patience:?}:\n{}",
                self.log_tail()
            );
            thread::sleep(LOOK_AGAIN);
        }
    }

    fn log_tail(&self) -> String {
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(LOG_TAIL)..].join("\n")
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // both fail only if it is gone already
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
