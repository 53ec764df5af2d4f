//! Reading stdin: to its end for a configuration, at a glance for VERSION.

use std::io;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::failure::Failure;
use crate::rules::broken;

/// The largest configuration, bytes.
const LIMIT: usize = 8 << 20;
/// How long STATUS does.
const BRIEFLY: Duration = Duration::from_secs(3);
/// How long all other verbs do: a runtime on a busy machine may be slow to write.
const PATIENCE: Duration = Duration::from_secs(50);
/// How long VERSION waits for a configuration, milliseconds.
const GLANCE: u16 = 20;

/// All of stdin, for `verb`.
pub fn read(verb: &str) -> Result<Vec<u8>, Failure> {
    let limit = match () {
        () if broken("stdin-64k") => 64 << 10,
        () if broken("stdin-unlimited") => usize::MAX,
        () => LIMIT,
    };
    let code = if broken("stdin-read-error-6") { 6 } else { 5 };
    let failed = |error: Errno| Failure::new(code, format!("error reading from stdin: {error}"));
    let patience = if verb == "STATUS" { BRIEFLY } else { PATIENCE };
    let deadline = Instant::now() + patience;
    let bytes = chunks(limit, || {
        let left = deadline.saturating_duration_since(Instant::now());
        broken("stdin-no-deadline") || comes(u16::try_from(left.as_millis()).unwrap_or(0))
    });
    let bytes = bytes.map_err(failed)?;
    if Instant::now() >= deadline {
        return Err(failed(Errno::ETIMEDOUT));
    }
    if bytes.len() > limit {
        if broken("stdin-64k") {
            return Ok(bytes[..limit].to_vec());
        }
        return Err(Failure::new(
            7,
            format!("network config larger than {limit} bytes"),
        ));
    }
    Ok(bytes)
}

/// What comes at once.
pub fn glance() -> Vec<u8> {
    if broken("version-waits") {
        return chunks(LIMIT, || true).unwrap_or_default();
    }
    chunks(LIMIT, || comes(GLANCE)).unwrap_or_default()
}

/// Whether there is something to read, or the end, within so many milliseconds.
fn comes(millis: u16) -> bool {
    let stdin = io::stdin();
    let mut fds = [PollFd::new(stdin.as_fd(), PollFlags::POLLIN)];
    poll(&mut fds, PollTimeout::from(millis)).is_ok_and(|ready| ready > 0)
}

fn chunks(limit: usize, more: impl Fn() -> bool) -> Result<Vec<u8>, Errno> {
    let mut bytes = Vec::new();
    let mut chunk = vec![0; 64 << 10];
    while bytes.len() <= limit && more() {
        match nix::unistd::read(io::stdin(), &mut chunk) {
            Ok(0) => break,
            Ok(read) => bytes.extend_from_slice(&chunk[..read]),
            Err(Errno::EINTR) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(bytes)
}
