//! One run of one program as a runtime runs a plugin, timed from before it is started until it is gone.

use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};

/// What a plugin is told by its environment.
pub type Environment = [(&'static str, String)];

/// What it printed and how long it took.
#[derive(Debug)]
pub struct Ran {
    /// Its stdout.
    pub stdout: Vec<u8>,
    /// From before `spawn` until its stdout was closed and it was waited for.
    pub elapsed: Duration,
}

/// A program that was started.
#[derive(Debug)]
pub struct Running {
    child: Child,
    name: String,
    started: Instant,
}

/// Starts `binary` in the namespace of the calling thread and gives it `stdin`. Nothing is run between fork and exec, so
/// that the standard library takes `posix_spawn`, which does not copy this process.
///
/// # Errors
/// It cannot be started.
pub fn start(binary: &Path, environment: &Environment, stdin: &[u8]) -> anyhow::Result<Running> {
    let name = binary.display().to_string();
    let mut command = Command::new(binary);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    command.env_clear().envs(environment.iter().cloned());
    let started = Instant::now();
    let mut child = command.spawn();
    let taken = child.as_mut().map(|child| child.stdin.take());
    if let Ok(Some(mut pipe)) = taken {
        // It fits into the pipe. One that does not read its configuration may be gone already.
        let _ = pipe.write_all(stdin);
    }
    let child = child.with_context(|| format!("cannot start {name}"))?;
    Ok(Running {
        child,
        name,
        started,
    })
}

impl Running {
    /// Reads what it prints and waits for its end.
    ///
    /// # Errors
    /// It failed; what it printed is said.
    pub fn finish(mut self) -> anyhow::Result<Ran> {
        let mut stdout = Vec::new();
        if let Some(mut pipe) = self.child.stdout.take() {
            pipe.read_to_end(&mut stdout)?;
        }
        let status = self.child.wait()?;
        let elapsed = self.started.elapsed();
        let said = String::from_utf8_lossy(&stdout);
        ensure!(status.success(), "{}: {status}: {said}", self.name);
        Ok(Ran { stdout, elapsed })
    }
}
