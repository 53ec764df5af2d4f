//! Waiting for something to read until a deadline.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::AsFd;
use rustix::io::Errno;

use crate::cause::Cause;
use crate::clock::Instant;

/// Waits for bytes or the end; false when the deadline passes first.
pub(crate) fn wait(input: &impl AsFd, deadline: Instant) -> Result<bool, Cause> {
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let left = Timespec::try_from(left).ok();
        match poll(&mut [PollFd::new(input, PollFlags::IN)], left.as_ref()) {
            Ok(0) if Instant::now() >= deadline => return Ok(false),
            Ok(0) | Err(Errno::INTR) => {}
            Ok(_) => return Ok(true),
            Err(errno) => return Err(errno.into()),
        }
    }
}
