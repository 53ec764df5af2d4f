//! One run of one plugin: the environment and the pipes as libcni makes them, SIGKILL when the time is up.

use std::io::{self, ErrorKind, Read, Write};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::attachment::Attachment;
use super::failure::Cause;
use super::outcome::Verb;
use crate::netns::Netns;

/// As libcni's `exec`: five repetitions, one second apart.
const BUSY_RETRIES: u32 = 5;
const BUSY_PAUSE: Duration = Duration::from_secs(1);

/// What is to be run.
pub(super) struct Invocation<'a> {
    pub verb: Verb,
    /// `type`: the binary's name.
    pub kind: &'a str,
    pub cni_path: &'a [PathBuf],
    pub attachment: &'a Attachment,
    pub stdin: &'a Value,
    pub timeout: Duration,
}

/// How a plugin ended.
#[derive(Debug)]
pub struct Exit {
    /// Exit status.
    pub status: ExitStatus,
    /// All of its stdout.
    pub stdout: String,
    /// All of its stderr.
    pub stderr: String,
    /// From before its start until it was gone and its pipes closed.
    pub elapsed: Duration,
}

impl Invocation<'_> {
    /// Runs the plugin inside `host` and waits for its end, or kills it. Like libcni it waits until stdout and stderr
    /// are closed: a child that the plugin left behind with them makes the runtime wait too.
    pub(super) fn run(&self, host: &Netns) -> Result<Exit, Cause> {
        let binary = self
            .cni_path
            .iter()
            .map(|dir| dir.join(self.kind))
            .find(|path| path.is_file());
        let binary = binary.ok_or_else(|| Cause::NotFound(self.cni_path.to_vec()))?;
        let mut command = Command::new(binary);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command.envs(self.environment());
        let started = Instant::now();
        let child = start(host, &mut command).map_err(runtime("start the plugin"))?;
        self.finish(child, started)
            .map_err(runtime("talk to the plugin"))?
    }

    /// All six variables are always set, empty or not; the runtime's own environment is inherited.
    fn environment(&self) -> [(&'static str, String); 6] {
        let path: Vec<String> = self
            .cni_path
            .iter()
            .map(|dir| dir.display().to_string())
            .collect();
        [
            ("CNI_COMMAND", self.verb.as_str().to_owned()),
            ("CNI_CONTAINERID", self.attachment.container_id.clone()),
            ("CNI_NETNS", self.attachment.netns.display().to_string()),
            ("CNI_ARGS", self.attachment.cni_args()),
            ("CNI_IFNAME", self.attachment.ifname.clone()),
            ("CNI_PATH", path.join(":")),
        ]
    }

    fn finish(&self, mut child: Child, started: Instant) -> io::Result<Result<Exit, Cause>> {
        let stdout = child.stdout.take().map(collect);
        let stderr = child.stderr.take().map(collect);
        if let Some(mut stdin) = child.stdin.take() {
            let text = self.stdin.to_string();
            // a plugin that does not read its configuration breaks the pipe: its exit tells the story
            thread::spawn(move || stdin.write_all(text.as_bytes()));
        }
        let deadline = started + self.timeout;
        let (Some(stdout), Some(stderr)) = (received(stdout, deadline), received(stderr, deadline))
        else {
            child.kill()?;
            child.wait()?;
            return Ok(Err(Cause::TimedOut(self.timeout)));
        };
        let status = child.wait()?;
        Ok(Ok(Exit {
            status,
            stdout,
            stderr,
            elapsed: started.elapsed(),
        }))
    }
}

/// Starts the plugin, once more each second while somebody still has its file open for writing: libcni waits so for
/// an installer that is about to finish.
fn start(host: &Netns, command: &mut Command) -> io::Result<Child> {
    for _ in 0..BUSY_RETRIES {
        match host.spawn(command) {
            Err(error) if error.kind() == ErrorKind::ExecutableFileBusy => {
                thread::sleep(BUSY_PAUSE)
            }
            started => return started,
        }
    }
    host.spawn(command)
}

/// Reads `pipe` to its end on a thread of its own.
fn collect(mut pipe: impl Read + Send + 'static) -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        // what came before an error is what the runtime has
        let _ = pipe.read_to_end(&mut bytes);
        sender.send(String::from_utf8_lossy(&bytes).into_owned())
    });
    receiver
}

/// What a pipe carried, `None` when the deadline came first.
fn received(pipe: Option<mpsc::Receiver<String>>, deadline: Instant) -> Option<String> {
    let Some(pipe) = pipe else {
        return Some(String::new());
    };
    pipe.recv_timeout(deadline.saturating_duration_since(Instant::now()))
        .ok()
}

fn runtime(what: &'static str) -> impl Fn(io::Error) -> Cause {
    move |error| Cause::Runtime { what, error }
}
