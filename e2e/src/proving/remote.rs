//! A node's daemon handled from another process: one word on a unix socket, one answer, `ok` or what went wrong.

use std::fs::File;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, bail, ensure};
use berth_cni::contract::{ALIVE_WITHIN, HEARTBEAT_EXTENSION};
use conformance::runtime::Runtime;
use conformance::runtime::conflist::{Conflist, Version};
use serde_json::json;

use crate::cluster::DAEMON_PATIENCE;
use crate::node::Node;
use crate::node::programs::cni_path;

/// How often it is looked whether the suite has ended and whether somebody calls.
const LOOK_AGAIN: Duration = Duration::from_millis(2);

/// Begins an answer to what was done.
const DONE: &str = "ok\n";

/// The node's side.
#[derive(Debug)]
pub struct Remote {
    listener: UnixListener,
}

impl Remote {
    /// Listens on `socket`.
    ///
    /// # Errors
    /// Those of the system.
    pub fn listen(socket: &Path) -> anyhow::Result<Self> {
        let listener = UnixListener::bind(socket)
            .with_context(|| format!("cannot listen on {}", socket.display()))?;
        listener.set_nonblocking(true)?;
        Ok(Self { listener })
    }

    /// Does for `node` what callers ask until the suite has `ended`.
    pub fn serve(&self, node: &Node, ended: &AtomicBool) {
        while !ended.load(Ordering::Relaxed) {
            let answered = self
                .listener
                .accept()
                .map_err(anyhow::Error::from)
                .and_then(|(caller, _)| answer(node, caller));
            // nobody calls, or one did not say what: it hears no answer, and that is a finding of its own
            if answered.is_err() {
                thread::sleep(LOOK_AGAIN);
            }
        }
    }
}

fn answer(node: &Node, mut caller: UnixStream) -> anyhow::Result<()> {
    caller.set_nonblocking(false)?;
    let mut what = String::new();
    caller.read_to_string(&mut what)?;
    let answer = match perform(node, &what) {
        Ok(told) => format!("{DONE}{told}"),
        Err(error) => format!("{error:#}"),
    };
    // a caller that does not wait has its reasons
    let _ = caller.write_all(answer.as_bytes());
    Ok(())
}

/// Does one thing; what there is to say about it.
fn perform(node: &Node, what: &str) -> anyhow::Result<String> {
    match what {
        "stop" => {
            node.kill_daemon()?;
            // as if it had been away for longer than STATUS has patience
            let alive = File::options()
                .write(true)
                .open(node.socket().with_extension(HEARTBEAT_EXTENSION))?;
            alive.set_modified(SystemTime::now() - 2 * ALIVE_WITHIN)?;
        }
        "start" => {
            node.start_daemon(DAEMON_PATIENCE)?;
            wait_until_it_serves(node)?;
        }
        "pause" => node.pause_daemon()?,
        "resume" => node.resume_daemon()?,
        "held" => {
            let attachments = node.status()?.attachments;
            let line = |id: &str, address| format!("{id} {address}\n");
            return Ok(attachments
                .iter()
                .map(|one| line(&one.container_id, one.address))
                .collect());
        }
        other => bail!("stop, start, pause, resume or held, not {other:?}"),
    }
    Ok(String::new())
}

/// A daemon that listens may still have to find out about its node.
fn wait_until_it_serves(node: &Node) -> anyhow::Result<()> {
    let mut list = super::alone(node);
    list["cniVersion"] = json!(Version::V1_1_0.as_str());
    let runtime = Runtime::new(Conflist::from_json(list)?, cni_path(), node.dir());
    let deadline = Instant::now() + DAEMON_PATIENCE;
    while let Err(failure) = runtime.status(node.netns()) {
        ensure!(Instant::now() < deadline, "{failure}");
        thread::sleep(LOOK_AGAIN);
    }
    Ok(())
}

/// Asks the node behind `socket` to do `what`; what it says of it.
///
/// # Errors
/// Nobody listens, or it could not be done.
pub fn tell(socket: &Path, what: &str) -> anyhow::Result<String> {
    let mut node = UnixStream::connect(socket)
        .with_context(|| format!("nobody listens on {}", socket.display()))?;
    node.write_all(what.as_bytes())?;
    node.shutdown(Shutdown::Write)?;
    let mut answer = String::new();
    node.read_to_string(&mut answer)?;
    match answer.strip_prefix(DONE) {
        Some(told) => Ok(told.to_owned()),
        None => bail!("{what}: {answer}"),
    }
}
